//! The YAML tree with places: what the parser builds, expansion and merging change, and settings are read from.

use std::sync::Arc;

use crate::settings::place::Place;

/// One value of the tree and where it stands.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// The value.
    pub value: Yaml,
    /// Where it stands. For a value that came out of `${…}`: where that was written.
    pub place: Place,
    /// What `${…}` it came from, if any.
    pub expansion: Option<Arc<Expansion>>,
}

/// What a value was before it was read as YAML, when it came out of `${…}`.
#[derive(Debug, PartialEq, Eq)]
pub struct Expansion {
    /// The text before it was read as YAML; a string setting takes this.
    pub text: String,
    /// Where it came from, for people: `environment variable POD_IP`.
    pub from: String,
}

/// A YAML value.
#[derive(Clone, Debug, Default)]
pub enum Yaml {
    /// `null`, `~` or nothing at all.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number with a fraction or an exponent.
    Float(f64),
    /// A string.
    Str(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping, in the order written, without duplicate keys.
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub place: Place,
    /// What it holds.
    pub value: Node,
}

impl Node {
    /// A value that nobody wrote.
    #[must_use]
    pub fn unwritten(value: Yaml) -> Node {
        Node { value, place: Place::NONE, expansion: None }
    }

    /// Whether the value is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, Yaml::Null)
    }

    /// The keys of a mapping; none for anything else.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Yaml::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none for anything else.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Yaml::Seq(items) => items,
            _ => &[],
        }
    }

    /// The entry of a key of this mapping.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The value of a key of this mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The text of a string, or the original text of what came out of `${…}`.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match (&self.expansion, &self.value) {
            (Some(expansion), _) => Some(&expansion.text),
            (None, Yaml::Str(text)) => Some(text),
            _ => None,
        }
    }

    /// What this is, for a message: ``the string `5` ``, `a list`.
    #[must_use]
    pub fn in_words(&self) -> String {
        let what = match &self.value {
            Yaml::Null => "nothing".to_owned(),
            Yaml::Bool(value) => format!("`{value}`"),
            Yaml::Int(value) => format!("the number `{value}`"),
            Yaml::Float(value) => format!("the number `{value}`"),
            Yaml::Str(text) if text.is_empty() => "an empty string".to_owned(),
            Yaml::Str(text) => format!("the string `{}`", shortened(text)),
            Yaml::Seq(_) => "a list".to_owned(),
            Yaml::Map(_) => "a mapping".to_owned(),
        };
        what + &self.origin_in_words()
    }

    /// Where it comes from, for a message, when it is not what stands there: ` (from environment variable X)`.
    #[must_use]
    pub fn origin_in_words(&self) -> String {
        self.expansion.as_ref().map(|expansion| format!(" (from {})", expansion.from)).unwrap_or_default()
    }
}

impl Entry {
    /// A key that nobody wrote.
    #[must_use]
    pub fn unwritten(key: impl Into<String>, value: Yaml) -> Entry {
        Entry { key: key.into(), place: Place::NONE, value: Node::unwritten(value) }
    }
}

impl PartialEq for Node {
    /// Two nodes are equal when their values are, wherever they stand.
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl PartialEq for Yaml {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Yaml::Null, Yaml::Null) => true,
            (Yaml::Bool(a), Yaml::Bool(b)) => a == b,
            (Yaml::Int(a), Yaml::Int(b)) => a == b,
            (Yaml::Float(a), Yaml::Float(b)) => a.to_bits() == b.to_bits(),
            (Yaml::Str(a), Yaml::Str(b)) => a == b,
            (Yaml::Seq(a), Yaml::Seq(b)) => a == b,
            (Yaml::Map(a), Yaml::Map(b)) => a == b,
            _ => false,
        }
    }
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 60;
    let line = text.lines().next().unwrap_or_default();
    if line.len() == text.len() && line.chars().count() <= LONGEST {
        return text.to_owned();
    }
    line.chars().take(LONGEST).chain(['…']).collect()
}
