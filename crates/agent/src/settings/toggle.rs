//! Sections that are absent, on, or off: `sending_queue`, `tls`, `protocols::grpc`.

use crate::settings::node::{Entry, Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

/// A section that can be off. Written at all, even empty, it is on; `enabled: false` in it turns it off. What is
/// written in a section that is off is checked all the same.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Toggle<T> {
    /// The section is absent, or says `enabled: false`.
    #[default]
    Off,
    /// The section is there.
    On(T),
}

impl<T> Toggle<T> {
    /// The section, if it is on.
    #[must_use]
    pub fn on(&self) -> Option<&T> {
        match self {
            Toggle::Off => None,
            Toggle::On(section) => Some(section),
        }
    }

    /// Whether it is on.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on().is_some()
    }
}

const ENABLED: &str = "enabled";

impl<T: Setting + Default> Setting for Toggle<T> {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        Self::read_over(Toggle::Off, node, cx)
    }

    fn read_over(base: Self, node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let base = match base {
            Toggle::Off => T::default(),
            Toggle::On(section) => section,
        };
        let enabled = match node.entry(ENABLED) {
            Some(entry) => bool::read(&entry.value, &mut cx.inside(entry)),
            None => Some(true),
        };
        let rest = without_enabled(node);
        if enabled == Some(false) && rest.entries().is_empty() {
            return Some(Toggle::Off);
        }
        let section = T::read_over(base, &rest, cx);
        Some(if enabled? { Toggle::On(section?) } else { section.map(|_| Toggle::Off)? })
    }

    fn write(&self) -> Option<Yaml> {
        match self {
            Toggle::Off => Some(Yaml::Map(vec![Entry::unwritten(ENABLED, Yaml::Bool(false))])),
            Toggle::On(section) => section.write(),
        }
    }

    fn shape() -> Shape {
        let section = T::shape();
        Shape { name: format!("{} or nothing", section.name), ..section }
    }
}

fn without_enabled(node: &Node) -> Node {
    let Yaml::Map(entries) = &node.value else { return node.clone() };
    let kept = entries.iter().filter(|entry| entry.key != ENABLED).cloned().collect();
    Node { value: Yaml::Map(kept), ..node.clone() }
}
