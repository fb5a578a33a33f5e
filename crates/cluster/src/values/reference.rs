//! The reference page of all values, from the sentences beside them.

use std::fmt::Write as _;

use serde_json::Value;

use super::Values;
use super::read::SECTIONS;

/// The table of every key with its default and what it is for, as Markdown.
#[must_use]
pub fn table() -> String {
    let mut out = "| Key | Default | What it is for |\n|---|---|---|\n".to_owned();
    let defaults = serde_json::to_value(Values::default()).unwrap_or_default();
    for (field, doc) in Values::DOCS {
        let key = camel_case(field);
        let value = &defaults[&key];
        let section = SECTIONS.iter().find(|(section, _)| *section == key);
        let default = if section.is_some() { String::new() } else { shown(value) };
        write_row(&mut out, &key, &default, doc);
        for (below, doc) in section.iter().flat_map(|(_, docs)| *docs) {
            let below = camel_case(below);
            write_row(&mut out, &format!("{key}.{below}"), &shown(&value[&below]), doc);
        }
    }
    out
}

fn write_row(out: &mut String, key: &str, default: &str, doc: &str) {
    let doc = doc.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    // Writing to a string cannot fail.
    let _ = writeln!(out, "| `{key}` | {default} | {doc} |");
}

/// A default as a person would write it; nothing where there is none.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => "`\"\"`".to_owned(),
        Value::String(text) => format!("`{text}`"),
        other => format!("`{other}`"),
    }
}

/// `node_selector` -> `nodeSelector`; serde does the same.
pub(super) fn camel_case(field: &str) -> String {
    let field = field.strip_prefix("r#").unwrap_or(field);
    let mut words = field.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut name, word| {
        let mut letters = word.chars();
        name.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        name.push_str(letters.as_str());
        name
    })
}

/// One key, as the chart's values file has it.
pub(crate) struct Row {
    /// The key, a dot before the key of a section.
    pub(crate) key: String,
    /// What it is for.
    pub(crate) about: String,
    /// Whether it has keys of its own.
    pub(crate) section: bool,
}

/// Every key in its order, a section before its keys.
pub(crate) fn rows() -> Vec<Row> {
    let about = |doc: &str| doc.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut rows = Vec::new();
    for (field, doc) in Values::DOCS {
        let key = camel_case(field);
        let section = SECTIONS.iter().find(|(section, _)| *section == key);
        rows.push(Row { key: key.clone(), about: about(doc), section: section.is_some() });
        let below = section.iter().flat_map(|(_, docs)| *docs);
        rows.extend(below.map(|(field, doc)| Row {
            key: format!("{key}.{}", camel_case(field)),
            about: about(doc),
            section: false,
        }));
    }
    rows
}
