//! `otel-agent migrate`: from a collector that is deployed to an agent on each node. It reads what there is, from the cluster
//! or from files, says what of its configuration runs here, renders the DaemonSet beside it, names the applications that have
//! to move, looks at both by their own metrics, and says when the old one can go. Only `apply` changes anything.

/// The objects that are read, wherever they come from.
pub mod objects;

/// The collector that is there.
pub mod found;

/// Where its configuration is.
mod source;

/// Its configuration, as far as it runs here.
pub mod carry;

/// What the agent's loader refuses of it.
mod refused;

/// Names and addresses that are different in the agent's pod.
mod rewrite;

/// Where the old one is reached, and where an address leads.
mod address;

/// Applications that send to it.
pub mod applications;

/// What both say of their own flow.
pub mod flow;

/// Whether the old one can go.
pub mod verdict;

/// Reading a cluster.
pub mod live;

/// The steps that change something.
pub mod apply;

/// For people.
mod text;

use serde::Serialize;
use serde_json::Value;

pub use carry::{Carried, Line, State};
pub use found::Found;
pub use objects::Objects;

/// Every error of a configuration, with the environment variables of its pod.
pub type Errors<'a> = &'a dyn Fn(&str, &[(String, String)]) -> Vec<Wrong>;

/// What the agent knows of configurations, handed over by it.
#[derive(Clone, Copy)]
pub struct Support<'a> {
    /// Reads one YAML document.
    pub read: &'a dyn Fn(&str) -> Result<Value, String>,
    /// Whether it has a component of this kind (`receiver`) and type (`jaeger`).
    pub component: &'a dyn Fn(&str, &str) -> Standing,
    /// Every error of a configuration in a pod with these environment variables.
    pub errors: Errors<'a>,
}

/// How the agent stands to a component of the Collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has it.
    Runs,
    /// It does not, and this is what to do.
    NotYet(String),
    /// It never heard of it.
    Unknown,
}

/// One error of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where: `receivers::otlp::protocols::grpc`. May be empty.
    pub path: String,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// Where the agent will be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Its namespace.
    pub namespace: String,
    /// The name of its Service and of its DaemonSet.
    pub name: String,
    /// `kubectl`, with what makes it talk to the cluster that was looked at.
    pub kubectl: String,
}

impl Target {
    /// The host that applications send to.
    #[must_use]
    pub fn host(&self) -> String {
        format!("{}.{}.svc.cluster.local", self.name, self.namespace)
    }
}

/// All that is told.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The collector that is there.
    pub from: Found,
    /// Its configuration here.
    pub configuration: Carried,
    /// Where the agent will be.
    pub target: Target,
    /// Who has to move.
    pub applications: applications::Applications,
    /// What was not seen, and why.
    pub unseen: Vec<String>,
    /// What the metrics of both say; nothing when only files were read.
    pub flow: Option<flow::Flow>,
    /// Whether the old one can go; nothing when only files were read.
    pub verdict: Option<verdict::Verdict>,
}

impl Report {
    /// The report for a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        text::text(self)
    }
}

/// What can be said without looking at anything that runs.
///
/// # Errors
/// No collector is among the objects, or several are, or its configuration cannot be found or read.
pub fn examine(
    objects: &Objects,
    from: Option<&str>,
    config: Option<(&str, &str)>,
    target: Target,
    support: Support<'_>,
) -> anyhow::Result<Report> {
    let found = found::find(objects, from, config, &target, support)?;
    let configuration = carry::carry(&found, support)?;
    let applications = applications::find(objects, &found, &target, &configuration.stay);
    let unseen = objects.unseen.clone();
    Ok(Report { from: found, configuration, target, applications, unseen, flow: None, verdict: None })
}

#[cfg(test)]
mod tests;
