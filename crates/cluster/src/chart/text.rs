//! A tree as the text of a template: YAML with Go's conditions, and an expression where a marker was.

use serde_json::Value;

use super::merge::{Arm, Branch, Node};
use super::options::{Choice, Marker};

/// A text as large as this goes into a file of its own.
const LARGE: usize = 4000;

/// Writes templates.
pub(super) struct Writer<'a> {
    /// The choices that the tree's conditions are about.
    pub(super) choices: &'a [Choice],
    /// What stands in the place of markers.
    pub(super) markers: &'a [Marker],
    /// Texts that became files: path in the chart, and text.
    pub(super) files: Vec<(String, String)>,
    out: String,
}

/// What a value is put behind.
#[derive(Clone, Copy)]
enum Behind<'k> {
    Key(&'k str),
    /// A key that a person's key of the same name replaces.
    Unless(&'k str, &'k Marker),
    /// No key: a person's keys are put in here, without those that are there anyway.
    Keys(&'k Marker, &'k [&'k str]),
    Dash,
    /// A line of a text.
    Nothing,
    /// The top of a document.
    Top,
}

impl<'a> Writer<'a> {
    pub(super) fn new(choices: &'a [Choice], markers: &'a [Marker]) -> Self {
        Self { choices, markers, files: Vec::new(), out: String::new() }
    }

    /// The template of an object, with the reason of it above.
    pub(super) fn template(&mut self, tree: &Branch, note: &str) -> String {
        self.out.clear();
        for line in note.lines() {
            self.line(0, format!("# {}", escaped(line)).trim_end());
        }
        self.branch(0, Behind::Top, tree);
        std::mem::take(&mut self.out)
    }

    fn line(&mut self, indent: usize, text: &str) {
        if !text.is_empty() {
            self.out.extend(std::iter::repeat_n(' ', indent));
            self.out.push_str(text);
        }
        self.out.push('\n');
    }

    fn branch(&mut self, indent: usize, behind: Behind<'_>, branch: &Branch) {
        self.sequence(indent, &[(behind, branch)]);
    }

    /// Neighbours that depend on the same choice in the same way stand under one condition.
    fn sequence(&mut self, indent: usize, mut parts: &[(Behind<'_>, &Branch)]) {
        while let Some(((behind, branch), rest)) = parts.split_first() {
            match (behind, branch) {
                (_, Branch::Always(node)) => {
                    self.node(indent, *behind, node);
                    parts = rest;
                }
                (Behind::Unless(..) | Behind::Keys(..), Branch::When(arms)) => {
                    self.arms(indent, arms, &[(*behind, arms)]);
                    parts = rest;
                }
                (_, Branch::When(arms)) => {
                    let alike = |(behind, branch): &(Behind<'_>, &Branch)| match branch {
                        Branch::When(others) => {
                            matches!(behind, Behind::Key(_) | Behind::Dash | Behind::Nothing) && same(arms, others)
                        }
                        Branch::Always(_) => false,
                    };
                    let count = 1 + rest.iter().take_while(|part| alike(part)).count();
                    let (run, rest) = parts.split_at(count);
                    let run: Vec<(Behind<'_>, &Vec<Arm>)> = run
                        .iter()
                        .filter_map(|(behind, branch)| match branch {
                            Branch::When(arms) => Some((*behind, arms)),
                            Branch::Always(_) => None,
                        })
                        .collect();
                    self.arms(indent, arms, &run);
                    parts = rest;
                }
            }
        }
    }

    /// The arms of neighbours that are alike.
    fn arms(&mut self, indent: usize, arms: &[Arm], run: &[(Behind<'_>, &Vec<Arm>)]) {
        // Markers that differ may stand for the same expression: what reads the same is one arm.
        let mut texts: Vec<(Arm, String)> = Vec::new();
        for (number, arm) in arms.iter().enumerate() {
            let own = run.iter().filter_map(|(behind, arms)| Some((*behind, arms.get(number)?.then.as_ref()?)));
            let own: Vec<(Behind<'_>, &Branch)> = own.collect();
            let from = self.out.len();
            self.sequence(indent, &own);
            let text = self.out.split_off(from);
            match texts.iter_mut().find(|(_, other)| *other == text) {
                Some((other, _)) => other.alternatives.extend(&arm.alternatives),
                None => texts.push((Arm { then: None, ..arm.clone() }, text)),
            }
        }
        if let [(_, text)] = texts.as_slice() {
            self.out.push_str(text);
            return;
        }
        let there = texts.iter().enumerate().filter(|(_, (_, text))| !text.is_empty());
        for (written, (number, (arm, text))) in there.enumerate() {
            // Without a word for what is left out before it, the last one needs its own.
            let word = match written {
                0 => format!("{{{{- if {} }}}}", self.only(&texts).unwrap_or_else(|| self.condition(arm))),
                _ if written == number && number == texts.len() - 1 => "{{- else }}".to_owned(),
                _ => format!("{{{{- else if {} }}}}", self.condition(arm)),
            };
            self.line(indent, &word);
            self.out.push_str(text);
        }
        self.line(indent, "{{- end }}");
    }

    /// When something stands there, in the words of when nothing does: those are fewer.
    fn only(&self, texts: &[(Arm, String)]) -> Option<String> {
        let [(none, empty), (several, _)] = texts else { return None };
        let none = self.condition(none);
        let key = none.strip_prefix("not ").filter(|key| !key.contains(' '))?;
        (empty.is_empty() && several.alternatives.len() > 1).then(|| key.to_owned())
    }

    fn condition(&self, arm: &Arm) -> String {
        let conditions = arm.alternatives.iter().filter_map(|index| {
            Some(self.choices.get(arm.option)?.alternatives.get(usize::from(*index))?.condition.as_str())
        });
        match conditions.collect::<Vec<_>>().as_slice() {
            [one] => (*one).to_owned(),
            several => format!("or {}", several.iter().map(|one| format!("({one})")).collect::<Vec<_>>().join(" ")),
        }
    }

    fn node(&mut self, indent: usize, behind: Behind<'_>, node: &Node) {
        match behind {
            Behind::Keys(marker, keys) => return self.inserted(indent, marker, keys),
            Behind::Unless(key, marker) => {
                self.line(indent, &format!("{{{{- if not (hasKey {} {key:?}) }}}}", marker.expression));
                self.node(indent, Behind::Key(key), node);
                return self.line(indent, "{{- end }}");
            }
            _ => {}
        }
        match node {
            Node::Constant(value) => self.constant(indent, behind, value),
            Node::Map(entries) => self.nested(indent, behind, |writer, indent| writer.entries(indent, entries)),
            Node::List(items) => self.nested(indent, behind, |writer, indent| {
                writer.sequence(indent, &items.iter().map(|item| (Behind::Dash, item)).collect::<Vec<_>>());
            }),
            Node::Text(lines) => {
                self.line(indent, &start(behind, "|"));
                self.sequence(indent + 2, &lines.iter().map(|line| (Behind::Nothing, line)).collect::<Vec<_>>());
            }
        }
    }

    /// The key or dash, and what belongs to it further in.
    fn nested(&mut self, indent: usize, behind: Behind<'_>, write: impl FnOnce(&mut Self, usize)) {
        match behind {
            Behind::Top | Behind::Nothing | Behind::Keys(..) => write(self, indent),
            Behind::Key(key) | Behind::Unless(key, _) => {
                self.line(indent, &format!("{}:", plain(key)));
                write(self, indent + 2);
            }
            Behind::Dash => {
                let from = self.out.len();
                write(self, indent + 2);
                let first_is_a_condition = self.out[from..].trim_start().starts_with("{{-");
                if first_is_a_condition {
                    self.out.insert_str(from, &format!("{}-\n", " ".repeat(indent)));
                } else {
                    self.out.replace_range(from..from + indent + 2, &format!("{}- ", " ".repeat(indent)));
                }
            }
        }
    }

    fn entries(&mut self, indent: usize, entries: &[(String, Branch)]) {
        let keys: Vec<&str> =
            entries.iter().map(|(key, _)| key.as_str()).filter(|key| self.map_marker(key).is_none()).collect();
        let own = entries.iter().find_map(|(key, _)| self.map_marker(key)).filter(|marker| marker.wins);
        let mut parts: Vec<(Behind<'_>, &Branch)> = Vec::new();
        for (key, branch) in entries {
            let behind = match (self.map_marker(key), own) {
                (Some(marker), _) => Behind::Keys(marker, &keys),
                (None, Some(marker)) => Behind::Unless(key, marker),
                (None, None) => Behind::Key(key),
            };
            parts.push((behind, branch));
        }
        self.sequence(indent, &parts);
    }

    fn inserted(&mut self, indent: usize, marker: &Marker, keys: &[&str]) {
        let others: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
        if marker.wins || others.is_empty() {
            let keys = format!("{}{}", marker.expression, marker.through);
            let written = if marker.through.is_empty() { format!("toYaml {keys}") } else { format!("{keys} | toYaml") };
            self.line(indent, &format!("{{{{- {written} | nindent {indent} }}}}"));
        } else {
            let rest = format!("omit {} {}", marker.expression, others.join(" "));
            self.line(indent, &format!("{{{{- with {rest} }}}}"));
            self.line(indent, &format!("{{{{- toYaml . | nindent {indent} }}}}"));
            self.line(indent, "{{- end }}");
        }
    }

    fn map_marker(&self, key: &str) -> Option<&'a Marker> {
        let alone =
            |marker: &&Marker| marker.value.as_object().is_some_and(|map| map.len() == 1 && map.contains_key(key));
        self.markers.iter().find(alone)
    }

    fn constant(&mut self, indent: usize, behind: Behind<'_>, value: &Value) {
        if let Some(marker) = self.whole(value) {
            return self.nested(indent, behind, |writer, indent| {
                writer.line(indent, &format!("{{{{- toYaml {} | nindent {indent} }}}}", marker.expression));
            });
        }
        let first = |marker: &&Marker| marker.value.as_array().is_some_and(|list| list.first() == Some(value));
        if let (Behind::Dash, Some(marker)) = (behind, self.markers.iter().find(first)) {
            return self.line(indent, &format!("{{{{- toYaml {} | nindent {indent} }}}}", marker.expression));
        }
        match value {
            Value::Object(map) if !map.is_empty() => {
                let entries: Vec<(String, Branch)> = map.iter().map(always).collect();
                self.nested(indent, behind, |writer, indent| writer.entries(indent, &entries));
            }
            Value::Array(items) if !items.is_empty() => self.nested(indent, behind, |writer, indent| {
                for item in items {
                    writer.constant(indent, Behind::Dash, item);
                }
            }),
            Value::String(text) if matches!(behind, Behind::Nothing) => {
                let line = self.in_text(text);
                self.line(indent, &line);
            }
            Value::String(text) if text.contains('\n') => self.block(indent, behind, text),
            other => {
                let scalar = self.scalar(other);
                self.line(indent, &start(behind, &scalar));
            }
        }
    }

    /// A marker that is the whole of a list or map.
    fn whole(&self, value: &Value) -> Option<&'a Marker> {
        let nested = value.is_array() || value.is_object();
        self.markers.iter().find(|marker| nested && marker.value == *value)
    }

    fn block(&mut self, indent: usize, behind: Behind<'_>, text: &str) {
        if let (Behind::Key(key), true) = (behind, text.len() > LARGE) {
            let path = format!("files/{key}");
            self.line(indent, &start(behind, &format!("{{{{ .Files.Get {path:?} | toJson }}}}")));
            self.files.push((path, text.to_owned()));
            return;
        }
        // What a block cannot hold as it is stands in quotes.
        if text.ends_with("\n\n") || !text.ends_with('\n') || text.starts_with([' ', '\n']) {
            let scalar = escaped(&Value::from(text).to_string());
            return self.line(indent, &start(behind, &scalar));
        }
        self.line(indent, &start(behind, "|"));
        for line in text.lines() {
            let line = self.in_text(line);
            self.line(indent + 2, &line);
        }
    }

    /// A line of a configuration. A text in quotes there has its dollar signs doubled.
    fn in_text(&self, line: &str) -> String {
        let mut line = escaped(line);
        for marker in self.markers {
            let Some(text) = marker.value.as_str() else { continue };
            let quoted = format!("{{{{ {} | replace \"$\" \"$$\" | toJson }}}}", marker.expression);
            line = line.replace(&format!("\"{text}\""), &quoted);
            line = line.replace(text, &format!("{{{{ {} }}}}", marker.expression));
        }
        line
    }

    fn scalar(&self, value: &Value) -> String {
        if let Some(marker) = self.markers.iter().find(|marker| marker.value == *value) {
            let raw = !value.is_string() || marker.expression.starts_with("toJson");
            let quote = if raw { "" } else { " | quote" };
            return format!("{{{{ {}{quote} }}}}", marker.expression);
        }
        let Value::String(text) = value else { return value.to_string() };
        let mut format = text.replace('%', "%%");
        let mut found: Vec<(usize, &str, &str)> = Vec::new();
        for marker in self.markers {
            let Some(name) = marker.value.as_str() else { continue };
            if let Some(place) = text.find(name) {
                found.push((place, name, marker.expression));
            }
        }
        if found.is_empty() {
            return escaped(&plain(text));
        }
        found.sort_unstable();
        for (_, name, _) in &found {
            format = format.replace(name, "%s");
        }
        let expressions: Vec<&str> = found.iter().map(|(_, _, expression)| *expression).collect();
        format!("{{{{ printf {} {} | quote }}}}", Value::from(format), expressions.join(" "))
    }
}

fn always((key, value): (&String, &Value)) -> (String, Branch) {
    (key.clone(), Branch::Always(Node::Constant(value.clone())))
}

/// Whether two places have the same arms, whatever stands in them.
fn same(arms: &[Arm], others: &[Arm]) -> bool {
    let words = |arms: &[Arm]| arms.iter().map(|arm| (arm.option, arm.alternatives.clone())).collect::<Vec<_>>();
    words(arms) == words(others)
}

fn start(behind: Behind<'_>, value: &str) -> String {
    match behind {
        Behind::Key(key) | Behind::Unless(key, _) => format!("{}: {value}", plain(key)),
        Behind::Dash => format!("- {value}"),
        Behind::Nothing | Behind::Top | Behind::Keys(..) => value.to_owned(),
    }
}

/// A text as YAML: without quotes where nobody could take it for something else.
pub(super) fn plain(text: &str) -> String {
    let words = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    let harmless = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if harmless { text.to_owned() } else { Value::from(text).to_string() }
}

/// What Go would take for the start of an expression is written by one.
fn escaped(text: &str) -> String {
    text.replace("{{", "{{ \"{{\" }}")
}

#[cfg(test)]
#[path = "text_tests.rs"]
mod tests;
