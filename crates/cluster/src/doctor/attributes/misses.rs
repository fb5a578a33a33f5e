//! Senders that no pod was found for: by the agents' own counters, with the reason that they give.

use std::collections::BTreeMap;

use serde_json::json;

use super::naming::named_by_senders;
use crate::doctor::applications::leads_to;
use crate::doctor::figures::{Sums, figures, number, seconds, until_mended};
use crate::doctor::log::lines;
use crate::doctor::words::list;
use crate::doctor::{Check, Context, Finding, Severity};
use crate::snapshot::controllers::Controller;
use crate::snapshot::{Agent, Snapshot};

pub(in crate::doctor) static HIDDEN: Check = Check {
    id: "attributes-source-nat",
    severity: Severity::Warning,
    means: "Telemetry comes from the node's own address, or the node's end of the pods' network: a host port hides which pod sends.",
    evidence: "`otel_agent_k8s_association_misses` with reason `node` or `bridge`, against all that pods were looked for; host \
               ports of the agent; applications that send to `status.hostIP`.",
    remedy: "Send to the Service, or let senders name their pod.",
};

pub(in crate::doctor) static MESH: Check = Check {
    id: "attributes-mesh",
    severity: Severity::Warning,
    means: "Telemetry comes through the proxy of a service mesh beside the agent, which hides who sends.",
    evidence: "`otel_agent_k8s_association_misses` with reason `mesh` or `loopback`.",
    remedy: "Leave the agent out of the mesh.",
};

pub(in crate::doctor) static HOST_NETWORK: Check = Check {
    id: "attributes-host-network",
    severity: Severity::Warning,
    means: "Pods on the host's network send with the address of the node, which they share.",
    evidence: "`otel_agent_k8s_association_misses` with reason `host_network`; the pods on the host's network that send OTLP.",
    remedy: "Let them name their pod: `k8s.pod.uid` in `OTEL_RESOURCE_ATTRIBUTES`, from the downward API.",
};

pub(in crate::doctor) static OTHER_NODE: Check = Check {
    id: "attributes-other-node",
    severity: Severity::Warning,
    means: "Telemetry comes from addresses that are no pod of the agent's node: pods of other nodes, or a proxy or gateway between.",
    evidence: "`otel_agent_k8s_association_misses` with reason `unknown`; the traffic policy of the Service; the log, which \
               names addresses.",
    remedy: "`internalTrafficPolicy: Local` at the Service; applications away from the headless name.",
};

pub(in crate::doctor) static UNMATCHED: Check = Check {
    id: "attributes-unmatched",
    severity: Severity::Warning,
    means: "Telemetry names a pod that is not on the agent's node, or nothing to find one by.",
    evidence: "`otel_agent_k8s_association_misses` with reason `no_such_pod`, `no_identifier` or `mismatch`.",
    remedy: "Depends on the sources in `pod_association`.",
};

/// A few that miss are no news: what was sent while a pod ended, a person who tries something.
const FEW: f64 = 10.0;
/// Nor is a small part.
const SMALL: f64 = 0.01;

/// What was missed for one check.
#[derive(Default)]
struct Missed {
    evidence: Vec<String>,
    nodes: Vec<String>,
    /// Nothing speaks for its being over.
    goes_on: bool,
}

/// The check that a reason of the agent belongs to; none for what passes by itself.
fn check_of(reason: &str) -> Option<&'static Check> {
    match reason {
        "node" | "bridge" => Some(&HIDDEN),
        "mesh" | "loopback" => Some(&MESH),
        "host_network" => Some(&HOST_NETWORK),
        "unknown" => Some(&OTHER_NODE),
        "no_such_pod" | "no_identifier" | "mismatch" => Some(&UNMATCHED),
        // A pod that has just ended, and the moment before pods are known.
        _ => None,
    }
}

/// So many misses would have been expected between two looks at the share that was counted before: none is no accident then.
const EXPECTED: f64 = 10.0;

