//! `${env:X}`, `${X}`, `${env:X:-default}`, `${file:path}`, `${yaml:…}` and `$$`, by the Collector's rules, its quirks
//! included: a value that is one `${…}` takes any type, one inside longer text is replaced as text, a string setting
//! sees the original text, and the search stops at the first `${…}` that is escaped.

use std::sync::Arc;

use crate::config::source::{Sources, read_text, scheme_of, unsupported_scheme};
use crate::settings::setting::join;
use crate::settings::{Expansion, Node, Place, Problems, Yaml, parse};

/// Replacements in one value, as in the Collector.
const MOST_STEPS: usize = 1000;
/// Replacements in a whole configuration.
const MOST_RETRIEVALS: usize = 10_000;
/// Bytes of one value that replacements are put into.
const MOST_VALUE_BYTES: usize = 1 << 20;
/// Bytes that replacements bring into a whole configuration.
const MOST_BYTES: usize = 32 << 20;
/// Levels of the tree once everything is in place.
const DEEPEST: usize = 200;

/// Expands the whole tree. `false` after an error has been reported; the rest is expanded all the same.
pub(super) fn expand(
    tree: &mut Node,
    variable: &dyn Fn(&str) -> Option<String>,
    sources: &mut Sources,
    problems: &mut Problems,
) -> bool {
    let mut expander =
        Expander { variable, sources, problems, retrievals: 0, bytes: 0, failed: false, exhausted: false };
    expander.node(tree, "", 0);
    !expander.failed
}

struct Expander<'a> {
    variable: &'a dyn Fn(&str) -> Option<String>,
    sources: &'a mut Sources,
    problems: &'a mut Problems,
    retrievals: usize,
    bytes: usize,
    failed: bool,
    /// A limit was reached and reported; the rest is left empty in silence.
    exhausted: bool,
}

/// What a `${…}` stands for.
struct Retrieved {
    node: Node,
    text: String,
    from: String,
}

