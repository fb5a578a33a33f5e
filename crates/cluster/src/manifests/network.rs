//! Who may reach the agents, and what they may reach: a NetworkPolicy.

use k8s_openapi::api::networking::v1::{
    NetworkPolicy, NetworkPolicyEgressRule, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort,
    NetworkPolicySpec,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{label_selector, owned};
use super::services::protocol;
use super::{Context, NAME, Object};
use crate::workload::Port;

/// DNS, and where API servers and kubelets listen.
const DNS: u16 = 53;
const API_SERVERS: [u16; 2] = [443, 6443];
const KUBELET: u16 = 10250;

pub(super) fn policy(cx: &Context<'_>) -> Option<Object> {
    if !cx.values.network_policy.enabled {
        return None;
    }
    let spec = NetworkPolicySpec {
        pod_selector: Some(label_selector()),
        policy_types: Some(vec!["Ingress".to_owned(), "Egress".to_owned()]),
        ingress: Some(ingress(cx)),
        egress: Some(egress(cx)),
    };
    let object = NetworkPolicy { metadata: cx.metadata(NAME), spec: Some(spec) };
    let note = "Telemetry is taken from everywhere: pods on the node's network and the kubelet cannot be selected by labels. What the agent\n\
                reaches is bounded by port only: API servers and backends outside of the cluster are no pods.";
    Some(Object::new(&object, note))
}

fn ingress(cx: &Context<'_>) -> Vec<NetworkPolicyIngressRule> {
    let ports = |scraped: bool| -> Vec<NetworkPolicyPort> {
        cx.reachable().filter(|port| port.purpose.is_scraped() == scraped).map(own_port).collect()
    };
    let prometheus = cx.values.network_policy.prometheus_namespace.as_str();
    let from = (!prometheus.is_empty()).then(|| {
        let labels = owned([("kubernetes.io/metadata.name", prometheus)]);
        let namespace_selector = Some(LabelSelector { match_labels: Some(labels), ..LabelSelector::default() });
        vec![NetworkPolicyPeer { namespace_selector, ..NetworkPolicyPeer::default() }]
    });
    let rules = [
        NetworkPolicyIngressRule { ports: Some(ports(false)), from: None },
        NetworkPolicyIngressRule { ports: Some(ports(true)), from },
    ];
    // A rule without ports would allow every port.
    rules.into_iter().filter(|rule| rule.ports.as_ref().is_some_and(|ports| !ports.is_empty())).collect()
}

fn egress(cx: &Context<'_>) -> Vec<NetworkPolicyEgressRule> {
    let tcp = |port: &u16| number(*port, "TCP");
    let mut targets: Vec<u16> = cx.workload.upstreams.iter().map(|upstream| upstream.port).collect();
    targets.sort_unstable();
    targets.dedup();
    let asks_kubelet = cx.workload.permissions.iter().any(|permission| permission.resource.starts_with("nodes/"));
    let asks_api = !cx.workload.permissions.is_empty();
    let mut rules = vec![vec![number(DNS, "UDP"), number(DNS, "TCP")]];
    rules.push(if asks_api { API_SERVERS.iter().map(tcp).collect() } else { Vec::new() });
    rules.push(if asks_kubelet { vec![tcp(&KUBELET)] } else { Vec::new() });
    rules.push(targets.iter().map(tcp).collect());
    let rule = |ports: Vec<NetworkPolicyPort>| NetworkPolicyEgressRule { ports: Some(ports), to: None };
    rules.into_iter().filter(|ports| !ports.is_empty()).map(rule).collect()
}

fn own_port(port: &Port) -> NetworkPolicyPort {
    number(port.number, &protocol(port))
}

fn number(port: u16, protocol: &str) -> NetworkPolicyPort {
    NetworkPolicyPort {
        port: Some(IntOrString::Int(i32::from(port))),
        protocol: Some(protocol.to_owned()),
        ..NetworkPolicyPort::default()
    }
}
