//! What a monitor selects, and what selects a monitor.

use std::collections::BTreeMap;

use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::doctor::applications::leads_to;
use crate::snapshot::access::Reviewed;
use crate::snapshot::meta::{Labels, Metadata, Selector};
use crate::snapshot::monitors::Custom;
use crate::snapshot::services::Service;
use crate::snapshot::{Agent, Right, Seen, Snapshot};

/// A ServiceMonitor or a PodMonitor.
pub(super) struct Monitor<'a> {
    pub(super) object: &'a Custom,
    pub(super) is_for_pods: bool,
    pub(super) selector: Selector,
}

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

impl<'a> Monitor<'a> {
    fn new(object: &'a Custom, is_for_pods: bool) -> Self {
        let selector =
            object.spec.get("selector").and_then(|value| Selector::deserialize(value).ok()).unwrap_or_default();
        Self { object, is_for_pods, selector }
    }

    pub(super) fn namespace(&self) -> &str {
        &self.object.metadata.namespace
    }

    /// `servicemonitor open-telemetry/otel-agent`
    pub(super) fn reference(&self) -> String {
        format!("{} {}", self.kind(), self.object.metadata.full_name())
    }

    /// `servicemonitor/otel-agent`
    pub(super) fn kubectl(&self) -> String {
        format!("{}/{}", self.kind(), self.object.metadata.name)
    }

    fn kind(&self) -> &'static str {
        if self.is_for_pods { "podmonitor" } else { "servicemonitor" }
    }

    /// The key of a Prometheus that is about such monitors: `serviceMonitorSelector`.
    fn key(&self, rest: &str) -> String {
        format!("{}{rest}", if self.is_for_pods { "podMonitor" } else { "serviceMonitor" })
    }

    /// The names of the ports that it asks for.
    pub(super) fn ports(&self) -> Vec<String> {
        let key = if self.is_for_pods { "podMetricsEndpoints" } else { "endpoints" };
        let endpoints = self.object.spec.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        endpoints.iter().filter_map(|endpoint| endpoint.get("port")?.as_str()).map(str::to_owned).collect()
    }

    /// Whether it looks in a namespace.
    pub(super) fn looks_in(&self, namespace: &str) -> bool {
        let selector = self.object.spec.get("namespaceSelector");
        let any = selector.and_then(|one| one.get("any")).and_then(Value::as_bool) == Some(true);
        let names = selector.and_then(|one| one.get("matchNames")).and_then(Value::as_array);
        match names.filter(|names| !names.is_empty()) {
            _ if any => true,
            Some(names) => names.iter().any(|name| name.as_str() == Some(namespace)),
            None => self.namespace() == namespace,
        }
    }

    /// Whether it selects a Service or a pod.
    pub(super) fn selects(&self, metadata: &Metadata) -> bool {
        self.looks_in(&metadata.namespace) && self.selector.matches(&metadata.labels)
    }

    pub(super) fn selector_text(&self) -> String {
        selector_text(&self.selector)
    }

    pub(super) fn places(&self) -> String {
        let selector =
            self.object.spec.get("namespaceSelector").filter(|one| one.as_object().is_some_and(|one| !one.is_empty()));
        selector.map_or_else(|| format!("namespace {}", self.namespace()), |selector| format!("namespaces {selector}"))
    }
}

/// The monitors that are about an agent: what they select is of it, or they are named after it.
pub(super) fn about<'a>(snapshot: &'a Snapshot, agent: &Agent) -> Vec<Monitor<'a>> {
    let all = |seen: &'a Seen<Option<Vec<Custom>>>, for_pods: bool| {
        let items = seen.some().and_then(Option::as_ref).map(Vec::as_slice).unwrap_or_default();
        items.iter().map(move |object| Monitor::new(object, for_pods))
    };
    let monitors =
        all(&snapshot.monitoring.service_monitors, false).chain(all(&snapshot.monitoring.pod_monitors, true));
    monitors
        .filter(|monitor| {
            let template = &agent.controller.spec.template.metadata;
            let pods = Metadata {
                namespace: agent.namespace().to_owned(),
                labels: template.labels.clone(),
                ..Metadata::default()
            };
            let mut services = snapshot.services.items().iter().filter(|service| leads_to(service, agent));
            let selects = if monitor.is_for_pods {
                monitor.selects(&pods)
            } else {
                services.any(|service| monitor.selects(&service.metadata))
            };
            // One that selects everything of a namespace is not meant for the agent in particular, but does it.
            let named = monitor.object.metadata.name.contains(&agent.controller.metadata.name)
                || monitor
                    .object
                    .metadata
                    .labels
                    .get("app.kubernetes.io/name")
                    .is_some_and(|name| name == "otel-agent");
            selects || (named && !monitor.is_for_pods)
        })
        .collect()
}

/// Whether a Service has a port of one of these names.
pub(super) fn has_port(service: &Service, names: &[String]) -> bool {
    service.spec.ports.iter().any(|port| names.contains(&port.name))
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
                None if is_empty(&wanted) => {}
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

fn is_empty(selector: &Selector) -> bool {
    selector.match_labels.is_empty() && selector.match_expressions.is_empty()
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

/// The labels that a monitor needs for a Prometheus.
pub(super) fn wanted_labels(prometheus: &Custom) -> Labels {
    let selector = prometheus.spec.get("serviceMonitorSelector").and_then(|value| Selector::deserialize(value).ok());
    selector.as_ref().and_then(opening).unwrap_or_default()
}

fn pairs(labels: &Labels) -> String {
    labels.iter().map(|(key, value)| format!("'{key}={value}'")).collect::<Vec<_>>().join(" ")
}

/// `a=b, c=d`
pub(super) fn labels_text(labels: &Labels) -> String {
    if labels.is_empty() {
        return "none".to_owned();
    }
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

fn selector_text(selector: &Selector) -> String {
    if is_empty(selector) {
        return "any labels".to_owned();
    }
    let expressions = selector
        .match_expressions
        .iter()
        .map(|one| format!("{} {} ({})", one.key, one.operator, one.values.join(", ")));
    let labels = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
    labels.chain(expressions).collect::<Vec<_>>().join(", ")
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

/// The command that lets a Prometheus look in the monitor's namespace.
pub(super) fn open_namespace(
    kubectl: &str,
    monitor: &Monitor<'_>,
    prometheus: &Custom,
    labels: Option<&Labels>,
) -> (String, &'static str) {
    match labels {
        Some(labels) => (
            format!("{kubectl} label namespace {} --overwrite {}", monitor.namespace(), pairs(labels)),
            "Gives the namespace the label that the Prometheus asks for.",
        ),
        None => (
            widen(kubectl, prometheus, &monitor.key("NamespaceSelector")),
            "Lets that Prometheus look in all namespaces.",
        ),
    }
}

/// The command that lets a Prometheus take the monitor.
pub(super) fn open_labels(
    kubectl: &str,
    monitor: &Monitor<'_>,
    prometheus: &Custom,
    labels: Option<&Labels>,
) -> (String, &'static str) {
    match labels {
        Some(labels) => (
            format!(
                "{kubectl} --namespace={} label {} --overwrite {}",
                monitor.namespace(),
                monitor.kubectl(),
                pairs(labels)
            ),
            "Gives the monitor the labels that the Prometheus asks for.",
        ),
        None => (widen(kubectl, prometheus, &monitor.key("Selector")), "Lets that Prometheus take all monitors."),
    }
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
