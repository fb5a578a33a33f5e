//! `otel-agent plan`: what a load costs as a DaemonSet of agents, as a central pool of agents, and as a central pool of
//! Collectors, and which of them to take. The cost of an item comes from runs that were measured (`figures`); what was
//! only published by others, or assumed, is told apart.

/// What was measured, what was published, what is assumed.
pub mod figures;

/// The three profiles.
pub mod profile;

/// One agent under a load: processor time and memory.
mod agent;

/// Which pattern, and why.
mod advice;

/// For people.
mod text;

use serde::Serialize;

pub use advice::{Advice, Pattern};
pub use agent::Need;
pub use profile::Profile;

/// What is to be carried.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Load {
    /// Nodes with applications.
    pub nodes: u32,
    /// Items (spans, data points, log records) a second, each node.
    pub items_per_second: f64,
    /// Bytes of one item on the wire, without compression.
    pub bytes_per_item: f64,
    /// Items that an application puts into one request.
    pub items_per_request: f64,
    /// What is sent, in equal parts.
    pub signals: Vec<Signal>,
    /// How long the backend may be away while everything is kept in memory, in seconds.
    pub outage_seconds: f64,
}

/// A kind of item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Signal {
    /// Spans.
    Traces,
    /// Data points.
    Metrics,
    /// Log records.
    Logs,
}

/// What else decides.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Choices {
    /// Replicas of the central pool; otherwise as many as the load takes, two at least.
    pub pool_replicas: Option<u32>,
    /// Processor seconds of a Collector for a million items; otherwise the published figure.
    pub collector_cpu_per_million: Option<f64>,
    /// What is sent comes from outside of the cluster.
    pub external_senders: bool,
    /// Something has to see all data in one place, such as tail sampling.
    pub central_processing: bool,
}

/// What a set of pods asks for, all of them together.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fleet {
    /// Pods.
    pub pods: u32,
    /// The profile of each; none for Collectors.
    pub profile: Option<Profile>,
    /// Processors requested.
    pub cpu_requested: f64,
    /// Memory requested, MiB.
    pub memory_requested_mib: f64,
    /// Processors that the load takes.
    pub cpu_used: f64,
    /// The part of the processor limit of a pod that the load leaves free.
    pub cpu_headroom: f64,
    /// The part of the memory limiter's limit that the load leaves free during the outage; unknown for Collectors.
    pub memory_headroom: Option<f64>,
    /// Where the cost of an item is from.
    pub cost_from: String,
}

/// What goes over the network between applications and whatever takes their data.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Network {
    /// Bytes a second that applications send.
    pub bytes_per_second: f64,
    /// The part of the requests to a central pool that leaves its node.
    pub pool_leaves_node: f64,
    /// Bytes a second between nodes that a DaemonSet saves.
    pub saved_bytes_per_second: f64,
    /// The same in 30 days, in GB (10^9 bytes).
    pub saved_gb_per_month: f64,
    /// Hops over the network from application to backend, with a DaemonSet: the agent to the backend.
    pub hops_daemonset: u32,
    /// The same with a central pool.
    pub hops_pool: u32,
    /// Connections to the backend with a DaemonSet (one for each agent), for one exporter.
    pub backend_connections_daemonset: u32,
    /// The same with a pool.
    pub backend_connections_pool: u32,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What was asked.
    pub load: Load,
    /// What else was said.
    pub choices: Choices,
    /// What one agent of a DaemonSet needs.
    pub each_agent: Need,
    /// An agent on each node.
    pub daemonset: Fleet,
    /// Limits above those of the profile `high`, when that one does not carry the load.
    pub raised: Option<profile::Limits>,
    /// A Deployment of agents.
    pub agent_pool: Fleet,
    /// A Deployment of Collectors.
    pub collector_pool: Fleet,
    /// Hops and bytes.
    pub network: Network,
    /// What to take.
    pub advice: Advice,
    /// The figures behind it.
    pub figures: figures::Sources,
}

/// Replicas that a pool has at least, so that one may go.
const LEAST_REPLICAS: u32 = 2;

/// What is wrong with the question; nothing if it can be answered.
#[must_use]
pub fn problems(load: &Load, choices: &Choices) -> Vec<String> {
    let mut problems = Vec::new();
    let mut positive = |what: &str, value: f64| {
        if !(value.is_finite() && value > 0.0 && value <= 1e12) {
            problems.push(format!("{what} must be more than 0 and at most 1e12; it is {value}"));
        }
    };
    positive("the number of nodes", f64::from(load.nodes));
    positive("the rate of items", load.items_per_second);
    positive("the size of an item", load.bytes_per_item);
    positive("the number of items in a request", load.items_per_request.max(0.0));
    if let Some(cost) = choices.collector_cpu_per_million {
        positive("the Collector's cost of a million items", cost);
    }
    if let Some(replicas) = choices.pool_replicas {
        positive("the number of replicas", f64::from(replicas));
    }
    if load.items_per_request < 1.0 {
        problems.push(format!("a request has at least 1 item; it has {}", load.items_per_request));
    }
    if !(load.outage_seconds.is_finite() && (0.0..=86_400.0).contains(&load.outage_seconds)) {
        problems.push(format!("an outage lasts 0 to 86400 seconds; it is {}", load.outage_seconds));
    }
    if load.signals.is_empty() {
        problems.push("at least one of traces, metrics and logs is sent".to_owned());
    }
    problems
}

