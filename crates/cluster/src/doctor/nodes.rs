//! Family `nodes`: whether the agent is there at all, which nodes have none, why, and where data is lost for it.

use std::collections::BTreeMap;

use serde_json::json;

use super::placement::{Excluded, excluded, taint_text, toleration};
use super::words::{count, has, is, list, named, older};
use super::{Check, Context, Family, Finding, Severity, trouble};
use crate::snapshot::nodes::{Node, Taint};
use crate::snapshot::pods::Pod;
use crate::snapshot::services::Service;
use crate::snapshot::{Agent, NAMESPACE, Snapshot};

pub(super) const FAMILY: Family = Family {
    name: "nodes",
    about: "Whether the agent is there, which nodes have none, and why.",
    checks: &[&AGENT_MISSING, &NODE_TAINT, &NODE_SELECTOR, &NODE_FOREIGN, &NODE_UNSERVED, &NODE_NAME],
    look,
};

static AGENT_MISSING: Check = Check {
    id: "agent-missing",
    severity: Severity::Error,
    means: "No DaemonSet and no Deployment of the agent was found.",
    evidence: "None has the label `app.kubernetes.io/name: otel-agent`, that name, or that image.",
    remedy: "Install it, or say what it is called with `--namespace` and `--name`.",
};

static NODE_TAINT: Check = Check {
    id: "node-taint",
    severity: Severity::Warning,
    means: "Nodes have a taint that the DaemonSet does not tolerate, so that no agent is made for them.",
    evidence: "The taints of the nodes, and the tolerations of the DaemonSet with those that Kubernetes adds.",
    remedy: "Add the toleration.",
};

static NODE_SELECTOR: Check = Check {
    id: "node-selector",
    severity: Severity::Note,
    means: "The DaemonSet's node selector or affinity leaves nodes out. A note while nothing there is seen to send to the agent, \
            else a warning.",
    evidence: "The labels of the nodes, the node selector and the required affinity of the DaemonSet; applications whose \
               environment names the agent's Service.",
    remedy: "Label the nodes, or take the node selector away.",
};

static NODE_FOREIGN: Check = Check {
    id: "node-foreign",
    severity: Severity::Note,
    means: "Nodes that can have no agent: virtual nodes, Fargate, Windows.",
    evidence: "Labels and taints that say so.",
    remedy: "Let what runs there send to an agent elsewhere: a Deployment of it, with a Service of its own.",
};

static NODE_UNSERVED: Check = Check {
    id: "node-unserved",
    severity: Severity::Error,
    means: "Applications run on nodes without a ready agent. With `internalTrafficPolicy: Local` their data is dropped \
            without an error: each export waits for its time-out.",
    evidence: "Pods by node, ready agents by node, the policy of the Service.",
    remedy: "What mends the reason, which is a finding of its own; meanwhile the Service can send to other nodes.",
};

static NODE_NAME: Check = Check {
    id: "node-name-wrong",
    severity: Severity::Error,
    means: "The environment variable from which the agent learns its node's name is missing, or does not hold it: the agent does not \
            start, or knows the pods of no node.",
    evidence: "The variable that `k8s_attributes` names (`K8S_NODE_NAME` unless the configuration says otherwise), and the environment of \
               the container.",
    remedy: "The variable from the field `spec.nodeName`.",
};

/// Namespaces that belong to Kubernetes itself.
const OF_THE_SYSTEM: [&str; 3] = ["kube-system", "kube-node-lease", "kube-public"];

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = missing(snapshot, context).into_iter().collect();
    for agent in &snapshot.agents {
        if agent.controller.is_daemon_set() {
            findings.extend(left_out(snapshot, context, agent));
        }
        findings.extend(node_name(context, agent));
    }
    findings.extend(unserved(snapshot, context));
    findings
}

fn missing(snapshot: &Snapshot, context: &Context<'_>) -> Option<Finding> {
    let all_seen = snapshot.daemon_sets.known().is_some() && snapshot.deployments.known().is_some();
    let place_seen = snapshot.options.namespace.is_some()
        && snapshot.daemon_sets.some().is_some()
        && snapshot.deployments.some().is_some();
    if !snapshot.agents.is_empty() || !(all_seen || place_seen) {
        return None;
    }
    let place = match &snapshot.options.namespace {
        Some(namespace) => format!("namespace {namespace}"),
        None => "the cluster".to_owned(),
    };
    let kubectl = &context.kubectl;
    let finding = AGENT_MISSING.found(place.clone(), format!("There is no agent in {place}"));
    let looked =
        [("DaemonSet", snapshot.daemon_sets.items().len()), ("Deployment", snapshot.deployments.items().len())];
    let looked = looked.map(|(kind, number)| count(number, kind)).join(", ");
    let finding = match &snapshot.options.name {
        Some(name) => finding
            .seen(format!("looked at {looked}; none of them is called {name}"))
            .because("It was never installed, or has another name."),
        None => finding
            .seen(format!(
                "looked at {looked}; none has the label app.kubernetes.io/name=otel-agent, that name, or that image"
            ))
            .because("It was never installed, or goes by another name."),
    };
    let namespace = snapshot.options.namespace.as_deref().unwrap_or(NAMESPACE);
    Some(
        finding
            .mend(
                format!("otel-agent manifests --namespace={namespace} | {kubectl} apply -f -"),
                "Installs it with the default configuration; `otel-agent manifests --help` tells what can be chosen.",
            )
            .advise("If it is there under another name, say so: otel-agent doctor --namespace=NAMESPACE --name=NAME"),
    )
}

