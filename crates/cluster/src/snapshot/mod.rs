//! What was seen of a cluster at one moment, with the rights of whoever looked. Reading changes nothing.

use anyhow::bail;
use futures_util::future::join_all;
use jiff::Timestamp;
use kube::Client;
use serde::Deserialize;

/// Whose eyes: a kubeconfig's, or a pod's.
pub mod connect;

/// Reading within bounds; what was seen, and what was not.
pub mod reader;

/// Permissions, and how they are granted.
pub mod right;

/// What all objects have.
pub mod meta;

/// Amounts of processor and memory.
pub mod quantity;

/// Nodes.
pub mod nodes;

/// Pods and their templates.
pub mod pods;

/// DaemonSets, Deployments, StatefulSets.
pub mod controllers;

/// Services and endpoints.
pub mod services;

/// Namespaces, quotas, priorities.
pub mod namespaces;

/// Events.
pub mod events;

/// The agent, and what belongs to it.
pub mod agents;

/// What pods of the agent say of themselves.
pub mod inside;

/// What the agent's account may do.
pub mod access;

/// The Prometheus operator's objects.
pub mod monitors;

/// What else stands between a Prometheus and the agent.
pub mod scraping;

/// What applications take their variables from.
pub mod settings;

/// What clocks say.
pub mod clocks;

pub use agents::Agent;
pub use reader::{Seen, Unseen};
pub use right::Right;

use clocks::Ahead;
use controllers::Controller;
use monitors::Monitoring;
use namespaces::{Namespace, PriorityClass, Quota};
use nodes::Node;
use pods::{Container, Pod};
use reader::{Failure, Reader, Wanted};
use scraping::{NetworkPolicy, Scraper};
use services::{EndpointSlice, Service};
use settings::ConfigMaps;

/// Where the agent is installed unless somebody chooses otherwise.
pub const NAMESPACE: &str = "open-telemetry";

/// What to look at.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only agents of this namespace.
    pub namespace: Option<String>,
    /// Only what has this name.
    pub name: Option<String>,
    /// So many pods of each agent are asked for their metrics, health and log.
    pub sample: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { namespace: None, name: None, sample: 6 }
    }
}

/// The rights that a configuration needs in that container.
pub type Needs<'a> = &'a dyn Fn(&str, &Container) -> Vec<Right>;

/// What was seen.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// When.
    pub taken: Timestamp,
    /// Of Kubernetes, such as `v1.36.3`.
    pub version: Option<String>,
    /// What was looked for.
    pub options: Options,
    /// Nodes.
    pub nodes: Seen<Vec<Node>>,
    /// Pods of all namespaces.
    pub pods: Seen<Vec<Pod>>,
    /// DaemonSets of all namespaces; a part: of the agent's own.
    pub daemon_sets: Seen<Vec<Controller>>,
    /// Deployments, likewise.
    pub deployments: Seen<Vec<Controller>>,
    /// StatefulSets, likewise.
    pub stateful_sets: Seen<Vec<Controller>>,
    /// Services, likewise.
    pub services: Seen<Vec<Service>>,
    /// What is behind Services, likewise.
    pub slices: Seen<Vec<EndpointSlice>>,
    /// Quotas, likewise.
    pub quotas: Seen<Vec<Quota>>,
    /// Namespaces.
    pub namespaces: Seen<Vec<Namespace>>,
    /// Classes of priority.
    pub priority_classes: Seen<Vec<PriorityClass>>,
    /// The Prometheus operator's objects.
    pub monitoring: Monitoring,
    /// What those Prometheus servers may do where the agents live.
    pub scrapers: Vec<Scraper>,
    /// Network policies of all namespaces; a part: of the agent's own.
    pub policies: Seen<Vec<NetworkPolicy>>,
    /// ConfigMaps that applications take `OTEL_…` variables from.
    pub config_maps: ConfigMaps,
    /// By how much nodes' clocks are ahead, as their leases tell.
    pub leases: Vec<Ahead>,
    /// The agents that were found.
    pub agents: Vec<Agent>,
    /// All that could not be seen.
    pub unseen: Vec<Unseen>,
}

