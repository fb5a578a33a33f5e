//! Nodes with applications and without a ready agent.

use std::collections::BTreeMap;

use serde_json::json;

use super::checks::NODE_UNSERVED;
use super::left_out::sends_to;
use super::services;
use crate::doctor::placement::{Excluded, excluded};
use crate::doctor::words::{count, has, list, named, older};
use crate::doctor::{Context, Finding, Severity, trouble};
use crate::snapshot::pods::Pod;
use crate::snapshot::services::Service;
use crate::snapshot::{Agent, Snapshot};

/// Namespaces that belong to Kubernetes itself.
const OF_THE_SYSTEM: [&str; 3] = ["kube-system", "kube-node-lease", "kube-public"];

/// Whether a pod is somebody's application: not part of Kubernetes or of the node, and not the agent.
fn is_application(pod: &Pod, agents: &[Agent]) -> bool {
    let of_a_node = pod.metadata.owner().is_some_and(|owner| matches!(owner.kind.as_str(), "DaemonSet" | "Node"));
    pod.status.phase == "Running"
        && !pod.is_ending()
        && !of_a_node
        && !OF_THE_SYSTEM.contains(&pod.metadata.namespace.as_str())
        && !agents.iter().any(|agent| agent.owns(pod))
}

/// Nodes with applications and without a ready agent.
pub(super) fn unserved(snapshot: &Snapshot, context: &Context<'_>) -> Option<Finding> {
    let daemons: Vec<&Agent> = snapshot.agents.iter().filter(|agent| agent.controller.is_daemon_set()).collect();
    let (pods, true) = (snapshot.pods.known()?, !daemons.is_empty() && daemons.len() == snapshot.agents.len()) else {
        return None;
    };
    let local: Vec<&Service> =
        daemons.iter().flat_map(|agent| services(snapshot, agent)).filter(|one| one.is_local()).collect();
    let mut applications: BTreeMap<&str, Vec<&Pod>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| is_application(pod, &snapshot.agents)) {
        applications.entry(&pod.spec.node_name).or_default().push(pod);
    }
    applications.retain(|node, there| {
        let Some(node) = snapshot.nodes.items().iter().find(|one| one.name() == *node) else { return false };
        let served = daemons.iter().any(|agent| {
            let mut own = agent.pods.items().iter().filter(|pod| pod.node() == Some(node.name()));
            own.any(|pod| pod.is_ready() || is_starting(snapshot, agent, pod))
        });
        // A node that was left out on purpose is told of only if something there sends to the agent.
        let on_purpose = daemons.iter().all(|agent| {
            let spec = &agent.controller.spec.template.spec;
            matches!(excluded(spec, node), Some(Excluded::Selector(_) | Excluded::Affinity))
        });
        if node.is_foreign().is_some() || on_purpose {
            there.retain(|pod| daemons.iter().any(|agent| sends_to(pod, agent, snapshot)));
        }
        !served && !there.is_empty()
    });
    if applications.is_empty() {
        return None;
    }
    Some(unserved_finding(snapshot, context, &applications, &local))
}

/// A pod that was made a moment ago and has no trouble yet.
fn is_starting(snapshot: &Snapshot, agent: &Agent, pod: &Pod) -> bool {
    let young = !older(snapshot.taken, pod.metadata.creation_timestamp, trouble::STARTING);
    let in_trouble = trouble::of(agent, pod, snapshot.taken).is_some();
    young && !in_trouble && !pod.is_over() && !pod.spec.node_name.is_empty()
}

fn unserved_finding(
    snapshot: &Snapshot,
    context: &Context<'_>,
    applications: &BTreeMap<&str, Vec<&Pod>>,
    local: &[&Service],
) -> Finding {
    let nodes: Vec<&str> = applications.keys().copied().collect();
    let pods: usize = applications.values().map(Vec::len).sum();
    let told: Vec<String> =
        applications.iter().map(|(node, pods)| format!("{node} ({})", count(pods.len(), "pod"))).collect();
    let finding = NODE_UNSERVED
        .found(
            named("node", &nodes),
            format!("{} {} applications but no ready agent", count(nodes.len(), "node"), has(nodes.len())),
        )
        .seen(format!("{} with {}: {}", count(nodes.len(), "node"), count(pods, "application pod"), list(&told)));
    match local.first() {
        Some(service) => {
            let (namespace, name) = (&service.metadata.namespace, &service.metadata.name);
            finding
                .seen(format!("Service {namespace}/{name} has internalTrafficPolicy: Local"))
                .because(
                    "The Service leads to the agent of the sender's own node alone. Where there is none, what is sent is \
                     dropped in silence until the sender's time-out.",
                )
                .advise("Mend why there is none first: the other findings about these nodes say why and how.")
                .mend(
                    format!(
                        "{} --namespace={namespace} patch service {name} --patch='{}'",
                        context.kubectl,
                        json!({"spec": {"internalTrafficPolicy": "Cluster"}})
                    ),
                    "Until then: lets these applications reach the agents of other nodes, which add no pod attributes to \
                     their data. Set it back to Local afterwards.",
                )
        }
        None => {
            let unknown = snapshot.services.known().is_none();
            let because = if unknown {
                "Where the Service leads could not be seen. If it is Local, what is sent from these nodes is dropped."
            } else {
                "No Service of the agent is Local, so that another node's agent may take the data, without adding pod \
                 attributes to it."
            };
            let severity = if unknown { Severity::Error } else { Severity::Warning };
            let advice = "Mend why there is none: the other findings about these nodes say why and how.";
            finding.severity(severity).because(because).advise(advice)
        }
    }
}
