//! From what a person wrote to `Values`. Every key that is unknown and every value of the wrong kind is told, not only the first.

use serde_json::{Map, Value};

use super::{
    Backend, Image, Labelled, Monitor, NetworkPolicy, PriorityClass, Rbac, Rollout, Service, ServiceAccount, Storage,
    Values, reference::camel_case,
};
use crate::nearest::nearest;
use crate::problem::Problem;

impl Values {
    /// Reads what was written over what there is: each key that is written replaces the one before.
    pub fn read(&mut self, written: &Value, problems: &mut Vec<Problem>) {
        let Some(keys) = written.as_object() else {
            if !written.is_null() {
                problems.push(Problem::error("", "values are a mapping of keys", "write for instance `profile: low`"));
            }
            return;
        };
        let known = names(Values::DOCS);
        for (key, value) in keys {
            if !known.contains(key) {
                problems.push(unknown(key, key, &known));
                continue;
            }
            // Null is what an empty `key:` in a file is.
            if !value.is_null() {
                self.read_key(key, value, problems);
            }
        }
    }

    /// Reads one value by its path, as `--set` names it: what stands beside it stays.
    pub fn set(&mut self, written: &Value, problems: &mut Vec<Problem>) {
        let own = serde_json::to_value(&*self).unwrap_or_default();
        let over_own = |(key, value): (&String, &Value)| {
            let mut merged = if value.is_object() { own[key].clone() } else { Value::Null };
            merge(&mut merged, value.clone());
            (key.clone(), merged)
        };
        let merged = written.as_object().into_iter().flatten().map(over_own).collect();
        self.read(&Value::Object(merged), problems);
    }

    fn read_key(&mut self, key: &str, value: &Value, problems: &mut Vec<Problem>) {
        let before = problems.len();
        for (section, docs) in SECTIONS.iter().filter(|(section, _)| *section == key) {
            let known = names(docs);
            for below in value.as_object().into_iter().flat_map(Map::keys).filter(|below| !known.contains(below)) {
                problems.push(unknown(&format!("{section}.{below}"), below, &known));
            }
        }
        if problems.len() > before {
            return;
        }
        let Ok(Value::Object(mut all)) = serde_json::to_value(&*self) else { return };
        let merged = match (all.remove(key), value) {
            // A section that is written in part keeps the rest.
            (Some(Value::Object(mut own)), Value::Object(more))
                if SECTIONS.iter().any(|(section, _)| *section == key) =>
            {
                own.extend(more.clone());
                Value::Object(own)
            }
            _ => value.clone(),
        };
        all.insert(key.to_owned(), merged.clone());
        match serde_json::from_value::<Values>(Value::Object(all)) {
            Ok(read) => {
                let back = serde_json::to_value(&read).unwrap_or_default();
                lost(key, &merged, back.get(key).unwrap_or(&Value::Null), problems);
                *self = read;
            }
            Err(error) => {
                let what = format!("{} cannot be read: {error}", shown(value));
                problems.push(Problem::error(key, what, "the reference has an example: docs/reference/manifests.md"));
            }
        }
    }
}

/// Sections are merged, everything else is replaced.
pub(crate) fn merge(below: &mut Value, over: Value) {
    match (below, over) {
        (Value::Object(below), Value::Object(over)) => {
            for (key, value) in over {
                merge(below.entry(key).or_insert(Value::Null), value);
            }
        }
        (below, over) => *below = over,
    }
}

/// The keys that are sections with keys of their own.
pub(super) const SECTIONS: &[(&str, &[(&str, &str)])] = &[
    ("image", Image::DOCS),
    ("backend", Backend::DOCS),
    ("priorityClass", PriorityClass::DOCS),
    ("serviceAccount", ServiceAccount::DOCS),
    ("rbac", Rbac::DOCS),
    ("service", Service::DOCS),
    ("storage", Storage::DOCS),
    ("rollout", Rollout::DOCS),
    ("serviceMonitor", Monitor::DOCS),
    ("podMonitor", Monitor::DOCS),
    ("prometheusRule", Labelled::DOCS),
    ("dashboard", Labelled::DOCS),
    ("networkPolicy", NetworkPolicy::DOCS),
];

fn names(docs: &[(&str, &str)]) -> Vec<String> {
    docs.iter().map(|(field, _)| camel_case(field)).collect()
}

/// Keys that most charts have and that are refused here with the reason.
pub(crate) const NAME_OVERRIDES: &[&str] = &["nameOverride", "fullnameOverride"];

/// What is told of one of them.
pub(crate) fn fixed_name(key: &str) -> Problem {
    let what = "the objects are always called `otel-agent`: `otel-agent doctor`, `otel-agent migrate`, dashboards and alerts go by that name";
    let remedy = "leave it out; a second agent goes into a namespace of its own, which is part of the names that the whole cluster shares";
    Problem::error(key, what, remedy)
}

fn unknown(path: &str, key: &str, known: &[String]) -> Problem {
    if NAME_OVERRIDES.contains(&path) {
        return fixed_name(key);
    }
    let remedy = match nearest(key, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys are {}", known.join(", ")),
    };
    Problem::error(path, format!("there is no key `{key}`"), remedy)
}

/// Kubernetes' own types leave out what they do not know: what is gone after reading was never understood.
fn lost(path: &str, written: &Value, read: &Value, problems: &mut Vec<Problem>) {
    match (written, read) {
        (Value::Object(written), Value::Object(read)) => {
            for (key, value) in written.iter().filter(|(_, value)| !value.is_null()) {
                let below = format!("{path}.{key}");
                match read.get(key) {
                    Some(read) => lost(&below, value, read, problems),
                    None if is_empty(value) => {}
                    None => {
                        let remedy = "see `kubectl explain pod.spec` for what Kubernetes knows";
                        problems.push(Problem::error(&below, format!("there is no key `{key}`"), remedy));
                    }
                }
            }
        }
        (Value::Array(written), Value::Array(read)) => {
            for (index, (written, read)) in written.iter().zip(read).enumerate() {
                lost(&format!("{path}.{index}"), written, read, problems);
            }
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(keys) => keys.is_empty(),
        _ => false,
    }
}

/// A value in a message, cut where it is long.
fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(60) {
        Some((cut, _)) => format!("`{}…`", &text[..cut]),
        None => format!("`{text}`"),
    }
}
