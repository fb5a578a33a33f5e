//! Family `service`: the Service that applications send to: there, local, and leading to ports that the agent has.

use serde_json::{Value, json};

use super::nodes::services;
use super::seeing::{Seeing, at_each_agent};
use super::words::list;
use super::{Check, Context, Family, Finding, Severity};
use crate::snapshot::meta::has_all;
use crate::snapshot::pods::Container;
use crate::snapshot::services::{Service, ServicePort};
use crate::snapshot::{Agent, Snapshot};

pub(super) const FAMILY: Family = Family {
    name: "service",
    about: "The Service that applications send to: there, leading to the sender's own node, and to ports that the agent has.",
    checks: &[&MISSING, &SELECTS_NOTHING, &NOT_LOCAL, &LOCAL_DEPLOYMENT, &WRONG_PORT],
    look,
};

static MISSING: Check = Check {
    id: "service-missing",
    severity: Severity::Error,
    means: "No Service with an address leads to the agent's OTLP ports, so that applications find it by no name.",
    evidence: "The Services of the namespace, their selectors, and the labels of the agent's pods.",
    remedy: "Make it.",
};

static SELECTS_NOTHING: Check = Check {
    id: "service-selects-nothing",
    severity: Severity::Error,
    means: "A Service has the agent's name and ports, and selects none of its pods.",
    evidence: "Its selector, and the labels of the agent's pods.",
    remedy: "The labels of the pods as its selector.",
};

static NOT_LOCAL: Check = Check {
    id: "service-not-local",
    severity: Severity::Warning,
    means: "The Service leads to agents of any node: data crosses the network, and an agent does not know the pods of other nodes, \
            so that their data gets no pod attributes.",
    evidence: "`internalTrafficPolicy` and `trafficDistribution` of the Service of a DaemonSet.",
    remedy: "`internalTrafficPolicy: Local`.",
};

static LOCAL_DEPLOYMENT: Check = Check {
    id: "service-local-deployment",
    severity: Severity::Error,
    means: "The Service of a Deployment is Local: from nodes without one of its pods nothing arrives.",
    evidence: "`internalTrafficPolicy: Local` on a Service that leads to a Deployment.",
    remedy: "`internalTrafficPolicy: Cluster`.",
};

static WRONG_PORT: Check = Check {
    id: "service-wrong-port",
    severity: Severity::Error,
    means: "The Service leads to a port that the agent's container does not have.",
    evidence: "Target ports of the Service, ports of the container.",
    remedy: "The right target port.",
};

/// The ports of OTLP: name, number.
const OTLP: [(&str, u16); 2] = [("otlp-grpc", 4317), ("otlp-http", 4318)];

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    at_each_agent(snapshot, context, of_agent)
}

fn of_agent(it: &Seeing<'_>) -> Vec<Finding> {
    let Some(container) = it.agent.controller.spec.template.spec.agent() else { return Vec::new() };
    let selecting: Vec<&Service> = services(it.snapshot, it.agent).collect();
    let mut findings: Vec<Finding> =
        selecting.iter().filter_map(|service| wrong_port(it, service, container)).collect();
    // A headless Service is for whoever wants all agents: to scrape them, or to look.
    let mut for_senders = selecting.iter().filter(|service| !service.is_headless() && takes_otlp(service)).peekable();
    if for_senders.peek().is_none() {
        findings.extend(missing(it, container));
    }
    findings.extend(for_senders.filter_map(|service| wrong_policy(it, service)));
    findings
}

impl Seeing<'_> {
    /// Whether the Services of the agent's namespace were all seen.
    fn sees_services(&self) -> bool {
        let own = self.snapshot.options.namespace.as_deref().unwrap_or(crate::snapshot::NAMESPACE);
        self.snapshot.services.known().is_some()
            || (self.snapshot.services.some().is_some() && own == self.agent.namespace())
    }

    fn labels(&self) -> String {
        let labels = &self.agent.controller.spec.template.metadata.labels;
        let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        pairs.join(",")
    }
}

fn takes_otlp(service: &Service) -> bool {
    service.spec.ports.iter().any(|port| OTLP.iter().any(|(name, number)| port.port == *number || port.name == *name))
}

