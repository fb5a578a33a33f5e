//! What is wrong with the agent in a cluster, and the commands that mend it.
//!
//! A family of checks is one file with pure functions from a snapshot to findings. What it may find stands in its list of
//! `Check`s; the reference page is written from these lists, and a finding is made from its row, so that none is without one.

use serde::Serialize;

use crate::snapshot::pods::Container;
use crate::snapshot::{Agent, Right, Snapshot};

/// One agent as the checks see it.
mod seeing;

/// Whether the agent is there, and which nodes have none, and why.
mod nodes;

/// Pods that the API server refuses to make.
mod create;

/// Pods that are there and do not serve.
mod pods;

/// The Service that applications send to.
mod service;

/// Whether the newest agent has come to every node.
mod rollout;

/// Whether the agent stays within its memory.
mod memory;

/// Why telemetry has no attributes of Kubernetes.
mod attributes;

/// What applications send to.
mod applications;

/// What goes on to the backend, and what comes in.
mod exporters;

/// The configuration in the ConfigMap, and the one that runs.
mod configuration;

/// Who scrapes the agent.
mod prometheus;

/// What clocks say.
mod clock;

/// What the agents' metrics say, and how fast it changes.
mod figures;

/// What the agents' logs say.
mod log;

/// Why a node does not take a pod.
mod placement;

/// What is the matter with a pod.
mod trouble;

/// All that the families need to be told in words: lists of names, ages, commands.
mod words;

/// What was found, as text and as JSON.
pub mod report;

/// The reference page.
pub mod reference;

/// Snapshots for tests.
#[cfg(test)]
mod played;

/// Pods that say anything.
#[cfg(test)]
mod anything;

pub use report::Report;

/// All families, in the order of the reference page.
pub const FAMILIES: &[Family] = &[
    nodes::FAMILY,
    create::FAMILY,
    pods::FAMILY,
    rollout::FAMILY,
    service::FAMILY,
    memory::FAMILY,
    applications::FAMILY,
    attributes::FAMILY,
    exporters::FAMILY,
    configuration::FAMILY,
    prometheus::FAMILY,
    clock::FAMILY,
];

/// What has to do with one another.
pub struct Family {
    /// One word.
    pub name: &'static str,
    /// What it looks at, in a sentence.
    pub about: &'static str,
    /// What it may find.
    pub checks: &'static [&'static Check],
    /// Looks.
    pub look: fn(&Snapshot, &Context<'_>) -> Vec<Finding>,
}

/// Something that may be found: a row of the reference page.
pub struct Check {
    /// Stable, in kebab-case.
    pub id: &'static str,
    /// How bad it is, unless the finding says otherwise.
    pub severity: Severity,
    /// What it means.
    pub means: &'static str,
    /// What it is concluded from.
    pub evidence: &'static str,
    /// What is done about it.
    pub remedy: &'static str,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Telemetry is lost, or will be.
    Error,
    /// It works, but not for long, or not everywhere.
    Warning,
    /// Good to know; nothing is wrong.
    Note,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Of its check.
    pub id: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// With which object.
    pub subject: String,
    /// In a sentence.
    pub title: String,
    /// What it is concluded from.
    pub evidence: Vec<String>,
    /// Why it is so.
    pub cause: String,
    /// What mends it, best first.
    pub remedy: Vec<Remedy>,
}

/// One way of mending it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remedy {
    /// For a shell, as it stands; lines are commands to be run one after another. None where a person has to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// What it does, and what has to be known before.
    pub explanation: String,
}

/// What the checks are told besides the snapshot.
pub struct Context<'a> {
    /// `kubectl`, with the arguments that make it talk to the cluster that was looked at.
    pub kubectl: String,
    /// What a configuration asks for in that container, by the rules of this program.
    pub understand: &'a dyn Fn(&str, &Container) -> Understood,
}

impl Context<'_> {
    /// A command of `kubectl` in the namespace of an agent.
    fn kubectl_for(&self, agent: &Agent, command: &str) -> String {
        format!("{} --namespace={} {command}", self.kubectl, agent.namespace())
    }

    /// What an agent's configuration asks for; none if it was not seen.
    #[must_use]
    pub fn understood(&self, agent: &Agent) -> Option<Understood> {
        let configuration = agent.configuration.some()?.as_ref()?;
        let container = agent.controller.spec.template.spec.agent()?;
        Some((self.understand)(&configuration.text, container))
    }
}

/// What a configuration asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Understood {
    /// Every error of it, one text each with place and remedy; empty if it can be used.
    pub errors: Vec<String>,
    /// The rights that it needs.
    pub needs: Vec<Right>,
    /// Its pipelines.
    pub pipelines: Vec<Pipeline>,
    /// The `k8s_attributes` processors that only pass the sender's address on, by id.
    pub passthrough: Vec<String>,
    /// The `k8s_attributes` processors that do not find pods by `k8s.pod.uid`.
    pub not_by_uid: Vec<NotByUid>,
    /// What is to be fetched from other pods, and listens on loopback.
    pub loopback: Vec<Listener>,
    /// What the memory limiter is set to, if there is one.
    pub limiter: Option<Limiter>,
    /// The largest `send_batch_size`, if there is a `batch`.
    pub batch_items: Option<u64>,
    /// The environment variables from which it takes the name of its own node.
    pub node_variables: Vec<String>,
}