impl Expander<'_> {
    fn node(&mut self, node: &mut Node, path: &str, level: usize) {
        if level > DEEPEST {
            self.exhausted(path, node.place);
            *node = Node { place: node.place, ..Node::default() };
            return;
        }
        match &mut node.value {
            Yaml::Str(text) if text.contains('$') => {
                let text = std::mem::take(text);
                *node = self.scalar(text, node.place, path, level);
            }
            Yaml::Seq(items) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.node(item, &join(path, &index.to_string()), level + 1);
                }
            }
            Yaml::Map(entries) => {
                for entry in entries {
                    self.node(&mut entry.value, &join(path, &entry.key), level + 1);
                }
            }
            _ => {}
        }
    }

    /// Expands a string until nothing is left to expand.
    fn scalar(&mut self, mut text: String, place: Place, path: &str, level: usize) -> Node {
        let nothing = || Node { place, ..Node::default() };
        let mut from: Vec<String> = Vec::new();
        let mut steps = 0;
        while let Some(uri) = find_uri(&text).map(str::to_owned) {
            steps += 1;
            if steps > MOST_STEPS {
                self.exhausted(path, place);
                return nothing();
            }
            let at = self.place_of(&uri, place);
            let Some(mut retrieved) = self.retrieve(&uri, at, path) else { return nothing() };
            if !from.contains(&retrieved.from) {
                from.push(retrieved.from.clone());
            }
            if uri == text && !matches!(retrieved.node.value, Yaml::Str(_)) {
                // Keys and values of a file keep their places. A string setting still sees the text.
                self.node(&mut retrieved.node, path, level + 1);
                let expansion = Some(Arc::new(Expansion { text: retrieved.text, from: from.join(", ") }));
                return Node { expansion, ..retrieved.node };
            }
            text = text.replace(&uri, &retrieved.text);
            if text.len() > MOST_VALUE_BYTES {
                self.exhausted(path, place);
                return nothing();
            }
        }
        let text = text.replace("$$", "$");
        let expansion = (!from.is_empty()).then(|| Arc::new(Expansion { text: text.clone(), from: from.join(", ") }));
        Node { value: Yaml::Str(text), place, expansion }
    }

    fn retrieve(&mut self, uri: &str, place: Place, path: &str) -> Option<Retrieved> {
        let inner = uri.strip_prefix("${").and_then(|uri| uri.strip_suffix('}')).unwrap_or(uri);
        self.retrievals += 1;
        if self.exhausted || self.retrievals > MOST_RETRIEVALS || self.bytes > MOST_BYTES {
            self.exhausted(path, place);
            return None;
        }
        if inner.contains('$') {
            self.error(path, place, format!("the uri \"{inner}\" contains unsupported characters ('$')"), "");
            return None;
        }
        let retrieved = match (inner.contains(':'), scheme_of(inner)) {
            (false, _) => self.variable(inner, place, path),
            (true, Some(("env", name))) => self.variable(name, place, path),
            (true, Some(("file", file))) => self.file(file, place, path),
            (true, Some(("yaml", text))) => {
                Some(self.read(text.to_owned(), place, "the configuration itself".to_owned()))
            }
            (true, other) => {
                self.unknown_scheme(inner, other.map(|(scheme, _)| scheme), place, path);
                None
            }
        }?;
        self.bytes += retrieved.text.len();
        Some(retrieved)
    }

    fn unknown_scheme(&mut self, inner: &str, scheme: Option<&str>, place: Place, path: &str) {
        // `${HOST:-x}` is what a shell would read; the Collector takes `HOST` for a scheme.
        if let Some((name, default)) = inner.split_once(":-").filter(|(name, _)| is_variable_name(name)) {
            let what = format!("`${{{inner}}}` is not understood; a default needs the scheme `env:`");
            self.error(path, place, what, format!("write `${{env:{name}:-{default}}}`"));
            return;
        }
        match scheme {
            Some(scheme) => {
                let (what, remedy) = unsupported_scheme(scheme, inner);
                self.error(path, place, what, remedy);
            }
            None => {
                let remedy = "write `${env:NAME}`, `${file:path}`, or `$${…}` for the text itself";
                self.error(path, place, format!("invalid uri: \"{inner}\""), remedy);
            }
        }
    }

    fn variable(&mut self, reference: &str, place: Place, path: &str) -> Option<Retrieved> {
        let (name, default) = match reference.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (reference, None),
        };
        if !is_variable_name(name) {
            let what =
                format!("environment variable \"{name}\" has invalid name: must match regex ^[a-zA-Z_][a-zA-Z0-9_]*$");
            self.error(path, place, what, "write `$${…}` for the text itself");
            return None;
        }
        let from = format!("environment variable {name}");
        match ((self.variable)(name), default) {
            (Some(text), _) => {
                if text.is_empty() {
                    self.problems.note(path, place, format!("the environment variable `{name}` is empty"), "");
                }
                Some(self.read(text, place, from))
            }
            (None, Some(default)) => Some(self.read(default.to_owned(), place, format!("default for {name}"))),
            (None, None) => {
                let what = format!("the environment variable `{name}` is not set, so the value is empty");
                self.problems.warning(path, place, what, format!("set it, or write a default: `${{env:{name}:-…}}`"));
                Some(self.read(String::new(), place, format!("{from}, not set")))
            }
        }
    }

    fn file(&mut self, file: &str, place: Place, path: &str) -> Option<Retrieved> {
        let text = match read_text(file) {
            Ok(text) => text,
            Err((what, remedy)) => {
                self.error(path, place, what, remedy);
                return None;
            }
        };
        let from = format!("file {file}");
        let mut problems = Problems::default();
        let id = self.sources.add(file, text.clone());
        match parse(id, &text, &mut problems) {
            Some(node) if !problems.any_errors() && matches!(node.value, Yaml::Map(_) | Yaml::Seq(_)) => {
                Some(Retrieved { node, text, from })
            }
            _ => Some(self.read(text, place, from)),
        }
    }

    /// Reads a text as YAML; what is not YAML is a plain string.
    fn read(&mut self, text: String, place: Place, from: String) -> Retrieved {
        let mut problems = Problems::default();
        let parsed = parse(place.file, &text, &mut problems).filter(|_| problems.is_empty());
        let mut node = parsed.unwrap_or_else(|| Node::unwritten(Yaml::Str(text.clone())));
        stand_at(&mut node, place);
        Retrieved { node, text, from }
    }

    /// Where `${…}` stands within its value, if it is written there in so many letters.
    fn place_of(&self, uri: &str, place: Place) -> Place {
        let Some(slice) = self.sources.slice(place) else { return place };
        let Some(at) = slice.find(uri).filter(|at| !slice[..*at].contains('\n')) else { return place };
        let columns = u32::try_from(slice[..at].chars().count()).unwrap_or(0);
        let start = place.start + u32::try_from(at).unwrap_or(0);
        let end = start + u32::try_from(uri.len()).unwrap_or(0);
        Place { start, end, column: place.column + columns, ..place }
    }

    fn exhausted(&mut self, path: &str, place: Place) {
        if !self.exhausted {
            let remedy = "does a file or a variable refer to itself?";
            self.error(path, place, "too many recursive expansions", remedy);
        }
        self.exhausted = true;
    }

    fn error(&mut self, path: &str, place: Place, what: impl Into<String>, remedy: impl Into<String>) {
        self.failed = true;
        self.problems.error(path, place, what, remedy);
    }
}

/// Gives every node of a tree the place of the `${…}` that it came from.
fn stand_at(node: &mut Node, place: Place) {
    node.place = place;
    match &mut node.value {
        Yaml::Seq(items) => items.iter_mut().for_each(|item| stand_at(item, place)),
        Yaml::Map(entries) => entries.iter_mut().for_each(|entry| {
            entry.place = place;
            stand_at(&mut entry.value, place);
        }),
        _ => {}
    }
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// The first `${…}` to expand: the innermost that ends at the first `}`. None if that one is escaped, even when there
/// are more behind it, as in the Collector.
fn find_uri(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let close = rest.find('}')?;
        let before = rest.get(..=close)?;
        let Some(open) = before.rfind("${") else {
            rest = rest.get(close + 1..)?;
            continue;
        };
        let dollars = before.as_bytes()[..open].iter().rev().take_while(|byte| **byte == b'$').count();
        return if dollars % 2 == 1 { None } else { before.get(open..) };
    }
}

#[cfg(test)]
mod tests;
