//! `Values`: everything one may choose about a deployment. The keys are those of the values file and of the chart; the flags
//! of `otel-agent manifests` set the same fields.

mod access;
mod check;
mod macros;
mod profile;
mod quantity;
mod read;

/// The reference page of all values.
pub mod reference;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvFromSource, EnvVar, LocalObjectReference, ResourceRequirements, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

pub use access::{Rbac, Service, ServiceAccount};
use macros::{choice, values};
pub use profile::{Figures, LIMIT_PERCENTAGE, Profile, SPIKE_LIMIT_PERCENTAGE};
pub use quantity::{cpu_millis, memory_bytes};
pub(crate) use read::{NAME_OVERRIDES, fixed_name, merge};

values! {
    /// Everything one may choose.
    pub struct Values {
        /// How large the agent is: `low` (50m/64Mi to 200m/256Mi, batches of 512 or 30 s), `default` (100m/128Mi to 500m/512Mi,
        /// 1024 or 10 s) or `high` (200m/256Mi to 1000m/1Gi, 2048 or 5 s).
        pub profile: Profile = Profile::Default,
        /// `daemonset`: one agent on each node. `deployment`: a gateway, a few agents for the whole cluster.
        pub mode: Mode = Mode::Daemonset,
        /// How applications reach the agent of their node. `local` (a Service whose traffic never leaves the node), `prefer-local`
        /// (another node's agent when there is none; Kubernetes 1.35) or `host-port` (a port of the node itself). `local` when
        /// it is not written; without meaning for a `deployment`.
        pub routing: Option<Routing> = None,
        /// The namespace of everything.
        pub namespace: String = "open-telemetry".to_owned(),
        /// Whether the Namespace is rendered, with the labels of Pod Security.
        pub create_namespace: bool = true,
        /// The image.
        pub image: Image = Image::default(),
        /// Secrets with the credentials of the image's registry: `[{name: registry}]`.
        pub image_pull_secrets: Vec<LocalObjectReference> = Vec::new(),
        /// The agent's configuration, as text or as a mapping. Without it the default one is made of `backend`, `metricsTo`,
        /// `clusterName`, `environment`, `storage` and the profile.
        pub config: Option<serde_json::Value> = None,
        /// Where the default configuration sends to.
        pub backend: Backend = Backend::default(),
        /// Where the default configuration sends metrics: `otlp` (to the backend), `prometheus` (shown on port 8889 to be
        /// scraped) or `both`.
        pub metrics_to: MetricsTo = MetricsTo::Otlp,
        /// The attribute `k8s.cluster.name` in the default configuration.
        pub cluster_name: String = DEFAULT_CLUSTER.to_owned(),
        /// The attribute `deployment.environment.name` in the default configuration; not added when it is empty.
        pub environment: String = String::new(),
        /// CPU and memory instead of those of the profile, as a container has them: `{requests: {..}, limits: {..}}`. What is not
        /// written is the profile's.
        pub resources: ResourceRequirements = ResourceRequirements::default(),
        /// Labels that a node must have. `kubernetes.io/os: linux` is always among them.
        pub node_selector: BTreeMap<String, String> = BTreeMap::new(),
        /// Taints that do not keep the agent away. When it is not written, a DaemonSet tolerates every taint
        /// (`[{operator: Exists}]`), because a node without an agent is a node whose telemetry is lost; `[]` tolerates none.
        pub tolerations: Option<Vec<Toleration>> = None,
        /// Rules about nodes and other pods, as a pod has them.
        pub affinity: Option<Affinity> = None,
        /// The priority class of the pods.
        pub priority_class_name: String = String::new(),
        /// A priority class of its own.
        pub priority_class: PriorityClass = PriorityClass::default(),
        /// Whether the agent uses the node's network: its ports are ports of the node then.
        pub host_network: bool = false,
        /// The account of the agents.
        pub service_account: ServiceAccount = ServiceAccount::default(),
        /// What the account may do.
        pub rbac: Rbac = Rbac::default(),
        /// The Service that applications send to.
        pub service: Service = Service::default(),
        /// Where data is kept that is not sent yet.
        pub storage: Storage = Storage::default(),
        /// How many agents there are in a `deployment`; 2 when it is not written.
        pub replicas: Option<u32> = None,
        /// How pods are replaced. When nothing is written: a new pod first and then the old one, where both fit on a node at
        /// the same time; a tenth of the nodes at once where they do not.
        pub rollout: Rollout = Rollout::default(),
        /// Environment variables, as a container has them: `[{name: TOKEN, valueFrom: {secretKeyRef: {..}}}]`.
        pub extra_envs: Vec<EnvVar> = Vec::new(),
        /// Secrets and ConfigMaps whose keys become environment variables: `[{secretRef: {name: backend}}]`.
        pub extra_envs_from: Vec<EnvFromSource> = Vec::new(),
        /// Volumes, as a pod has them: certificates, for instance.
        pub extra_volumes: Vec<Volume> = Vec::new(),
        /// Where they are mounted, as a container has it.
        pub extra_volume_mounts: Vec<VolumeMount> = Vec::new(),
        /// Labels of every object.
        pub labels: BTreeMap<String, String> = BTreeMap::new(),
        /// Labels of the pods.
        pub pod_labels: BTreeMap<String, String> = BTreeMap::new(),
        /// Annotations of the pods.
        pub pod_annotations: BTreeMap<String, String> = BTreeMap::new(),
        /// Lets the Prometheus Operator scrape the agents through a Service.
        pub service_monitor: Monitor = Monitor::default(),
        /// Lets the Prometheus Operator scrape the agents without a Service.
        pub pod_monitor: Monitor = Monitor::default(),
        /// The alerts of deploy/prometheus/rules.yaml for the Prometheus Operator.
        pub prometheus_rule: Labelled = Labelled::default(),
        /// The dashboard of deploy/grafana as a ConfigMap that Grafana's sidecar finds.
        pub dashboard: Labelled = Labelled { labels: dashboard_labels(), ..Labelled::default() },
        /// Who may reach the agents, and what they may reach.
        pub network_policy: NetworkPolicy = NetworkPolicy::default(),
        /// The version of the cluster, `1.34`. What it is too old for is refused or left out; when it is not written, 1.30 or
        /// newer is expected.
        pub kubernetes_version: String = String::new(),
    }
}

