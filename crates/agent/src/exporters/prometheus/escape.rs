//! Names for clients that do not take every character in them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;

use super::labels::Pairs;
use super::negotiate::Escaping;
use crate::telemetry::exposition::text::is_classic_name;

/// A name as the client takes it. Classic names stay as they are.
pub(super) fn name(name: &str, escaping: Escaping) -> Cow<'_, str> {
    if escaping == Escaping::AllowUtf8 || is_classic_name(name) {
        return Cow::Borrowed(name);
    }
    let mut escaped = String::with_capacity(name.len() + 8);
    if escaping == Escaping::Values {
        escaped.push_str("U__");
    }
    for (at, c) in name.chars().enumerate() {
        let is_classic = c.is_ascii_alphabetic() || c == ':' || c.is_ascii_digit() && at > 0;
        match escaping {
            Escaping::Dots if c == '.' => escaped.push_str("_dot_"),
            Escaping::Dots | Escaping::Values if c == '_' => escaped.push_str("__"),
            _ if is_classic || c == '_' => escaped.push(c),
            Escaping::Dots => escaped.push_str("__"),
            Escaping::Values => {
                let _ = write!(escaped, "_{:x}_", u32::from(c));
            }
            _ => escaped.push('_'),
        }
    }
    Cow::Owned(escaped)
}

/// Labels as the client takes them, where some names are not classic. Two names may become one; their values are then
/// joined, as those of two attributes with one name are. `None`: the labels can stay as they are.
pub(super) fn labels<'a>(
    sets: impl Iterator<Item = (&'a Pairs, bool)> + Clone,
    escaping: Escaping,
) -> Option<Vec<(String, String)>> {
    if escaping == Escaping::AllowUtf8 || !sets.clone().any(|(_, odd)| odd) {
        return None;
    }
    let mut labels: Vec<(String, String)> = Vec::new();
    let mut places: HashMap<Cow<'a, str>, usize> = HashMap::new();
    for (label, value) in sets.flat_map(|(pairs, _)| pairs.iter()) {
        let label = name(label, escaping);
        match places.get(&label).and_then(|at| labels.get_mut(*at)) {
            Some((_, joined)) => {
                joined.push(';');
                joined.push_str(value);
            }
            None => {
                labels.push((label.clone().into_owned(), value.to_owned()));
                places.insert(label, labels.len() - 1);
            }
        }
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_the_client_wishes() {
        let check = |text: &str, dots: &str, values: &str, underscores: &str| {
            assert_eq!(name(text, Escaping::Dots), dots);
            assert_eq!(name(text, Escaping::Values), values);
            assert_eq!(name(text, Escaping::Underscores), underscores);
            assert_eq!(name(text, Escaping::AllowUtf8), text);
        };
        check("http_requests", "http_requests", "http_requests", "http_requests");
        check("http.status_code", "http_dot_status__code", "U__http_2e_status__code", "http_status_code");
        check("größe", "gr____e", "U__gr_f6__df_e", "gr__e");
        check("2x", "__x", "U___32_x", "_x");
    }

    #[test]
    fn labels_whose_names_become_one_are_joined() {
        use crate::exporters::series::labels::Label;
        let pairs = Pairs::new(&[Label::new("a.b", "1"), Label::new("a/b", "2"), Label::new("c", "3")]);
        let set = || [(&pairs, true)].into_iter();
        let joined = [("a_b".to_owned(), "1;2".to_owned()), ("c".to_owned(), "3".to_owned())];
        assert_eq!(labels(set(), Escaping::Underscores), Some(joined.to_vec()));
        assert_eq!(labels(set(), Escaping::Values).map(|labels| labels.len()), Some(3));
        assert_eq!(labels(set(), Escaping::AllowUtf8), None);
    }
}
