//! What is added to what: settings, every attribute, associations, misses and waiting.

mod associations;
mod metadata;
mod properties;
mod settings;
mod waiting;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::*;
use crate::kubernetes::{Container, ContainerKind, Instance, Object, Owner, Owners, Phase};
use crate::pipeline::testing;
use crate::settings::read_text;

pub(super) const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

pub(super) fn owner(name: &str, uid: &str) -> Option<Owner> {
    Some(Owner { name: name.into(), uid: Some(uid.into()), object: None })
}

/// A pod of a deployment, with one container, at 10.0.0.NUMBER.
pub(super) fn pod(number: u8) -> Pod {
    let mut pod = Pod::default();
    pod.uid = format!("uid-{number}").into();
    pod.name = format!("web-5d9c7b5f6d-{number}").into();
    pod.namespace = "shop".into();
    pod.node = Some("node-a".into());
    pod.created = "2026-11-22T10:00:00Z".into();
    pod.addresses = [IpAddr::from([10, 0, 0, number])].into_iter().collect();
    pod.phase = Phase::Running;
    pod.owners = Owners {
        replicaset: owner("web-5d9c7b5f6d", "rs-uid"),
        deployment: Some(Owner { name: "web".into(), uid: None, object: None }),
        ..Owners::default()
    };
    pod.containers = Box::new([container("app", "ghcr.io/shop/web:1.2", &[(0, &format!("id-{number}"))])]);
    pod
}

pub(super) fn container(name: &str, image: &str, instances: &[(u32, &str)]) -> Container {
    let instance = |(restart_count, id): &(u32, &str)| Instance {
        restart_count: *restart_count,
        id: (*id).into(),
        image_id: format!("ghcr.io/shop/{name}@{DIGEST}").into(),
    };
    Container {
        name: name.into(),
        image: image.into(),
        kind: ContainerKind::Main,
        instances: instances.iter().rev().map(instance).collect(),
    }
}

pub(super) fn object(name: &str, uid: &str, labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> Object {
    Object {
        name: name.into(),
        uid: uid.into(),
        labels: labels.iter().copied().collect(),
        annotations: annotations.iter().copied().collect(),
    }
}

/// Everything around the processor.
pub(super) struct Scene {
    pub(super) directory: Directory,
    pub(super) metrics: Metrics,
    pub(super) patience: Patience,
    pub(super) processor: K8sAttributes,
}

impl Scene {
    /// The processor with these settings, and pods that never change by themselves.
    #[track_caller]
    pub(super) fn new(yaml: &str, pods: Vec<Pod>) -> Scene {
        let config: Config = read_text(&with_node(yaml)).unwrap();
        let (metrics, patience) = (Metrics::new(), Patience::default());
        let directory = Directory::fixed(pods);
        let known = (!config.passthrough).then(|| directory.clone());
        let enricher = Arc::new(Enricher::new(&config, "k8s_attributes", known, &patience, &metrics));
        let processor = enricher.of_pipeline(Signal::Logs);
        Scene { directory, metrics, patience, processor }
    }

    /// What becomes of a resource with these attributes that comes from this address.
    pub(super) fn send(&self, peer: &str, attributes: Vec<KeyValue>) -> Vec<KeyValue> {
        let done = self.processor.process(batch(peer, attributes)).unwrap().unwrap();
        let mut batch = done;
        batch.ticket.accept();
        batch.ticket.sent();
        let request = ExportLogsServiceRequest::decode(batch.body.contiguous()).unwrap();
        request.resource_logs.into_iter().next().and_then(|group| group.resource).unwrap_or_default().attributes
    }

    /// As text, one attribute a word.
    pub(super) fn show(&self, peer: &str, attributes: Vec<KeyValue>) -> String {
        show(&self.send(peer, attributes))
    }

    pub(super) fn misses(&self, method: &str, reason: &str) -> f64 {
        let labels = [("processor", "k8s_attributes"), ("method", method), ("reason", reason)];
        self.metrics.value(&table::K8S_MISSES, &labels).unwrap_or_default()
    }

    pub(super) fn waited(&self, outcome: &str) -> f64 {
        let labels = [("processor", "k8s_attributes"), ("outcome", outcome)];
        self.metrics.value(&table::K8S_WAITED, &labels).unwrap_or_default()
    }
}

/// What is added for a pod, however it was found.
#[track_caller]
pub(super) fn added(yaml: &str, pod: &Pod, sent: Vec<KeyValue>) -> Vec<KeyValue> {
    let config: Config = read_text(&with_node(yaml)).unwrap();
    let prepared = Recipe::new(&config, Vec::new()).prepare(pod);
    let body = batch("", sent);
    let body = wire::edit(Signal::Logs, &body.body, Level::Resource, &mut |attributes| prepared.apply(attributes));
    let request = ExportLogsServiceRequest::decode(body.contiguous()).unwrap();
    request.resource_logs.into_iter().next().and_then(|group| group.resource).unwrap_or_default().attributes
}

/// The settings with a name of the node, so that they do not depend on the environment.
pub(super) fn with_node(yaml: &str) -> String {
    let named = yaml.contains("filter:") || yaml.contains("passthrough") || yaml.contains("whole_cluster");
    match yaml {
        "{}" => "filter: {node: node-a}".to_owned(),
        _ if named => yaml.to_owned(),
        _ => format!("filter: {{node: node-a}}\n{yaml}"),
    }
}

pub(super) fn batch(peer: &str, attributes: Vec<KeyValue>) -> Batch {
    let resource = Resource { attributes, ..Resource::default() };
    let scope = ScopeLogs { log_records: vec![LogRecord::default()], ..ScopeLogs::default() };
    let group = ResourceLogs { resource: Some(resource), scope_logs: vec![scope], ..ResourceLogs::default() };
    let request = ExportLogsServiceRequest { resource_logs: vec![group] };
    let mut batch = testing::batch(Signal::Logs, request.encode_to_vec(), 1);
    batch.origin.peer = peer.parse().ok().map(|ip: IpAddr| (ip, 4321).into());
    batch
}

pub(super) fn entry(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    entry(key, Any::StringValue(value.to_owned()))
}

pub(super) fn show(attributes: &[KeyValue]) -> String {
    fn value(any: Option<&AnyValue>) -> String {
        match any.and_then(|any| any.value.as_ref()) {
            Some(Any::StringValue(text)) => text.clone(),
            Some(Any::ArrayValue(list)) => {
                format!("[{}]", list.values.iter().map(|item| value(Some(item))).collect::<Vec<_>>().join(","))
            }
            Some(Any::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        }
    }
    let show = |entry: &KeyValue| format!("{}={}", entry.key, value(entry.value.as_ref()));
    attributes.iter().map(show).collect::<Vec<_>>().join(" ")
}
