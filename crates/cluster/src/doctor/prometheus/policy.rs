//! Network policies that keep a Prometheus out.

use serde_json::json;

use super::monitor::{Asked, Monitor};
use crate::doctor::words::list;
use crate::doctor::{Check, Context, Finding, Severity};
use crate::snapshot::meta::Labels;
use crate::snapshot::monitors::Custom;
use crate::snapshot::scraping::{Ingress, NetworkPolicy, Peer};
use crate::snapshot::{Agent, Snapshot};

pub(in crate::doctor) static KEPT_OUT: Check = Check {
    id: "prometheus-network-policy",
    severity: Severity::Error,
    means: "Network policies let nobody of the Prometheus' namespace connect to the metrics port.",
    evidence: "The NetworkPolicies that select the agent's pods, with what they let in; the labels of the Prometheus' namespace.",
    remedy: "A policy that lets the Prometheus' namespace in, at the metrics port.",
};

/// Who wants in, and where.
struct Visitor<'a> {
    namespace: &'a str,
    namespace_labels: &'a Labels,
    pod_labels: Labels,
    port: (&'a str, u16),
}

pub(super) fn kept_out(
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    monitor: &Monitor<'_>,
    prometheus: &Custom,
) -> Option<Finding> {
    let template = &agent.controller.spec.template;
    let selected = snapshot.policies.items().iter().filter(|policy| {
        policy.metadata.namespace == agent.namespace()
            && policy.is_about_ingress()
            && policy.spec.pod_selector.matches(&template.metadata.labels)
    });
    let policies: Vec<&NetworkPolicy> = selected.collect();
    let namespace = &prometheus.metadata.namespace;
    let labels = &snapshot.namespaces.items().iter().find(|one| one.metadata.name == *namespace)?.metadata.labels;
    let container = template.spec.agent()?;
    let asked = monitor.ports();
    let asked = |name: &str, number: u16| {
        asked.iter().any(|one| match one {
            Asked::Name(wanted) | Asked::OfPod(wanted) => wanted == name,
            Asked::Number(wanted) => *wanted == u64::from(number),
            Asked::Any => false,
        })
    };
    let ports = &container.ports;
    let port = ports.iter().find(|port| asked(&port.name, port.container_port));
    let port = port.or_else(|| ports.iter().find(|port| port.name == "metrics"))?;
    // The operator gives the pods these labels, whatever else they have.
    let pod_labels = [("app.kubernetes.io/name", "prometheus"), ("prometheus", &prometheus.metadata.name)]
        .map(|(key, value)| (key.to_owned(), value.to_owned()));
    let visitor = Visitor {
        namespace,
        namespace_labels: labels,
        pod_labels: pod_labels.into(),
        port: (&port.name, port.container_port),
    };
    // Without any policy everybody may; otherwise one that lets them in is enough.
    if policies.is_empty()
        || policies.iter().any(|policy| policy.spec.ingress.iter().any(|rule| lets_in(rule, policy, &visitor)))
    {
        return None;
    }
    let names: Vec<&str> = policies.iter().map(|policy| policy.metadata.name.as_str()).collect();
    let name = format!("{}-from-{namespace}", agent.controller.metadata.name);
    let manifest = json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": agent.namespace()},
        "spec": {
            "podSelector": {"matchLabels": agent.controller.spec.selector.match_labels},
            "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}],
                "ports": [{"port": port.container_port, "protocol": "TCP"}],
            }],
        },
    });
    Some(
        KEPT_OUT
            .found(agent.title(), format!("Network policies keep Prometheus {} out", prometheus.metadata.full_name()))
            .seen(format!("its pods are selected by NetworkPolicy {}", list(&names)))
            .seen(format!("none lets namespace {namespace} in at port {} ({})", port.container_port, port.name))
            .because("As soon as a policy selects a pod, only what some policy names may connect to it; the rest is dropped.")
            .mend(
                format!("{} apply --filename=- <<'END'\n{manifest}\nEND", context.kubectl),
                "Adds a policy that lets that namespace in at the metrics port; those that are there stay.",
            ),
    )
}

fn lets_in(rule: &Ingress, policy: &NetworkPolicy, visitor: &Visitor<'_>) -> bool {
    let port = rule.ports.is_empty() || rule.ports.iter().any(|port| port.covers(visitor.port.0, visitor.port.1));
    port && (rule.from.is_empty() || rule.from.iter().any(|peer| is_meant(peer, policy, visitor)))
}

fn is_meant(peer: &Peer, policy: &NetworkPolicy, visitor: &Visitor<'_>) -> bool {
    // Addresses may or may not be the Prometheus': nothing is said against it.
    if peer.ip_block.is_some() {
        return true;
    }
    let place = match &peer.namespace_selector {
        Some(selector) => selector.matches(visitor.namespace_labels),
        None => policy.metadata.namespace == visitor.namespace,
    };
    // Of a selector of pods only what the operator sets is known; any other label may be there as well.
    let pods = peer.pod_selector.as_ref().is_none_or(|selector| {
        selector.match_labels.iter().all(|(key, value)| visitor.pod_labels.get(key).is_none_or(|has| has == value))
    });
    place && pods
}
