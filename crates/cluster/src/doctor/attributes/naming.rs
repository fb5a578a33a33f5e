//! Senders that are to name their own pod, since their address does not tell it: the commands for them, and the place in the
//! agent's configuration where it looks at what they say.

use serde_json::json;

use crate::doctor::applications::is_agent;
use crate::doctor::{Context, Finding};
use crate::snapshot::controllers::Controller;
use crate::snapshot::{Agent, Snapshot};

/// Commands that let applications name their own pod.
pub(super) fn named_by_senders(
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    finding: Finding,
    concerned: impl Fn(&Controller) -> bool,
) -> Finding {
    /// Of more only the first; the shape of the command is clear by then.
    const SHOWN: usize = 5;
    let controllers = snapshot.daemon_sets.items().iter().chain(snapshot.deployments.items());
    let controllers = controllers.chain(snapshot.stateful_sets.items()).filter(|controller| concerned(controller));
    let mut finding = looked_at(context, agent, finding);
    let mut shown = 0;
    for controller in controllers.filter(|controller| !is_agent(snapshot, controller)) {
        for container in &controller.spec.template.spec.containers {
            let sends = container.env.iter().any(|variable| variable.name.starts_with("OTEL_EXPORTER_OTLP"));
            let named = container.env.iter().find(|variable| variable.name == "OTEL_RESOURCE_ATTRIBUTES");
            if !sends || named.is_some_and(|one| one.value.contains("k8s.pod.uid")) || shown == SHOWN {
                continue;
            }
            shown += 1;
            let before = named.map(|one| format!("{},", one.value)).filter(|value| value.len() > 1).unwrap_or_default();
            let env = json!([
                {"name": "K8S_POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
                {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": format!("{before}k8s.pod.uid=$(K8S_POD_UID)")},
            ]);
            let patch = json!({"spec": {"template": {"spec": {"containers": [{"name": container.name, "env": env}]}}}});
            finding = finding.mend(
                format!(
                    "{} --namespace={} patch {} --type=strategic --patch='{patch}'",
                    context.kubectl,
                    controller.metadata.namespace,
                    controller.reference()
                ),
                "Lets it name its own pod, which is looked at before the address. Its pods are restarted.",
            );
        }
    }
    if shown == 0 {
        finding = finding.advise(
            "Let senders set k8s.pod.uid in OTEL_RESOURCE_ATTRIBUTES, from the downward API (metadata.uid), or send to the Service.",
        );
    }
    finding
}

/// Tells to look at what senders say of themselves, if the configuration does not: what they say is in vain before.
fn looked_at(context: &Context<'_>, agent: &Agent, finding: Finding) -> Finding {
    let understood = context.understood(agent).unwrap_or_default();
    let Some(configuration) = agent.configuration.some().and_then(Option::as_ref) else { return finding };
    let (namespace, map) = (agent.namespace(), &configuration.config_map);
    understood.not_by_uid.iter().fold(finding, |finding, one| {
        let key = format!("processors::{}::pod_association", one.processor);
        let by_uid = "{sources: [{from: resource_attribute, name: k8s.pod.uid}]}";
        let (seen, write) = match one.is_listed {
            true => (format!("{key} has no entry for k8s.pod.uid"), format!("put in front of the entries: - {by_uid}")),
            false => (
                format!("there is no {key}: pods are found by addresses alone"),
                format!(
                    "write: pod_association: [{by_uid}, {{sources: [{{from: resource_attribute, name: k8s.pod.ip}}]}}, \
                     {{sources: [{{from: connection}}]}}]"
                ),
            ),
        };
        finding.seen(seen).mend(
            format!("{} --namespace={namespace} edit configmap {map}", context.kubectl),
            format!(
                "First let the agent look at k8s.pod.uid; without it what senders say of themselves is in vain. In {key} {write}"
            ),
        )
    })
}
