//! Lists, maps and optional values as settings.

use std::collections::BTreeMap;

use crate::settings::node::{Entry, Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

impl<T: Setting> Setting for Option<T> {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        if node.is_null() { Some(None) } else { T::read(node, cx).map(Some) }
    }

    fn write(&self) -> Option<Yaml> {
        self.as_ref().and_then(Setting::write)
    }

    fn shape() -> Shape {
        T::shape()
    }
}

impl<T: Setting> Setting for Vec<T> {
    /// Reads a list. A string is a list of strings separated by commas, as in the Collector.
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let items = match (&node.value, node.text()) {
            (Yaml::Seq(items), _) => items.clone(),
            (Yaml::Str(_) | Yaml::Null, Some(text)) if T::SPLITS_AT_COMMAS => split_at_commas(text, node),
            _ => {
                cx.unexpected(&Self::shape());
                return None;
            }
        };
        let read: Vec<Option<T>> =
            items.iter().enumerate().map(|(index, item)| T::read(item, &mut cx.item(index, item))).collect();
        read.into_iter().collect()
    }

    fn write(&self) -> Option<Yaml> {
        Some(Yaml::Seq(self.iter().filter_map(Setting::write).map(Node::unwritten).collect()))
    }

    fn shape() -> Shape {
        let item = T::shape();
        let name = format!("a list of {}", plural(&item.name));
        Shape { name, example: format!("[{}]", item.example), section: item.section }
    }
}

impl<T: Setting> Setting for BTreeMap<String, T> {
    /// Reads a mapping, or the Collector's other form for headers: a list of `{name: …, value: …}`.
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        if matches!(node.value, Yaml::Seq(_)) {
            return read_pairs(node, cx);
        }
        if !matches!(node.value, Yaml::Map(_) | Yaml::Null) {
            cx.unexpected(&Self::shape());
            return None;
        }
        let read: Vec<Option<(String, T)>> = node
            .entries()
            .iter()
            .map(|entry| Some((entry.key.clone(), T::read(&entry.value, &mut cx.inside(entry))?)))
            .collect();
        read.into_iter().collect()
    }

    fn write(&self) -> Option<Yaml> {
        let entry = |(key, value): (&String, &T)| Entry::unwritten(key, value.write().unwrap_or_default());
        Some(Yaml::Map(self.iter().map(entry).collect()))
    }

    fn shape() -> Shape {
        let value = T::shape();
        let name = format!("a map of {}", plural(&value.name));
        Shape { name, example: format!("{{key: {}}}", value.example), section: value.section }
    }
}

fn read_pairs<T: Setting>(node: &Node, cx: &mut Reader<'_>) -> Option<BTreeMap<String, T>> {
    let mut read = Vec::new();
    for (index, item) in node.items().iter().enumerate() {
        let mut cx = cx.item(index, item);
        let pair = match (item.get("name").and_then(Node::text), item.entry("value"), item.entries().len()) {
            (Some(name), Some(entry), 2) => {
                T::read(&entry.value, &mut cx.inside(entry)).map(|value| (name.to_owned(), value))
            }
            _ => {
                cx.unexpected(&BTreeMap::<String, T>::shape());
                None
            }
        };
        read.push(pair);
    }
    read.into_iter().collect()
}

fn split_at_commas(text: &str, whole: &Node) -> Vec<Node> {
    if text.is_empty() {
        return Vec::new();
    }
    let part = |part: &str| Node { value: Yaml::Str(part.to_owned()), place: whole.place, expansion: None };
    text.split(',').map(part).collect()
}

fn plural(name: &str) -> String {
    let bare = name.strip_prefix("a ").or_else(|| name.strip_prefix("an ")).unwrap_or(name);
    if bare.starts_with("one of") { format!("words, each {bare}") } else { format!("{bare}s") }
}
