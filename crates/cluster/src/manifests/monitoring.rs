//! How the agents are watched: what the Prometheus Operator takes, and the dashboard.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;
use serde_json::Value;

use super::labels::{METRICS, owned, selector};
use super::{Context, NAME, Object};
use crate::values::{Labelled, Monitor};
use crate::workload::{Port, Purpose};

/// The alerts, as everybody else has them.
const RULES: &str = include_str!("../../../../deploy/prometheus/rules.yaml");
/// The dashboard, as everybody else has it.
const DASHBOARD: &str = include_str!("../../../../deploy/grafana/otel-agent.json");

/// An object of the Prometheus Operator.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Custom<S> {
    api_version: &'static str,
    kind: &'static str,
    metadata: ObjectMeta,
    spec: S,
}

/// What is scraped.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MonitorSpec {
    job_label: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_selector: Option<NamespaceSelector>,
    selector: LabelSelector,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    endpoints: Vec<Endpoint>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pod_metrics_endpoints: Vec<Endpoint>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct NamespaceSelector {
    match_names: Vec<String>,
}

/// One port of each agent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint {
    port: String,
    path: &'static str,
    interval: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    honor_labels: bool,
    relabelings: Vec<Relabeling>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relabeling {
    source_labels: Vec<&'static str>,
    target_label: &'static str,
    action: &'static str,
}

pub(super) fn monitors(cx: &Context<'_>) -> Vec<Object> {
    [service_monitor(cx), pod_monitor(cx), rule(cx), dashboard(cx)].into_iter().flatten().collect()
}

fn service_monitor(cx: &Context<'_>) -> Option<Object> {
    let monitor = &cx.values.service_monitor;
    let mut labels = selector();
    // The other Service of the agents has no ports of metrics; scraping both would count everything twice.
    labels.extend(owned([("app.kubernetes.io/component", METRICS)]));
    let spec = cx.monitor_spec(monitor, labels);
    monitor.enabled.then(|| cx.monitor("ServiceMonitor", monitor, spec, MONITOR_NOTE))
}

fn pod_monitor(cx: &Context<'_>) -> Option<Object> {
    let monitor = &cx.values.pod_monitor;
    let mut spec = cx.monitor_spec(monitor, selector());
    spec.pod_metrics_endpoints = std::mem::take(&mut spec.endpoints);
    let note = "For clusters of more than 1000 nodes: the endpoints of a Service end there.\n";
    monitor.enabled.then(|| cx.monitor("PodMonitor", monitor, spec, &format!("{note}{MONITOR_NOTE}")))
}

const MONITOR_NOTE: &str = "The job is otel-agent, which the alerts and the dashboard expect. On the port of the applications' metrics their own labels go\n\
     first (honorLabels): without it `job`, `instance` and `endpoint` of the applications would be renamed.";

impl Context<'_> {
    fn monitor_spec(&self, monitor: &Monitor, labels: BTreeMap<String, String>) -> MonitorSpec {
        let scraped = self.reachable().filter(|port| port.purpose.is_scraped());
        let elsewhere = !monitor.namespace.is_empty() && monitor.namespace != self.values.namespace;
        MonitorSpec {
            job_label: "app.kubernetes.io/name",
            namespace_selector: elsewhere
                .then(|| NamespaceSelector { match_names: vec![self.values.namespace.clone()] }),
            selector: LabelSelector { match_labels: Some(labels), ..LabelSelector::default() },
            endpoints: scraped.map(|port| endpoint(port, monitor)).collect(),
            pod_metrics_endpoints: Vec::new(),
        }
    }

    fn monitor(&self, kind: &'static str, monitor: &Monitor, spec: MonitorSpec, note: &str) -> Object {
        let metadata = self.selected(&monitor.namespace, &monitor.labels, NAME);
        Object::new(&Custom { api_version: "monitoring.coreos.com/v1", kind, metadata, spec }, note)
    }

    /// Metadata with labels that somebody else selects by.
    fn selected(&self, namespace: &str, labels: &BTreeMap<String, String>, name: &str) -> ObjectMeta {
        let mut metadata = self.metadata(name);
        if !namespace.is_empty() {
            metadata.namespace = Some(namespace.to_owned());
        }
        metadata.labels.get_or_insert_default().extend(labels.clone());
        metadata
    }
}

fn endpoint(port: &Port, monitor: &Monitor) -> Endpoint {
    let node =
        Relabeling { source_labels: vec!["__meta_kubernetes_pod_node_name"], target_label: "node", action: "replace" };
    Endpoint {
        port: port.name.clone(),
        path: "/metrics",
        interval: monitor.interval.clone(),
        honor_labels: port.purpose == Purpose::Prometheus,
        relabelings: vec![node],
    }
}

fn rule(cx: &Context<'_>) -> Option<Object> {
    let Labelled { enabled, labels, namespace } = &cx.values.prometheus_rule;
    if !enabled {
        return None;
    }
    // A unit test reads the same text.
    let spec: Value = serde_saphyr::from_str(RULES).unwrap_or_default();
    let metadata = cx.selected(namespace, labels, NAME);
    let rule = Custom { api_version: "monitoring.coreos.com/v1", kind: "PrometheusRule", metadata, spec };
    Some(Object::new(&rule, "The alerts of deploy/prometheus/rules.yaml."))
}

fn dashboard(cx: &Context<'_>) -> Option<Object> {
    let Labelled { enabled, labels, namespace } = &cx.values.dashboard;
    let object = ConfigMap {
        metadata: cx.selected(namespace, labels, "otel-agent-dashboard"),
        data: Some([("otel-agent.json".to_owned(), DASHBOARD.to_owned())].into()),
        ..ConfigMap::default()
    };
    enabled.then(|| Object::new(&object, "Grafana's sidecar finds it by its label."))
}
