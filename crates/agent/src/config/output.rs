//! Trees as YAML and JSON text. What is written here reads back as the same tree.

use crate::settings::{Entry, Node, Yaml, resolve_scalar};

/// Column at which comments begin, where the value leaves room for it.
const COMMENT_COLUMN: usize = 56;

/// Writes a tree as YAML, each value with a comment behind it if `comment` has one.
#[must_use]
pub fn yaml(node: &Node, comment: &dyn Fn(&Node) -> Option<String>) -> String {
    let mut writer = Writer { out: String::new(), comment };
    match &node.value {
        Yaml::Map(entries) if !entries.is_empty() => entries.iter().for_each(|entry| writer.entry(entry, 0, "")),
        _ => writer.line("", node),
    }
    writer.out
}

struct Writer<'a> {
    out: String,
    comment: &'a dyn Fn(&Node) -> Option<String>,
}

impl Writer<'_> {
    fn entry(&mut self, entry: &Entry, indent: usize, dash: &str) {
        let start = format!("{:indent$}{dash}{}:", "", quoted(&entry.key));
        self.value(&start, &entry.value, indent + dash.len() + 2);
    }

    /// Writes a value behind `start`, its content `indent` deep.
    fn value(&mut self, start: &str, node: &Node, indent: usize) {
        match &node.value {
            Yaml::Map(entries) if !entries.is_empty() => {
                self.out.push_str(&format!("{start}\n"));
                entries.iter().for_each(|entry| self.entry(entry, indent, ""));
            }
            Yaml::Seq(items) if items.iter().any(|item| matches!(item.value, Yaml::Map(_) | Yaml::Seq(_))) => {
                self.out.push_str(&format!("{start}\n"));
                items.iter().for_each(|item| self.item(item, indent));
            }
            _ => self.line(&format!("{start} "), node),
        }
    }

    fn item(&mut self, item: &Node, indent: usize) {
        match &item.value {
            Yaml::Map(entries) if !entries.is_empty() => {
                for (index, entry) in entries.iter().enumerate() {
                    let (indent, dash) = if index == 0 { (indent, "- ") } else { (indent + 2, "") };
                    self.entry(entry, indent, dash);
                }
            }
            _ => self.line(&format!("{:indent$}- ", ""), item),
        }
    }

    fn line(&mut self, start: &str, node: &Node) {
        let line = format!("{start}{}", inline(node));
        match (self.comment)(node) {
            Some(comment) => {
                let gap = COMMENT_COLUMN.saturating_sub(line.chars().count()).max(1);
                self.out.push_str(&format!("{line}{:gap$}# {comment}\n", ""));
            }
            None => self.out.push_str(&format!("{line}\n")),
        }
    }
}

/// A value in one line.
#[must_use]
pub fn inline(node: &Node) -> String {
    match &node.value {
        Yaml::Null => "null".to_owned(),
        Yaml::Bool(value) => value.to_string(),
        Yaml::Int(value) => value.to_string(),
        Yaml::Float(value) => float(*value),
        Yaml::Str(text) => quoted(&undollared(text)),
        Yaml::Seq(items) => format!("[{}]", items.iter().map(inline_in_flow).collect::<Vec<_>>().join(", ")),
        Yaml::Map(entries) => {
            let entry = |entry: &Entry| format!("{}: {}", quoted(&entry.key), inline_in_flow(&entry.value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// Between brackets a plain string may hold less.
fn inline_in_flow(node: &Node) -> String {
    let text = inline(node);
    match &node.value {
        Yaml::Str(_) if !text.starts_with('"') && text.contains([',', '[', ']', '{', '}']) => double_quoted(&text),
        _ => text,
    }
}

fn float(value: f64) -> String {
    if value.is_nan() {
        ".nan".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { ".inf" } else { "-.inf" }.to_owned()
    } else if value.fract() == 0.0 && value.abs() < 1e15 {
        format!("{value:.1}")
    } else if value.fract() == 0.0 {
        // Its digits alone would be read back as a whole number.
        format!("{value:e}")
    } else {
        format!("{value}")
    }
}

/// Doubles the `$` of a text that would be expanded when it is read again.
fn undollared(text: &str) -> String {
    if text.contains("$$") || text.contains("${") { text.replace('$', "$$") } else { text.to_owned() }
}

/// A string as YAML reads it back: plain where it can be, in double quotes otherwise.
fn quoted(text: &str) -> String {
    let stays_text = matches!(resolve_scalar(text), Yaml::Str(_));
    let old_boolean = ["yes", "no", "on", "off", "y", "n"].iter().any(|word| word.eq_ignore_ascii_case(text));
    let starts_plain = text.starts_with(|c: char| c.is_alphanumeric() || "_./$(".contains(c));
    let goes_on_plain = text.chars().all(|c| !c.is_control() && c != '\u{feff}' && c != '\u{2028}' && c != '\u{2029}');
    let has_mark = text.contains(": ") || text.contains(" #") || text.ends_with(':') || text.ends_with(' ');
    if stays_text && !old_boolean && starts_plain && goes_on_plain && !has_mark && !text.starts_with("...") {
        return text.to_owned();
    }
    double_quoted(text)
}

fn double_quoted(text: &str) -> String {
    // YAML's double quotes take every escape of JSON.
    serde_json::Value::from(text).to_string()
}

/// Writes a tree as JSON, two spaces deep.
#[must_use]
pub fn json(node: &Node) -> String {
    format!("{:#}\n", json_value(node))
}

/// A tree as a JSON value.
#[must_use]
pub fn json_value(node: &Node) -> serde_json::Value {
    match &node.value {
        Yaml::Null => serde_json::Value::Null,
        Yaml::Bool(value) => (*value).into(),
        Yaml::Int(value) => (*value).into(),
        Yaml::Float(value) => (*value).into(),
        Yaml::Str(text) => text.as_str().into(),
        Yaml::Seq(items) => items.iter().map(json_value).collect(),
        Yaml::Map(entries) => {
            let pairs = entries.iter().map(|entry| (entry.key.clone(), json_value(&entry.value)));
            serde_json::Value::Object(pairs.collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_fraction_are_read_back_as_such() {
        for value in [0.5, 1.0, -3e14, 1e15, 7.211_644_586_603_811e18, -2e18, 1e300, 5e-324, f64::INFINITY] {
            let written = float(value);
            assert!(matches!(resolve_scalar(&written), Yaml::Float(read) if read == value), "{value:e} as {written}");
        }
    }
}
