//! "Did you mean": the known word nearest to what was written.

/// The known word nearest to `word`, if a third of it at most is different.
pub(crate) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let farthest = (word.chars().count() / 3).max(1);
    let distances = known.into_iter().map(|one| (strsim::damerau_levenshtein(&plain(word), &plain(one)), one));
    distances.filter(|(distance, _)| *distance <= farthest).min_by_key(|(distance, _)| *distance).map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    #[test]
    fn finds_what_was_meant_and_nothing_when_nothing_is_near() {
        let check = |word, expected| assert_eq!(super::nearest(word, ["nodeSelector", "mode", "routing"]), expected);
        check("node_selector", Some("nodeSelector"));
        check("nodeselektor", Some("nodeSelector"));
        check("rooting", Some("routing"));
        check("affinity", None);
    }
}