/// Answers a question that has no [`problems`].
#[must_use]
pub fn plan(load: &Load, choices: &Choices) -> Report {
    let profile = Profile::for_load(load);
    let each_agent = agent::need(load, load.items_per_second, profile);
    let raised = (!profile.carries(load, load.items_per_second)).then(|| agent::limits_for(&each_agent));
    let daemonset = fleet(load, load.nodes, load.items_per_second, profile, raised.as_ref());
    let agent_pool = agent_pool(load, choices);
    let collector_pool = collector_pool(load, choices);
    let network = network(load, collector_pool.pods);
    let advice = advice::advise(load, choices, [&daemonset, &agent_pool], &network, raised.is_some());
    Report {
        load: load.clone(),
        choices: choices.clone(),
        each_agent,
        daemonset,
        raised,
        agent_pool,
        collector_pool,
        network,
        advice,
        figures: figures::sources(),
    }
}

impl Report {
    /// The answer for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        text::text(self)
    }
}

fn fleet(load: &Load, pods: u32, rate: f64, profile: Profile, raised: Option<&profile::Limits>) -> Fleet {
    let need = agent::need(load, rate, profile);
    let limits = profile.limits();
    let (cpu_limit, limiter) =
        raised.map_or((limits.cpu, limits.limiter_mib()), |raised| (raised.cpu, raised.limiter_mib()));
    // Raised limits raise what is requested in the same proportion as the profile has it.
    let (cpu_share, memory_share) = (limits.cpu_request / limits.cpu, limits.memory_request_mib / limits.memory_mib);
    let memory_limit = raised.map_or(limits.memory_mib, |raised| raised.memory_mib);
    Fleet {
        pods,
        profile: Some(profile),
        cpu_requested: f64::from(pods) * cpu_limit * cpu_share,
        memory_requested_mib: f64::from(pods) * memory_limit * memory_share,
        cpu_used: f64::from(pods) * need.cpu,
        cpu_headroom: 1.0 - need.cpu / cpu_limit,
        memory_headroom: Some(1.0 - need.memory_mib / limiter),
        cost_from: figures::PODS.file.to_owned(),
    }
}

/// The smallest pool of agents: for each profile as many as carry the load, then the one that requests the least memory.
fn agent_pool(load: &Load, choices: &Choices) -> Fleet {
    let total = total(load);
    let pools = Profile::ALL.into_iter().rev().map(|profile| {
        let pods = choices.pool_replicas.unwrap_or_else(|| {
            let carries = |pods: u32| profile.carries(load, total / f64::from(pods));
            let most = LEAST_REPLICAS.max(load.nodes).saturating_mul(1024);
            first(LEAST_REPLICAS, most, carries)
        });
        let each = total / f64::from(pods);
        let raised = (!profile.carries(load, each)).then(|| agent::limits_for(&agent::need(load, each, profile)));
        (raised.is_some(), fleet(load, pods, each, profile, raised.as_ref()))
    });
    // One whose limits need not be raised; among those that do, `high`, which comes first.
    let best = pools.min_by(|(a_raised, a), (b_raised, b)| {
        let memory = a.memory_requested_mib.total_cmp(&b.memory_requested_mib);
        a_raised.cmp(b_raised).then(if *a_raised { std::cmp::Ordering::Equal } else { memory })
    });
    best.map_or_else(|| fleet(load, LEAST_REPLICAS, total, Profile::High, None), |(_, fleet)| fleet)
}

/// The first number from `least` for which it holds, or `most`. Once it holds, it holds for every larger one.
fn first(least: u32, most: u32, holds: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (least, most);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle) { high = middle } else { low = middle + 1 }
    }
    low
}

fn collector_pool(load: &Load, choices: &Choices) -> Fleet {
    let cost = choices.collector_cpu_per_million.unwrap_or_else(|| figures::published_cost(&load.signals));
    let used = total(load) * cost / 1e6;
    let wanted = used / (1.0 - figures::HEADROOM);
    // One processor each, as the published figures are for one; more of them for each pod when the pods are given.
    let pods = choices.pool_replicas.unwrap_or_else(|| whole(wanted).max(LEAST_REPLICAS));
    let cpu = f64::from(pods).max(wanted);
    Fleet {
        pods,
        profile: None,
        cpu_requested: cpu,
        memory_requested_mib: cpu * figures::COLLECTOR_MIB_PER_PROCESSOR,
        cpu_used: used,
        cpu_headroom: 1.0 - used / cpu,
        memory_headroom: None,
        cost_from: if choices.collector_cpu_per_million.is_some() {
            "--collector-cpu-per-million".to_owned()
        } else {
            figures::SPLUNK.source.to_owned()
        },
    }
}

fn network(load: &Load, pool_pods: u32) -> Network {
    let bytes_per_second = total(load) * load.bytes_per_item;
    // A Service without a policy picks any of the pods; each stands on one of the nodes, so one request in `nodes` stays.
    let pool_leaves_node = 1.0 - 1.0 / f64::from(load.nodes);
    let saved_bytes_per_second = bytes_per_second * pool_leaves_node;
    Network {
        bytes_per_second,
        pool_leaves_node,
        saved_bytes_per_second,
        saved_gb_per_month: saved_bytes_per_second * 30.0 * 86_400.0 / 1e9,
        hops_daemonset: 1,
        hops_pool: 2,
        backend_connections_daemonset: load.nodes,
        backend_connections_pool: pool_pods,
    }
}

fn total(load: &Load) -> f64 {
    load.items_per_second * f64::from(load.nodes)
}

/// The next whole number; what is beyond `u32` is its largest.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within the bounds of u32 by then")]
fn whole(value: f64) -> u32 {
    value.ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests;
