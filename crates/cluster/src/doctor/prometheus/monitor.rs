//! What a ServiceMonitor or a PodMonitor says: whom it selects, and which ports it asks for.

use std::fmt::{self, Display};

use serde::Deserialize as _;
use serde_json::Value;

use crate::doctor::applications::leads_to;
use crate::snapshot::meta::{Labels, Metadata, Selector};
use crate::snapshot::monitors::Custom;
use crate::snapshot::{Agent, Seen, Snapshot};

/// A ServiceMonitor or a PodMonitor.
pub(super) struct Monitor<'a> {
    pub(super) object: &'a Custom,
    pub(super) is_for_pods: bool,
    pub(super) selector: Selector,
}

/// The port of one of its endpoints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// By the name that it has at the Service, or at the pod for a PodMonitor.
    Name(String),
    /// By the name that it has at the pod, past the Service.
    OfPod(String),
    /// By the number that it has at the pod.
    Number(u64),
    /// Every port there is.
    Any,
}

impl Display for Asked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Asked::Name(name) | Asked::OfPod(name) => formatter.write_str(name),
            Asked::Number(number) => number.fmt(formatter),
            Asked::Any => formatter.write_str("any"),
        }
    }
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
        format!("{} {}", self.kubectl_kind(), self.object.metadata.full_name())
    }

    /// `servicemonitor/otel-agent`
    pub(super) fn kubectl(&self) -> String {
        format!("{}/{}", self.kubectl_kind(), self.object.metadata.name)
    }

    fn kubectl_kind(&self) -> &'static str {
        if self.is_for_pods { "podmonitor" } else { "servicemonitor" }
    }

    /// `ServiceMonitor`
    pub(super) fn kind(&self) -> &'static str {
        if self.is_for_pods { "PodMonitor" } else { "ServiceMonitor" }
    }

    /// What it selects: `Service`, `pod`.
    pub(super) fn thing(&self) -> &'static str {
        if self.is_for_pods { "pod" } else { "Service" }
    }

    /// The key of a Prometheus that is about such monitors: `serviceMonitorSelector`.
    pub(super) fn key(&self, rest: &str) -> String {
        key(self.is_for_pods, rest)
    }

    /// The key of its endpoints.
    pub(super) fn endpoints_key(&self) -> &'static str {
        if self.is_for_pods { "podMetricsEndpoints" } else { "endpoints" }
    }

    /// The ports that it asks for, one for each endpoint.
    pub(super) fn ports(&self) -> Vec<Asked> {
        let endpoints = self.object.spec.get(self.endpoints_key()).and_then(Value::as_array);
        endpoints.into_iter().flatten().map(asked).collect()
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
        self.selects_labels(&metadata.namespace, &metadata.labels)
    }

    fn selects_labels(&self, namespace: &str, labels: &Labels) -> bool {
        self.looks_in(namespace) && self.selector.matches(labels)
    }

    /// Whether it selects the pods of an agent, or one of the Services before them.
    pub(super) fn selects_of(&self, snapshot: &Snapshot, agent: &Agent) -> bool {
        if self.is_for_pods {
            // What makes the pods gives them labels of its own as well.
            self.selects_labels(agent.namespace(), &agent.controller.spec.template.metadata.labels)
                || agent.pods.items().iter().any(|pod| self.selects(&pod.metadata))
        } else {
            let mut services = snapshot.services.items().iter().filter(|service| leads_to(service, agent));
            services.any(|service| self.selects(&service.metadata))
        }
    }

    /// Whether it has the agent's name, whatever it selects.
    fn is_named_after(&self, agent: &Agent) -> bool {
        let metadata = &self.object.metadata;
        metadata.name.contains(&agent.controller.metadata.name)
            || metadata.labels.get("app.kubernetes.io/name").is_some_and(|name| name == "otel-agent")
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

/// The key of a Prometheus that is about monitors for pods or for Services.
pub(super) fn key(for_pods: bool, rest: &str) -> String {
    format!("{}{rest}", if for_pods { "podMonitor" } else { "serviceMonitor" })
}

/// As the operator reads an endpoint: the first of these keys that is there counts.
fn asked(endpoint: &Value) -> Asked {
    let target = endpoint.get("targetPort");
    let text = |value: Option<&Value>| value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let number = |value: Option<&Value>| value.and_then(Value::as_u64).filter(|number| *number != 0);
    if let Some(name) = text(endpoint.get("port")) {
        Asked::Name(name)
    } else if let Some(number) = number(endpoint.get("portNumber")).or_else(|| number(target)) {
        Asked::Number(number)
    } else {
        text(target).map_or(Asked::Any, Asked::OfPod)
    }
}

/// The monitors that are about an agent: what they select is of it, or they are named after it and select no other agent.
pub(super) fn about<'a>(snapshot: &'a Snapshot, agent: &Agent) -> Vec<Monitor<'a>> {
    let all = |seen: &'a Seen<Option<Vec<Custom>>>, for_pods: bool| {
        let items = seen.some().and_then(Option::as_ref).map(Vec::as_slice).unwrap_or_default();
        items.iter().map(move |object| Monitor::new(object, for_pods))
    };
    let monitors =
        all(&snapshot.monitoring.service_monitors, false).chain(all(&snapshot.monitoring.pod_monitors, true));
    monitors
        .filter(|monitor| {
            // One that selects everything of a namespace is not meant for the agent in particular, but does it.
            let selects = monitor.selects_of(snapshot, agent);
            let anothers = || snapshot.agents.iter().any(|other| monitor.selects_of(snapshot, other));
            selects || (monitor.is_named_after(agent) && !anothers())
        })
        .collect()
}

/// `a=b, c=d`
pub(super) fn labels_text(labels: &Labels) -> String {
    if labels.is_empty() {
        return "none".to_owned();
    }
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

/// `a=b, c In (d, e)`
pub(super) fn selector_text(selector: &Selector) -> String {
    if selector.is_empty() {
        return "any labels".to_owned();
    }
    let expressions = selector
        .match_expressions
        .iter()
        .map(|one| format!("{} {} ({})", one.key, one.operator, one.values.join(", ")));
    let labels = selector.match_labels.iter().map(|(key, value)| format!("{key}={value}"));
    labels.chain(expressions).collect::<Vec<_>>().join(", ")
}
