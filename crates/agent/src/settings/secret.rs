//! Text that is never printed: tokens, passwords, header values.

use crate::settings::node::{Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

/// What is printed instead of a secret.
pub const REDACTED: &str = "[REDACTED]";

/// Text that is never printed.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text itself. Do not log it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether nothing is hidden here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(REDACTED)
    }
}

impl std::fmt::Display for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Setting for Secret {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        String::read(node, cx).map(Secret)
    }

    fn read_over(base: Self, node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        String::read_over(base.0, node, cx).map(Secret)
    }

    fn write(&self) -> Option<Yaml> {
        let text = if self.0.is_empty() { String::new() } else { REDACTED.to_owned() };
        Some(Yaml::Str(text))
    }

    fn shape() -> Shape {
        Shape::plain("a string", "${env:TOKEN}")
    }

    const SPLITS_AT_COMMAS: bool = true;
}
