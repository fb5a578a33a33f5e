//! The little of an object that is read: the rest is skipped while parsing and never kept.
//!
//! A pod in full is 10 to 50 KiB in memory; what is read here is about 1 KiB, and what is kept of it less.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::Resource;
use kube::core::ObjectMeta;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::address;
use super::index::Seen;
use super::interest::Interest;
use super::owners;
use super::pod::{Addresses, Container, ContainerKind, Instance, Phase, Pod};

/// Names and labels of any object.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Metadata {
    pub(super) name: Option<String>,
    pub(super) namespace: Option<String>,
    pub(super) uid: Option<String>,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<String>,
    pub(super) deletion_timestamp: Option<IgnoredAny>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) annotations: Option<BTreeMap<String, String>>,
    pub(super) owner_references: Option<Vec<OwnerReference>>,
}

/// Whose an object is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(default)]
pub(super) struct OwnerReference {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
}

/// An object of which only the metadata is read.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ObjectManifest {
    pub(super) metadata: Metadata,
}

/// A pod.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PodManifest {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    hostname: Option<String>,
    host_network: Option<bool>,
    containers: Option<Vec<ContainerSpec>>,
    init_containers: Option<Vec<ContainerSpec>>,
    ephemeral_containers: Option<Vec<ContainerSpec>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct ContainerSpec {
    name: String,
    image: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    start_time: Option<String>,
    #[serde(rename = "podIP")]
    pod_ip: Option<String>,
    #[serde(rename = "podIPs")]
    pod_ips: Option<Vec<Ip>>,
    #[serde(rename = "hostIP")]
    host_ip: Option<String>,
    #[serde(rename = "hostIPs")]
    host_ips: Option<Vec<Ip>>,
    container_statuses: Option<Vec<ContainerStatus>>,
    init_container_statuses: Option<Vec<ContainerStatus>>,
    ephemeral_container_statuses: Option<Vec<ContainerStatus>>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Ip {
    ip: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ContainerStatus {
    name: String,
    #[serde(rename = "containerID")]
    container_id: Option<String>,
    #[serde(rename = "imageID")]
    image_id: Option<String>,
    restart_count: Option<u32>,
    last_state: Option<State>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct State {
    terminated: Option<Terminated>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Terminated {
    #[serde(rename = "containerID")]
    container_id: Option<String>,
}

/// A pod as kube's watcher wants it: with metadata of its own, of which the version alone is filled in.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "PodManifest")]
pub(super) struct WatchedPod {
    meta: ObjectMeta,
    pub(super) manifest: PodManifest,
}

/// Annotations that ask to leave a pod's telemetry as it is: the Collector's, and one that API servers take.
const IGNORE: [&str; 2] = ["opentelemetry.io/k8s-processor/ignore", "opentelemetry.io/k8s-processor.ignore"];

// === impl PodManifest ===

impl PodManifest {
    /// What is wanted of it.
    pub(super) fn seen(self, interest: &Interest) -> Seen {
        let Self { metadata, spec, status } = self;
        let labels = metadata.labels.unwrap_or_default();
        let annotations = metadata.annotations.unwrap_or_default();
        let owners = owners::direct(metadata.owner_references.as_deref().unwrap_or_default());
        let created = metadata.creation_timestamp.unwrap_or_default();
        let guess = owners::guess(&owners, labels.get("pod-template-hash").map(String::as_str), &created);
        let pod = Pod {
            uid: text(metadata.uid),
            name: text(metadata.name),
            namespace: text(metadata.namespace),
            node: some(spec.node_name),
            hostname: some(spec.hostname),
            created: created.into(),
            started: some(status.start_time),
            addresses: addresses(status.pod_ip, status.pod_ips),
            host_addresses: addresses(status.host_ip, status.host_ips),
            host_network: spec.host_network.unwrap_or_default(),
            phase: phase(status.phase.as_deref()),
            deleted: metadata.deletion_timestamp.is_some(),
            ignored: IGNORE.iter().any(|key| annotations.get(*key).is_some_and(|value| value == "true")),
            labels: interest.pod_labels.keep(&labels),
            annotations: interest.pod_annotations.keep(&annotations),
            owners,
            containers: [
                containers(ContainerKind::Main, spec.containers, status.container_statuses),
                containers(ContainerKind::Init, spec.init_containers, status.init_container_statuses),
                containers(ContainerKind::Ephemeral, spec.ephemeral_containers, status.ephemeral_container_statuses),
            ]
            .into_iter()
            .flatten()
            .collect(),
            ..Pod::default()
        };
        let version = metadata.resource_version.and_then(|version| version.parse().ok()).unwrap_or_default();
        Seen { pod, version, guess }
    }

    /// Its UID.
    pub(super) fn uid(&self) -> &str {
        self.metadata.uid.as_deref().unwrap_or_default()
    }

    /// The node that it is on.
    pub(super) fn node(&self) -> Option<&str> {
        self.spec.node_name.as_deref()
    }

    /// The namespace that it is in.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.metadata.namespace.as_deref()
    }

    /// Its labels.
    pub(super) fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }
}

fn text(text: Option<String>) -> Arc<str> {
    text.unwrap_or_default().into()
}

fn some(text: Option<String>) -> Option<Arc<str>> {
    text.filter(|text| !text.is_empty()).map(Into::into)
}

fn phase(phase: Option<&str>) -> Phase {
    match phase {
        Some("Pending") => Phase::Pending,
        Some("Running") => Phase::Running,
        Some("Succeeded") => Phase::Succeeded,
        Some("Failed") => Phase::Failed,
        _ => Phase::Unknown,
    }
}

fn addresses(first: Option<String>, all: Option<Vec<Ip>>) -> Addresses {
    let texts = first.into_iter().chain(all.into_iter().flatten().filter_map(|each| each.ip));
    let mut addresses = Addresses::new();
    for address in texts.filter_map(|text| address::parse(&text)) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

fn containers(
    kind: ContainerKind,
    specs: Option<Vec<ContainerSpec>>,
    statuses: Option<Vec<ContainerStatus>>,
) -> Vec<Container> {
    let statuses = statuses.unwrap_or_default();
    let container = |spec: ContainerSpec| {
        let status = statuses.iter().find(|status| status.name == spec.name);
        Container {
            name: spec.name.into(),
            image: text(spec.image),
            kind,
            instances: status.into_iter().flat_map(ContainerStatus::instances).collect(),
        }
    };
    specs.unwrap_or_default().into_iter().map(container).collect()
}

impl ContainerStatus {
    fn instances(&self) -> impl Iterator<Item = Instance> {
        let restarts = self.restart_count.unwrap_or_default();
        let last = self.last_state.as_ref().and_then(|state| state.terminated.as_ref());
        let ids = [
            (Some(restarts), &self.container_id),
            (restarts.checked_sub(1), &last.and_then(|last| last.container_id.clone())),
        ]
        .map(|(restarts, id)| Some((restarts?, without_runtime(id.as_deref()?)?.to_owned())));
        let image_id: Arc<str> = self.image_id.as_deref().unwrap_or_default().into();
        ids.into_iter().flatten().map(move |(restart_count, id)| Instance {
            restart_count,
            id: id.into(),
            image_id: Arc::clone(&image_id),
        })
    }
}

/// `containerd://0123` is the container 0123.
fn without_runtime(id: &str) -> Option<&str> {
    Some(id.split_once("://").map_or(id, |(_, id)| id)).filter(|id| !id.is_empty())
}

// === impl WatchedPod ===

impl From<PodManifest> for WatchedPod {
    fn from(mut manifest: PodManifest) -> Self {
        // What is large and of no use goes before a whole list of pods is gathered.
        if let Some(annotations) = &mut manifest.metadata.annotations {
            annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        }
        let meta = ObjectMeta { resource_version: manifest.metadata.resource_version.clone(), ..ObjectMeta::default() };
        Self { meta, manifest }
    }
}

impl Resource for WatchedPod {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "Pod".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        "".into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "pods".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

#[cfg(test)]
mod tests;
