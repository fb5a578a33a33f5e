//! `values.yaml` with a comment for each key, and the schema that refuses every key that is not there.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::text::plain;
use crate::values::reference::{Row, rows};
use crate::values::{MetricsTo, Mode, NAME_OVERRIDES, Profile, Routing, StorageType, Values, fixed_name};

/// Keys that Helm has words of its own for: the namespace of the release, and the version that it asks the cluster for.
const OF_HELM: &[&str] = &["namespace", "kubernetesVersion"];

const HEAD: &str = "\
# What you may choose. A key that is not listed here is refused (values.schema.json).
# `otel-agent manifests --values FILE` takes the same keys, and renders the same objects.
# The objects are called otel-agent whatever the release is called: there is no nameOverride, and no fullnameOverride.
# A second agent goes into a namespace of its own.
";

/// The rows of the chart: those of the values without what Helm decides, each with its default.
fn own_rows(values: &Values) -> Vec<(Row, Value)> {
    let written = defaults(values);
    let default = |row: &Row| row.key.split('.').try_fold(&written, |below, part| below.get(part)).cloned();
    let kept = rows().into_iter().filter(|row| !OF_HELM.contains(&row.key.as_str()));
    kept.map(|row| (default(&row).unwrap_or_default(), row)).map(|(value, row)| (row, value)).collect()
}

/// What was chosen, with a word for every choice: a template cannot compare with nothing.
fn defaults(values: &Values) -> Value {
    let mut values = values.clone();
    values.routing = Some(values.routing.unwrap_or(Routing::Local));
    let mut written = serde_json::to_value(&values).unwrap_or_default();
    // A namespace is made by `helm install --create-namespace`, before the chart is installed into it.
    written["createNamespace"] = json!(false);
    for part in ["requests", "limits"] {
        if written["resources"].get(part).is_none() {
            written["resources"][part] = json!({});
        }
    }
    // A configuration that came from a file is in the template, with the rights and ports that it needs.
    written["config"] = Value::Null;
    written
}

/// The text of `values.yaml`.
pub(super) fn values_file(values: &Values) -> String {
    let mut out = HEAD.to_owned();
    for (row, value) in own_rows(values) {
        let (indent, name) = match row.key.split_once('.') {
            Some((_, name)) => ("  ", name),
            None => ("", row.key.as_str()),
        };
        if indent.is_empty() {
            out.push('\n');
        }
        for line in wrapped(&about(&row), 110) {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{indent}# {line}");
        }
        let value = if row.section { String::new() } else { shown(&value) };
        let _ = match value.contains('\n') {
            true => writeln!(out, "{indent}{name}:\n{}", indented(value.trim_end(), indent.len() + 2)),
            false => writeln!(out, "{}", format!("{indent}{name}: {value}").trim_end()),
        };
    }
    out
}

fn about(row: &Row) -> String {
    match row.key.as_str() {
        "config" => "The agent's configuration as a mapping or as text, in the place of the default one. The ports, folders and rights \
                     of the objects stay those of the configuration that this chart was made of: for one that needs others make a \
                     chart of your own, `otel-agent manifests --config agent.yaml --output helm --directory chart`."
            .to_owned(),
        "createNamespace" => "Whether the Namespace of the release is rendered, with the labels of Pod Security. Off, because \
                              `helm install --create-namespace` makes it before."
            .to_owned(),
        _ => row.about.clone(),
    }
}

/// A value as it stands behind its key: on the same line, or on lines of its own.
fn shown(value: &Value) -> String {
    match value {
        Value::Object(keys) if !keys.is_empty() => keys.iter().map(|(key, value)| below(key, value)).collect(),
        Value::Array(items) if !items.is_empty() => items.iter().map(|item| format!("- {item}\n")).collect(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => plain(text),
        other => other.to_string(),
    }
}

fn below(key: &str, value: &Value) -> String {
    let value = shown(value);
    let key = plain(key);
    if value.contains('\n') {
        format!("{key}:\n{}\n", indented(value.trim_end(), 2))
    } else {
        format!("{key}: {value}\n")
    }
}

fn indented(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}", " ".repeat(by))).collect::<Vec<_>>().join("\n")
}

fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The text of `values.schema.json`.
pub(super) fn schema(values: &Values) -> String {
    let mut root = Map::new();
    // A parent chart hands these down.
    root.insert("global".to_owned(), json!({"type": "object"}));
    // What the schema says of a key that is not there is only that; these are refused by a template, with the reason.
    for key in NAME_OVERRIDES {
        root.insert((*key).to_owned(), json!({"description": format!("Refused: {}", fixed_name(key).what)}));
    }
    for (row, value) in own_rows(values) {
        let mut own = of(&row.key, &value);
        own["description"] = json!(about(&row));
        match row.key.split_once('.') {
            Some((section, name)) => {
                if let Some(section) = root.get_mut(section) {
                    section["properties"][name] = own;
                }
            }
            None if row.section => {
                let section = json!({"type": "object", "additionalProperties": false, "properties": {}, "description": row.about});
                root.insert(row.key.clone(), section);
            }
            None => {
                root.insert(row.key.clone(), own);
            }
        }
    }
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart otel-agent",
        "type": "object",
        "additionalProperties": false,
        "properties": root,
    });
    format!("{}\n", serde_json::to_string_pretty(&schema).unwrap_or_default())
}

/// What a key takes: words where there are words, the kind of its default where that says it.
fn of(key: &str, default: &Value) -> Value {
    fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Value {
        json!({"enum": all.iter().map(|one| word(*one)).collect::<Vec<_>>()})
    }
    let texts = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let count = json!({"type": ["integer", "string", "null"], "pattern": "^[0-9]+%$", "minimum": 0});
    let objects = json!({"type": ["array", "null"], "items": {"type": "object"}});
    let quantity =
        json!({"type": ["string", "number"], "minimum": 0, "pattern": "^[0-9]*[.]?[0-9]+(m|k|M|G|T|Ki|Mi|Gi|Ti)?$"});
    let amounts = json!({
        "type": "object",
        "properties": {"cpu": quantity, "memory": quantity},
        "additionalProperties": {"type": ["string", "number"], "minimum": 0},
    });
    match key {
        "profile" => words(Profile::ALL, Profile::as_str),
        "mode" => words(Mode::ALL, Mode::as_str),
        "routing" => words(Routing::ALL, Routing::as_str),
        "metricsTo" => words(MetricsTo::ALL, MetricsTo::as_str),
        "storage.type" => words(StorageType::ALL, StorageType::as_str),
        "image.repository" => json!({"type": "string", "minLength": 1}),
        "serviceAccount.name" => json!({"type": "string", "pattern": "^([a-z0-9]([a-z0-9.-]*[a-z0-9])?)?$"}),
        "storage.path" => json!({"type": "string", "pattern": "^/"}),
        "serviceMonitor.interval" | "podMonitor.interval" => {
            json!({"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"})
        }
        key if key.ends_with(".namespace") || key.ends_with("Namespace") && default.is_string() => {
            json!({"type": "string", "maxLength": 63, "pattern": "^([a-z0-9]([a-z0-9-]*[a-z0-9])?)?$"})
        }
        "image.pullPolicy" => json!({"enum": ["Always", "IfNotPresent", "Never"]}),
        "image.digest" => json!({"type": "string", "pattern": "^(sha256:[0-9a-f]{64})?$"}),
        "storage.size" => json!({"type": "string", "pattern": "^[0-9.]+(k|M|G|T|Ki|Mi|Gi|Ti)?$"}),
        "config" => json!({"type": ["object", "string", "null"]}),
        "affinity" => json!({"type": ["object", "null"]}),
        "replicas" => json!({"type": ["integer", "null"], "minimum": 1}),
        "rollout.maxSurge" | "rollout.maxUnavailable" => count,
        "resources" => json!({
            "type": "object",
            "additionalProperties": false,
            "properties": {"requests": amounts, "limits": amounts, "claims": objects},
        }),
        _ => match default {
            Value::Bool(_) => json!({"type": "boolean"}),
            Value::Number(_) => json!({"type": "integer"}),
            Value::String(_) => json!({"type": "string"}),
            Value::Object(_) => texts,
            _ => objects,
        },
    }
}