/// No Service for senders: one that selects nothing, or none at all.
fn missing(it: &Seeing<'_>, container: &Container) -> Option<Finding> {
    let has_host_ports = it.agent.controller.spec.template.spec.host_network
        || container.ports.iter().any(|port| OTLP.iter().any(|(_, number)| port.host_port == *number));
    if !it.sees_services() {
        return None;
    }
    let here = it.snapshot.services.items().iter().filter(|one| one.metadata.namespace == it.agent.namespace());
    let astray = here.clone().find(|service| {
        !service.is_headless()
            && takes_otlp(service)
            && !selects_a_pod(it, service)
            && names_the_agent(it.agent, service)
    });
    if let Some(service) = astray {
        return Some(selects_nothing(it, service));
    }
    // Applications that use the address of their node need no Service.
    if has_host_ports {
        return None;
    }
    let names: Vec<&str> = here.map(|service| service.metadata.name.as_str()).collect();
    let there = if names.is_empty() { "no Service".to_owned() } else { format!("the Services {}", list(&names)) };
    let name = &it.agent.controller.metadata.name;
    let ports: Vec<Value> = OTLP
        .iter()
        .filter(|(name, number)| container.port(name, *number).is_some())
        .map(|(name, number)| json!({"name": name, "port": number, "targetPort": container.port(name, *number)}))
        .collect();
    let policy = if it.agent.controller.is_daemon_set() { "Local" } else { "Cluster" };
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": name, "namespace": it.agent.namespace(), "labels": it.agent.controller.metadata.labels},
        "spec": {"selector": it.agent.controller.spec.selector.match_labels, "internalTrafficPolicy": policy, "ports": ports},
    });
    let finding = MISSING
        .found(it.agent.title(), "no Service leads to the agent".to_owned())
        .seen(format!(
            "namespace {} has {there}; the agent's pods have the labels {}",
            it.agent.namespace(),
            it.labels()
        ))
        .because(
            "Applications send to the name of a Service; without it that name does not exist, or leads elsewhere.",
        );
    if ports.is_empty() {
        return Some(
            finding.advise(
                "The container declares neither port 4317 nor 4318; render the agent anew: otel-agent manifests",
            ),
        );
    }
    Some(finding.mend(format!("echo '{service}' | {} apply -f -", it.context.kubectl), "Makes it."))
}

fn selects_a_pod(it: &Seeing<'_>, service: &Service) -> bool {
    !service.spec.selector.is_empty()
        && has_all(&it.agent.controller.spec.template.metadata.labels, &service.spec.selector)
}

/// Whether a Service that selects nothing of the agent was meant for it.
fn names_the_agent(agent: &Agent, service: &Service) -> bool {
    service.metadata.name == agent.controller.metadata.name
}

fn selects_nothing(it: &Seeing<'_>, service: &Service) -> Finding {
    let name = &service.metadata.name;
    let selector: Vec<String> = service.spec.selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    // A merge patch keeps what it does not name: what is too much has to be taken away by name.
    let wanted = &it.agent.controller.spec.selector.match_labels;
    let mut patch: serde_json::Map<String, Value> = service
        .spec
        .selector
        .keys()
        .filter(|key| !wanted.contains_key(*key))
        .map(|key| (key.clone(), Value::Null))
        .collect();
    patch.extend(wanted.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))));
    SELECTS_NOTHING
        .found(format!("service {}", service.metadata.full_name()), "it selects none of the agent's pods".to_owned())
        .seen(format!("its selector is {}", if selector.is_empty() { "empty".to_owned() } else { selector.join(",") }))
        .seen(format!("the pods of {} have the labels {}", it.agent.title(), it.labels()))
        .because("A Service leads to the pods with all labels of its selector; where there is none, each connection is refused.")
        .mend(
            it.kubectl(&format!("patch service {name} --type=merge --patch='{}'", json!({"spec": {"selector": patch}}))),
            "Selects the agent's pods.",
        )
}

fn wrong_policy(it: &Seeing<'_>, service: &Service) -> Option<Finding> {
    let name = &service.metadata.name;
    let subject = format!("service {}", service.metadata.full_name());
    let patch = |policy: &str| {
        it.kubectl(&format!("patch service {name} --patch='{}'", json!({"spec": {"internalTrafficPolicy": policy}})))
    };
    if it.agent.controller.is_daemon_set() {
        let prefers = service.spec.traffic_distribution == "PreferSameNode";
        if service.is_local() || prefers {
            return None;
        }
        return Some(
            NOT_LOCAL
                .found(subject, "what is sent to it may go to another node's agent".to_owned())
                .seen("internalTrafficPolicy is Cluster, and trafficDistribution is not PreferSameNode".to_owned())
                .seen(format!("it leads to {}, one pod on each node", it.agent.title()))
                .because(
                    "Each connection goes to any one of the agents, and an agent knows the pods of its own node alone.",
                )
                .mend(
                    patch("Local"),
                    "Keeps it on the node. A node without a ready agent then loses what is sent there.",
                ),
        );
    }
    service.is_local().then(|| {
        LOCAL_DEPLOYMENT
            .found(subject, "from most nodes nothing sent to it arrives".to_owned())
            .seen(format!("internalTrafficPolicy is Local, and it leads to {}", it.agent.title()))
            .because("Local leads to pods of the sender's own node alone, and a Deployment has none on most nodes.")
            .mend(patch("Cluster"), "Leads to its pods on every node.")
    })
}

