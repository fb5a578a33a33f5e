//! Which pattern to take. A DaemonSet is the rule; the exceptions are those where it would be the wrong tool, each with the
//! figures that say so.

use serde::Serialize;

use super::profile::Profile;
use super::{Choices, Fleet, Load, Network};

/// How agents are deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Pattern {
    /// One on each node.
    Daemonset,
    /// A central pool.
    Deployment,
    /// One on each node, and something central behind them.
    DaemonsetAndCentral,
}

/// What to take, why, and the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Advice {
    /// The pattern.
    pub pattern: Pattern,
    /// The profile of its agents.
    pub profile: Profile,
    /// Why.
    pub reasons: Vec<String>,
    /// What renders it.
    pub command: String,
}

/// From how many nodes on a cluster is large.
const MANY_NODES: u32 = 100;
/// By how much a DaemonSet may request more than a pool for the same load, before a large cluster is better off with the pool.
const TIMES_THE_POOL: f64 = 20.0;

/// Decides.
pub(super) fn advise(
    load: &Load,
    choices: &Choices,
    [daemonset, pool]: [&Fleet; 2],
    network: &Network,
    raised: bool,
) -> Advice {
    let daemonset_profile = daemonset.profile.unwrap_or(Profile::Default);
    let pool_profile = pool.profile.unwrap_or(Profile::Default);
    let mut reasons = Vec::new();
    let times = daemonset.cpu_requested / pool.cpu_requested;
    let quiet = load.nodes >= MANY_NODES && times >= TIMES_THE_POOL;
    let pattern = if choices.external_senders {
        reasons.push(
            "the senders are outside of the cluster: there is no agent on their node to send to, and a Service whose \
             traffic stays on the node would drop what arrives on a node without one; a Deployment behind a load \
             balancer takes it"
                .to_owned(),
        );
        Pattern::Deployment
    } else if choices.central_processing && quiet {
        reasons.push(central("all data has to be seen in one place"));
        reasons.push(too_quiet(load, daemonset, pool, times));
        Pattern::Deployment
    } else if choices.central_processing {
        reasons.push(central("an agent sees only what its own node sends"));
        reasons.push(stays_on_node(network));
        Pattern::DaemonsetAndCentral
    } else if quiet {
        reasons.push(too_quiet(load, daemonset, pool, times));
        Pattern::Deployment
    } else {
        reasons.push(stays_on_node(network));
        let carries = |kind: &str| {
            format!(
                "{} {kind} {} items/s with {:.0} % of its processor limit and {:.0} % of its memory for data to spare",
                daemonset_profile.name(),
                load.items_per_second,
                daemonset.cpu_headroom * 100.0,
                daemonset.memory_headroom.unwrap_or_default() * 100.0,
            )
        };
        reasons.push(carries(if raised {
            "with raised limits carries"
        } else {
            "is the smallest profile that carries"
        }));
        Pattern::Daemonset
    };
    let (profile, mode) = match pattern {
        Pattern::Deployment => (pool_profile, " --mode deployment"),
        Pattern::Daemonset | Pattern::DaemonsetAndCentral => (daemonset_profile, ""),
    };
    let command = format!("otel-agent manifests --profile {}{mode} --config agent.yaml", profile.name());
    Advice { pattern, profile, reasons, command }
}

fn central(why: &str) -> String {
    format!(
        "{why}: tail sampling and the like need one place. otel-agent has no such processor; keep a Collector for it, and \
         let the agents send OTLP to that (for more than one replica with the exporter `loadbalancing` of a Collector)"
    )
}

fn too_quiet(load: &Load, daemonset: &Fleet, pool: &Fleet, times: f64) -> String {
    format!(
        "{} nodes with {} items/s each: one agent on each would request {:.1} processors to use {:.2}; {} in a Deployment \
         request {:.1} for the same, {times:.0} times less",
        load.nodes, load.items_per_second, daemonset.cpu_requested, daemonset.cpu_used, pool.pods, pool.cpu_requested
    )
}

fn stays_on_node(network: &Network) -> String {
    format!(
        "what applications send stays on their node: {} less between nodes, and the agent knows the pod by its address",
        super::text::bytes_per_second(network.saved_bytes_per_second)
    )
}
