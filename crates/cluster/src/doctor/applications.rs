//! Family `applications`: applications that point at a wrong port, protocol, name or place.
//!
//! What is read is the `OTEL_EXPORTER_OTLP_…` variables of templates. What an application sets in its own code is not seen.

mod checks;
mod endpoint;

use serde_json::{Value, json};

use super::{Check, Context, Family, Finding};
use crate::snapshot::controllers::Controller;
use crate::snapshot::services::{Service, ServicePort};
use crate::snapshot::{Agent, Snapshot};
use checks::{DNS_POLICY, HEADLESS, HOST_PORT, NO_PORT, OTHER_COLLECTOR, PROTOCOL, TLS, UNKNOWN_SERVICE};
use endpoint::{Endpoint, Host, endpoints};

pub(super) const FAMILY: Family = Family {
    name: "applications",
    about: "Whether applications send to a name, port and protocol that the agent answers to.",
    checks: &[&UNKNOWN_SERVICE, &NO_PORT, &PROTOCOL, &TLS, &HEADLESS, &HOST_PORT, &DNS_POLICY, &OTHER_COLLECTOR],
    look,
};

const GRPC: u16 = 4317;
const HTTP: u16 = 4318;

/// The agent's way in: what an application should be told.
struct Door<'a> {
    agent: &'a Agent,
    service: &'a Service,
    /// `otel-agent.open-telemetry.svc`
    host: String,
}

/// A template and one of its endpoints.
struct Case<'a> {
    controller: &'a Controller,
    endpoint: &'a Endpoint,
    kubectl: &'a str,
}

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    let Some(door) = door(snapshot) else { return Vec::new() };
    let controllers = snapshot.daemon_sets.items().iter().chain(snapshot.deployments.items());
    let mut findings = Vec::new();
    for controller in controllers.chain(snapshot.stateful_sets.items()) {
        if is_agent(snapshot, controller) {
            continue;
        }
        for endpoint in endpoints(snapshot, controller) {
            let case = Case { controller, endpoint: &endpoint, kubectl: &context.kubectl };
            findings.extend(judge(snapshot, &door, &case));
        }
    }
    findings
}

/// Whether a controller is one of the agents.
pub(super) fn is_agent(snapshot: &Snapshot, controller: &Controller) -> bool {
    let same =
        |one: &Controller| one.kind == controller.kind && one.metadata.full_name() == controller.metadata.full_name();
    snapshot.agents.iter().any(|agent| same(&agent.controller))
}

/// The Service with an address of its own that leads to an agent.
fn door(snapshot: &Snapshot) -> Option<Door<'_>> {
    snapshot.agents.iter().find_map(|agent| {
        let mut services = snapshot.services.items().iter().filter(|service| leads_to(service, agent));
        let service = services.find(|service| !service.is_headless() && (has(service, GRPC) || has(service, HTTP)))?;
        let host = format!("{}.{}.svc", service.metadata.name, service.metadata.namespace);
        Some(Door { agent, service, host })
    })
}

/// Whether a Service leads to the pods of an agent.
pub(super) fn leads_to(service: &Service, agent: &Agent) -> bool {
    let selector = &service.spec.selector;
    service.metadata.namespace == agent.namespace()
        && !selector.is_empty()
        && crate::snapshot::meta::has_all(&agent.controller.spec.template.metadata.labels, selector)
}

fn has(service: &Service, number: u16) -> bool {
    service.spec.ports.iter().any(|port| port.port == number)
}

fn judge(snapshot: &Snapshot, door: &Door<'_>, case: &Case<'_>) -> Vec<Finding> {
    let name = match &case.endpoint.host {
        Host::Node => return host_port(door, case).into_iter().collect(),
        Host::Unclear => return Vec::new(),
        Host::Name(name) => name,
    };
    let Some((namespace, service)) = in_cluster(snapshot, &case.controller.metadata.namespace, name) else {
        return Vec::new();
    };
    let found = snapshot.services.items().iter();
    let found = found.into_iter().find(|one| one.metadata.name == service && one.metadata.namespace == namespace);
    let mut findings: Vec<Finding> = dns_policy(case).into_iter().collect();
    match found {
        None if snapshot.services.known().is_some() => {
            findings.push(unknown_service(snapshot, door, case, &namespace, &service));
        }
        None => {}
        Some(found) => match snapshot.agents.iter().find(|agent| leads_to(found, agent)) {
            Some(agent) => findings.extend(at_the_agent(door, case, agent, found)),
            None => findings.extend(other_collector(door, case, found)),
        },
    }
    findings
}

/// Namespace and name of the Service that a host means: within a cluster, or nothing that can be said.
fn in_cluster(snapshot: &Snapshot, own: &str, host: &str) -> Option<(String, String)> {
    if host.parse::<std::net::IpAddr>().is_ok() || host == "localhost" {
        return None;
    }
    let labels: Vec<&str> = host.trim_end_matches('.').split('.').collect();
    let is_namespace = |name: &str| snapshot.namespaces.items().iter().any(|namespace| namespace.metadata.name == name);
    match labels.as_slice() {
        [service] => Some((own.to_owned(), (*service).to_owned())),
        // With two it may as well be a host of the world outside.
        [service, namespace] if is_namespace(namespace) => Some(((*namespace).to_owned(), (*service).to_owned())),
        [service, namespace, "svc", ..] => Some(((*namespace).to_owned(), (*service).to_owned())),
        _ => None,
    }
}

