//! How the agents are reached: a Service whose traffic stays on the node, and one without an address for discovery and Prometheus.

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::{METRICS, selector};
use super::{Context, HEADLESS, NAME, Object};
use crate::values::Routing;
use crate::workload::{Port, Purpose};

pub(super) fn services(cx: &Context<'_>) -> Vec<Object> {
    let own = cx.values.service.enabled.then(|| service(cx));
    own.into_iter().chain([headless(cx)]).collect()
}

fn service(cx: &Context<'_>) -> Object {
    let prefer = cx.values.routing() == Some(Routing::PreferLocal);
    let local = matches!(cx.values.routing(), Some(Routing::Local | Routing::HostPort));
    let note = match cx.values.routing() {
        Some(Routing::PreferLocal) => {
            "Traffic goes to the agent of the same node, or to that of another one if there is none (Kubernetes 1.35)."
        }
        Some(_) => {
            "Applications send to http://otel-agent.NAMESPACE.svc.cluster.local:4318 (HTTP) or :4317 (gRPC). Traffic never leaves the\n\
             node; on a node without a ready agent it is dropped, not refused: `otel-agent doctor` finds such nodes."
        }
        None => "Traffic goes to any of the agents: not all nodes have one.",
    };
    let spec = ServiceSpec {
        selector: Some(selector()),
        ip_family_policy: Some("PreferDualStack".to_owned()),
        internal_traffic_policy: local.then(|| "Local".to_owned()),
        traffic_distribution: prefer.then(|| "PreferSameNode".to_owned()),
        ports: Some(cx.reachable().filter(|port| port.purpose.takes_data()).map(service_port).collect()),
        ..ServiceSpec::default()
    };
    let annotations = cx.values.service.annotations.clone();
    let mut metadata = cx.metadata(NAME);
    metadata.annotations = (!annotations.is_empty()).then_some(annotations);
    let object = Service { metadata, spec: Some(spec), ..Service::default() };
    Object::new(&object, &note.replace("NAMESPACE", &cx.values.namespace))
}

fn headless(cx: &Context<'_>) -> Object {
    let spec = ServiceSpec {
        cluster_ip: Some("None".to_owned()),
        selector: Some(selector()),
        ip_family_policy: Some("PreferDualStack".to_owned()),
        // An agent that is not ready is scraped all the same: that is when its metrics are wanted most.
        publish_not_ready_addresses: Some(true),
        ports: Some(cx.reachable().filter(|port| port.purpose != Purpose::Health).map(service_port).collect()),
        ..ServiceSpec::default()
    };
    let mut metadata = cx.metadata(HEADLESS);
    metadata.labels = Some(cx.labels(METRICS));
    let note = "Names every agent, for Prometheus and for looking around. Applications must not use it: its name leads to any node.";
    Object::new(&Service { metadata, spec: Some(spec), ..Service::default() }, note)
}

fn service_port(port: &Port) -> ServicePort {
    ServicePort {
        name: Some(port.name.clone()),
        port: i32::from(port.number),
        target_port: Some(IntOrString::String(port.name.clone())),
        protocol: Some(protocol(port)),
        app_protocol: app_protocol(port.purpose),
        ..ServicePort::default()
    }
}

/// What meshes and proxies read.
fn app_protocol(purpose: Purpose) -> Option<String> {
    match purpose {
        Purpose::OtlpGrpc => Some("grpc".to_owned()),
        Purpose::OtlpHttp | Purpose::Metrics | Purpose::Prometheus => Some("http".to_owned()),
        Purpose::Health | Purpose::Other => None,
    }
}

pub(super) fn protocol(port: &Port) -> String {
    if port.udp { "UDP".to_owned() } else { "TCP".to_owned() }
}

impl Context<'_> {
    /// What can be reached from outside of the pod.
    pub(super) fn reachable(&self) -> impl Iterator<Item = &Port> {
        self.workload.ports.iter().filter(|port| !port.loopback && port.number != 0)
    }
}
