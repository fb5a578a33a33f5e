//! `--output kustomize`: what was chosen as a base, and an overlay for each other choice that people make often.
//!
//! An overlay says what differs and nothing else: it is found by rendering both and comparing.

use anyhow::Result;
use serde_json::{Value, json};

use crate::chart::WorkloadOf;
use crate::folder::File;
use crate::manifests::{Object, render, yaml};
use crate::values::{Values, merge};

/// One overlay: its folder, what it is for, and what it chooses.
struct Overlay {
    name: &'static str,
    about: &'static str,
    values: fn() -> Value,
}

const OVERLAYS: &[Overlay] = &[
    Overlay {
        name: "low",
        about: "Small agents, for nodes with little telemetry.",
        values: || json!({"profile": "low"}),
    },
    Overlay { name: "default", about: "Agents of the usual size.", values: || json!({"profile": "default"}) },
    Overlay {
        name: "high",
        about: "Large agents, for nodes with much telemetry.",
        values: || json!({"profile": "high"}),
    },
    Overlay {
        name: "prefer-local",
        about: "Another node's agent takes the data where there is none (Kubernetes 1.35).",
        values: || json!({"routing": "prefer-local", "kubernetesVersion": "1.35"}),
    },
    Overlay { name: "host-port", about: "Agents at a port of their node.", values: || json!({"routing": "host-port"}) },
    Overlay {
        name: "host-network",
        about: "Agents in the network of their node.",
        values: || json!({"hostNetwork": true}),
    },
    Overlay {
        name: "deployment",
        about: "A gateway: a few agents for the whole cluster.",
        values: || json!({"mode": "deployment", "routing": null}),
    },
    Overlay {
        name: "monitoring",
        about: "Scraped by the Prometheus Operator, with alerts and a dashboard.",
        values: || {
            let on = json!({"enabled": true});
            json!({"serviceMonitor": on, "prometheusRule": on, "dashboard": on})
        },
    },
];

/// The files of a folder for kustomize: `base/`, and `overlays/NAME/` for each overlay.
///
/// # Errors
///
/// When the configuration is not one that the agent takes with an overlay's choices.
pub fn files(values: &Values, workload: &WorkloadOf<'_>) -> Result<Vec<File>> {
    let base = render(&workload(values)?, values);
    let names: Vec<String> = base.iter().map(file_name).collect();
    let mut files: Vec<File> = base
        .iter()
        .map(|object| File::new(format!("base/{}", file_name(object)), yaml(std::slice::from_ref(object))))
        .collect();
    let about = "# Made by `otel-agent manifests --output kustomize`; apply it with `kubectl apply -k`.";
    files.push(File::new("base/kustomization.yaml", format!("{about}\n{HEAD}resources:\n{}", list(&names))));
    for overlay in OVERLAYS {
        files.extend(overlaid(overlay, &base, values, workload)?);
    }
    Ok(files)
}

const HEAD: &str = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n";

fn overlaid(overlay: &Overlay, base: &[Object], values: &Values, workload: &WorkloadOf<'_>) -> Result<Vec<File>> {
    let mut chosen = serde_json::to_value(values)?;
    merge(&mut chosen, (overlay.values)());
    let values: Values = serde_json::from_value(chosen)?;
    let wanted = render(&workload(&values)?, &values);
    let folder = format!("overlays/{}", overlay.name);
    let same = |a: &&Object, b: &Object| a.kind == b.kind && a.name == b.name;
    let mut resources = vec!["../../base".to_owned()];
    let mut patches: Vec<Value> = Vec::new();
    let mut files = Vec::new();
    for object in base {
        match wanted.iter().find(|one| same(one, object)) {
            Some(one) => patches.extend(patch(object, one)),
            None => patches.push(json!({"patch": text(&deleted(object))})),
        }
    }
    for object in wanted.iter().filter(|object| !base.iter().any(|one| same(object, one))) {
        files.push(File::new(format!("{folder}/{}", file_name(object)), yaml(std::slice::from_ref(object))));
        resources.push(file_name(object));
    }
    let mut kustomization = format!("# {}\n{HEAD}resources:\n{}", overlay.about, list(&resources));
    if !patches.is_empty() {
        kustomization.push_str(&text(&json!({"patches": patches})));
    }
    files.push(File::new(format!("{folder}/kustomization.yaml"), kustomization));
    Ok(files)
}

