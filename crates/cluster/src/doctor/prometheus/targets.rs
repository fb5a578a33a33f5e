//! Whether a monitor leads to the agent's metrics: the Services or the pods that it selects, and their ports.

use serde_json::{Map, Value, json};

use super::checks::{PORT, SELECTS_NOTHING, TWICE};
use super::monitor::{Asked, Monitor, labels_text};
use crate::doctor::applications::leads_to;
use crate::doctor::words::{count, list};
use crate::doctor::{Context, Finding};
use crate::snapshot::meta::Labels;
use crate::snapshot::services::Service;
use crate::snapshot::{Agent, Snapshot};

/// The port of the agent's metrics, unless something else is said.
const METRICS: (&str, u16) = ("metrics", 8888);

/// What a monitor may select to get to an agent: a Service before it, or its pods.
enum Target<'a> {
    Service(&'a Service),
    Pods,
}

/// A monitor that is to lead to an agent.
struct Way<'a> {
    context: &'a Context<'a>,
    agent: &'a Agent,
    monitor: &'a Monitor<'a>,
}

/// Whether the monitor leads to the agent's metrics; more Services than one are told.
pub(super) fn look(
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    monitor: &Monitor<'_>,
) -> Result<Option<Finding>, Box<Finding>> {
    let way = Way { context, agent, monitor };
    let own = way.targets(snapshot);
    if own.is_empty() {
        return Ok(None);
    }
    let chosen: Vec<&Target<'_>> = own.iter().filter(|target| way.selects(snapshot, target)).collect();
    if chosen.is_empty() {
        return Err(Box::new(way.selects_nothing(&own)));
    }
    let with_port: Vec<&Target<'_>> = chosen.iter().copied().filter(|target| way.finds_port(target)).collect();
    if with_port.is_empty() {
        return Err(Box::new(way.port_missing(&chosen)));
    }
    let services: Vec<&Service> = with_port.iter().filter_map(|target| target.service()).collect();
    Ok((services.len() > 1).then(|| way.twice(&services)))
}

impl<'a> Target<'a> {
    fn service(&self) -> Option<&'a Service> {
        match self {
            Target::Service(service) => Some(service),
            Target::Pods => None,
        }
    }
}