pub(super) fn look(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent) -> Vec<Finding> {
    const REASON: [&str; 1] = ["otel_agent_k8s_association_misses"];
    const LOOKED: [&str; 1] = ["otelcol_k8s_pod_association"];
    let mut missed: BTreeMap<&str, (&'static Check, Missed)> = BTreeMap::new();
    for figures in figures(agent) {
        let total = |sums: Sums| sums.values().sum::<f64>();
        let (looked, lately) = (total(figures.sums(&LOOKED, &["status"])), total(figures.growth(&LOOKED, &["status"])));
        let (by_reason, growth) = (figures.sums(&REASON, &["reason"]), figures.growth(&REASON, &["reason"]));
        let all_missed: f64 = by_reason.values().sum();
        for (key, misses) in by_reason {
            let reason = key.concat();
            let Some(check) = check_of(&reason) else { continue };
            let of = looked.max(all_missed);
            if misses < FEW || misses < of * SMALL {
                continue;
            }
            let pod = agent.pods.items().iter().find(|pod| pod.name() == figures.pod());
            let node = pod.and_then(|pod| pod.node()).unwrap_or_default();
            let entry = &mut missed.entry(check.id).or_insert_with(|| (check, Missed::default())).1;
            entry.nodes.push(node.to_owned());
            let grown = growth.get(&key).copied().unwrap_or_default();
            let now = match lately > 0.0 {
                true => {
                    format!(", {} of {} within the last {}", number(grown), number(lately), seconds(figures.seconds()))
                }
                false => String::new(),
            };
            entry.goes_on |= grown > 0.0 || misses / of * lately < EXPECTED;
            entry.evidence.push(format!(
                "pod {} on node {node}: {} of {} resources ({:.0} %) for reason `{reason}` {}{now}",
                figures.pod(),
                number(misses),
                number(of),
                misses / of * 100.0,
                figures.since()
            ));
            let said = lines(figures.inside)
                .filter(|line| line.text.starts_with("Telemetry from") && line.field("reason") == reason);
            entry.evidence.extend(said.take(3).map(|line| format!("log of pod {}: {}", figures.pod(), line.text)));
        }
    }
    missed.into_values().map(|(check, missed)| explain(snapshot, context, agent, check, missed)).collect()
}

fn explain(
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    check: &'static Check,
    missed: Missed,
) -> Finding {
    let mut nodes = missed.nodes;
    nodes.sort();
    nodes.dedup();
    let title = format!("Telemetry on {} has no pod: {}", list(&nodes), short(check));
    let mut finding = check.found(agent.title(), title).seen_all(missed.evidence);
    if !missed.goes_on {
        finding = finding.severity(Severity::Note).seen("while looking there was none: it seems to be over");
    }
    let finding = match check.id {
        id if id == HIDDEN.id => hidden(snapshot, context, agent, finding),
        id if id == MESH.id => mesh(context, agent, finding),
        id if id == HOST_NETWORK.id => host_network(snapshot, context, agent, &nodes, finding),
        id if id == OTHER_NODE.id => other_node(snapshot, context, agent, finding),
        _ => finding
            .because("A sender sets k8s.pod.uid or k8s.pod.ip to something that is not here, or sends through something that hides it.")
            .advise("See processors::k8s_attributes::pod_association; what a gateway passes on needs k8s.pod.uid of the sender."),
    };
    until_mended(finding)
}

fn short(check: &Check) -> &'static str {
    match check.id {
        id if id == HIDDEN.id => "it comes from the node's own address",
        id if id == MESH.id => "it comes through a proxy beside the agent",
        id if id == HOST_NETWORK.id => "its senders are on the host's network",
        id if id == OTHER_NODE.id => "its addresses are no pods of these nodes",
        _ => "it names none that is there",
    }
}

