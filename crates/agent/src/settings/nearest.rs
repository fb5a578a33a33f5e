//! "Did you mean": the known word nearest to what was written.

/// The known word nearest to `word`, if one is near enough to be what was meant.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the word may differ: `timeuot` is near `timeout`, `foo` is near nothing. Swapped letters count once.
    let farthest = (word.chars().count() / 3).max(1);
    let folded = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (distance(&folded, candidate), candidate))
        .filter(|(distance, _)| *distance <= farthest)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn distance(folded: &str, candidate: &str) -> usize {
    let squeeze = |text: &str| text.replace('_', "").to_lowercase();
    if squeeze(folded) == squeeze(candidate) {
        return 0;
    }
    strsim::damerau_levenshtein(folded, candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_what_was_meant_and_nothing_when_nothing_is_near() {
        let known = ["timeout", "send_batch_size", "endpoint"];
        let check = |word, expected| assert_eq!(nearest(word, known), expected, "{word}");
        check("timeuot", Some("timeout"));
        check("time_out", Some("timeout"));
        check("sendBatchSize", Some("send_batch_size"));
        check("endpoints", Some("endpoint"));
        check("foo", None);
    }
}
