//! Whether a monitor leads to the agent's metrics: the Services that it selects, and their ports.

use serde_json::{Value, json};

use super::checks::{PORT, SELECTS_NOTHING, TWICE};
use super::gates::{self, Monitor};
use crate::doctor::applications::leads_to;
use crate::doctor::words::{count, list};
use crate::doctor::{Context, Finding};
use crate::snapshot::services::Service;
use crate::snapshot::{Agent, Snapshot};

/// Whether the monitor leads to the agent's metrics; more Services than one are told.
pub(super) fn look(
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    monitor: &Monitor<'_>,
) -> Result<Option<Finding>, Box<Finding>> {
    let kubectl = format!("{} --namespace={}", context.kubectl, monitor.namespace());
    let subject = monitor.reference();
    let patch = |patch: Value| format!("{kubectl} patch {} --type=merge --patch='{patch}'", monitor.kubectl());
    if monitor.is_for_pods {
        return Ok(None);
    }
    let own = snapshot.services.items().iter().filter(|service| leads_to(service, agent));
    let own: Vec<&Service> = own.collect();
    let names =
        |services: &[&Service]| services.iter().map(|service| service.metadata.name.clone()).collect::<Vec<_>>();
    let chosen: Vec<&Service> = own.iter().copied().filter(|service| monitor.selects(&service.metadata)).collect();
    if chosen.is_empty() {
        if own.is_empty() {
            return Ok(None);
        }
        let best = own.iter().find(|service| gates::has_port(service, &monitor.ports())).or(own.first());
        let labels = best.map(|service| &service.metadata.labels).filter(|labels| !labels.is_empty());
        let mut spec = json!({"selector": {"matchLabels": labels, "matchExpressions": null}});
        if !monitor.looks_in(agent.namespace()) {
            spec["namespaceSelector"] = json!({"any": null, "matchNames": [agent.namespace()]});
        }
        let finding = SELECTS_NOTHING
            .found(subject, format!("It selects no Service of {}", agent.title()))
            .seen(format!("it selects Services with {} in {}", monitor.selector_text(), monitor.places()))
            .seen_all(own.iter().map(|service| {
                format!(
                    "Service {} has labels {}",
                    service.metadata.full_name(),
                    gates::labels_text(&service.metadata.labels)
                )
            }))
            .because("The selector of a ServiceMonitor is about the labels of Services, not of pods.")
            .mend(patch(json!({"spec": spec})), "Selects the agent's Service by its labels.");
        return Err(Box::new(finding));
    }
    let with_port: Vec<&Service> =
        chosen.iter().copied().filter(|service| gates::has_port(service, &monitor.ports())).collect();
    if with_port.is_empty() {
        let wanted = monitor.ports();
        let mut finding = PORT
            .found(subject, format!("It asks for port {}, which no Service of the agent has", list(&wanted)))
            .seen(format!("its endpoints name port {}", list(&wanted)))
            .seen_all(chosen.iter().map(|service| {
                let ports: Vec<String> = service.spec.ports.iter().map(|port| format!("{} ({})", port.name, port.port)).collect();
                format!("Service {} has ports {}", service.metadata.full_name(), ports.join(", "))
            }))
            .because("`port` of a ServiceMonitor is the name of a port of the Service; one that is not there gives no target, and no error.");
        let named = chosen
            .iter()
            .flat_map(|service| &service.spec.ports)
            .find(|port| port.name == "metrics" || port.port == 8888);
        finding = match (named, chosen.first()) {
            (Some(port), _) => {
                let mut endpoints = monitor.object.spec.get("endpoints").cloned().unwrap_or_else(|| json!([{}]));
                for endpoint in endpoints.as_array_mut().into_iter().flatten() {
                    endpoint["port"] = json!(port.name);
                }
                finding.mend(patch(json!({"spec": {"endpoints": endpoints}})), "Names the port as the Service does.")
            }
            (None, Some(service)) => {
                let port = json!([{"op": "add", "path": "/spec/ports/-",
                    "value": {"name": wanted.first().cloned().unwrap_or_else(|| "metrics".to_owned()), "port": 8888, "targetPort": 8888}}]);
                finding.mend(
                    format!(
                        "{} --namespace={} patch service {} --type=json --patch='{port}'",
                        context.kubectl, service.metadata.namespace, service.metadata.name
                    ),
                    "Adds the port to the Service.",
                )
            }
            (None, None) => finding,
        };
        return Err(Box::new(finding));
    }
    Ok((with_port.len() > 1).then(|| {
        let best = with_port.iter().find(|service| service.is_headless()).or(with_port.first());
        let other =
            with_port.iter().find(|service| best.is_none_or(|best| best.metadata.name != service.metadata.name));
        let finding =
            TWICE
                .found(
                    subject,
                    format!("It selects {}: {}", count(with_port.len(), "Service"), names(&with_port).join(", ")),
                )
                .seen_all(with_port.iter().map(|service| {
                    format!("Service {} matches {}", service.metadata.full_name(), monitor.selector_text())
                }))
                .because("Each Service gives all pods as targets, so every series is there several times.");
        match other {
            Some(other) => {
                let gone: serde_json::Map<String, Value> =
                    monitor.selector.match_labels.keys().take(1).map(|key| (key.clone(), Value::Null)).collect();
                let patch = json!({"metadata": {"labels": gone}});
                finding.mend(
                    format!(
                        "{} --namespace={} patch service {} --type=merge --patch='{patch}'",
                        context.kubectl, other.metadata.namespace, other.metadata.name
                    ),
                    format!("Takes a label that is selected by away from Service {}.", other.metadata.name),
                )
            }
            None => finding,
        }
    }))
}