values! {
    /// The image.
    pub struct Image {
        /// Its name, with the registry if it is not the usual one.
        pub repository: String = "otel-agent".to_owned(),
        /// Its tag; the version of this program when it is empty.
        pub tag: String = String::new(),
        /// Its digest, `sha256:…`, which goes before the tag.
        pub digest: String = String::new(),
        /// `Always`, `IfNotPresent` or `Never`.
        pub pull_policy: String = "IfNotPresent".to_owned(),
    }
}

values! {
    /// Where the default configuration sends to.
    pub struct Backend {
        /// Its address: `host:port` for OTLP over gRPC, `http://…` or `https://…` for OTLP over HTTP.
        pub endpoint: String = "otel-backend:4317".to_owned(),
        /// Whether a gRPC connection is made without TLS.
        pub insecure: bool = true,
    }
}

values! {
    /// A priority class of its own.
    pub struct PriorityClass {
        /// Whether a PriorityClass `otel-agent` is rendered and used.
        pub create: bool = false,
        /// Its value; pods without a class have 0.
        pub value: i32 = 1_000_000,
    }
}

values! {
    /// Where data is kept that is not sent yet.
    pub struct Storage {
        /// `none` (in memory), `emptyDir` (survives the end of the process, not of the pod) or `hostPath` (survives the pod; takes
        /// the Pod Security level `privileged`).
        pub r#type: StorageType = StorageType::None,
        /// The folder: of the container, and with `hostPath` of the node as well.
        pub path: String = "/var/lib/otel-agent".to_owned(),
        /// The most that it takes, `1Gi`.
        pub size: String = "1Gi".to_owned(),
    }
}

values! {
    /// How pods are replaced.
    pub struct Rollout {
        /// How many more pods than nodes (or replicas) there may be meanwhile, as a number or in percent.
        pub max_surge: Option<IntOrString> = None,
        /// How many nodes (or replicas) may be without one meanwhile.
        pub max_unavailable: Option<IntOrString> = None,
    }
}

values! {
    /// What the Prometheus Operator takes.
    pub struct Monitor {
        /// Whether it is rendered. The Operator's kinds must be there, or the API server refuses it.
        pub enabled: bool = false,
        /// Labels that Prometheus selects it by, often `release: <name of the chart's release>`.
        pub labels: BTreeMap<String, String> = BTreeMap::new(),
        /// The namespace that it is put into; that of the agent when it is empty.
        pub namespace: String = String::new(),
        /// How often the agents are scraped.
        pub interval: String = "30s".to_owned(),
    }
}

values! {
    /// An object that others select by its labels.
    pub struct Labelled {
        /// Whether it is rendered.
        pub enabled: bool = false,
        /// Its labels.
        pub labels: BTreeMap<String, String> = BTreeMap::new(),
        /// The namespace that it is put into; that of the agent when it is empty.
        pub namespace: String = String::new(),
    }
}

values! {
    /// Who may reach the agents.
    pub struct NetworkPolicy {
        /// Whether it is rendered.
        pub enabled: bool = false,
        /// The namespace that Prometheus runs in, the only one that may reach the metrics; every one when it is empty.
        pub prometheus_namespace: String = String::new(),
    }
}

