//! Objects as YAML that reads well: what identifies an object comes first, text of several lines stands as it is.

use serde_json::{Map, Value};

use super::Object;

/// Keys that people look for first, in this order; all others follow as they are.
const FIRST: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "name",
    "namespace",
    "labels",
    "annotations",
    "type",
    "replicas",
    "selector",
    "strategy",
    "updateStrategy",
    "rules",
    "apiGroups",
    "image",
    "imagePullPolicy",
    "args",
    "ports",
    "env",
    "resources",
    "serviceAccountName",
    "automountServiceAccountToken",
    "nodeSelector",
    "tolerations",
    "securityContext",
    "containers",
    "roleRef",
    "subjects",
    "jobLabel",
];
/// Keys that would only be in the way before the rest.
const LAST: &[&str] = &["spec", "template", "volumes", "data", "volumeMounts"];

/// The same value with its keys in the order in which people read them. Maps that a person has named the keys of stay.
pub(super) fn ordered(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(ordered).collect()),
        Value::Object(keys) => {
            let mut entries: Vec<(String, Value)> = keys
                .into_iter()
                .map(|(key, value)| (key.clone(), if is_free(&key) { value } else { ordered(value) }))
                .collect();
            entries.sort_by_key(|(key, _)| rank(key));
            Value::Object(entries.into_iter().collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn is_free(key: &str) -> bool {
    matches!(key, "labels" | "matchLabels" | "annotations" | "nodeSelector" | "data" | "groups")
}

fn rank(key: &str) -> usize {
    let at = |list: &[&str]| list.iter().position(|one| *one == key);
    match (at(FIRST), at(LAST)) {
        (Some(first), _) => first,
        (None, Some(last)) => FIRST.len() + 1 + last,
        (None, None) => FIRST.len(),
    }
}

/// The objects as one text, with the reason of each above it.
#[must_use]
pub fn yaml(objects: &[Object]) -> String {
    let texts: Vec<String> = objects.iter().map(document).collect();
    texts.join("---\n")
}

fn document(object: &Object) -> String {
    let note: String = object.note.lines().map(|line| format!("# {line}\n")).collect();
    // JSON values can always be written.
    let body = serde_saphyr::to_string_with_options(&object.value, options()).unwrap_or_default();
    format!("{note}{body}")
}

pub(super) fn options() -> serde_saphyr::SerializerOptions {
    let mut options = serde_saphyr::SerializerOptions::default();
    // Folded text is hard to read and to edit; a long line stays one.
    options.folded_wrap_chars = usize::MAX;
    options
}
