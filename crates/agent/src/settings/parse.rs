//! From YAML text to the tree: duplicate keys refused, aliases and merge keys resolved, everything under a budget.
//!
//! The text comes from people, ConfigMaps and environment variables; whatever it is, it yields a tree or a problem
//! with a place, never a panic and never more memory than the budget.

use std::collections::HashMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::settings::node::{Entry, Node, Yaml};
use crate::settings::place::{FileId, Place};
use crate::settings::problem::Problems;
use crate::settings::scalar;

/// Nodes of one source, aliases counted each time they are used. A large real configuration has a few thousand.
const MOST_NODES: usize = 100_000;
/// Levels of nesting. Everything that walks the tree may recurse because of this.
const DEEPEST: usize = 100;
/// Bytes of one source.
const LARGEST: usize = 16 << 20;

/// Reads one source. `None` after a problem has been reported. An empty source is null.
#[must_use]
pub fn parse(file: FileId, text: &str, problems: &mut Problems) -> Option<Node> {
    if text.len() > LARGEST {
        let what = format!("the source has {} bytes; at most {LARGEST} are read", text.len());
        problems.error("", Place { file, ..Place::NONE }, what, "split it into several files");
        return None;
    }
    let mut builder =
        Builder { file, text, problems, stack: Vec::new(), anchors: HashMap::new(), nodes: 0, root: None };
    builder.run()
}

/// What has been opened and not closed yet.
struct Open {
    value: Yaml,
    place: Place,
    anchor: usize,
    /// The key that waits for its value, in a mapping.
    key: Option<Waiting>,
}

/// A key whose value has not been read yet.
struct Waiting {
    key: String,
    place: Place,
    /// It stands there twice, which has been reported; its value is left out.
    twice: bool,
}

/// What an alias stands for, and what using it costs.
struct Anchored {
    node: Node,
    nodes: usize,
    depth: usize,
}

struct Builder<'a> {
    file: FileId,
    text: &'a str,
    problems: &'a mut Problems,
    stack: Vec<Open>,
    anchors: HashMap<usize, Anchored>,
    nodes: usize,
    root: Option<Node>,
}

/// A problem has been reported; reading stops.
struct Reported;

