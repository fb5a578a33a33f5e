//! Nodes that the DaemonSet makes no pod for, by reason: taints, node selectors, affinities, and nodes of another kind.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::checks::{NODE_FOREIGN, NODE_SELECTOR, NODE_TAINT};
use super::services;
use crate::doctor::placement::{Excluded, excluded, passes, taint_text, toleration};
use crate::doctor::words::{count, has, is, list, named};
use crate::doctor::{Context, Finding, Severity};
use crate::snapshot::nodes::{Node, Taint};
use crate::snapshot::pods::Pod;
use crate::snapshot::{Agent, Snapshot};

/// Nodes that the DaemonSet makes no pod for, one finding a reason.
pub(super) fn left_out(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent) -> Vec<Finding> {
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
        .flat_map(|(reason, nodes)| match reason {
            // Nodes come and go, and agents with them.
            Excluded::Taints(taints) if taints.iter().any(passes) => Vec::new(),
            Excluded::Taints(taints) => tainted(context, agent, &taints, &nodes),
            Excluded::Selector(lacking) => vec![not_selected(snapshot, context, agent, &lacking, &nodes)],
            Excluded::Affinity => vec![no_affinity(snapshot, agent, &nodes)],
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

/// What a taint does to the agents of nodes: there is none, or the one that is there is the last.
fn tainted(context: &Context<'_>, agent: &Agent, taints: &[Taint], nodes: &[&Node]) -> Vec<Finding> {
    let spared = !taints.iter().any(ends);
    let (with, without): (Vec<&Node>, Vec<&Node>) =
        nodes.iter().partition(|node| spared && runs_on(agent, node.name()));
    let one = |nodes: &[&Node], is_there: bool| {
        let (names, number) = (names(nodes), nodes.len());
        let (title, cause) = match is_there {
            false => (
                format!("{} {} no agent because of a taint", count(number, "node"), has(number)),
                "A DaemonSet makes no pod for a node with a taint that its pods do not tolerate; not even a pending one.",
            ),
            true => (
                format!("{} {} the last agent because of a taint", count(number, "node"), has(number)),
                "The agent was there before the taint, and NoSchedule ends nothing that runs. When its pod ends, as in the next \
                 rollout or when it is deleted or evicted, none is made in its place.",
            ),
        };
        let finding = NODE_TAINT.found(named("node", &names), title);
        let texts: Vec<String> = taints.iter().map(taint_text).collect();
        let finding = finding.seen(format!("taint of {}: {}", list(&names), texts.join(", ")));
        let finding = match is_there {
            true => finding.seen(format!("an agent runs on {}", list(&names))),
            false => finding,
        };
        let finding = finding.seen(format!("{} does not tolerate it", agent.title())).because(cause);
        tolerate(context, agent, taints, finding)
    };
    let findings = [(without, false), (with, true)].into_iter().filter(|(nodes, _)| !nodes.is_empty());
    findings.map(|(nodes, is_there)| one(&nodes, is_there)).collect()
}

/// Adds the command with which the agent tolerates taints.
pub(in crate::doctor) fn tolerate(context: &Context<'_>, agent: &Agent, taints: &[Taint], finding: Finding) -> Finding {
    let flags: Vec<String> = taints.iter().map(|taint| format!("--toleration={}", taint_text(taint))).collect();
    finding.mend(
        patch_command(context, agent, &tolerating(agent, taints)),
        format!("Adds the toleration. To keep it, render with it too: otel-agent manifests {}", flags.join(" ")),
    )
}

/// Nodes whose agent was there before a taint that it does not tolerate, with these taints.
pub(in crate::doctor) fn with_last_agents<'a>(agent: &Agent, nodes: &'a [Node]) -> Vec<(&'a str, Vec<Taint>)> {
    let spec = &agent.controller.spec.template.spec;
    let tainted = nodes.iter().filter_map(|node| match excluded(spec, node) {
        Some(Excluded::Taints(taints)) if !taints.iter().any(ends) => Some((node.name(), taints)),
        _ => None,
    });
    tainted.filter(|(node, _)| runs_on(agent, node)).collect()
}

/// Whether a taint ends what runs.
fn ends(taint: &Taint) -> bool {
    taint.effect == "NoExecute"
}

/// Whether an agent is on that node, and not about to end.
fn runs_on(agent: &Agent, node: &str) -> bool {
    agent.pods.items().iter().any(|pod| pod.spec.node_name == node && !pod.is_over() && !pod.is_ending())
}

/// The JSON patch that adds tolerations.
fn tolerating(agent: &Agent, taints: &[Taint]) -> Value {
    let tolerations: Vec<Value> = taints.iter().map(toleration).collect();
    let path = "/spec/template/spec/tolerations";
    if agent.controller.spec.template.spec.tolerations.is_empty() {
        return json!([{"op": "add", "path": path, "value": tolerations}]);
    }
    tolerations.iter().map(|one| json!({"op": "add", "path": format!("{path}/-"), "value": one})).collect()
}

/// A JSON patch of what makes the agent's pods.
fn patch_command(context: &Context<'_>, agent: &Agent, patch: &Value) -> String {
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
pub(super) fn sends_to(pod: &Pod, agent: &Agent, snapshot: &Snapshot) -> bool {
    let services: Vec<String> = services(snapshot, agent)
        .map(|service| format!("{}.{}", service.metadata.name, service.metadata.namespace))
        .collect();
    let env = pod.spec.containers.iter().flat_map(|container| &container.env);
    let mut endpoints = env.filter(|env| env.name.starts_with("OTEL_EXPORTER_OTLP"));
    endpoints.any(|env| services.iter().any(|service| env.value.contains(service.as_str())))
}