/// Nodes that the DaemonSet makes no pod for, one finding a reason.
fn left_out(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent) -> Vec<Finding> {
    let spec = &agent.controller.spec.template.spec;
    let mut reasons: BTreeMap<Excluded, Vec<&Node>> = BTreeMap::new();
    let mut foreign: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in snapshot.nodes.items() {
        if let Some(what) = node.is_foreign() {
            foreign.entry(what).or_default().push(node.name());
        } else if let Some(reason) = excluded(spec, node) {
            reasons.entry(reason).or_default().push(node);
        }
    }
    let mut findings: Vec<Finding> = reasons
        .into_iter()
        .map(|(reason, nodes)| match reason {
            Excluded::Taints(taints) => tainted(context, agent, &taints, &nodes),
            Excluded::Selector(lacking) => not_selected(snapshot, context, agent, &lacking, &nodes),
            Excluded::Affinity => no_affinity(snapshot, agent, &nodes),
        })
        .collect();
    findings.extend(foreign.into_iter().map(|(what, nodes)| {
        NODE_FOREIGN
            .found(named("node", &nodes), format!("{} can have no agent", count(nodes.len(), "node")))
            .seen(format!("{} {} {what}", list(&nodes), is(nodes.len())))
            .because("DaemonSets of Linux programs do not run there.")
            .advise("Let what runs there send to a Deployment of the agent: otel-agent manifests --mode=deployment")
    }));
    findings
}

fn names<'a>(nodes: &[&'a Node]) -> Vec<&'a str> {
    nodes.iter().map(|node| node.name()).collect()
}

fn tainted(context: &Context<'_>, agent: &Agent, taints: &[Taint], nodes: &[&Node]) -> Finding {
    let names = names(nodes);
    let texts: Vec<String> = taints.iter().map(taint_text).collect();
    let spec = &agent.controller.spec.template.spec;
    let tolerations: Vec<_> = taints.iter().map(toleration).collect();
    let patch: Vec<_> = match spec.tolerations.is_empty() {
        true => vec![json!({"op": "add", "path": "/spec/template/spec/tolerations", "value": tolerations})],
        false => tolerations
            .iter()
            .map(|one| json!({"op": "add", "path": "/spec/template/spec/tolerations/-", "value": one}))
            .collect(),
    };
    let flags: Vec<String> = texts.iter().map(|text| format!("--toleration={text}")).collect();
    NODE_TAINT
        .found(
            named("node", &names),
            format!("{} {} no agent because of a taint", count(nodes.len(), "node"), has(nodes.len())),
        )
        .seen(format!("taint of {}: {}", list(&names), texts.join(", ")))
        .seen(format!("{} does not tolerate it", agent.title()))
        .because(
            "A DaemonSet makes no pod for a node with a taint that its pods do not tolerate; not even a pending one.",
        )
        .mend(
            patch_command(context, agent, &serde_json::Value::from(patch)),
            format!("Adds the toleration. To keep it, render with it too: otel-agent manifests {}", flags.join(" ")),
        )
}

/// A JSON patch of what makes the agent's pods.
fn patch_command(context: &Context<'_>, agent: &Agent, patch: &serde_json::Value) -> String {
    format!(
        "{} --namespace={} patch {} --type=json --patch='{patch}'",
        context.kubectl,
        agent.namespace(),
        agent.controller.reference()
    )
}

fn not_selected(
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    lacking: &[String],
    nodes: &[&Node],
) -> Finding {
    let names = names(nodes);
    let finding = NODE_SELECTOR
        .found(
            named("node", &names),
            format!("{} {} no agent because of the node selector", count(nodes.len(), "node"), has(nodes.len())),
        )
        .seen(format!("{} {} not {}", list(&names), has(nodes.len()), lacking.join(", ")))
        .because(format!("{} asks for these labels in its nodeSelector.", agent.title()))
        .mend(
            format!("{} label nodes {} --overwrite {}", context.kubectl, names.join(" "), lacking.join(" ")),
            "Lets the agent onto these nodes. Nothing is to be done if they were left out on purpose.",
        );
    louder_if_used(snapshot, agent, &names, finding)
}

