//! Family `memory`: whether the agent stays within its container's limit, and whether its limiter can see to that.

mod checks;

use super::figures::{Figures, Sums, figures, number, until_mended};
use super::trouble::{self, Trouble};
use super::words::{age, count, named};
use super::{Context, Family, Finding, Limiter, Severity, Understood};
use crate::snapshot::pods::Pod;
use crate::snapshot::quantity::Quantity;
use crate::snapshot::{Agent, Snapshot};
use checks::{LIMIT_MISSING, LIMITER_MISSING, LIMITER_TOO_HIGH, NEAR_LIMIT, OOM_KILLED, REFUSING};

pub(super) const FAMILY: Family = Family {
    name: "memory",
    about: "Whether the agent stays within its container's memory limit, and whether its limiter can see to that.",
    checks: &[&OOM_KILLED, &LIMITER_TOO_HIGH, &NEAR_LIMIT, &REFUSING, &LIMITER_MISSING, &LIMIT_MISSING],
    look,
};

/// The limiter is set to this part of the container's limit: what is not counted by it (stacks, code, the allocator) fits beside.
const GOOD: u64 = 75;
/// Above this part it may come too late.
const HIGH: u64 = 90;
const MIB: u64 = 1 << 20;
/// In bytes, more than any machine has: whatever claims more is taken for this, so that one can calculate with it.
const MOST: u64 = 1 << 56;
/// By the limiter as a processor, in items.
const REFUSED_ITEMS: [&str; 3] = [
    "otelcol_processor_memory_limiter_refused_spans",
    "otelcol_processor_memory_limiter_refused_metric_points",
    "otelcol_processor_memory_limiter_refused_log_records",
];
/// Before a body is read, in requests.
const REFUSED_REQUESTS: [&str; 1] = ["otel_agent_receiver_refused_requests"];

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    let agents = snapshot.agents.iter();
    agents.flat_map(|agent| of_agent(&Seeing::new(snapshot, context, agent))).collect()
}

struct Seeing<'a> {
    snapshot: &'a Snapshot,
    context: &'a Context<'a>,
    agent: &'a Agent,
    container: String,
    /// The container's memory limit, in bytes.
    limit: Option<u64>,
    understood: Option<Understood>,
}

impl<'a> Seeing<'a> {
    fn new(snapshot: &'a Snapshot, context: &'a Context<'a>, agent: &'a Agent) -> Self {
        let container = agent.controller.spec.template.spec.agent();
        let limit = container.and_then(|container| container.resources.limits.get("memory"));
        Self {
            snapshot,
            context,
            agent,
            container: container.map(|container| container.name.clone()).unwrap_or_default(),
            limit: limit.map(|limit| limit.whole().min(MOST)),
            understood: context.understood(agent),
        }
    }

    fn kubectl(&self, command: &str) -> String {
        self.context.kubectl_for(self.agent, command)
    }

    fn set_limit(&self, bytes: u64) -> String {
        let reference = self.agent.controller.reference();
        let mib = bytes.div_ceil(MIB);
        self.kubectl(&format!("set resources {reference} --containers={} --limits=memory={mib}Mi", self.container))
    }

    fn limiter(&self) -> Option<Limiter> {
        self.understood.as_ref()?.limiter
    }

    /// The commands that change one number of the configuration and make the agents read it.
    fn set_in_configuration(&self, key: &str, from: u64, to: u64) -> Option<String> {
        let configuration = self.agent.configuration.some()?.as_ref()?;
        let written = format!("{key}: {from}");
        // A number that is written in another way, or more than once, is left to whoever wrote it.
        if times(&configuration.text, &written) != 1 {
            return None;
        }
        let map = &configuration.config_map;
        Some(format!(
            "{} | sed 's/\\b{written}\\b/{key}: {to}/' | {} apply -f -\n{}",
            self.kubectl(&format!("get configmap {map} --output=yaml")),
            self.context.kubectl,
            self.kubectl(&format!("rollout restart {}", self.agent.controller.reference()))
        ))
    }
}