/// Reads all of it.
///
/// # Errors
/// The API server cannot be reached, or does not know who asks.
pub async fn read(client: Client, options: &Options, needs: Needs<'_>) -> anyhow::Result<Snapshot> {
    let reader = Reader::new(client);
    let version = version(&reader).await?;
    let mut snapshot = Box::pin(of_the_cluster(&reader, options)).await;
    snapshot.version = version;
    let controllers = snapshot.daemon_sets.items().iter().chain(snapshot.deployments.items());
    let controllers: Vec<Controller> = controllers.chain(snapshot.stateful_sets.items()).cloned().collect();
    let mut found = agents::choose(&controllers, options);
    let others: Vec<Controller> = controllers.into_iter().filter(|one| !one.looks_like_the_agent()).collect();
    let targets: Vec<String> = found.iter().map(|agent| agent.namespace().to_owned()).collect();
    let prometheuses = snapshot.monitoring.prometheuses.some().and_then(Option::as_ref).map(Vec::as_slice);
    let around = async {
        tokio::join!(
            scraping::read(&reader, prometheuses.unwrap_or_default(), &targets),
            settings::read(&reader, &others),
            clocks::read(&reader),
        )
    };
    let complete = join_all(found.iter_mut().map(|agent| agents::complete(agent, &reader, &snapshot, options, needs)));
    let (around, _) = tokio::join!(Box::pin(around), complete);
    (snapshot.scrapers, snapshot.config_maps, snapshot.leases) = around;
    snapshot.agents = found;
    snapshot.unseen = reader.take_unseen();
    Ok(snapshot)
}

async fn of_the_cluster(reader: &Reader, options: &Options) -> Snapshot {
    let own = options.namespace.as_deref().unwrap_or(NAMESPACE);
    let (daemon_sets, deployments, stateful_sets) = tokio::join!(
        controllers(reader, own, "daemonsets", "DaemonSet"),
        controllers(reader, own, "deployments", "Deployment"),
        controllers(reader, own, "statefulsets", "StatefulSet"),
    );
    let all = |version: &str, resource: &str| Wanted::list(version, resource, None);
    let (nodes, pods) = (all("v1", "nodes"), all("v1", "pods"));
    let (namespaces, classes) = (all("v1", "namespaces"), all("scheduling.k8s.io/v1", "priorityclasses"));
    let (nodes, pods, namespaces, priority_classes, services, slices, quotas, monitoring, policies) = tokio::join!(
        reader.list(&nodes, |_: &mut Node| {}),
        reader.list(&pods, smaller),
        reader.list(&namespaces, |_: &mut Namespace| {}),
        reader.list(&classes, |_: &mut PriorityClass| {}),
        wide(reader, own, "v1", "services"),
        wide(reader, own, "discovery.k8s.io/v1", "endpointslices"),
        wide(reader, own, "v1", "resourcequotas"),
        monitors::read(reader),
        wide(reader, own, "networking.k8s.io/v1", "networkpolicies"),
    );
    Snapshot {
        taken: Timestamp::now(),
        options: options.clone(),
        nodes,
        pods,
        daemon_sets,
        deployments,
        stateful_sets,
        services,
        slices,
        quotas,
        namespaces,
        priority_classes,
        monitoring,
        policies,
        ..Snapshot::default()
    }
}

/// Of the cluster, or, where that is not allowed, of the agent's namespace.
async fn wide<T: serde::de::DeserializeOwned>(
    reader: &Reader,
    own: &str,
    version: &str,
    resource: &str,
) -> Seen<Vec<T>> {
    match reader.list(&Wanted::list(version, resource, None), |_: &mut T| {}).await {
        Seen::Unseen(unseen) if unseen.right.is_some() => {
            let narrow = reader.list(&Wanted::list(version, resource, Some(own)), |_: &mut T| {}).await;
            match narrow {
                Seen::Known(part) | Seen::Part(part, _) => Seen::Part(part, unseen),
                Seen::Unseen(_) => Seen::Unseen(unseen),
            }
        }
        seen => seen,
    }
}

async fn controllers(reader: &Reader, own: &str, resource: &str, kind: &'static str) -> Seen<Vec<Controller>> {
    let seen: Seen<Vec<Controller>> = wide(reader, own, "apps/v1", resource).await;
    seen.map(|all| all.into_iter().map(|one| Controller { kind, ..one }).collect())
}

/// A cluster has many pods: of those that are not the agent's only what somebody may look at is kept.
fn smaller(pod: &mut Pod) {
    pod.metadata.annotations.retain(|key, _| key.starts_with("kubernetes.io/config") || key.contains("inject"));
    for container in pod.spec.containers.iter_mut().chain(&mut pod.spec.init_containers) {
        container.env.retain(|env| env.name.starts_with("OTEL_") || env.value_from.is_some());
    }
}

/// The server's version; also whether it answers us at all.
async fn version(reader: &Reader) -> anyhow::Result<Option<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    match reader.get("/version", 1 << 20).await {
        Ok(bytes) => Ok(serde_json::from_slice::<Version>(&bytes).ok().map(|version| version.git_version)),
        Err(Failure { code: 0, message }) => bail!("the API server cannot be reached: {message}"),
        Err(Failure { code: 401, message }) => bail!(
            "the API server does not know who asks ({message}): log in again, or name other credentials with \
             --kubeconfig or --context"
        ),
        Err(_) => Ok(None),
    }
}
