//! `Workload`: what a checked configuration asks of the pod that it runs in. The agent makes one of its plan; manifests, the
//! doctor, sizing and migration read it.

use std::time::Duration;

/// What a configuration asks of its pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// The configuration itself, as it goes into the ConfigMap.
    pub config: String,
    /// What it listens on.
    pub ports: Vec<Port>,
    /// Folders and files that it uses and that its image does not have.
    pub paths: Vec<HostPath>,
    /// What its service account must be allowed.
    pub permissions: Vec<Permission>,
    /// How it bounds its memory; none: as if a limiter had the usual percentages.
    pub limiter: Option<Limiter>,
    /// How it joins requests, of each `batch` processor that a pipeline names.
    pub batches: Vec<Batch>,
    /// Environment variables that the configuration reads.
    pub variables: Vec<Variable>,
    /// Where it sends to.
    pub upstreams: Vec<Upstream>,
    /// Whose pods it knows, of each `k8s_attributes` processor that a pipeline names.
    pub pods: Vec<Pods>,
}

/// Something that it listens on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// A name that a port of a Service may have: `otlp-grpc`.
    pub name: String,
    /// The number; 0 lets the system choose one.
    pub number: u16,
    /// Datagrams instead of connections.
    pub udp: bool,
    /// What it is for.
    pub purpose: Purpose,
    /// Only reached from within the pod.
    pub loopback: bool,
    /// The key of the configuration that says so: `receivers::otlp::protocols::grpc::endpoint`.
    pub key: String,
}

/// What a port is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Applications send to it: OTLP over gRPC.
    OtlpGrpc,
    /// Applications send to it: OTLP over HTTP.
    OtlpHttp,
    /// The agent's own metrics.
    Metrics,
    /// The applications' metrics, for Prometheus to fetch.
    Prometheus,
    /// Whether it takes data.
    Health,
    /// Something else.
    Other,
}

impl Purpose {
    /// Applications send to it.
    #[must_use]
    pub fn takes_data(self) -> bool {
        matches!(self, Purpose::OtlpGrpc | Purpose::OtlpHttp)
    }

    /// Prometheus fetches from it.
    #[must_use]
    pub fn is_scraped(self) -> bool {
        matches!(self, Purpose::Metrics | Purpose::Prometheus)
    }
}

/// A folder or file that it uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPath {
    /// Where it is.
    pub path: String,
    /// Whether it is written.
    pub writes: bool,
    /// It belongs to one process at a time: a journal.
    pub exclusive: bool,
    /// The key of the configuration that says so: `extensions::file_storage::directory`.
    pub key: String,
}

/// A permission of Kubernetes' RBAC.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// API group; empty for the core.
    pub group: String,
    /// Resource, with its subresource if any: `pods`, `nodes/pods`.
    pub resource: String,
    /// Verbs.
    pub verbs: Vec<String>,
    /// The one object that it is about; none: any.
    pub name: Option<String>,
    /// The one namespace in which it is enough to have it; none: in the whole cluster.
    pub namespace: Option<String>,
    /// What it is for.
    pub why: String,
}

/// How memory is bounded: `memory_limiter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limiter {
    /// The hard limit.
    pub hard: Amount,
    /// How far below it refusing begins.
    pub spike: Amount,
}

/// An amount of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// So many MiB.
    Mib(u64),
    /// So many percent of the container's memory limit.
    Percent(u64),
}

impl Amount {
    /// In bytes, in a container with this limit.
    #[must_use]
    pub fn bytes(self, container: u64) -> u64 {
        match self {
            Amount::Mib(mib) => mib << 20,
            Amount::Percent(percent) => container / 100 * percent,
        }
    }
}

/// How requests are joined: `batch`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id: `batch`.
    pub id: String,
    /// After this time what is there is sent.
    pub timeout: Duration,
    /// From this number of items on it is sent.
    pub size: u32,
}

/// An environment variable that the configuration reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Whether the configuration works without it: it has a default, or another variable does as well.
    pub optional: bool,
}

/// Where it sends to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The exporter: `exporters::otlp`.
    pub exporter: String,
    /// How: `grpc`, `grpcs`, `http` or `https`.
    pub scheme: String,
    /// The host, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// Whose pods a `k8s_attributes` processor knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pods {
    /// The processor: `processors::k8s_attributes`.
    pub processor: String,
    /// Whose.
    pub scope: Scope,
    /// It logs in with a kubeconfig instead of the pod's service account.
    pub kubeconfig: bool,
}

/// Which pods are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// None; only the address is written down (`passthrough`).
    Nobody,
    /// Those of one node.
    Node {
        /// The environment variable that names the node; none: it is written in the configuration.
        variable: Option<String>,
    },
    /// Those of the whole cluster, or of one namespace on every node.
    Cluster,
    /// Those that a file lists, or the kubelet.
    Elsewhere,
}