choice! {
    /// How many agents there are.
    pub enum Mode {
        /// One on each node.
        Daemonset = "daemonset",
        /// A gateway.
        Deployment = "deployment",
    }
}

choice! {
    /// How applications reach the agent of their node.
    pub enum Routing {
        /// A Service whose traffic never leaves the node.
        Local = "local",
        /// A Service whose traffic leaves the node when there is no agent on it.
        PreferLocal = "prefer-local",
        /// A port of the node.
        HostPort = "host-port",
    }
}

choice! {
    /// Where metrics go.
    pub enum MetricsTo {
        /// To the backend.
        Otlp = "otlp",
        /// To a page that Prometheus fetches.
        Prometheus = "prometheus",
        /// To both.
        Both = "both",
    }
}

choice! {
    /// Where data is kept.
    pub enum StorageType {
        /// In memory.
        None = "none",
        /// In a folder of the pod.
        EmptyDir = "emptyDir",
        /// In a folder of the node.
        HostPath = "hostPath",
    }
}

/// What telemetry says of its cluster when nobody has named it.
pub const DEFAULT_CLUSTER: &str = "default";

/// What Grafana's sidecar looks for unless told otherwise.
fn dashboard_labels() -> BTreeMap<String, String> {
    BTreeMap::from([("grafana_dashboard".to_owned(), "1".to_owned())])
}

impl Values {
    /// How applications reach the agent; none in a deployment.
    #[must_use]
    pub fn routing(&self) -> Option<Routing> {
        (self.mode == Mode::Daemonset).then(|| self.routing.unwrap_or(Routing::Local))
    }

    /// The taints that do not keep it away.
    #[must_use]
    pub fn tolerations(&self) -> Vec<Toleration> {
        let every = || Toleration { operator: Some("Exists".to_owned()), ..Toleration::default() };
        match (&self.tolerations, self.mode) {
            (Some(chosen), _) => chosen.clone(),
            (None, Mode::Daemonset) => vec![every()],
            (None, Mode::Deployment) => Vec::new(),
        }
    }

    /// CPU and memory: those of the profile, and what was written in their place.
    #[must_use]
    pub fn resources(&self) -> ResourceRequirements {
        let mut resources = self.profile.figures().resources();
        let written = self.resources.clone();
        for (of_profile, written) in
            [(&mut resources.requests, written.requests), (&mut resources.limits, written.limits)]
        {
            of_profile.get_or_insert_default().extend(written.unwrap_or_default());
        }
        resources.claims = written.claims;
        resources
    }

    /// The memory limit of the container, in bytes.
    #[must_use]
    pub fn memory_limit(&self) -> Option<u64> {
        memory_bytes(&self.resources().limits?.get("memory")?.0)
    }

    /// The reference of the image.
    #[must_use]
    pub fn image(&self) -> String {
        let Image { repository, tag, digest, .. } = &self.image;
        match (tag.as_str(), digest.as_str()) {
            ("", "") => format!("{repository}:{}", env!("CARGO_PKG_VERSION")),
            (tag, "") => format!("{repository}:{tag}"),
            (_, digest) => format!("{repository}@{digest}"),
        }
    }

    /// Sets the image from a reference, `registry:5000/name:tag@sha256:…`.
    pub fn set_image(&mut self, reference: &str) {
        let (name, digest) = reference.split_once('@').unwrap_or((reference, ""));
        // A colon before the last slash is that of the registry's port.
        let tagged = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/'));
        let (repository, tag) = tagged.unwrap_or((name, ""));
        let tag = if tag.is_empty() && digest.is_empty() { "latest" } else { tag };
        self.image = Image {
            repository: repository.to_owned(),
            tag: tag.to_owned(),
            digest: digest.to_owned(),
            pull_policy: self.image.pull_policy.clone(),
        };
    }

    /// The priority class of the pods.
    #[must_use]
    pub fn priority_class(&self) -> Option<&str> {
        match self.priority_class_name.as_str() {
            "" if self.priority_class.create => Some(crate::manifests::NAME),
            "" => None,
            name => Some(name),
        }
    }

    /// Whether the cluster has a minor version of Kubernetes; yes where its version was not written.
    pub(crate) fn has_kubernetes(&self, minor: u32) -> bool {
        self.minor().is_none_or(|own| own >= minor)
    }

    /// The minor version of the cluster, if it was written and can be read.
    pub(crate) fn minor(&self) -> Option<u32> {
        let text = self.kubernetes_version.strip_prefix('v').unwrap_or(&self.kubernetes_version);
        let (major, rest) = text.split_once('.')?;
        let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
        (major == "1").then(|| digits.parse().ok())?
    }
}

#[cfg(test)]
pub(crate) mod tests;