/// A pipeline, with the ids of what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pipeline {
    /// `metrics`
    pub name: String,
    /// In the order of the configuration.
    pub receivers: Vec<String>,
    /// In the order in which data passes.
    pub processors: Vec<String>,
}

/// A `k8s_attributes` processor that does not find pods by the attribute `k8s.pod.uid` alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NotByUid {
    /// Its id.
    pub processor: String,
    /// Whether it has a `pod_association` of its own.
    pub is_listed: bool,
}

/// Something that listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listener {
    /// What for: `own metrics`.
    pub what: String,
    /// The key of the configuration.
    pub key: String,
    /// Where.
    pub address: String,
}

/// What the memory limiter is set to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limiter {
    /// `limit_mib`.
    Mib(u64),
    /// `limit_percentage`, of the container's limit.
    Percentage(u64),
}

impl Limiter {
    /// In bytes, in a container with that limit.
    #[must_use]
    pub fn bytes(self, container: u64) -> u64 {
        match self {
            Limiter::Mib(mib) => mib << 20,
            Limiter::Percentage(percent) => container.saturating_mul(percent) / 100,
        }
    }
}

impl Check {
    /// A finding of this kind, with nothing but its subject and title.
    #[must_use]
    pub fn found(&self, subject: impl Into<String>, title: impl Into<String>) -> Finding {
        Finding {
            id: self.id,
            severity: self.severity,
            subject: subject.into(),
            title: title.into(),
            evidence: Vec::new(),
            cause: String::new(),
            remedy: Vec::new(),
        }
    }
}

impl Finding {
    /// As bad as this instead.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    /// One more thing that it is concluded from.
    #[must_use]
    pub fn seen(mut self, evidence: impl Into<String>) -> Self {
        self.evidence.push(evidence.into());
        self
    }

    /// Several.
    #[must_use]
    pub fn seen_all(mut self, evidence: impl IntoIterator<Item = String>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    /// Why it is so.
    #[must_use]
    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.cause = cause.into();
        self
    }

    /// One more way of mending it.
    #[must_use]
    pub fn mend(mut self, command: impl Into<String>, explanation: impl Into<String>) -> Self {
        self.remedy.push(Remedy { command: Some(command.into()), explanation: explanation.into() });
        self
    }

    /// Something that a person has to decide or to do elsewhere.
    #[must_use]
    pub fn advise(mut self, explanation: impl Into<String>) -> Self {
        self.remedy.push(Remedy { command: None, explanation: explanation.into() });
        self
    }
}

/// Which findings are wanted, by id or by the name of a family.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    /// Only these; empty: all.
    pub only: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
}

impl Chosen {
    /// Those names that are neither a finding nor a family.
    #[must_use]
    pub fn unknown(&self) -> Vec<&str> {
        let known = |name: &&str| {
            FAMILIES.iter().any(|family| family.name == *name || family.checks.iter().any(|check| check.id == *name))
        };
        self.only.iter().chain(&self.skip).map(String::as_str).filter(|name| !known(name)).collect()
    }

    fn takes(&self, family: &Family, finding: &Finding) -> bool {
        let named = |names: &[String]| names.iter().any(|name| name == family.name || name == finding.id);
        (self.only.is_empty() || named(&self.only)) && !named(&self.skip)
    }
}

/// Everything that is wrong, worst first.
#[must_use]
pub fn diagnose(snapshot: &Snapshot, context: &Context<'_>, chosen: &Chosen) -> Report {
    let mut findings = Vec::new();
    for family in FAMILIES {
        let found = (family.look)(snapshot, context);
        findings.extend(found.into_iter().filter(|finding| chosen.takes(family, finding)));
    }
    // Stable: within a severity the order of the families stays, which is the order in which one would look.
    findings.sort_by_key(|finding| finding.severity);
    Report::new(snapshot, context, findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_in_kebab_case() {
        let mut ids: Vec<&str> = FAMILIES.iter().flat_map(|family| family.checks).map(|check| check.id).collect();
        let all = ids.len();
        assert!(ids.iter().all(|id| id.chars().all(|c| c.is_ascii_lowercase() || c == '-')), "{ids:?}");
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "an id is used twice");
    }

    #[test]
    fn findings_and_families_are_chosen_by_name() {
        let chosen = |only: &[&str], skip: &[&str]| Chosen {
            only: only.iter().map(ToString::to_string).collect(),
            skip: skip.iter().map(ToString::to_string).collect(),
        };
        let family = &FAMILIES[0];
        let finding = family.checks[0].found("a", "b");
        assert!(chosen(&[], &[]).takes(family, &finding));
        assert!(chosen(&[family.name], &[]).takes(family, &finding));
        assert!(chosen(&[finding.id], &[]).takes(family, &finding));
        assert!(!chosen(&["another"], &[]).takes(family, &finding));
        assert!(!chosen(&[], &[finding.id]).takes(family, &finding));
        assert_eq!(chosen(&["another", family.name], &[]).unknown(), ["another"]);
    }
}
