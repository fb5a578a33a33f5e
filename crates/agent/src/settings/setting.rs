//! What a value of the configuration can do: be read from the tree, be written back, describe itself for the reference.

use crate::settings::node::{Entry, Node, Yaml};
use crate::settings::place::Place;
use crate::settings::problem::{Problems, Severity};

/// A type that can stand in a configuration.
pub trait Setting: Sized {
    /// Reads the value. `None` after a problem has been reported.
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self>;

    /// Reads the value over a default: what is not written stays as it is in `base`. Null is "not written".
    fn read_over(base: Self, node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        if node.is_null() { Some(base) } else { Self::read(node, cx) }
    }

    /// The value as configuration would write it; `None` when it would leave the key out.
    fn write(&self) -> Option<Yaml>;

    /// What it is, for problems and for the reference.
    fn shape() -> Shape;

    /// Whether a list of it may be written as one string with commas, which the Collector allows for strings.
    const SPLITS_AT_COMMAS: bool = false;
}

/// What a setting is, for problems and for the reference.
#[derive(Clone, Debug)]
pub struct Shape {
    /// With an article, as a sentence needs it: `a duration`.
    pub name: String,
    /// How one looks: `200ms`.
    pub example: String,
    /// The section's own fields, when it is a mapping with known keys (or a list or map of such).
    pub section: Option<SectionDoc>,
}

impl Shape {
    /// The shape of a plain value.
    #[must_use]
    pub fn plain(name: &str, example: &str) -> Shape {
        Shape { name: name.to_owned(), example: example.to_owned(), section: None }
    }
}

/// A section of the reference: one `settings!` listing.
#[derive(Clone, Debug)]
pub struct SectionDoc {
    /// What the section is for.
    pub doc: String,
    /// Its keys, in the order listed.
    pub fields: Vec<FieldDoc>,
    /// Keys of the Collector that are refused, with what to do instead.
    pub unsupported: &'static [(&'static str, &'static str)],
    /// Keys of the Collector that are accepted and change nothing, with the reason.
    pub ignored: &'static [(&'static str, &'static str)],
}

/// One key of a section.
#[derive(Clone, Debug)]
pub struct FieldDoc {
    /// The key.
    pub key: &'static str,
    /// What it changes and when to touch it.
    pub doc: String,
    /// What it takes.
    pub shape: Shape,
    /// Its default; `None` when there is none or when it is left out.
    pub default: Option<Yaml>,
    /// Whether it must be written.
    pub required: bool,
}

/// What reading a setting needs besides the value: where it is, and where problems go.
#[derive(Debug)]
pub struct Reader<'a> {
    problems: &'a mut Problems,
    path: String,
    node: &'a Node,
    key_place: Place,
}

impl<'a> Reader<'a> {
    /// Starts at the top of a tree.
    #[must_use]
    pub fn new(problems: &'a mut Problems, node: &'a Node) -> Reader<'a> {
        Reader { problems, path: String::new(), node, key_place: node.place }
    }

    /// The value being read.
    #[must_use]
    pub fn node(&self) -> &'a Node {
        self.node
    }

    /// Path of the value being read: `receivers::otlp::protocols`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Goes to the value of a key.
    pub fn inside<'b>(&'b mut self, entry: &'b Entry) -> Reader<'b> {
        let path = join(&self.path, &entry.key);
        Reader { problems: self.problems, path, node: &entry.value, key_place: entry.place }
    }

    /// Goes to an item of a list; items are counted from 0 in the path, as the Collector does.
    pub fn item<'b>(&'b mut self, index: usize, node: &'b Node) -> Reader<'b> {
        let path = join(&self.path, &index.to_string());
        Reader { problems: self.problems, path, node, key_place: node.place }
    }

    /// An error at the value being read.
    pub fn error(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.report(Severity::Error, "", what.into(), remedy.into());
    }

    /// A warning at the value being read.
    pub fn warning(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.report(Severity::Warning, "", what.into(), remedy.into());
    }

    /// An error at a key below the value being read: `retry_on_failure::max_interval`. If it is not written, at the
    /// nearest thing above that is.
    pub fn error_at(&mut self, below: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.report(Severity::Error, below, what.into(), remedy.into());
    }

    /// A warning at a key below the value being read.
    pub fn warning_at(&mut self, below: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.report(Severity::Warning, below, what.into(), remedy.into());
    }

    /// A note at a key below the value being read.
    pub fn note_at(&mut self, below: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.report(Severity::Note, below, what.into(), remedy.into());
    }

    /// The value is not of the kind that was expected.
    pub fn unexpected(&mut self, shape: &Shape) {
        let what = format!("expected {}, found {}", shape.name, self.node.in_words());
        self.error(what, format!("write it like `{}`", shape.example));
    }

    /// Adds a problem with a place of its own, for instance at a key.
    pub fn error_in(&mut self, place: Place, below: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.error(&join(&self.path, below), place, what, remedy);
    }

    /// Adds a note with a place of its own.
    pub fn note_in(&mut self, place: Place, below: &str, what: impl Into<String>, remedy: impl Into<String>) {
        self.problems.note(&join(&self.path, below), place, what, remedy);
    }

    fn report(&mut self, severity: Severity, below: &str, what: String, remedy: String) {
        let place = place_below(self.node, self.key_place, below);
        self.problems.push(crate::settings::Problem { severity, path: join(&self.path, below), place, what, remedy });
    }
}

/// Joins two paths with the Collector's `::`.
#[must_use]
pub fn join(path: &str, below: &str) -> String {
    match (path.is_empty(), below.is_empty()) {
        (true, _) => below.to_owned(),
        (_, true) => path.to_owned(),
        _ => format!("{path}::{below}"),
    }
}

/// The place to underline for a path below a node: the value if it is one word, otherwise its key.
#[must_use]
pub fn place_below(node: &Node, key_place: Place, below: &str) -> Place {
    let mut at = (node, key_place);
    for key in below.split("::").filter(|key| !key.is_empty()) {
        let item = key.parse().ok().and_then(|index: usize| at.0.items().get(index));
        match (at.0.entry(key), item) {
            (Some(entry), _) => at = (&entry.value, entry.place),
            (None, Some(item)) => at = (item, item.place),
            (None, None) => return at.1,
        }
    }
    match &at.0.value {
        Yaml::Map(_) | Yaml::Seq(_) => at.1,
        _ if at.0.place.is_empty() => at.1,
        _ => at.0.place,
    }
}