fn at_the_agent(door: &Door<'_>, case: &Case<'_>, agent: &Agent, service: &Service) -> Vec<Finding> {
    let endpoint = case.endpoint;
    let ports = &service.spec.ports;
    let Some(port) = ports.iter().find(|port| port.port == endpoint.port()) else {
        return vec![no_port(door, case, service)];
    };
    let mut findings = Vec::new();
    if let (Some(takes), Some(speaks)) = (takes_grpc(port), endpoint.is_grpc())
        && takes != speaks
    {
        findings.push(protocol(door, case, service, port, speaks));
    } else if endpoint.scheme == "https" && takes_plain_text(agent) {
        findings.push(tls(door, case, service));
    }
    if service.is_headless() && findings.is_empty() {
        findings.push(headless(door, case, service));
    }
    findings
}

/// What a port of the Service leads to: gRPC, HTTP, or none of both.
fn takes_grpc(port: &ServicePort) -> Option<bool> {
    let target = port.target_port.as_str().unwrap_or_default();
    let number = port.target_port.as_u64();
    let is = |name: &str, usual: u16| {
        port.name == name
            || target == name
            || number == Some(usual.into())
            || (port.target_port.is_null() && port.port == usual)
    };
    match (is("otlp-grpc", GRPC), is("otlp-http", HTTP)) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// No receiver has a certificate.
fn takes_plain_text(agent: &Agent) -> bool {
    let text = agent.configuration.some().and_then(Option::as_ref).map(|configuration| configuration.text.as_str());
    text.is_some_and(|text| {
        let receivers = text.split_once("receivers:").map_or(text, |(_, rest)| rest);
        let receivers = receivers.split("\nprocessors:").next().unwrap_or_default();
        let receivers = receivers.split("\nexporters:").next().unwrap_or_default();
        !receivers.contains("cert_")
    })
}

impl Case<'_> {
    fn subject(&self) -> String {
        format!("{} {}", self.controller.kind.to_lowercase(), self.controller.metadata.full_name())
    }

    fn found(&self, check: &Check, title: impl Into<String>) -> Finding {
        let endpoint = self.endpoint;
        let protocol = match &endpoint.protocol {
            Some(protocol) => format!(" with OTEL_EXPORTER_OTLP_PROTOCOL={protocol}"),
            None => String::new(),
        };
        let from = match &endpoint.origin {
            Some((map, key)) => format!(" (key {key} of ConfigMap {map})"),
            None => String::new(),
        };
        check.found(self.subject(), title).seen(format!(
            "container {} has {}={}{from}{protocol}",
            endpoint.container, endpoint.variable, endpoint.value
        ))
    }

    /// The command that makes it send to the agent.
    fn towards(&self, door: &Door<'_>) -> String {
        let wanted = match self.endpoint.is_grpc() {
            Some(true) => GRPC,
            Some(false) => HTTP,
            None if self.endpoint.port() == GRPC => GRPC,
            None => HTTP,
        };
        let kind = if wanted == GRPC { "otlp-grpc" } else { "otlp-http" };
        let ports = &door.service.spec.ports;
        let port =
            ports.iter().find(|port| port.name == kind).or_else(|| ports.iter().find(|port| port.port == wanted));
        let value = self.endpoint.at(&door.host, port.map_or(wanted, |port| port.port));
        self.endpoint.change(self.kubectl, self.controller, &value)
    }
}