impl Builder<'_> {
    fn run(&mut self) -> Option<Node> {
        let text = self.text;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| self.not_yaml(&error)).ok()?;
            let place = self.place(&span);
            if self.root.is_some() {
                if self.is_further_content(&event) {
                    let what = "a second YAML document starts here; only the first is read";
                    self.problems.warning("", place, what, "remove it, or pass it as a `--config` of its own");
                    break;
                }
                continue;
            }
            self.take(event, place).ok()?;
        }
        let beginning = Place { file: self.file, line: 1, column: 1, start: 0, end: 0 };
        Some(self.root.take().unwrap_or(Node { place: beginning, ..Node::default() }))
    }

    fn is_further_content(&self, event: &Event<'_>) -> bool {
        match event {
            Event::Scalar(text, ..) => !text.is_empty(),
            Event::MappingStart(..) | Event::SequenceStart(..) => true,
            _ => false,
        }
    }

    fn take(&mut self, event: Event<'_>, place: Place) -> Result<(), Reported> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                if self.wants_key() {
                    return self.take_key(text.into_owned(), place);
                }
                let forced = tag.is_some_and(|tag| tag.core_suffix() == Some("str"));
                let plain = style == ScalarStyle::Plain && !forced;
                let value = if plain { scalar::resolve(&text) } else { Yaml::Str(text.into_owned()) };
                self.add(Node { value, place, expansion: None }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.open(Yaml::Seq(Vec::new()), place, anchor),
            Event::MappingStart(_, anchor, _) => self.open(Yaml::Map(Vec::new()), place, anchor),
            Event::SequenceEnd | Event::MappingEnd => self.close(place),
            Event::Alias(anchor) => self.alias(anchor, place),
            _ => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.stack.last(), Some(Open { value: Yaml::Map(_), key: None, .. }))
    }

    fn take_key(&mut self, key: String, place: Place) -> Result<(), Reported> {
        let Some(Open { value: Yaml::Map(entries), .. }) = self.stack.last() else { return Ok(()) };
        let first = entries.iter().find(|entry| entry.key == key && key != "<<").map(|entry| entry.place.line);
        if let Some(line) = first {
            // Reading goes on with the first, so that everything else that is wrong is found too.
            let what = format!("the key `{key}` stands twice in this mapping; first in line {line}");
            self.problems.error(&self.path(Some(&key)), place, what, "remove one of them, or rename it");
        }
        if let Some(open) = self.stack.last_mut() {
            open.key = Some(Waiting { key, place, twice: first.is_some() });
        }
        Ok(())
    }

    fn open(&mut self, value: Yaml, place: Place, anchor: usize) -> Result<(), Reported> {
        if self.wants_key() {
            self.problems.error(&self.path(None), place, "a key must be a plain word, not a list or a mapping", "");
            return Err(Reported);
        }
        if self.stack.len() >= DEEPEST {
            self.problems.error("", place, format!("nested deeper than {DEEPEST} levels"), "");
            return Err(Reported);
        }
        self.stack.push(Open { value, place, anchor, key: None });
        Ok(())
    }

    fn close(&mut self, end: Place) -> Result<(), Reported> {
        let Some(mut open) = self.stack.pop() else { return Ok(()) };
        open.place.end = end.end.max(open.place.end);
        if let Yaml::Map(entries) = &mut open.value {
            merge_keys(entries, self.problems);
        }
        self.add(Node { value: open.value, place: open.place, expansion: None }, open.anchor)
    }

    fn alias(&mut self, anchor: usize, place: Place) -> Result<(), Reported> {
        if self.wants_key() {
            self.problems.error(&self.path(None), place, "an alias cannot be a key here", "write the key out");
            return Err(Reported);
        }
        let Some(anchored) = self.anchors.get(&anchor) else {
            let what = "this alias stands for something that contains it";
            self.problems.error(&self.path(None), place, what, "write the value out");
            return Err(Reported);
        };
        if anchored.depth + self.stack.len() > DEEPEST || anchored.nodes + self.nodes > MOST_NODES {
            let what = format!("aliases make this source larger than {MOST_NODES} values or {DEEPEST} levels");
            self.problems.error(&self.path(None), place, what, "write the values out");
            return Err(Reported);
        }
        self.nodes += anchored.nodes;
        let node = anchored.node.clone();
        self.put(node);
        Ok(())
    }

    fn add(&mut self, node: Node, anchor: usize) -> Result<(), Reported> {
        self.nodes += 1;
        if self.nodes > MOST_NODES {
            self.problems.error("", node.place, format!("more than {MOST_NODES} values in one source"), "");
            return Err(Reported);
        }
        if anchor != 0 {
            let (nodes, depth) = measure(&node);
            self.anchors.insert(anchor, Anchored { node: node.clone(), nodes, depth });
        }
        self.put(node);
        Ok(())
    }

    fn put(&mut self, node: Node) {
        match self.stack.last_mut() {
            Some(Open { value: Yaml::Seq(items), .. }) => items.push(node),
            Some(Open { value: Yaml::Map(entries), key, .. }) => {
                if let Some(Waiting { key, place, twice: false }) = key.take() {
                    entries.push(Entry { key, place, value: node });
                }
            }
            _ => self.root = Some(node),
        }
    }

    /// Path of what is being read, with a key that is not on the stack yet.
    fn path(&self, key: Option<&str>) -> String {
        let opened = self.stack.iter().filter_map(|open| open.key.as_ref().map(|waiting| waiting.key.as_str()));
        opened.chain(key).collect::<Vec<_>>().join("::")
    }

    fn place(&self, span: &Span) -> Place {
        let bytes = span.byte_range().unwrap_or_default();
        Place {
            file: self.file,
            line: to_u32(span.start.line()),
            column: to_u32(span.start.col()).saturating_add(1),
            start: to_u32(bytes.start),
            end: to_u32(bytes.end),
        }
    }

    fn not_yaml(&mut self, error: &ScanError) {
        let mark = *error.marker();
        let line = self.text.lines().nth(mark.line().saturating_sub(1)).unwrap_or_default();
        let indent_end = line.find(|c: char| c != ' ' && c != '\t').unwrap_or(line.len());
        let mut place = self.place(&Span::new(mark, mark));
        let tab = line.get(..indent_end).and_then(|indent| indent.find('\t'));
        let (what, remedy) = if let Some(tab) = tab {
            let line_start = place.start.saturating_sub(to_u32(mark.col()));
            place.start = line_start.saturating_add(to_u32(tab));
            place.column = to_u32(tab).saturating_add(1);
            ("a tab is used for indentation".to_owned(), "indent with spaces; YAML does not allow tabs here")
        } else {
            let what = format!("this is not YAML: {}", error.info());
            (what, "look at the indentation, the quotes and the brackets of this line and the one above it")
        };
        place.end = place.start.saturating_add(1).min(to_u32(self.text.len())).max(place.start);
        self.problems.error("", place, what, remedy);
    }
}

/// Resolves `<<`: keys of what it names are added where they are not written.
fn merge_keys(entries: &mut Vec<Entry>, problems: &mut Problems) {
    while let Some(at) = entries.iter().position(|entry| entry.key == "<<") {
        let merge = entries.remove(at);
        let sources = match merge.value.value {
            Yaml::Seq(items) => items,
            _ => vec![merge.value],
        };
        for source in sources {
            let Yaml::Map(inherited) = source.value else {
                let what = format!("`<<` merges mappings, found {}", source.in_words());
                problems.error("", merge.place, what, "write `<<: *anchor` with the anchor at a mapping");
                continue;
            };
            let missing: Vec<Entry> =
                inherited.into_iter().filter(|new| entries.iter().all(|entry| entry.key != new.key)).collect();
            entries.extend(missing);
        }
    }
}

/// Nodes and levels of a tree.
fn measure(node: &Node) -> (usize, usize) {
    let children = node.items().iter().chain(node.entries().iter().map(|entry| &entry.value));
    let (nodes, depth) = children.map(measure).fold((0, 0), |(n, d), (nodes, depth)| (n + nodes, d.max(depth)));
    (nodes + 1, depth + 1)
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