fn wrong_port(it: &Seeing<'_>, service: &Service, container: &Container) -> Option<Finding> {
    let wrong: Vec<(usize, &ServicePort)> =
        service.spec.ports.iter().enumerate().filter(|(_, port)| !leads_somewhere(port, container)).collect();
    if wrong.is_empty() || container.ports.is_empty() {
        return None;
    }
    let ports: Vec<String> =
        container.ports.iter().map(|port| format!("{} {}", port.name, port.container_port)).collect();
    let told =
        wrong.iter().map(|(_, port)| format!("port {} {} leads to {}", port.name, port.port, shown(&port.target_port)));
    let patch: Vec<Value> = wrong
        .iter()
        .filter_map(|(index, port)| {
            let right = container.port(&port.name, port.port)?;
            Some(json!({"op": "add", "path": format!("/spec/ports/{index}/targetPort"), "value": right}))
        })
        .collect();
    let finding = WRONG_PORT
        .found(
            format!("service {}", service.metadata.full_name()),
            "it leads to a port that the agent does not have".to_owned(),
        )
        .seen_all(told)
        .seen(format!("the container has the ports {}", ports.join(", ")))
        .because(
            "A name that no port of the container has leads nowhere; a number that nothing listens on is refused.",
        );
    if patch.is_empty() {
        return Some(
            finding.advise("Give the Service a target port that the container has, or the container that port."),
        );
    }
    Some(finding.mend(
        it.kubectl(&format!("patch service {} --type=json --patch='{}'", service.metadata.name, Value::from(patch))),
        "Leads to the port of that name or number.",
    ))
}

fn leads_somewhere(port: &ServicePort, container: &Container) -> bool {
    let number = |wanted: u64| container.ports.iter().any(|one| u64::from(one.container_port) == wanted);
    match &port.target_port {
        Value::String(name) => container.ports.iter().any(|one| one.name == *name),
        Value::Number(wanted) => wanted.as_u64().is_some_and(number),
        _ => number(u64::from(port.port)),
    }
}

fn shown(port: &Value) -> String {
    port.as_str().map_or_else(|| port.to_string(), |name| format!("the name {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::played::{find, healthy, ids, seen};
    use crate::snapshot::{Seen, Unseen};

    fn with(change: impl Fn(&mut Service)) -> Vec<Finding> {
        let mut snapshot = healthy();
        change(&mut seen(&mut snapshot.services)[0]);
        find(&snapshot)
    }

    fn check(findings: &[Finding], id: &str, command: &str) {
        assert_eq!(ids(findings), [id]);
        let printed = findings[0].remedy[0].command.as_deref().unwrap();
        assert!(printed.contains(command), "{printed}");
    }

    #[test]
    fn each_fault_of_the_service_is_found() {
        check(&with(|one| one.spec.internal_traffic_policy = "Cluster".to_owned()), "service-not-local", "\"Local\"");
        let findings = with(|one| one.spec.selector = [("app".to_owned(), "agent".to_owned())].into());
        let patch = r#"{"spec":{"selector":{"app":null,"app.kubernetes.io/name":"otel-agent"}}}"#;
        check(&findings, "service-selects-nothing", patch);
        let findings = with(|one| one.spec.ports[1].target_port = json!("http"));
        check(&findings, "service-wrong-port", r#"[{"op":"add","path":"/spec/ports/1/targetPort","value":4318}]"#);
        check(&with(|one| one.spec.ports[0].target_port = json!(55680)), "service-wrong-port", "\"value\":4317");
        check(&with(|one| one.spec.cluster_ip = "None".to_owned()), "service-missing", "apply -f -");
    }

    #[test]
    fn other_ways_to_the_node_are_as_good() {
        let prefers = |one: &mut Service| {
            one.spec.internal_traffic_policy = "Cluster".to_owned();
            one.spec.traffic_distribution = "PreferSameNode".to_owned();
        };
        assert_eq!(with(prefers), []);
        let mut snapshot = healthy();
        seen(&mut snapshot.services).clear();
        let ports = &mut snapshot.agents[0].controller.spec.template.spec.containers[0].ports;
        ports.iter_mut().for_each(|port| port.host_port = port.container_port);
        assert_eq!(find(&snapshot), []);
    }

    #[test]
    fn a_service_that_was_not_seen_is_not_called_missing() {
        let mut snapshot = healthy();
        snapshot.services = Seen::Unseen(Unseen::default());
        assert_eq!(find(&snapshot), []);
    }
}