/// What turns one object into the other, as a JSON patch; none when they are the same.
fn patch(from: &Object, to: &Object) -> Option<Value> {
    let mut operations = Vec::new();
    differences("", &from.value, &to.value, &mut operations);
    (!operations.is_empty())
        .then(|| json!({"target": {"kind": from.kind, "name": from.name}, "patch": text(&Value::from(operations))}))
}

fn differences(path: &str, from: &Value, to: &Value, operations: &mut Vec<Value>) {
    match (from, to) {
        (Value::Object(from), Value::Object(to)) => {
            let below = |key: &str| format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
            for (key, value) in from {
                match to.get(key) {
                    Some(other) => differences(&below(key), value, other, operations),
                    None => operations.push(json!({"op": "remove", "path": below(key)})),
                }
            }
            for (key, value) in to.iter().filter(|(key, _)| !from.contains_key(*key)) {
                operations.push(json!({"op": "add", "path": below(key), "value": value}));
            }
        }
        (Value::Array(from), Value::Array(to)) if from.len() == to.len() => {
            for (index, (from, to)) in from.iter().zip(to).enumerate() {
                differences(&format!("{path}/{index}"), from, to, operations);
            }
        }
        _ if from == to => {}
        // kustomize cuts the end of a patch off, and the end of a text with it: something else comes last.
        _ if to.as_str().is_some_and(|text| text.ends_with('\n')) => {
            operations.push(json!({"op": "replace", "value": to, "path": path}));
        }
        _ => operations.push(json!({"op": "replace", "path": path, "value": to})),
    }
}

fn deleted(object: &Object) -> Value {
    let value = &object.value;
    let mut metadata = json!({"name": object.name});
    if let Some(namespace) = value["metadata"].get("namespace") {
        metadata["namespace"] = namespace.clone();
    }
    json!({"$patch": "delete", "apiVersion": value["apiVersion"], "kind": object.kind, "metadata": metadata})
}

fn text(value: &Value) -> String {
    yaml(&[Object { kind: String::new(), name: String::new(), value: value.clone(), note: String::new() }])
}

fn list(items: &[String]) -> String {
    items.iter().map(|item| format!("- {item}\n")).collect()
}

/// `service.yaml`; with its name behind it where it is not the agent's own.
pub(crate) fn file_name(object: &Object) -> String {
    let kind = object.kind.to_ascii_lowercase();
    match object.name.strip_prefix("otel-agent-") {
        Some(rest) => format!("{kind}-{rest}.yaml"),
        None => format!("{kind}.yaml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(from: &Value, to: &Value, expected: &Value) {
        let mut operations = Vec::new();
        differences("", from, to, &mut operations);
        assert_eq!(Value::from(operations), *expected);
    }

    #[test]
    fn a_patch_says_what_differs_and_nothing_else() {
        check(&json!({"a": 1, "b": 2}), &json!({"a": 1, "b": 2}), &json!([]));
        check(
            &json!({"a": 1, "b": 2}),
            &json!({"a": 3, "c": 4}),
            &json!([
                {"op": "replace", "path": "/a", "value": 3},
                {"op": "remove", "path": "/b"},
                {"op": "add", "path": "/c", "value": 4},
            ]),
        );
        check(
            &json!({"x/y": [1, 2]}),
            &json!({"x/y": [1, 3]}),
            &json!([{"op": "replace", "path": "/x~1y/1", "value": 3}]),
        );
        check(&json!([1]), &json!([1, 2]), &json!([{"op": "replace", "path": "", "value": [1, 2]}]));
    }
}
