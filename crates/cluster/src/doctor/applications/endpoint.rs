//! Where an application sends to: the `OTEL_EXPORTER_OTLP_…` variables of its template, put together.

use serde_json::{Value, json};

use crate::snapshot::Snapshot;
use crate::snapshot::controllers::Controller;
use crate::snapshot::pods::Container;

/// What one variable makes a container send to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Endpoint {
    pub(super) container: String,
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`, or the one of a signal.
    pub(super) variable: String,
    /// As it is written.
    pub(super) value: String,
    /// `http`, `https`; empty if it has none.
    pub(super) scheme: String,
    pub(super) host: Host,
    pub(super) port: Option<u16>,
    /// With its slash; empty if it has none.
    pub(super) path: String,
    /// `grpc`, `http/protobuf`, `http/json`; none if nothing says it, since the default depends on the language.
    pub(super) protocol: Option<String>,
    /// The ConfigMap and the key that it is taken from; none if it is written in the template.
    pub(super) origin: Option<(String, String)>,
}

/// What it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// A name or an address.
    Name(String),
    /// The address of the node, by the downward API.
    Node,
    /// A variable whose value is not known.
    Unclear,
}

const PREFIX: &str = "OTEL_EXPORTER_OTLP";

/// All that the containers of a template send to.
pub(super) fn endpoints(snapshot: &Snapshot, controller: &Controller) -> Vec<Endpoint> {
    let containers = controller.spec.template.spec.containers.iter();
    containers.flat_map(|container| of_container(snapshot, controller, container)).collect()
}

fn of_container(snapshot: &Snapshot, controller: &Controller, container: &Container) -> Vec<Endpoint> {
    let look_up = |name: &str| value_of(snapshot, &controller.metadata.namespace, container, name);
    let mut found = Vec::new();
    for signal in ["", "_TRACES", "_METRICS", "_LOGS"] {
        let variable = format!("{PREFIX}{signal}_ENDPOINT");
        let Some((value, origin)) = look_up(&variable).filter(|(value, _)| !value.trim().is_empty()) else { continue };
        let protocol =
            look_up(&format!("{PREFIX}{signal}_PROTOCOL")).or_else(|| look_up(&format!("{PREFIX}_PROTOCOL")));
        let (scheme, host, port, path) = parts(value.trim());
        let host = host_of(container, host);
        found.push(Endpoint {
            container: container.name.clone(),
            variable,
            scheme: scheme.to_ascii_lowercase(),
            host,
            port,
            path: path.to_owned(),
            protocol: protocol.map(|(protocol, _)| protocol.trim().to_ascii_lowercase()),
            origin,
            value,
        });
    }
    found
}

type Found = (String, Option<(String, String)>);

/// The value of a variable: written, of a key of a ConfigMap, or of a whole ConfigMap.
fn value_of(snapshot: &Snapshot, namespace: &str, container: &Container, name: &str) -> Option<Found> {
    let map = |map: &str| snapshot.config_maps.get(&(namespace.to_owned(), map.to_owned()))?.as_ref();
    if let Some(variable) = container.env.iter().find(|variable| variable.name == name) {
        let Some(source) = &variable.value_from else { return Some((variable.value.clone(), None)) };
        let reference = source.config_map_key_ref.as_ref()?;
        let value = map(&reference.name)?.get(&reference.key)?.clone();
        return Some((value, Some((reference.name.clone(), reference.key.clone()))));
    }
    // Of several the last one counts.
    container.env_from.iter().rev().find_map(|from| {
        let reference = from.config_map_ref.as_ref()?;
        let key = name.strip_prefix(&from.prefix)?;
        let value = map(&reference.name)?.get(key)?.clone();
        Some((value, Some((reference.name.clone(), key.to_owned()))))
    })
}

/// Scheme, host, port and path.
fn parts(value: &str) -> (&str, &str, Option<u16>, &str) {
    let (scheme, rest) = value.split_once("://").unwrap_or(("", value));
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    (scheme, host.trim_matches(['[', ']']), port, path)
}

fn host_of(container: &Container, host: &str) -> Host {
    let Some(variable) = host.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')')) else {
        return if host.contains("$(") { Host::Unclear } else { Host::Name(host.to_ascii_lowercase()) };
    };
    let found = container.env.iter().find(|one| one.name == variable);
    let field = found.and_then(|one| one.value_from.as_ref()?.field_ref.as_ref());
    match (found, field) {
        (_, Some(field)) if field.field_path == "status.hostIP" => Host::Node,
        (Some(one), None) if one.value_from.is_none() && !one.value.contains("$(") => {
            Host::Name(one.value.to_ascii_lowercase())
        }
        _ => Host::Unclear,
    }
}

impl Endpoint {
    /// The port that it means: the one written, or that of its scheme, as SDKs take it.
    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(if self.scheme == "https" { 443 } else { 80 })
    }

    /// Whether it speaks gRPC; none if nothing says so.
    pub(super) fn is_grpc(&self) -> Option<bool> {
        match self.protocol.as_deref() {
            Some("grpc") => Some(true),
            Some(protocol) if protocol.starts_with("http/") => Some(false),
            // Nobody writes a path for gRPC.
            _ if self.path.trim_end_matches('/').len() > 1 => Some(false),
            _ => None,
        }
    }

    /// The same with another place.
    pub(super) fn at(&self, host: &str, port: u16) -> String {
        format!("http://{host}:{port}{}", self.path)
    }

    /// The commands that change it.
    pub(super) fn change(&self, kubectl: &str, controller: &Controller, value: &str) -> String {
        let (namespace, reference) = (&controller.metadata.namespace, controller.reference());
        let kubectl = format!("{kubectl} --namespace={namespace}");
        match &self.origin {
            None => {
                let (container, variable) = (&self.container, &self.variable);
                format!("{kubectl} set env {reference} --containers={container} '{variable}={value}'")
            }
            Some((map, key)) => {
                let patch = json!({"data": {key: Value::from(value)}});
                format!(
                    "{kubectl} patch configmap {map} --type=merge --patch='{patch}'\n{kubectl} rollout restart {reference}"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_taken_apart() {
        assert_eq!(
            parts("http://otel-agent.a.svc:4318/v1/traces"),
            ("http", "otel-agent.a.svc", Some(4318), "/v1/traces")
        );
        assert_eq!(parts("agent:4317"), ("", "agent", Some(4317), ""));
        assert_eq!(parts("https://[fd00::1]:4317"), ("https", "fd00::1", Some(4317), ""));
        assert_eq!(parts("http://[fd00::1]/"), ("http", "fd00::1", None, "/"));
        assert_eq!(parts("http://$(NODE_IP):4318"), ("http", "$(NODE_IP)", Some(4318), ""));
    }
}
