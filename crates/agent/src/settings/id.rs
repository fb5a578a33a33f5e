//! Component ids: `type` or `type/name`, by the Collector's rules.

use crate::settings::node::{Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

/// The id of a component or a pipeline, as the user wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ComponentId {
    /// What it is: `otlp`, `batch`.
    pub kind: String,
    /// Which one of several; empty when there is only one.
    pub name: String,
}

impl ComponentId {
    /// An id without a name.
    #[must_use]
    pub fn of(kind: &str) -> ComponentId {
        ComponentId { kind: kind.to_owned(), name: String::new() }
    }

    /// Reads `type` or `type/name`.
    ///
    /// # Errors
    /// What is wrong with it, in the Collector's words.
    pub fn parse(text: &str) -> Result<ComponentId, String> {
        let (kind, name) = match text.split_once('/') {
            Some((kind, name)) => (kind.trim(), Some(name.trim())),
            None => (text.trim(), None),
        };
        if kind.is_empty() {
            return Err(match name {
                Some(_) => format!("in {text:?} id: the part before / should not be empty"),
                None => "id must not be empty".to_owned(),
            });
        }
        if name == Some("") {
            return Err(format!("in {text:?} id: the part after / should not be empty"));
        }
        check_kind(kind)?;
        let name = name.unwrap_or_default();
        check_name(name)?;
        Ok(ComponentId { kind: kind.to_owned(), name: name.to_owned() })
    }
}

fn check_kind(kind: &str) -> Result<(), String> {
    let starts_right = kind.starts_with(|c: char| c.is_ascii_alphabetic());
    let continues_right = kind.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if starts_right && continues_right && kind.len() <= 63 {
        return Ok(());
    }
    Err(format!("invalid character(s) in type {kind:?}"))
}

fn check_name(name: &str) -> Result<(), String> {
    // Unicode separators, controls and symbols. The symbols beyond ASCII are named by block: the standard library has
    // no table of categories, and a name with an arrow in it is refused for the user's sake, not for safety.
    let refused = |c: char| {
        c.is_whitespace()
            || c.is_control()
            || "$+<=>^`|~".contains(c)
            || matches!(c, '\u{a2}'..='\u{a9}' | '\u{ac}' | '\u{ae}'..='\u{b1}' | '\u{b4}' | '\u{b8}' | '\u{d7}' | '\u{f7}')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202f}' | '\u{20a0}'..='\u{20cf}')
            || matches!(c, '\u{2190}'..='\u{23ff}' | '\u{2500}'..='\u{2767}' | '\u{e000}'..='\u{f8ff}' | '\u{feff}')
    };
    if name.chars().count() > 1024 || name.contains(refused) {
        return Err(format!("invalid character(s) in name {name:?}"));
    }
    Ok(())
}

impl std::fmt::Display for ComponentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.kind)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, "/{}", self.name) }
    }
}

impl Setting for ComponentId {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let Some(text) = node.text() else {
            cx.unexpected(&Self::shape());
            return None;
        };
        let origin = node.origin_in_words();
        let remedy = "write it as `type` or `type/name`";
        ComponentId::parse(text).map_err(|what| cx.error(format!("{what}{origin}"), remedy)).ok()
    }

    fn write(&self) -> Option<Yaml> {
        Some(Yaml::Str(self.to_string()))
    }

    fn shape() -> Shape {
        Shape::plain("a component id", "otlp/2")
    }
}

#[cfg(test)]
mod tests {
    use super::ComponentId;

    #[test]
    fn follows_the_collectors_rules() {
        let check = |text: &str, expected: &str| {
            let got = ComponentId::parse(text).map(|id| id.to_string()).unwrap_or_else(|what| what);
            assert_eq!(got, expected, "{text}");
        };
        check("otlp", "otlp");
        check(" otlp / 2 ", "otlp/2");
        check("otlp/a/b", "otlp/a/b");
        check("otlp/", "in \"otlp/\" id: the part after / should not be empty");
        check("/x", "in \"/x\" id: the part before / should not be empty");
        check("", "id must not be empty");
        check("2otlp", "invalid character(s) in type \"2otlp\"");
        check("otlp-x", "invalid character(s) in type \"otlp-x\"");
        check("otlp/a b", "invalid character(s) in name \"a b\"");
        check("otlp/über", "otlp/über");
    }
}
