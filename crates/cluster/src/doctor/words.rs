//! Lists of names, ages and numbers in words, short enough to be read at night.

use jiff::{SignedDuration, Timestamp};

/// So many names are told; of more only how many.
const NAMED: usize = 5;

/// `worker-1, worker-2 and 38 more`.
pub(super) fn list<S: AsRef<str>>(names: &[S]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(AsRef::as_ref).collect();
    match names.len().saturating_sub(NAMED) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `1 node`, `3 nodes`.
pub(super) fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// `node worker-1`, `nodes worker-1, worker-2`.
pub(super) fn named<S: AsRef<str>>(thing: &str, names: &[S]) -> String {
    format!("{thing}{} {}", if names.len() == 1 { "" } else { "s" }, list(names))
}

/// `is` for one, `are` for more.
pub(super) fn is(number: usize) -> &'static str {
    if number == 1 { "is" } else { "are" }
}

/// `has` for one, `have` for more.
pub(super) fn has(number: usize) -> &'static str {
    if number == 1 { "has" } else { "have" }
}

/// How long ago: `40 s`, `12 min`, `5 h`, `3 d`.
pub(super) fn age(now: Timestamp, then: Timestamp) -> String {
    duration(now.duration_since(then))
}

fn duration(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// Whether that was longer ago; what has no time counts as long ago.
pub(super) fn older(now: Timestamp, then: Option<Timestamp>, seconds: i64) -> bool {
    then.is_none_or(|then| now.duration_since(then).as_secs() >= seconds)
}

/// The first line of a text, not longer than fits a line.
pub(super) fn brief(text: &str) -> String {
    const LONGEST: usize = 300;
    let line = text.trim().lines().next().unwrap_or_default();
    let cut: String = line.chars().take(LONGEST).collect();
    if cut.len() < line.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_counted() {
        let names: Vec<String> = (1..=7).map(|number| format!("n{number}")).collect();
        assert_eq!(list(&names), "n1, n2, n3, n4, n5 and 2 more");
        assert_eq!(list(&names[..2]), "n1, n2");
        assert_eq!(named("node", &names[..1]), "node n1");
        assert_eq!(count(2, "pod"), "2 pods");
    }

    #[test]
    fn ages_have_one_unit() {
        for (seconds, expected) in [(5, "5 s"), (119, "119 s"), (180, "3 min"), (7_200, "2 h"), (200_000, "2 d")] {
            assert_eq!(duration(SignedDuration::from_secs(seconds)), expected);
        }
    }
}
