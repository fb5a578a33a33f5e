//! The pod of an agent.

use k8s_openapi::api::core::v1::{
    Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource, EnvVar, EnvVarSource,
    HTTPGetAction, HostPathVolumeSource, Lifecycle, LifecycleHandler, ObjectFieldSelector, PodSecurityContext, PodSpec,
    PodTemplateSpec, Probe, SeccompProfile, SecurityContext, SleepAction, TCPSocketAction, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::labels::AGENT;
use super::services::protocol;
use super::{CONFIG_FOLDER, CONFIG_KEY, Context, NAME};
use crate::values::{Routing, StorageType};
use crate::workload::{Port, Purpose};

/// The user of the image.
const USER: i64 = 65532;
/// While endpoints learn that a pod ends, it goes on as before for this long.
const LINGER_SECONDS: i64 = 5;
/// What the agent takes at most to send what it holds.
const DRAIN_SECONDS: i64 = 25;
/// What is left for the end of the process itself.
const SPARE_SECONDS: i64 = 5;

/// The first version that knows the action `sleep`.
const SLEEP_SINCE: u32 = 30;

/// What a pod can tell of itself, by the variables that configurations use for it.
const DOWNWARD: &[(&str, &str)] = &[
    ("K8S_NODE_NAME", "spec.nodeName"),
    ("K8S_POD_NAME", "metadata.name"),
    ("K8S_POD_IP", "status.podIP"),
    ("K8S_NAMESPACE", "metadata.namespace"),
    // the names that the Collector's chart, its Operator and its documents use
    ("KUBE_NODE_NAME", "spec.nodeName"),
    ("NODE_NAME", "spec.nodeName"),
    ("OTEL_K8S_NODE_NAME", "spec.nodeName"),
    ("K8S_NODE_IP", "status.hostIP"),
    ("KUBE_NODE_IP", "status.hostIP"),
    ("NODE_IP", "status.hostIP"),
    ("HOST_IP", "status.hostIP"),
    ("OTEL_K8S_NODE_IP", "status.hostIP"),
    ("MY_POD_IP", "status.podIP"),
    ("POD_IP", "status.podIP"),
    ("OTEL_K8S_POD_IP", "status.podIP"),
    ("MY_POD_NAME", "metadata.name"),
    ("POD_NAME", "metadata.name"),
    ("OTEL_K8S_POD_NAME", "metadata.name"),
    ("POD_NAMESPACE", "metadata.namespace"),
    ("MY_POD_NAMESPACE", "metadata.namespace"),
    ("OTEL_K8S_NAMESPACE", "metadata.namespace"),
    ("K8S_POD_UID", "metadata.uid"),
    ("POD_UID", "metadata.uid"),
    ("OTEL_K8S_POD_UID", "metadata.uid"),
];
/// So many of them are always there.
const ALWAYS: usize = 4;

/// Where Kubernetes takes the value of a variable from, if it is one of those that a rendered pod sets when the configuration reads it.
#[must_use]
pub fn downward_field(variable: &str) -> Option<&'static str> {
    DOWNWARD.iter().find(|(name, _)| *name == variable).map(|(_, field)| *field)
}

pub(super) fn template(cx: &Context<'_>) -> PodTemplateSpec {
    let values = cx.values;
    let mut labels = values.pod_labels.clone();
    labels.extend(cx.labels(AGENT));
    let annotations = values.pod_annotations.clone();
    let metadata = ObjectMeta {
        labels: Some(labels),
        annotations: (!annotations.is_empty()).then_some(annotations),
        ..ObjectMeta::default()
    };
    PodTemplateSpec { metadata: Some(metadata), spec: Some(spec(cx)) }
}

