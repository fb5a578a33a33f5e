//! Family `configuration`: whether the configuration in the ConfigMap can be used, and whether it is what runs.

use super::figures::{Figures, figures};
use super::words::{count, list};
use super::{Check, Context, Family, Finding, Severity};
use crate::snapshot::agents::Configuration;
use crate::snapshot::{Agent, Snapshot};

pub(super) const FAMILY: Family = Family {
    name: "configuration",
    about: "Whether the configuration in the ConfigMap can be used, and whether it is the one that runs.",
    checks: &[&INVALID, &REFUSED, &NOT_LOADED],
    look,
};

static INVALID: Check = Check {
    id: "config-invalid",
    severity: Severity::Error,
    means: "The configuration in the ConfigMap has errors: a pod that starts anew does not come up with it.",
    evidence: "Every problem that `otel-agent validate` of this version finds.",
    remedy: "Mend the text; undo the last change of the ConfigMap.",
};

static REFUSED: Check = Check {
    id: "config-refused",
    severity: Severity::Error,
    means: "An agent has read a new configuration and refused it; it goes on with the old one.",
    evidence: "`otel_agent_config_reloads{outcome=\"refused\"}`, and a checksum that is not that of the ConfigMap.",
    remedy: "Mend the text; the log of the pod says what is wrong with it.",
};

static NOT_LOADED: Check = Check {
    id: "config-not-loaded",
    severity: Severity::Warning,
    means: "The ConfigMap is newer than what runs.",
    evidence: "`otel_agent_config_checksum` of each pod against the CRC-32 of the text in the ConfigMap.",
    remedy: "`kubectl rollout restart`, or wait for the agent if it watches its configuration.",
};

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    snapshot.agents.iter().flat_map(|agent| of_agent(context, agent)).collect()
}

fn of_agent(context: &Context<'_>, agent: &Agent) -> Vec<Finding> {
    let Some(configuration) = agent.configuration.some().and_then(Option::as_ref) else { return Vec::new() };
    let errors = context.understood(agent).unwrap_or_default().errors;
    let stale: Vec<Stale<'_>> = figures(agent).filter_map(|figures| stale(figures, configuration)).collect();
    if !errors.is_empty() {
        return vec![invalid(context, agent, configuration, errors, &stale)];
    }
    let (refused, not_loaded): (Vec<_>, Vec<_>) = stale.into_iter().partition(|stale| stale.refused > 0.0);
    let mut findings = Vec::new();
    if !refused.is_empty() {
        findings.push(say(context, agent, configuration, &REFUSED, &refused));
    }
    if !not_loaded.is_empty() {
        findings.push(say(context, agent, configuration, &NOT_LOADED, &not_loaded));
    }
    findings
}

/// A pod that runs with another text than the ConfigMap has.
struct Stale<'a> {
    pod: &'a str,
    checksum: f64,
    /// How long it has been running with it, in seconds.
    age: Option<f64>,
    refused: f64,
}

fn stale<'a>(figures: Figures<'a>, configuration: &Configuration) -> Option<Stale<'a>> {
    let file = format!("/{}", configuration.key);
    let sources = figures.sums(&["otel_agent_config_checksum"], &["source"]);
    let (_, checksum) = sources.into_iter().find(|(source, _)| source.iter().any(|source| source.ends_with(&file)))?;
    if (checksum - f64::from(crc32fast::hash(configuration.text.as_bytes()))).abs() < 0.5 {
        return None;
    }
    let refused = figures.sums(&["otel_agent_config_reloads"], &["outcome"]).get(&vec!["refused".to_owned()]).copied();
    let (clock, applied) = (figures.now.sum("otel_agent_process_clock"), figures.now.sum("otel_agent_config_applied"));
    let age = clock.zip(applied).map(|(clock, applied)| clock - applied);
    Some(Stale { pod: figures.pod(), checksum, age, refused: refused.unwrap_or_default() })
}

impl Stale<'_> {
    fn evidence(&self, configuration: &Configuration) -> String {
        let wanted = crc32fast::hash(configuration.text.as_bytes());
        let age = self.age.map(|age| format!(", since {}", super::figures::seconds(age))).unwrap_or_default();
        let refused =
            if self.refused > 0.0 { format!("; {} refused", count_of(self.refused, "reload")) } else { String::new() };
        let running = super::figures::number(self.checksum).replace(' ', "");
        format!("pod {} runs a text with checksum {running}{age}, the ConfigMap has {wanted}{refused}", self.pod)
    }
}

fn count_of(number: f64, thing: &str) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter of few events")]
    count(number as usize, thing)
}

fn invalid(
    context: &Context<'_>,
    agent: &Agent,
    configuration: &Configuration,
    errors: Vec<String>,
    stale: &[Stale<'_>],
) -> Finding {
    let (namespace, map, kubectl) = (agent.namespace(), &configuration.config_map, &context.kubectl);
    let title = format!("ConfigMap {map} holds a configuration with {}", count(errors.len(), "error"));
    let running: Vec<String> = stale.iter().map(|stale| stale.evidence(configuration)).collect();
    let cause = if running.is_empty() {
        "A pod that starts with it ends at once with exit code 1."
    } else {
        "Agents that run go on with what they had; one that starts anew ends at once with exit code 1."
    };
    INVALID.found(format!("configmap {namespace}/{map}"), title).seen_all(errors).seen_all(running).because(cause).mend(
        format!("{kubectl} --namespace={namespace} edit configmap {map}"),
        format!("Mend key {}; try it before with: otel-agent validate --config FILE", configuration.key),
    )
}

fn say(
    context: &Context<'_>,
    agent: &Agent,
    configuration: &Configuration,
    check: &Check,
    stale: &[Stale<'_>],
) -> Finding {
    let (namespace, reference, kubectl) = (agent.namespace(), agent.controller.reference(), &context.kubectl);
    let pods: Vec<&str> = stale.iter().map(|stale| stale.pod).collect();
    let container = agent.controller.spec.template.spec.agent();
    let watches = container.is_some_and(|container| {
        container.args.iter().chain(&container.command).any(|argument| argument == "--watch-config")
    });
    let cause = match (check.id == REFUSED.id, watches) {
        (true, _) => {
            "It was read and refused, for a reason that shows only where it runs: a port in use, a file that is not there."
        }
        (false, true) => {
            "A node brings a changed ConfigMap to its pods within about a minute, and the agent then loads it by itself; \
             if this stays, the change did not reach the pod."
        }
        (false, false) => "The agent reads its configuration when it starts; it has no `--watch-config`.",
    };
    let title = format!(
        "{} with another configuration than ConfigMap {}: {}",
        runs(pods.len()),
        configuration.config_map,
        list(&pods)
    );
    check
        .found(agent.title(), title)
        .seen_all(stale.iter().map(|stale| stale.evidence(configuration)))
        .because(cause)
        .mend(
            format!("{kubectl} --namespace={namespace} rollout restart {reference}"),
            "Starts every pod with the configuration of the ConfigMap, one after another.",
        )
}

fn runs(pods: usize) -> String {
    format!("{} {}", count(pods, "pod"), if pods == 1 { "runs" } else { "run" })
}

#[cfg(test)]
mod tests;