fn no_affinity(snapshot: &Snapshot, agent: &Agent, nodes: &[&Node]) -> Finding {
    let names = names(nodes);
    let finding = NODE_SELECTOR
        .found(
            named("node", &names),
            format!("{} {} no agent because of the node affinity", count(nodes.len(), "node"), has(nodes.len())),
        )
        .seen(format!("no term of the required node affinity of {} fits {}", agent.title(), list(&names)))
        .because("requiredDuringSchedulingIgnoredDuringExecution keeps the agent off these nodes.")
        .advise("Nothing is to be done if they were left out on purpose; else change the node affinity.");
    louder_if_used(snapshot, agent, &names, finding)
}

/// Left out on purpose or not: applications there that send to the agent lose what they send.
fn louder_if_used(snapshot: &Snapshot, agent: &Agent, nodes: &[&str], finding: Finding) -> Finding {
    let sending: Vec<&Pod> = snapshot
        .pods
        .items()
        .iter()
        .filter(|pod| nodes.contains(&pod.spec.node_name.as_str()) && sends_to(pod, agent, snapshot))
        .collect();
    if sending.is_empty() {
        return finding;
    }
    let told: Vec<String> = sending.iter().map(|pod| pod.metadata.full_name()).collect();
    let sends = if sending.len() == 1 { "sends" } else { "send" };
    finding.severity(Severity::Warning).seen(format!(
        "{} there {sends} to the agent: {}",
        count(told.len(), "pod"),
        list(&told)
    ))
}

/// Whether an application's environment names the agent's Service.
fn sends_to(pod: &Pod, agent: &Agent, snapshot: &Snapshot) -> bool {
    let services: Vec<String> = services(snapshot, agent)
        .map(|service| format!("{}.{}", service.metadata.name, service.metadata.namespace))
        .collect();
    let env = pod.spec.containers.iter().flat_map(|container| &container.env);
    let mut endpoints = env.filter(|env| env.name.starts_with("OTEL_EXPORTER_OTLP"));
    endpoints.any(|env| services.iter().any(|service| env.value.contains(service.as_str())))
}

/// The Services that lead to an agent's pods.
pub(super) fn services<'a>(snapshot: &'a Snapshot, agent: &'a Agent) -> impl Iterator<Item = &'a Service> {
    let labels = &agent.controller.spec.template.metadata.labels;
    snapshot.services.items().iter().filter(move |service| {
        service.metadata.namespace == agent.namespace()
            && !service.spec.selector.is_empty()
            && crate::snapshot::meta::has_all(labels, &service.spec.selector)
    })
}

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
fn unserved(snapshot: &Snapshot, context: &Context<'_>) -> Option<Finding> {
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

/// The variable that the configuration takes the node's name from: missing, or not the node's name.
fn node_name(context: &Context<'_>, agent: &Agent) -> Option<Finding> {
    let container = agent.controller.spec.template.spec.agent()?;
    let understood = context.understood(agent)?;
    let holds = |name: &str| {
        let variable = container.env.iter().find(|env| env.name == name);
        variable.map(|env| {
            env.value_from.as_ref().and_then(|from| from.field_ref.as_ref()).map(|field| field.field_path.as_str())
        })
    };
    let wrong = understood.node_variables.iter().find(|name| holds(name) != Some(Some("spec.nodeName")))?;
    let seen = match holds(wrong) {
        None => format!("container {} has no variable {wrong}", container.name),
        Some(None) => format!("{wrong} of container {} is not taken from a field of the pod", container.name),
        Some(Some(field)) => format!("{wrong} of container {} is taken from {field}", container.name),
    };
    let variable = json!({"name": wrong, "value": null, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}});
    let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": container.name, "env": [variable]}]}}}});
    Some(
        NODE_NAME
            .found(agent.title(), format!("{wrong} does not hold the name of the node"))
            .seen(format!("the configuration takes the node's name from {wrong}"))
            .seen(seen)
            .because("The agent reads the pods of its own node alone, and Kubernetes tells a pod its node's name through such a variable.")
            .mend(
                format!(
                    "{} --namespace={} patch {} --patch='{patch}'",
                    context.kubectl,
                    agent.namespace(),
                    agent.controller.reference()
                ),
                "Sets it, and starts the agents anew, one node after another.",
            ),
    )
}

#[cfg(test)]
mod tests;