fn spec(cx: &Context<'_>) -> PodSpec {
    let values = cx.values;
    let mut node_selector = values.node_selector.clone();
    // The image is one of Linux.
    node_selector.entry("kubernetes.io/os".to_owned()).or_insert_with(|| "linux".to_owned());
    let tolerations = values.tolerations();
    let pull_secrets = values.image_pull_secrets.clone();
    PodSpec {
        service_account_name: Some(values.account().to_owned()),
        automount_service_account_token: Some(!cx.workload.permissions.is_empty()),
        // A variable for each Service of the namespace would only be noise, and could clash with those of the configuration.
        enable_service_links: Some(false),
        priority_class_name: values.priority_class().map(str::to_owned),
        node_selector: Some(node_selector),
        tolerations: (!tolerations.is_empty()).then_some(tolerations),
        affinity: values.affinity.clone(),
        host_network: values.host_network.then_some(true),
        // Without it, names of the cluster could not be resolved from the node's network.
        dns_policy: values.host_network.then(|| "ClusterFirstWithHostNet".to_owned()),
        image_pull_secrets: (!pull_secrets.is_empty()).then_some(pull_secrets),
        security_context: Some(cx.pod_security()),
        termination_grace_period_seconds: Some(cx.linger() + DRAIN_SECONDS + SPARE_SECONDS),
        containers: vec![container(cx)],
        volumes: Some(volumes(cx)),
        ..PodSpec::default()
    }
}

fn container(cx: &Context<'_>) -> Container {
    let values = cx.values;
    let from = values.extra_envs_from.clone();
    Container {
        name: NAME.to_owned(),
        image: Some(values.image()),
        image_pull_policy: Some(values.image.pull_policy.clone()),
        args: Some(vec![
            format!("--config={CONFIG_FOLDER}/{CONFIG_KEY}"),
            "--watch-config".to_owned(),
            format!("--drain-timeout={DRAIN_SECONDS}s"),
        ]),
        ports: Some(cx.reachable().map(|port| container_port(cx, port)).collect()),
        env: Some(variables(cx)),
        env_from: (!from.is_empty()).then_some(from),
        resources: Some(values.resources()),
        // Starting takes well under a second; a slow image or API server gets a minute before anybody gives up.
        startup_probe: Some(Probe { period_seconds: Some(1), failure_threshold: Some(60), ..probe(cx, "/live") }),
        readiness_probe: Some(Probe { period_seconds: Some(5), failure_threshold: Some(3), ..probe(cx, "/ready") }),
        // Slow to end an agent: what it holds in memory would go with it.
        liveness_probe: Some(Probe { period_seconds: Some(10), failure_threshold: Some(6), ..probe(cx, "/live") }),
        lifecycle: (cx.linger() > 0).then(|| Lifecycle {
            pre_stop: Some(LifecycleHandler {
                sleep: Some(SleepAction { seconds: LINGER_SECONDS }),
                ..LifecycleHandler::default()
            }),
            ..Lifecycle::default()
        }),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities { drop: Some(vec!["ALL".to_owned()]), ..Capabilities::default() }),
            read_only_root_filesystem: Some(true),
            ..SecurityContext::default()
        }),
        volume_mounts: Some(mounts(cx)),
        ..Container::default()
    }
}

fn container_port(cx: &Context<'_>, port: &Port) -> ContainerPort {
    let number = i32::from(port.number);
    let on_node = cx.values.routing() == Some(Routing::HostPort) && port.purpose.takes_data();
    ContainerPort {
        name: Some(port.name.clone()),
        container_port: number,
        // The API server sets it with hostNetwork, and would see a difference if it were not written.
        host_port: (on_node || cx.values.host_network).then_some(number),
        protocol: Some(protocol(port)),
        ..ContainerPort::default()
    }
}

/// The health page answers at once after the start. Without one, that a port is open has to do.
fn probe(cx: &Context<'_>, path: &str) -> Probe {
    let named = |port: &Port| IntOrString::String(port.name.clone());
    let health = cx.reachable().find(|port| port.purpose == Purpose::Health);
    let http_get =
        health.map(|port| HTTPGetAction { path: Some(path.to_owned()), port: named(port), ..HTTPGetAction::default() });
    let other = cx.reachable().find(|port| port.purpose.takes_data() && !port.udp).filter(|_| http_get.is_none());
    let tcp_socket = other.map(|port| TCPSocketAction { port: named(port), ..TCPSocketAction::default() });
    Probe { http_get, tcp_socket, timeout_seconds: Some(5), ..Probe::default() }
}

