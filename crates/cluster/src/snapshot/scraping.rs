//! What stands between a Prometheus and the agent besides monitors: rights of its account, and network policies.
#![expect(missing_docs, reason = "the fields have the names and meanings of the Kubernetes API")]

use serde::Deserialize;
use serde_json::Value;

use super::access::{self, Reviewed};
use super::meta::{Metadata, Selector, or_default};
use super::monitors::Custom;
use super::reader::{Reader, Seen};
use super::right::Right;

/// A Prometheus of the operator, and what its account may do where an agent lives.
#[derive(Clone, Debug)]
pub struct Scraper {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its service account.
    pub account: String,
    /// The namespace of the agent that the rights are about.
    pub target: String,
    /// The rights that finding targets there takes.
    pub access: Seen<Vec<Reviewed>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicy {
    pub metadata: Metadata,
    pub spec: NetworkPolicySpec,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPolicySpec {
    pub pod_selector: Selector,
    #[serde(deserialize_with = "or_default")]
    pub policy_types: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub ingress: Vec<Ingress>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Ingress {
    #[serde(deserialize_with = "or_default")]
    pub from: Vec<Peer>,
    #[serde(deserialize_with = "or_default")]
    pub ports: Vec<PolicyPort>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Peer {
    pub namespace_selector: Option<Selector>,
    pub pod_selector: Option<Selector>,
    pub ip_block: Option<Value>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PolicyPort {
    /// A number or a name; none: all.
    pub port: Option<Value>,
    pub end_port: Option<u16>,
    pub protocol: String,
}

impl NetworkPolicy {
    /// Whether it says who may connect to pods.
    #[must_use]
    pub fn is_about_ingress(&self) -> bool {
        self.spec.policy_types.is_empty() || self.spec.policy_types.iter().any(|kind| kind == "Ingress")
    }
}

impl PolicyPort {
    /// Whether connections to a port, of that name or with that number, are meant.
    #[must_use]
    pub fn covers(&self, name: &str, number: u16) -> bool {
        let tcp = self.protocol.is_empty() || self.protocol == "TCP";
        tcp && match &self.port {
            None | Some(Value::Null) => true,
            Some(Value::String(wanted)) => wanted == name,
            Some(wanted) => wanted.as_u64().is_some_and(|from| {
                let number = u64::from(number);
                (from..=self.end_port.map_or(from, u64::from)).contains(&number)
            }),
        }
    }
}

/// The rights that a Prometheus needs to find the pods behind Services, or pods.
fn needs(prometheus: &Custom, target: &str) -> Vec<Right> {
    let slices = prometheus.spec.get("serviceDiscoveryRole").and_then(Value::as_str) == Some("EndpointSlice");
    let (group, endpoints) = if slices { ("discovery.k8s.io", "endpointslices") } else { ("", "endpoints") };
    [("", "services"), (group, endpoints), ("", "pods")]
        .map(|(group, resource)| Right {
            verbs: ["get", "list", "watch"].map(str::to_owned).to_vec(),
            ..Right::within(target, "list", group, resource)
        })
        .to_vec()
}

/// Asks what each Prometheus may do in the namespaces of the agents.
pub(super) async fn read(reader: &Reader, prometheuses: &[Custom], targets: &[String]) -> Vec<Scraper> {
    /// A cluster has few; more than these are not asked for, since each takes nine questions.
    const MOST: usize = 5;
    let mut scrapers = Vec::new();
    for (prometheus, target) in
        prometheuses.iter().take(MOST).flat_map(|one| targets.iter().map(move |target| (one, target)))
    {
        let metadata = &prometheus.metadata;
        let account = prometheus.spec.get("serviceAccountName").and_then(Value::as_str).filter(|name| !name.is_empty());
        let account = account.unwrap_or("default").to_owned();
        let access = access::read(reader, &metadata.namespace, &account, &needs(prometheus, target)).await;
        let (namespace, name) = (metadata.namespace.clone(), metadata.name.clone());
        scrapers.push(Scraper { namespace, name, account, target: target.clone(), access });
    }
    scrapers
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_covers_ports_by_name_number_range_or_all() {
        let covers = |port: Value| {
            let port: PolicyPort = serde_json::from_value(port).unwrap();
            port.covers("metrics", 8888)
        };
        assert!(covers(json!({})));
        assert!(covers(json!({"port": 8888})));
        assert!(covers(json!({"port": "metrics", "protocol": "TCP"})));
        assert!(covers(json!({"port": 8000, "endPort": 9000})));
        assert!(!covers(json!({"port": 4317})));
        assert!(!covers(json!({"port": 8888, "protocol": "UDP"})));
        assert!(!covers(json!({"port": "otlp-grpc"})));
    }
}
