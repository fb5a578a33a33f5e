//! Family `nodes`: whether the agent is there at all, which nodes have none, why, and where data is lost for it.

mod checks;
pub(super) mod left_out;
mod unserved;

use serde_json::json;

use super::words::count;
use super::{Context, Family, Finding};
use crate::snapshot::services::Service;
use crate::snapshot::{Agent, NAMESPACE, Snapshot};
use checks::{AGENT_MISSING, NODE_FOREIGN, NODE_NAME, NODE_SELECTOR, NODE_TAINT, NODE_UNSERVED};

pub(super) const FAMILY: Family = Family {
    name: "nodes",
    about: "Whether the agent is there, which nodes have none, and why.",
    checks: &[&AGENT_MISSING, &NODE_TAINT, &NODE_SELECTOR, &NODE_FOREIGN, &NODE_UNSERVED, &NODE_NAME],
    look,
};

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = missing(snapshot, context).into_iter().collect();
    for agent in &snapshot.agents {
        if agent.controller.is_daemon_set() {
            findings.extend(left_out::left_out(snapshot, context, agent));
        }
        findings.extend(node_name(context, agent));
    }
    findings.extend(unserved::unserved(snapshot, context));
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

/// The Services that lead to an agent's pods.
pub(super) fn services<'a>(snapshot: &'a Snapshot, agent: &'a Agent) -> impl Iterator<Item = &'a Service> {
    let labels = &agent.controller.spec.template.metadata.labels;
    snapshot.services.items().iter().filter(move |service| {
        service.metadata.namespace == agent.namespace()
            && !service.spec.selector.is_empty()
            && crate::snapshot::meta::has_all(labels, &service.spec.selector)
    })
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