impl Way<'_> {
    fn targets<'s>(&self, snapshot: &'s Snapshot) -> Vec<Target<'s>> {
        if self.monitor.is_for_pods {
            return vec![Target::Pods];
        }
        snapshot.services.items().iter().filter(|one| leads_to(one, self.agent)).map(Target::Service).collect()
    }

    fn selects(&self, snapshot: &Snapshot, target: &Target<'_>) -> bool {
        match target {
            Target::Service(service) => self.monitor.selects(&service.metadata),
            Target::Pods => self.monitor.selects_of(snapshot, self.agent),
        }
    }

    /// `Service shop/agent`, `a pod of daemonset shop/agent`
    fn title(&self, target: &Target<'_>) -> String {
        match target {
            Target::Service(service) => format!("Service {}", service.metadata.full_name()),
            Target::Pods => format!("a pod of {}", self.agent.title()),
        }
    }

    fn labels<'s>(&'s self, target: &'s Target<'_>) -> &'s Labels {
        match target {
            Target::Service(service) => &service.metadata.labels,
            Target::Pods => &self.agent.controller.spec.template.metadata.labels,
        }
    }

    /// Those by which it is best selected: of pods, the labels that never change.
    fn selecting<'s>(&'s self, target: &'s Target<'_>) -> &'s Labels {
        match target {
            Target::Service(service) => &service.metadata.labels,
            Target::Pods => &self.agent.controller.spec.selector.match_labels,
        }
    }

    /// Names and numbers.
    fn ports<'s>(&'s self, target: &'s Target<'_>) -> Vec<(&'s str, u16)> {
        match target {
            Target::Service(service) => service.spec.ports.iter().map(|port| (port.name.as_str(), port.port)).collect(),
            Target::Pods => self.ports_of_pods(),
        }
    }

    fn ports_of_pods(&self) -> Vec<(&str, u16)> {
        let containers = self.agent.controller.spec.template.spec.containers.iter();
        containers.flat_map(|one| &one.ports).map(|port| (port.name.as_str(), port.container_port)).collect()
    }

    /// Whether one of the ports that are asked for is there.
    fn finds_port(&self, target: &Target<'_>) -> bool {
        let named = |ports: Vec<(&str, u16)>, wanted: &str| ports.iter().any(|(name, _)| *name == wanted);
        self.monitor.ports().iter().any(|asked| match asked {
            Asked::Name(name) => named(self.ports(target), name),
            Asked::OfPod(name) => named(self.ports_of_pods(), name),
            Asked::Number(number) => self.ports_of_pods().iter().any(|(_, port)| u64::from(*port) == *number),
            Asked::Any => true,
        })
    }

    fn patch(&self, patch: &Value) -> String {
        let (kubectl, namespace, monitor) = (&self.context.kubectl, self.monitor.namespace(), self.monitor.kubectl());
        format!("{kubectl} --namespace={namespace} patch {monitor} --type=merge --patch='{patch}'")
    }

    fn selects_nothing(&self, own: &[Target<'_>]) -> Finding {
        let monitor = self.monitor;
        let (kind, thing, other) =
            (monitor.kind(), monitor.thing(), if monitor.is_for_pods { "Service" } else { "pod" });
        let finding = SELECTS_NOTHING
            .found(monitor.reference(), format!("It selects no {thing} of {}", self.agent.title()))
            .seen(format!("it selects {thing}s with {} in {}", monitor.selector_text(), monitor.places()))
            .seen_all(own.iter().map(|one| format!("{} has labels {}", self.title(one), labels_text(self.labels(one)))))
            .because(format!("The selector of a {kind} is about the labels of {thing}s, not of {other}s."));
        let Some(best) = own.iter().find(|one| self.finds_port(one)).or(own.first()) else { return finding };
        // A merge patch leaves what it does not name: labels that were asked for by mistake are taken away by name.
        let mut labels: Map<String, Value> =
            monitor.selector.match_labels.keys().map(|key| (key.clone(), Value::Null)).collect();
        labels.extend(self.selecting(best).iter().map(|(key, value)| (key.clone(), json!(value))));
        let mut spec = json!({"selector": {"matchLabels": labels, "matchExpressions": null}});
        if !monitor.looks_in(self.agent.namespace()) {
            spec["namespaceSelector"] = json!({"any": null, "matchNames": [self.agent.namespace()]});
        }
        finding.mend(self.patch(&json!({"spec": spec})), format!("Selects the agent's {thing}s by their labels."))
    }

    fn port_missing(&self, chosen: &[&Target<'_>]) -> Finding {
        let monitor = self.monitor;
        let wanted: Vec<String> = monitor.ports().iter().map(ToString::to_string).collect();
        let (asks, names, cause) = if wanted.is_empty() {
            let key = monitor.endpoints_key();
            (
                "It asks for no port".to_owned(),
                format!("it has no {key}"),
                "A monitor without endpoints gives no target, and no error.".to_owned(),
            )
        } else {
            let (kind, thing) = (monitor.kind(), monitor.thing());
            (
                format!("It asks for port {}, which no {thing} of the agent has", list(&wanted)),
                format!("its endpoints name port {}", list(&wanted)),
                format!(
                    "`port` of a {kind} is the name of a port of the {thing}; one that is not there gives no target, and no error."
                ),
            )
        };
        let finding = PORT
            .found(monitor.reference(), asks)
            .seen(names)
            .seen_all(chosen.iter().map(|one| {
                let ports =
                    self.ports(one).iter().map(|(name, number)| format!("{name} ({number})")).collect::<Vec<_>>();
                let ports = if ports.is_empty() { "none".to_owned() } else { ports.join(", ") };
                format!("{} has ports {ports}", self.title(one))
            }))
            .because(cause);
        let mut ports = chosen.iter().flat_map(|one| self.ports(one)).filter(|(name, _)| !name.is_empty());
        let metrics = ports.find(|(name, number)| *name == METRICS.0 || *number == METRICS.1);
        let thing = monitor.thing();
        match (metrics, chosen.first()) {
            (Some((name, _)), _) => {
                finding.mend(self.patch(&self.asking_for(name)), format!("Names the port as the {thing} does."))
            }
            (None, Some(target)) => self.with_port(finding, target),
            (None, None) => finding,
        }
    }

    /// The patch with which every endpoint asks for that port.
    fn asking_for(&self, name: &str) -> Value {
        let key = self.monitor.endpoints_key();
        let there =
            self.monitor.object.spec.get(key).filter(|there| there.as_array().is_some_and(|one| !one.is_empty()));
        let mut endpoints = there.cloned().unwrap_or_else(|| json!([{}]));
        for endpoint in endpoints.as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            endpoint.retain(|key, _| !matches!(key.as_str(), "portNumber" | "targetPort"));
            endpoint.insert("port".to_owned(), json!(name));
        }
        json!({"spec": {key: endpoints}})
    }

    /// The command that gives what is selected the port that is asked for.
    fn with_port(&self, finding: Finding, target: &Target<'_>) -> Finding {
        let name = self.monitor.ports().into_iter().find_map(|asked| match asked {
            Asked::Name(name) | Asked::OfPod(name) => Some(name),
            Asked::Number(_) | Asked::Any => None,
        });
        let name = name.unwrap_or_else(|| METRICS.0.to_owned());
        let kubectl = |namespace: &str| format!("{} --namespace={namespace}", self.context.kubectl);
        match target {
            Target::Service(service) => {
                let port = json!([{"op": "add", "path": "/spec/ports/-",
                    "value": {"name": name, "port": METRICS.1, "targetPort": METRICS.1}}]);
                let (namespace, service) = (&service.metadata.namespace, &service.metadata.name);
                finding.mend(
                    format!("{} patch service {service} --type=json --patch='{port}'", kubectl(namespace)),
                    "Adds the port to the Service.",
                )
            }
            Target::Pods => {
                let Some(container) = self.agent.controller.spec.template.spec.agent() else { return finding };
                let port = json!([{"name": name, "containerPort": METRICS.1, "protocol": "TCP"}]);
                let containers = json!([{"name": container.name, "ports": port}]);
                let patch = json!({"spec": {"template": {"spec": {"containers": containers}}}});
                let (kubectl, reference) = (kubectl(self.agent.namespace()), self.agent.controller.reference());
                finding.mend(
                    format!("{kubectl} patch {reference} --patch='{patch}'"),
                    "Names the port of the container. Its pods are replaced, one after another.",
                )
            }
        }
    }

    fn twice(&self, services: &[&Service]) -> Finding {
        let monitor = self.monitor;
        let names: Vec<&str> = services.iter().map(|service| service.metadata.name.as_str()).collect();
        let best = services.iter().find(|service| service.is_headless()).or(services.first());
        let other = services.iter().find(|service| best.is_none_or(|best| best.metadata.name != service.metadata.name));
        let finding =
            TWICE
                .found(
                    monitor.reference(),
                    format!("It selects {}: {}", count(services.len(), "Service"), names.join(", ")),
                )
                .seen_all(services.iter().map(|service| {
                    format!("Service {} matches {}", service.metadata.full_name(), monitor.selector_text())
                }))
                .because("Each Service gives all pods as targets, so every series is there several times.");
        let Some(other) = other else { return finding };
        let gone: Map<String, Value> =
            monitor.selector.match_labels.keys().take(1).map(|key| (key.clone(), Value::Null)).collect();
        let patch = json!({"metadata": {"labels": gone}});
        let (kubectl, namespace, name) = (&self.context.kubectl, &other.metadata.namespace, &other.metadata.name);
        finding.mend(
            format!("{kubectl} --namespace={namespace} patch service {name} --type=merge --patch='{patch}'"),
            format!("Takes a label that is selected by away from Service {name}."),
        )
    }
}
