//! Labels and annotations: which keys somebody wants, and the few that are kept.

use std::collections::BTreeSet;
use std::fmt;

use anyhow::Context as _;
use regex::Regex;

/// Pairs of key and value in the order of the keys, in one piece of memory.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// Keys and values one after another.
    text: Box<str>,
    /// Where each key and each value ends in `text`.
    ends: Box<[(u32, u32)]>,
}

impl Kept {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let at = |index: usize| self.pair(index).map_or("", |(key, _)| key);
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if at(middle) < key { low = middle + 1 } else { high = middle }
        }
        self.pair(low).filter(|(found, _)| *found == key).map(|(_, value)| value)
    }

    /// All pairs, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        (0..self.len()).filter_map(|index| self.pair(index))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes on the heap.
    pub(super) fn heap(&self) -> usize {
        self.text.len() + size_of_val(&*self.ends)
    }

    fn pair(&self, index: usize) -> Option<(&str, &str)> {
        let (key_end, value_end) = *self.ends.get(index)?;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before].1);
        let text = |from: u32, to: u32| &self.text[from as usize..to as usize];
        Some((text(start, key_end), text(key_end, value_end)))
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for Kept {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut pairs: Vec<(K, V)> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        let (mut text, mut ends) = (String::new(), Vec::with_capacity(pairs.len()));
        // The API server takes no object that is larger than some MiB.
        let end = |text: &String| u32::try_from(text.len()).unwrap_or(u32::MAX);
        for (key, value) in &pairs {
            text.push_str(key.as_ref());
            let key_end = end(&text);
            text.push_str(value.as_ref());
            ends.push((key_end, end(&text)));
        }
        Self { text: text.into(), ends: ends.into() }
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Which labels or annotations are wanted. The default is none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Keys {
    all: bool,
    exact: BTreeSet<String>,
    patterns: Vec<Pattern>,
}

/// A regular expression for whole keys.
#[derive(Clone)]
struct Pattern(Regex);

impl Keys {
    /// None.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Every key.
    #[must_use]
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// These keys.
    #[must_use]
    pub fn exact<K: Into<String>>(keys: impl IntoIterator<Item = K>) -> Self {
        Self { exact: keys.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Keys that a regular expression matches from the first to the last character.
    ///
    /// # Errors
    /// It is no regular expression.
    pub fn pattern(expression: &str) -> anyhow::Result<Self> {
        let regex =
            Regex::new(&format!("^(?:{expression})$")).with_context(|| format!("the pattern `{expression}`"))?;
        Ok(Self { patterns: vec![Pattern(regex)], ..Self::default() })
    }

    /// Those of both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.all |= other.all;
        self.exact.extend(other.exact);
        for pattern in other.patterns {
            if !self.patterns.contains(&pattern) {
                self.patterns.push(pattern);
            }
        }
        self
    }

    /// Whether this key is wanted.
    #[must_use]
    pub fn wants(&self, key: &str) -> bool {
        self.all || self.exact.contains(key) || self.patterns.iter().any(|pattern| pattern.0.is_match(key))
    }

    /// Whether no key is wanted.
    #[must_use]
    pub fn is_none(&self) -> bool {
        !self.all && self.exact.is_empty() && self.patterns.is_empty()
    }

    /// What is wanted of these pairs.
    pub(super) fn keep<K: AsRef<str>, V: AsRef<str>>(&self, pairs: impl IntoIterator<Item = (K, V)>) -> Kept {
        pairs.into_iter().filter(|(key, _)| self.wants(key.as_ref())).collect()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_by_its_key_and_by_nothing_else() {
        let kept: Kept = [("b", "2"), ("a", "1"), ("empty", ""), ("ab", "12")].into_iter().collect();
        assert_eq!(kept.get("a"), Some("1"));
        assert_eq!(kept.get("ab"), Some("12"));
        assert_eq!(kept.get("empty"), Some(""));
        assert_eq!(kept.get("b"), Some("2"));
        for missing in ["", "aa", "c", "zzz", "1"] {
            assert_eq!(kept.get(missing), None, "{missing}");
        }
        assert_eq!(kept.iter().map(|(key, _)| key).collect::<Vec<_>>(), ["a", "ab", "b", "empty"]);
        assert!(Kept::default().is_empty());
    }

    #[test]
    fn a_pattern_matches_whole_keys() {
        let keys = Keys::pattern("app|team").unwrap().and(Keys::exact(["x"]));
        assert!(keys.wants("app") && keys.wants("team") && keys.wants("x"));
        assert!(!keys.wants("apple") && !keys.wants("my-team") && !keys.wants(""));
        assert!(Keys::pattern("(").unwrap_err().to_string().contains("`(`"));
    }

    #[test]
    fn keys_of_both_are_those_of_either_once() {
        let both = Keys::pattern("a.*").unwrap().and(Keys::pattern("a.*").unwrap());
        assert_eq!(both, Keys::pattern("a.*").unwrap());
        assert!(Keys::none().is_none() && !both.is_none());
        assert!(Keys::none().and(Keys::all()).wants("anything"));
        assert_eq!(both.keep([("abc", "1"), ("b", "2")]).len(), 1);
    }
}