/// `4317 (otlp-grpc), 4318 (otlp-http)`.
fn ports(service: &Service) -> String {
    let text = |port: &ServicePort| match port.name.as_str() {
        "" => port.port.to_string(),
        name => format!("{} ({name})", port.port),
    };
    service.spec.ports.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn unknown_service(snapshot: &Snapshot, door: &Door<'_>, case: &Case<'_>, namespace: &str, service: &str) -> Finding {
    let same_name = snapshot.services.items().iter().filter(|one| one.metadata.name == service);
    let elsewhere: Vec<&str> = same_name.map(|one| one.metadata.namespace.as_str()).collect();
    let cause = if elsewhere.is_empty() {
        let near = strsim::jaro_winkler(service, &door.service.metadata.name) > 0.8;
        let guess = if near { format!(" Is {} meant?", door.host) } else { String::new() };
        format!("The name does not resolve, so every export fails.{guess}")
    } else {
        format!(
            "The name does not resolve, so every export fails: without a namespace a name means the application's own; \
             {service} is in {}.",
            elsewhere.join(", ")
        )
    };
    case.found(
        &UNKNOWN_SERVICE,
        format!("It sends to a Service that does not exist: {service} in namespace {namespace}"),
    )
    .seen(format!("namespace {namespace} has no Service {service}"))
    .because(cause)
    .mend(case.towards(door), "Sends to the agent of its own node. Its pods are restarted.")
}

fn no_port(door: &Door<'_>, case: &Case<'_>, service: &Service) -> Finding {
    let port = case.endpoint.port();
    let written = if case.endpoint.port.is_some() { "" } else { ", which is what no port means" };
    case.found(&NO_PORT, format!("It sends to port {port}, which Service {} does not have", service.metadata.name))
        .seen(format!("Service {} has ports {}", service.metadata.full_name(), ports(service)))
        .because(format!("Nothing answers at port {port}{written}."))
        .mend(case.towards(door), "Sends to the port of its protocol. Its pods are restarted.")
}

fn protocol(door: &Door<'_>, case: &Case<'_>, service: &Service, port: &ServicePort, grpc: bool) -> Finding {
    let (speaks, takes) = if grpc { ("gRPC", "HTTP") } else { ("HTTP", "gRPC") };
    case.found(&PROTOCOL, format!("It speaks {speaks} to port {}, which takes OTLP over {takes}", port.port))
        .seen(format!("Service {} has ports {}", service.metadata.full_name(), ports(service)))
        .because(format!("The agent refuses {speaks} at the port for {takes}: nothing of this application arrives."))
        .mend(case.towards(door), format!("Sends to the port for {speaks}. Its pods are restarted."))
}

fn tls(door: &Door<'_>, case: &Case<'_>, service: &Service) -> Finding {
    case.found(&TLS, format!("It speaks TLS to Service {}, which takes plain text", service.metadata.name))
        .seen(format!("no receiver of {} has a certificate", door.agent.title()))
        .because("The agent takes the first bytes of TLS for a broken request and closes the connection.")
        .mend(case.towards(door), "Sends in plain text to the agent of its own node. Its pods are restarted.")
}

fn headless(door: &Door<'_>, case: &Case<'_>, service: &Service) -> Finding {
    case.found(&HEADLESS, format!("It sends to the headless Service {}", service.metadata.name))
        .seen(format!(
            "Service {} has clusterIP: None, and leads to {}",
            service.metadata.full_name(),
            door.agent.title()
        ))
        .because(
            "Its name gives the addresses of all agents, and the application stays with one of them, mostly on another \
             node, which does not know its pod: no Kubernetes attributes are added.",
        )
        .mend(case.towards(door), "Sends to the agent of its own node. Its pods are restarted.")
}

fn host_port(door: &Door<'_>, case: &Case<'_>) -> Option<Finding> {
    let number = case.endpoint.port();
    let spec = &door.agent.controller.spec.template.spec;
    let served = spec
        .containers
        .iter()
        .flat_map(|container| &container.ports)
        .any(|port| port.host_port == number || (spec.host_network && port.container_port == number));
    (!served).then(|| {
        case.found(&HOST_PORT, format!("It sends to port {number} of its node, where no agent listens"))
            .seen(format!("{} has no host port {number}, and is not on the host's network", door.agent.title()))
            .because("The node refuses the connection: an agent without a host port is only reached by its Service.")
            .mend(case.towards(door), "Sends to the Service, which stays on the node as well. Its pods are restarted.")
            .advise("Or give the agent host ports: otel-agent manifests --routing=host-port")
    })
}

fn dns_policy(case: &Case<'_>) -> Option<Finding> {
    let spec = &case.controller.spec.template.spec;
    let asks_node = spec.host_network && matches!(spec.dns_policy.as_str(), "" | "ClusterFirst");
    let (namespace, reference) = (&case.controller.metadata.namespace, case.controller.reference());
    let patch: Value = json!({"spec": {"template": {"spec": {"dnsPolicy": "ClusterFirstWithHostNet"}}}});
    asks_node.then(|| {
        case.found(&DNS_POLICY, "It is on the host's network and cannot resolve the names of Services")
            .seen("hostNetwork: true, dnsPolicy: ClusterFirst")
            .because(
                "With the host's network, ClusterFirst means the node's own DNS, which does not know cluster names.",
            )
            .mend(
                format!(
                    "{} --namespace={namespace} patch {reference} --type=strategic --patch='{patch}'",
                    case.kubectl
                ),
                "Asks the DNS of the cluster. Its pods are restarted.",
            )
    })
}

fn other_collector(door: &Door<'_>, case: &Case<'_>, service: &Service) -> Option<Finding> {
    let speaks_otlp = has(service, GRPC) || has(service, HTTP);
    (speaks_otlp && has(service, case.endpoint.port())).then(|| {
        case.found(&OTHER_COLLECTOR, format!("It sends to {}, not to the agent", service.metadata.full_name()))
            .seen(format!(
                "Service {} has ports {}, and does not lead to {}",
                service.metadata.full_name(),
                ports(service),
                door.agent.title()
            ))
            .because("It is from before the agent, or is meant to send there.")
            .mend(case.towards(door), "Sends to the agent of its own node. Its pods are restarted.")
            .advise("For all applications, with both running until nothing arrives at the old one: otel-agent migrate")
    })
}

#[cfg(test)]
mod tests;