fn hidden(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent, finding: Finding) -> Finding {
    let spec = &agent.controller.spec.template.spec;
    let host_ports: Vec<String> = spec
        .containers
        .iter()
        .flat_map(|container| &container.ports)
        .filter(|port| port.host_port > 0)
        .map(|port| port.host_port.to_string())
        .collect();
    let finding = match host_ports.is_empty() {
        true => finding.because("The network of the cluster puts the node's address in the place of the sender's."),
        false => finding.seen(format!("the agent has host ports {}", host_ports.join(", "))).because(
            "What is sent to a host port is given the node's address by many network plugins, so that all pods look alike.",
        ),
    };
    named_by_senders(snapshot, context, agent, finding, |_| true)
}

fn mesh(context: &Context<'_>, agent: &Agent, finding: Finding) -> Finding {
    let no = json!({"sidecar.istio.io/inject": "false", "linkerd.io/inject": "disabled"});
    let patch = json!({"spec": {"template": {"metadata": {"annotations": no, "labels": {"sidecar.istio.io/inject": "false"}}}}});
    let beside = agent.pods.items().iter().flat_map(|pod| pod.spec.containers.iter().chain(&pod.spec.init_containers));
    let proxies: Vec<&str> = beside
        .map(|container| container.name.as_str())
        .filter(|name| matches!(*name, "istio-proxy" | "linkerd-proxy"))
        .take(1)
        .collect();
    let finding = finding.seen_all(proxies.iter().map(|name| format!("the agent's pods have a container {name}")));
    finding
        .because(
            "The proxy takes the connection and opens one of its own to the agent, from an address that is nobody's.",
        )
        .mend(
            format!(
                "{} --namespace={} patch {} --type=strategic --patch='{patch}'",
                context.kubectl,
                agent.namespace(),
                agent.controller.reference()
            ),
            "Leaves the agent out of the mesh. Its pods are replaced, one after another.",
        )
}

fn host_network(
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    nodes: &[String],
    finding: Finding,
) -> Finding {
    let on = |controller: &Controller| controller.spec.template.spec.host_network;
    let pods = snapshot
        .pods
        .items()
        .iter()
        .filter(|pod| pod.spec.host_network && pod.node().is_some_and(|node| nodes.iter().any(|one| one == node)));
    let names: Vec<String> = pods.map(|pod| pod.metadata.full_name()).collect();
    let finding = match names.is_empty() {
        true => finding,
        false => finding.seen(format!("on the host's network there: {}", list(&names))),
    };
    let finding = finding.because("Pods on the host's network have no address of their own to be known by.");
    named_by_senders(snapshot, context, agent, finding, on)
}

fn other_node(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent, finding: Finding) -> Finding {
    let mut services = snapshot.services.items().iter().filter(|service| leads_to(service, agent));
    let open = services.find(|service| !service.is_headless() && !service.is_local());
    match (open, agent.controller.is_daemon_set()) {
        (Some(service), true) => finding
            .seen(format!(
                "Service {} has internalTrafficPolicy: {}",
                service.metadata.full_name(),
                if service.spec.internal_traffic_policy.is_empty() { "Cluster" } else { &service.spec.internal_traffic_policy }
            ))
            .because("The Service sends to agents of all nodes, and an agent knows only the pods of its own.")
            .mend(
                format!(
                    "{} --namespace={} patch service {} --type=merge --patch='{{\"spec\":{{\"internalTrafficPolicy\":\"Local\"}}}}'",
                    context.kubectl, service.metadata.namespace, service.metadata.name
                ),
                "Each pod reaches the agent of its own node; where there is none, its data is dropped.",
            ),
        _ => finding
            .because(
                "Applications use the headless name or an address of another node's agent, or a gateway or mesh stands \
                 between that does not pass on who sends.",
            )
            .advise("Send to the Service of the agent; let a gateway pass k8s.pod.uid or k8s.pod.ip on."),
    }
}
