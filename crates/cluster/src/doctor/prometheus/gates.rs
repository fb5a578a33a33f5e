//! Whether a Prometheus takes a monitor: by the namespace that it is in, and by its labels.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::json;

use super::monitor::{Monitor, key, labels_text, selector_text};
use crate::snapshot::access::Reviewed;
use crate::snapshot::meta::{Labels, Selector};
use crate::snapshot::monitors::Custom;
use crate::snapshot::{Right, Seen, Snapshot};

/// Whether a Prometheus takes a monitor.
pub(super) enum Gate {
    Open,
    /// Something that it depends on could not be seen.
    Unclear,
    /// It does not look in the namespace; the labels that would open it, if labels would.
    Namespace(Option<Labels>),
    /// It does not select the monitor, likewise.
    Labels(Option<Labels>),
}

/// Whether a Prometheus takes the monitor.
pub(super) fn gate(snapshot: &Snapshot, monitor: &Monitor<'_>, prometheus: &Custom) -> Gate {
    let selector = |key: String| {
        prometheus
            .spec
            .get(&key)
            .filter(|value| !value.is_null())
            .map(|value| Selector::deserialize(value).unwrap_or_default())
    };
    match selector(monitor.key("NamespaceSelector")) {
        None if prometheus.metadata.namespace == monitor.namespace() => {}
        None => return Gate::Namespace(None),
        Some(wanted) => {
            let namespace = snapshot.namespaces.items().iter().find(|one| one.metadata.name == monitor.namespace());
            match namespace {
                None if wanted.is_empty() => {}
                None => return Gate::Unclear,
                Some(namespace) if wanted.matches(&namespace.metadata.labels) => {}
                Some(_) => return Gate::Namespace(opening(&wanted)),
            }
        }
    }
    match selector(monitor.key("Selector")) {
        None => Gate::Labels(None),
        Some(wanted) if wanted.matches(&monitor.object.metadata.labels) => Gate::Open,
        Some(wanted) => Gate::Labels(opening(&wanted)),
    }
}

/// Labels that meet a selector, if labels can be added that do.
fn opening(selector: &Selector) -> Option<Labels> {
    let mut labels = selector.match_labels.clone();
    for one in &selector.match_expressions {
        match (one.operator.as_str(), one.values.first()) {
            ("In", Some(value)) => labels.insert(one.key.clone(), value.clone()),
            ("Exists", _) => labels.insert(one.key.clone(), "true".to_owned()),
            _ => return None,
        };
    }
    (!labels.is_empty()).then_some(labels)
}

/// The labels that a monitor for Services or for pods needs for a Prometheus.
pub(super) fn wanted_labels(prometheus: &Custom, for_pods: bool) -> Labels {
    let selector = prometheus.spec.get(key(for_pods, "Selector")).and_then(|value| Selector::deserialize(value).ok());
    selector.as_ref().and_then(opening).unwrap_or_default()
}

fn pairs(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("'{key}={value}'")).collect::<Vec<_>>().join(" ")
}

/// Why a Prometheus does not take it.
pub(super) fn why(monitor: &Monitor<'_>, prometheus: &Custom, gate: &Gate) -> String {
    let name = prometheus.metadata.full_name();
    let said = |rest: &str| {
        let key = monitor.key(rest);
        match prometheus.spec.get(&key).filter(|value| !value.is_null()) {
            Some(value) => format!("{key} {}", selector_text(&Selector::deserialize(value).unwrap_or_default())),
            None => format!("no {key}"),
        }
    };
    match gate {
        Gate::Namespace(_) => format!(
            "Prometheus {name} has {}; the monitor is in namespace {}",
            said("NamespaceSelector"),
            monitor.namespace()
        ),
        Gate::Labels(_) => {
            format!(
                "Prometheus {name} has {}; the monitor has labels {}",
                said("Selector"),
                labels_text(&monitor.object.metadata.labels)
            )
        }
        Gate::Open | Gate::Unclear => format!("Prometheus {name} takes it"),
    }
}

/// The command that opens a gate, and what it does.
pub(super) fn open(kubectl: &str, monitor: &Monitor<'_>, prometheus: &Custom, gate: &Gate) -> Option<(String, String)> {
    let (namespace, object) = (monitor.namespace(), monitor.kubectl());
    let (subject, thing, lacking, key, all) = match gate {
        Gate::Open | Gate::Unclear => return None,
        Gate::Namespace(lacking) => (
            format!("label namespace {namespace}"),
            "namespace",
            lacking,
            "NamespaceSelector",
            "look in all namespaces",
        ),
        Gate::Labels(lacking) => {
            (format!("--namespace={namespace} label {object}"), "monitor", lacking, "Selector", "take all monitors")
        }
    };
    Some(match lacking {
        Some(labels) => (
            format!("{kubectl} {subject} --overwrite {}", pairs(labels)),
            format!("Gives the {thing} the labels that the Prometheus asks for."),
        ),
        None => (widen(kubectl, prometheus, &monitor.key(key)), format!("Lets that Prometheus {all}.")),
    })
}

fn widen(kubectl: &str, prometheus: &Custom, key: &str) -> String {
    let patch = json!({"spec": {key: {"matchLabels": null, "matchExpressions": null}}});
    let (namespace, name) = (&prometheus.metadata.namespace, &prometheus.metadata.name);
    format!("{kubectl} --namespace={namespace} patch prometheus {name} --type=merge --patch='{patch}'")
}

/// The rights that were refused, verbs together.
pub(super) fn missing(reviewed: &[Reviewed]) -> Vec<Right> {
    let mut missing: BTreeMap<Right, Vec<String>> = BTreeMap::new();
    for review in reviewed.iter().filter(|review| !review.allowed) {
        let right = Right { verbs: Vec::new(), ..review.right.clone() };
        missing.entry(right).or_default().extend(review.right.verbs.iter().cloned());
    }
    missing.into_iter().map(|(right, verbs)| Right { verbs, ..right }).collect()
}

/// How many there are.
pub(super) fn number(seen: &Seen<Option<Vec<Custom>>>) -> usize {
    seen.some().and_then(Option::as_ref).map_or(0, Vec::len)
}
