//! Where the old collector is reached, and where an address leads.

use serde_json::Value;

use super::Target;
use super::applications::Change;
use super::found::{Found, Service};
use super::objects::{containers, list, text};

/// Where a value leads.
pub(super) enum Leads {
    /// Somewhere else.
    Elsewhere,
    /// To the agent already.
    ToAgent,
    /// To the old collector; this is the value that leads to the agent.
    ToOld(String),
    /// To the old collector, on a port that is not OTLP.
    ToOldOtherwise,
}

/// What stands for the address of the node that a pod is on.
const NODE: &str = "node.of.the.pod";

/// Where the old collector is reached, and the agent.
pub(super) struct Address<'a> {
    found: &'a Found,
    pub(super) target: &'a Target,
    /// Signals that the agent would not take.
    stay: &'a [String],
    /// Ports of the containers for gRPC and HTTP.
    otlp: [u16; 2],
}

impl<'a> Address<'a> {
    pub(super) fn of(found: &'a Found, target: &'a Target, stay: &'a [String]) -> Self {
        let port = |protocol: &str, usual: u16| {
            let receivers = found.config.get("receivers").and_then(Value::as_object).into_iter().flatten();
            let mut otlp = receivers.filter(|(id, _)| id.split('/').next() == Some("otlp"));
            let place = format!("/protocols/{protocol}/endpoint");
            let written =
                otlp.find_map(|(_, settings)| settings.pointer(&place)?.as_str()?.rsplit(':').next()?.parse().ok());
            written.unwrap_or(usual)
        };
        Self { found, target, stay, otlp: [port("grpc", 4317), port("http", 4318)] }
    }

    /// Whether a variable is for a signal that the agent would not take.
    pub(super) fn stays(&self, variable: &str) -> bool {
        self.stay.iter().any(|signal| variable == signal_endpoint(signal))
    }

    /// What keeps the signals that the agent would not take where they are, when the variable for all of them moves.
    pub(super) fn kept(&self, variable: &str, raw: &str, value: &str) -> Vec<Change> {
        if variable != "OTEL_EXPORTER_OTLP_ENDPOINT" {
            return Vec::new();
        }
        // Over HTTP the variable of a signal is the whole URL.
        let is_http = matches!(self.leads(value, &self.found.namespace), Leads::ToOld(to) if to.contains(":4318"));
        let raw = raw.trim().trim_end_matches('/');
        let kept = |signal: &String| {
            let to = if is_http { format!("{raw}/v1/{signal}") } else { raw.to_owned() };
            Change { name: signal_endpoint(signal), from: String::new(), to }
        };
        self.stay.iter().map(kept).collect()
    }

    pub(super) fn leads(&self, value: &str, space: &str) -> Leads {
        let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.chars().all(|c| c.is_ascii_digit()) && !port.is_empty() => {
                (host, port.parse().ok())
            }
            _ => (authority, None),
        };
        let port = port.unwrap_or(if scheme == "https" { 443 } else { 80 });
        let name = &self.target.name;
        let agent = [name.clone(), format!("{name}.{}", self.target.namespace)];
        if host.starts_with(&format!("{}.", agent[1]))
            || host == agent[1]
            || (host == agent[0] && space == self.target.namespace)
        {
            return Leads::ToAgent;
        }
        let Some(container_port) = self.behind(host, port, space) else { return Leads::Elsewhere };
        let new_port = match self.otlp.iter().position(|own| *own == container_port) {
            Some(0) => 4317,
            Some(_) => 4318,
            None => return Leads::ToOldOtherwise,
        };
        let scheme = if scheme.is_empty() { String::new() } else { format!("{scheme}://") };
        Leads::ToOld(format!("{scheme}{}:{new_port}{path}", self.target.host()))
    }

    /// The port of the old collector's container that an address leads to.
    fn behind(&self, host: &str, port: u16, space: &str) -> Option<u16> {
        if host == NODE {
            let ports = containers(&self.found.template).flat_map(|container| list(container, "/ports"));
            let mut on_host = ports.filter(|own| super::found::number(own.get("hostPort")) == Some(port));
            return on_host.next().and_then(|own| super::found::number(own.get("containerPort")));
        }
        let service = self.found.services.iter().find(|service| self.is_host_of(service, host, space))?;
        // An address without a Service's port does not work today either; it is theirs all the same.
        Some(service.ports.iter().find(|(own, _)| *own == port).map_or(port, |(_, target)| *target))
    }

    fn is_host_of(&self, service: &Service, host: &str, space: &str) -> bool {
        let full = format!("{}.{}", service.name, self.found.namespace);
        let rest = host.strip_prefix(&full);
        (!service.cluster_ip.is_empty() && host == service.cluster_ip)
            || (host == service.name && space == self.found.namespace)
            || rest.is_some_and(|rest| rest.is_empty() || rest == ".svc" || rest.starts_with(".svc."))
    }

    /// Whether a word of a command holds the old address somewhere.
    pub(super) fn mentions(&self, word: &str, space: &str) -> bool {
        let parts = word.split(['=', ',', '"', '\'', ' ']);
        parts
            .filter(|part| part.contains(':') || part.contains('.'))
            .any(|part| matches!(self.leads(part, space), Leads::ToOld(_) | Leads::ToOldOtherwise))
    }
}

fn signal_endpoint(signal: &str) -> String {
    format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.to_uppercase())
}

/// `$(NAME)` as Kubernetes expands it; the address of the node becomes a word of ours.
pub(super) fn expanded(value: &str, variables: &[Value]) -> String {
    let mut out = value.to_owned();
    for variable in variables {
        let written = format!("$({})", text(variable, "/name"));
        if text(variable, "/valueFrom/fieldRef/fieldPath") == "status.hostIP" {
            out = out.replace(&written, NODE);
        } else if let Some(value) = variable.get("value").and_then(Value::as_str) {
            out = out.replace(&written, value);
        }
    }
    out
}
