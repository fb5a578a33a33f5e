//! Several sources become one tree: maps are merged key by key, everything else is replaced by what comes later, a
//! null too. Each value keeps its place, so its origin stays known.

use crate::config::source::nested;
use crate::settings::{Entry, Node, Yaml};

/// Lays one source over another.
#[must_use]
pub fn merge(base: Node, over: Node) -> Node {
    match (base.value, over.value) {
        (Yaml::Map(entries), Yaml::Map(later)) => {
            let entries = later.into_iter().fold(entries, merge_entry);
            Node { value: Yaml::Map(entries), place: base.place, expansion: base.expansion }
        }
        // An empty source says nothing; it does not say "null".
        (value @ Yaml::Map(_), Yaml::Null) => Node { value, place: base.place, expansion: base.expansion },
        (_, value) => Node { value, place: over.place, expansion: over.expansion },
    }
}

fn merge_entry(mut entries: Vec<Entry>, later: Entry) -> Vec<Entry> {
    match entries.iter_mut().find(|entry| entry.key == later.key) {
        Some(entry) => {
            let base = std::mem::take(&mut entry.value);
            let both_maps = matches!((&base.value, &later.value.value), (Yaml::Map(_), Yaml::Map(_)));
            entry.value = if both_maps { merge(base, later.value) } else { later.value };
            entry.place = later.place;
        }
        None => entries.push(later),
    }
    entries
}

/// Turns top-level keys like `processors::batch::timeout` into mappings, as the Collector does in every source.
#[must_use]
pub fn unflatten(node: Node) -> Node {
    let Yaml::Map(entries) = node.value else { return node };
    let (place, expansion) = (node.place, node.expansion);
    let empty = Node { value: Yaml::Map(Vec::new()), place, expansion };
    entries.into_iter().fold(empty, |tree, entry| {
        let keys: Vec<&str> = entry.key.split("::").collect();
        let below = nested(keys.into_iter(), entry.place, entry.value);
        merge(tree, below)
    })
}