/// How often that is written as a word of its own.
fn times(text: &str, written: &str) -> usize {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    let alone = |at: usize| {
        let (before, after) = (text.get(..at).unwrap_or_default(), text.get(at + written.len()..).unwrap_or_default());
        !before.ends_with(is_word) && !after.starts_with(is_word)
    };
    text.match_indices(written).filter(|(at, _)| alone(*at)).count()
}

fn of_agent(it: &Seeing<'_>) -> Vec<Finding> {
    let findings =
        [oom_killed(it), limiter_too_high(it), near_limit(it), refusing(it), limiter_missing(it), limit_missing(it)];
    findings.into_iter().flatten().collect()
}

fn mib(bytes: u64) -> String {
    format!("{} MiB", bytes / MIB)
}

fn oom_killed(it: &Seeing<'_>) -> Option<Finding> {
    let pods = it.agent.pods.items().iter();
    let killed: Vec<(&Pod, Trouble<'_>)> = pods
        .filter_map(|pod| Some((pod, trouble::of(it.agent, pod, it.snapshot.taken)?)))
        .filter(|(_, trouble)| matches!(trouble, Trouble::OutOfMemory(..)))
        .collect();
    if killed.is_empty() {
        return None;
    }
    let names: Vec<&str> = killed.iter().map(|(pod, _)| pod.name()).collect();
    let was = if names.len() == 1 { "was" } else { "were" };
    let mut finding = OOM_KILLED
        .found(named("pod", &names), format!("{} {was} killed for want of memory", count(names.len(), "agent")));
    for (pod, trouble) in killed.iter().take(3) {
        let Trouble::OutOfMemory(status, ended) = trouble else { continue };
        let when = ended.finished_at.map(|at| format!(" {} ago", age(it.snapshot.taken, at))).unwrap_or_default();
        let node = pod.node().unwrap_or("no node");
        finding = finding.seen(format!(
            "{} on {node}: OOMKilled{when}, {}",
            pod.name(),
            count(status.restart_count as usize, "restart")
        ));
    }
    if let Some(limit) = it.limit {
        finding = finding.seen(format!("its container may have {}", mib(limit)));
    }
    finding = match it.limiter() {
        Some(limiter) => finding.seen(format!("its memory limiter is set to {}", limiter_text(limiter, it.limit))),
        None => finding,
    };
    let too_high = it.limiter().zip(it.limit).is_some_and(|(limiter, limit)| limiter.bytes(limit) * 100 > limit * HIGH);
    let because = match (too_high, it.limiter().is_some()) {
        (true, _) => "The limiter is set too high for the container: the kernel acts first.",
        (false, true) => {
            "What it needs beside the data that the limiter counts does not fit: many senders, large requests, or many series."
        }
        (false, false) => "Nothing bounds what it takes before the kernel does.",
    };
    finding = finding.because(because);
    if let Some(limit) = it.limit {
        finding = finding.mend(it.set_limit(limit * 2), format!("Twice the memory.{}", limiter_advice(it, limit * 2)));
    }
    Some(with_smaller_batches(it, finding))
}

/// What `limit_mib` is to be in a container of that size, if it is given in MiB.
fn limiter_advice(it: &Seeing<'_>, limit: u64) -> String {
    match it.limiter() {
        Some(Limiter::Mib(_)) => {
            let good = limit * GOOD / 100 / MIB;
            format!(" With it, let limit_mib be {good} and spike_limit_mib {} at most.", good / 4)
        }
        _ => String::new(),
    }
}

/// Batches that are held in memory, if they are large.
fn with_smaller_batches(it: &Seeing<'_>, finding: Finding) -> Finding {
    const LARGE: u64 = 2_048;
    let Some(size) = it.understood.as_ref().and_then(|understood| understood.batch_items).filter(|size| *size > LARGE)
    else {
        return finding;
    };
    let explanation = format!("Batches of {size} items are held until they are full; smaller ones take less memory.");
    match it.set_in_configuration("send_batch_size", size, 1_024) {
        Some(command) => finding.mend(command, explanation),
        None => finding.advise(format!("{explanation} Set send_batch_size to 1024.")),
    }
}

fn limiter_text(limiter: Limiter, limit: Option<u64>) -> String {
    match (limiter, limit) {
        (Limiter::Mib(mib), _) => format!("limit_mib {mib}"),
        (Limiter::Percentage(percent), Some(limit)) => {
            format!("limit_percentage {percent}, which is {} of {}", mib(limiter.bytes(limit)), mib(limit))
        }
        (Limiter::Percentage(percent), None) => format!("limit_percentage {percent}"),
    }
}

fn limiter_too_high(it: &Seeing<'_>) -> Option<Finding> {
    let (limiter, limit) = it.limiter().zip(it.limit)?;
    let hard = limiter.bytes(limit);
    if hard * 100 <= limit * HIGH {
        return None;
    }
    let severity = if hard >= limit { Severity::Error } else { Severity::Warning };
    let finding = LIMITER_TOO_HIGH
        .found(it.agent.title(), "the memory limiter cannot act before the kernel does")
        .severity(severity)
        .seen(format!("its memory limiter is set to {}", limiter_text(limiter, it.limit)))
        .seen(format!("its container may have {}", mib(limit)))
        .because("The agent needs memory beside the data that the limiter counts. When both together reach the container's limit, the kernel ends it, and what it holds is lost.");
    let (key, from, to) = match limiter {
        Limiter::Mib(mib) => ("limit_mib", mib, limit * GOOD / 100 / MIB),
        Limiter::Percentage(percent) => ("limit_percentage", percent, GOOD),
    };
    let explanation = format!(
        "Sets {key} to {to}, {GOOD} % of the container's limit, and starts the agents anew, one node after another."
    );
    let finding = match it.set_in_configuration(key, from, to) {
        Some(command) => finding.mend(command, explanation),
        None => finding.advise(format!("Set {key} to {to} in the configuration: {GOOD} % of the container's limit.")),
    };
    Some(match limiter {
        Limiter::Mib(_) => finding.mend(
            it.set_limit(hard * 100 / GOOD),
            format!("Or gives the container so much that the limiter is at {GOOD} % of it."),
        ),
        Limiter::Percentage(_) => finding,
    })
}

fn near_limit(it: &Seeing<'_>) -> Option<Finding> {
    let limit = it.limit?;
    let used = it.agent.inside.iter().filter_map(|inside| {
        let rss = inside.metrics.as_ref()?.some()?.sum("otelcol_process_memory_rss")?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number of bytes")]
        Some((inside.pod.as_str(), (rss as u64).min(MOST)))
    });
    let mut near: Vec<(&str, u64)> = used.filter(|(_, rss)| rss * 100 > limit * HIGH).collect();
    near.sort_by_key(|(_, rss)| std::cmp::Reverse(*rss));
    if near.is_empty() {
        return None;
    }
    let names: Vec<&str> = near.iter().map(|(pod, _)| *pod).collect();
    let told = near.iter().take(4).map(|(pod, rss)| format!("{pod} uses {} of {}", mib(*rss), mib(limit)));
    let uses = if names.len() == 1 { "uses" } else { "use" };
    let finding = NEAR_LIMIT
        .found(
            named("pod", &names),
            format!("{} {uses} nearly all memory of the container", count(names.len(), "agent")),
        )
        .seen_all(told)
        .because("A little more, and the kernel ends it.")
        .mend(it.set_limit(limit * 2), format!("Twice the memory.{}", limiter_advice(it, limit * 2)));
    Some(with_smaller_batches(it, finding))
}

fn refusing(it: &Seeing<'_>) -> Option<Finding> {
    let refused: Vec<(&str, String)> = figures(it.agent).filter_map(|one| Some((one.pod(), refused(&one)?))).collect();
    if refused.is_empty() {
        return None;
    }
    let names: Vec<&str> = refused.iter().map(|(pod, _)| *pod).collect();
    let finding = REFUSING
        .found(named("pod", &names), format!("{} refused data for want of memory", count(names.len(), "agent")))
        .seen_all(refused.iter().take(4).map(|(_, told)| told.clone()))
        .because("Memory was short for a while: more came than was sent on. Senders were told to come again, nothing of it was lost here.");
    let finding = match it.limit {
        Some(limit) => finding.mend(
            it.set_limit(limit * 2),
            format!("If it goes on: twice the memory.{}", limiter_advice(it, limit * 2)),
        ),
        None => finding,
    };
    Some(until_mended(finding))
}

/// What one agent has refused for want of memory; none if it refuses at the door just now, which is a finding of its own.
fn refused(figures: &Figures<'_>) -> Option<String> {
    let (items, requests) =
        (figures.sums(&REFUSED_ITEMS, &[]), for_memory(&figures.sums(&REFUSED_REQUESTS, &["reason"])));
    let grown = |sums: &Sums| sums.values().sum::<f64>();
    let (items, more_items) = (grown(&items), grown(&figures.growth(&REFUSED_ITEMS, &[])));
    let more_requests = for_memory(&figures.growth(&REFUSED_REQUESTS, &["reason"]));
    if more_requests > 0.0 || items + requests <= 0.0 {
        return None;
    }
    let said = |number_of: f64, more: f64, what: &str| {
        (number_of > 0.0).then(|| format!("{} {what}{}", number(number_of), figures.lately(more)))
    };
    let told = [said(requests, more_requests, "requests at the door"), said(items, more_items, "items in a pipeline")];
    let told: Vec<String> = told.into_iter().flatten().collect();
    Some(format!("{}, {}: {}", figures.pod(), figures.since(), told.join("; ")))
}

/// Of requests by reason, those that memory was short for.
fn for_memory(by_reason: &Sums) -> f64 {
    by_reason.get(&vec!["memory".to_owned()]).copied().unwrap_or_default()
}

fn limiter_missing(it: &Seeing<'_>) -> Option<Finding> {
    let understood = it.understood.as_ref().filter(|understood| understood.errors.is_empty())?;
    if understood.limiter.is_some() {
        return None;
    }
    let (map, key) = it.agent.configuration.some()?.as_ref().map(|one| (&one.config_map, &one.key))?;
    Some(
        LIMITER_MISSING
            .found(format!("configmap {}/{map}", it.agent.namespace()), "the configuration has no memory limiter")
            .seen(format!("no processor memory_limiter in {key}"))
            .because("Without it nothing is refused when memory is short, and the kernel ends the agent.")
            .advise(
                "Add `memory_limiter: {check_interval: 1s, limit_percentage: 75, spike_limit_percentage: 20}` to the processors, and \
                 put it first in each pipeline.",
            ),
    )
}

fn limit_missing(it: &Seeing<'_>) -> Option<Finding> {
    if it.limit.is_some() || it.container.is_empty() {
        return None;
    }
    let requests = it.agent.controller.spec.template.spec.request("memory");
    let enough = Quantity::of_bytes(512 * MIB).max(requests);
    Some(
        LIMIT_MISSING
            .found(it.agent.title(), "the container has no memory limit")
            .seen(format!("container {} has no resources.limits.memory", it.container))
            .because("Nothing says how much it may take: percentages of the limiter are of the whole node's memory.")
            .mend(it.set_limit(enough.whole()), format!("Allows {}.", enough.memory())),
    )
}

#[cfg(test)]
mod tests;