/// Those of the person go before ours.
fn variables(cx: &Context<'_>) -> Vec<EnvVar> {
    let chosen = &cx.values.extra_envs;
    let reads = |name: &str| cx.workload.variables.iter().any(|variable| variable.name == name);
    let wanted = DOWNWARD.iter().enumerate().filter(|(index, (name, _))| *index < ALWAYS || reads(name));
    let ours =
        wanted.map(|(_, (name, field))| (name, field)).filter(|(name, _)| !chosen.iter().any(|one| one.name == **name));
    let from_field = |field: &str| EnvVarSource {
        field_ref: Some(ObjectFieldSelector { field_path: field.to_owned(), ..ObjectFieldSelector::default() }),
        ..EnvVarSource::default()
    };
    let ours = ours.map(|(name, field)| EnvVar {
        name: (*name).to_owned(),
        value_from: Some(from_field(field)),
        ..EnvVar::default()
    });
    ours.chain(chosen.iter().cloned()).collect()
}

fn mounts(cx: &Context<'_>) -> Vec<VolumeMount> {
    let config = VolumeMount {
        name: "config".to_owned(),
        mount_path: CONFIG_FOLDER.to_owned(),
        read_only: Some(true),
        ..VolumeMount::default()
    };
    let of_path = |(index, path): (usize, &str)| VolumeMount {
        name: volume_name(index),
        mount_path: path.to_owned(),
        read_only: (!cx.writes(path)).then_some(true),
        ..VolumeMount::default()
    };
    let folders = cx.held_folders().into_iter().enumerate().map(of_path);
    [config].into_iter().chain(folders).chain(cx.values.extra_volume_mounts.iter().cloned()).collect()
}

fn volumes(cx: &Context<'_>) -> Vec<Volume> {
    let source = ConfigMapVolumeSource { name: NAME.to_owned(), ..ConfigMapVolumeSource::default() };
    let config = Volume { name: "config".to_owned(), config_map: Some(source), ..Volume::default() };
    let storage = &cx.values.storage;
    let of_path = |(index, path): (usize, &str)| {
        let on_node = storage.r#type == StorageType::HostPath;
        Volume {
            name: volume_name(index),
            host_path: on_node
                .then(|| HostPathVolumeSource { path: path.to_owned(), type_: Some("DirectoryOrCreate".to_owned()) }),
            empty_dir: (!on_node).then(|| EmptyDirVolumeSource {
                size_limit: Some(Quantity(storage.size.clone())),
                ..EmptyDirVolumeSource::default()
            }),
            ..Volume::default()
        }
    };
    let folders = cx.held_folders().into_iter().enumerate().map(of_path);
    [config].into_iter().chain(folders).chain(cx.values.extra_volumes.iter().cloned()).collect()
}

fn volume_name(index: usize) -> String {
    if index == 0 { "storage".to_owned() } else { format!("storage-{}", index + 1) }
}

impl Context<'_> {
    /// Folders that get a volume of ours.
    fn held_folders(&self) -> Vec<&str> {
        if self.values.storage.r#type == StorageType::None { Vec::new() } else { self.folders() }
    }

    fn writes(&self, folder: &str) -> bool {
        self.workload.paths.iter().any(|path| path.path == folder && path.writes)
    }

    fn linger(&self) -> i64 {
        if self.values.has_kubernetes(SLEEP_SINCE) { LINGER_SECONDS } else { 0 }
    }

    /// The folder of a node belongs to root, and only root can write there: then it is root without any capability. Otherwise
    /// nobody in particular.
    fn pod_security(&self) -> PodSecurityContext {
        let root = self.node_paths().iter().any(|path| self.writes(path));
        let user = if root { 0 } else { USER };
        PodSecurityContext {
            run_as_non_root: Some(!root),
            run_as_user: Some(user),
            run_as_group: Some(user),
            // What is mounted from Secrets and empty folders belongs to this group.
            fs_group: Some(user),
            seccomp_profile: Some(SeccompProfile { type_: "RuntimeDefault".to_owned(), ..SeccompProfile::default() }),
            ..PodSecurityContext::default()
        }
    }
}
