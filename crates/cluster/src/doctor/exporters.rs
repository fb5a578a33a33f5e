//! Family `exporters`: whether what the agent takes in reaches its backend, and whether it takes it in.

mod checks;
mod failure;

use std::collections::BTreeMap;

use super::figures::{Figures, Sums, figures, number, seconds, until_mended};
use super::log::lines;
use super::words::{brief, list};
use super::{Context, Family, Finding, Severity};
use crate::snapshot::{Agent, Snapshot};
use checks::{DOOR, FAILING, LOST, QUEUE, REFUSED, UNREACHABLE};
use failure::Kind;

pub(super) const FAMILY: Family = Family {
    name: "exporters",
    about: "Whether what the agents take in reaches the backend, and whether they take it in.",
    checks: &[&UNREACHABLE, &REFUSED, &FAILING, &QUEUE, &LOST, &DOOR],
    look,
};

const SENT: [&str; 3] =
    ["otelcol_exporter_sent_spans", "otelcol_exporter_sent_metric_points", "otelcol_exporter_sent_log_records"];
const FAILED: [&str; 3] = [
    "otelcol_exporter_send_failed_spans",
    "otelcol_exporter_send_failed_metric_points",
    "otelcol_exporter_send_failed_log_records",
];
const DROPPED: &str = "otel_agent_ledger_dropped_items";

/// A line of the log that is older says nothing about now; waits between attempts are 30 s at most by default.
const RECENT: i64 = 120;
/// From here on a queue that grows is told.
const FILLING: f64 = 0.5;
/// From here on it is as good as full.
const FULL: f64 = 0.95;

fn look(snapshot: &Snapshot, context: &Context<'_>) -> Vec<Finding> {
    snapshot.agents.iter().flat_map(|agent| of_agent(snapshot, context, agent)).collect()
}

fn of_agent(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent) -> Vec<Finding> {
    let all: Vec<Figures<'_>> = figures(agent).collect();
    let mut findings = troubles(snapshot, context, agent, &all);
    findings.extend(queues(context, agent, &all));
    findings.extend(lost(context, agent, &all));
    findings.extend(door(context, agent, &all));
    findings
}

/// What one exporter was seen to fail with: where, and the words for it.
#[derive(Default)]
struct Trouble {
    pods: Vec<String>,
    evidence: Vec<String>,
    error: String,
}

/// Exporters whose attempts fail now: by what their log says, or else by their figures.
fn troubles(snapshot: &Snapshot, context: &Context<'_>, agent: &Agent, all: &[Figures<'_>]) -> Vec<Finding> {
    let mut by_kind: BTreeMap<(String, Kind), Trouble> = BTreeMap::new();
    for inside in &agent.inside {
        let figures = all.iter().find(|figures| figures.inside.pod == inside.pod);
        let clock = inside.clock.unwrap_or(snapshot.taken);
        let mut heard: Vec<String> = Vec::new();
        for line in lines(inside).rev().filter(|line| line.text.starts_with("Exporting failed")) {
            let exporter = line.field("exporter").to_owned();
            // What came last counts; a line of another clock says when it was by that clock.
            if heard.contains(&exporter) || line.age(clock) > RECENT {
                continue;
            }
            heard.push(exporter.clone());
            let dropped = line.text.contains("Dropping") || line.text.contains("Rejecting");
            let kind = Kind::of(line.field("error"), dropped);
            let recovered = figures.is_some_and(|figures| recovered(figures, &exporter, kind, line.age(clock)));
            if recovered {
                continue;
            }
            let trouble = by_kind.entry((exporter, kind)).or_default();
            trouble.error = line.field("error").to_owned();
            trouble.pods.push(inside.pod.clone());
            trouble.evidence.push(format!("log of pod {}: {} {}", inside.pod, line.text, brief(line.field("error"))));
        }
        for (exporter, evidence) in figures.map(silent).unwrap_or_default() {
            if !heard.contains(&exporter) {
                let trouble = by_kind.entry((exporter, Kind::Unknown)).or_default();
                trouble.pods.push(inside.pod.clone());
                trouble.evidence.push(evidence);
            }
        }
    }
    by_kind
        .into_iter()
        .map(|((exporter, kind), trouble)| failing(snapshot, context, agent, &exporter, kind, trouble))
        .collect()
}

/// It sends again and fails at nothing, or nothing waits to be sent any more and it has been quiet for a while.
fn recovered(figures: &Figures<'_>, exporter: &str, kind: Kind, quiet: i64) -> bool {
    const A_WHILE: i64 = 10;
    let key = vec![exporter.to_owned()];
    let of = |sums: Sums| sums.get(&key).copied().unwrap_or_default();
    let grew = |names: &[&str]| of(figures.growth(names, &["exporter"]));
    let fails = grew(&FAILED) + grew(&["otel_agent_exporter_retries"]);
    let held = of(figures.sums(&["otel_agent_ledger_held_items"], &["exporter"]));
    let delivered = of(figures.sums(&SENT, &["exporter"])) > 0.0 && held <= 0.0 && quiet > A_WHILE;
    // A backend that refuses some of it takes the rest: its refusals are what counts.
    fails <= 0.0 && kind != Kind::Refused && (grew(&SENT) > 0.0 || delivered)
}

/// Exporters that try and fail by their figures, with the evidence.
fn silent(figures: &Figures<'_>) -> Vec<(String, String)> {
    let sent = figures.growth(&SENT, &["exporter"]);
    let failed = figures.growth(&FAILED, &["exporter"]);
    let retries = figures.growth(&["otel_agent_exporter_retries"], &["exporter"]);
    let exporters = failed.keys().chain(retries.keys()).filter(|key| !sent.contains_key(*key));
    let mut told: Vec<(String, String)> = exporters
        .map(|key| {
            let of = |sums: &BTreeMap<Vec<String>, f64>| number(sums.get(key).copied().unwrap_or_default());
            let evidence = format!(
                "pod {}: within {} {} items given up, {} attempts made again, none sent",
                figures.pod(),
                seconds(figures.seconds()),
                of(&failed),
                of(&retries)
            );
            (key.concat(), evidence)
        })
        .collect();
    told.dedup();
    told
}

fn failing(
    snapshot: &Snapshot,
    context: &Context<'_>,
    agent: &Agent,
    exporter: &str,
    kind: Kind,
    trouble: Trouble,
) -> Finding {
    let check = match kind {
        Kind::Refused => &REFUSED,
        Kind::Unknown => &FAILING,
        _ => &UNREACHABLE,
    };
    let (kubectl, namespace) = (&context.kubectl, agent.namespace());
    let finding = check
        .found(
            format!("exporter {exporter} of {}", agent.title()),
            format!("{}, seen at {}", kind.title(), list(&trouble.pods)),
        )
        .seen_all(trouble.evidence)
        .because(kind.cause());
    let finding = failure::remedies(finding, snapshot, context, agent, kind, &trouble.error);
    let first = trouble.pods.first().map(String::as_str).unwrap_or_default();
    finding.mend(
        format!("{kubectl} --namespace={namespace} logs {first} --since=5m | grep 'Exporting failed'"),
        "Shows what it fails with now.",
    )
}

fn queues(context: &Context<'_>, agent: &Agent, all: &[Figures<'_>]) -> Vec<Finding> {
    const LABELS: [&str; 2] = ["exporter", "data_type"];
    let mut by_exporter: BTreeMap<String, (f64, Vec<String>, Option<f64>)> = BTreeMap::new();
    for figures in all {
        let sizes = figures.sums(&["otelcol_exporter_queue_size"], &LABELS);
        let capacities = figures.sums(&["otelcol_exporter_queue_capacity"], &LABELS);
        let growth = figures.growth(&["otelcol_exporter_queue_size"], &LABELS);
        for (key, size) in sizes {
            let capacity = capacities.get(&key).copied().unwrap_or_default();
            let grown = growth.get(&key).copied().unwrap_or_default();
            let full = if capacity > 0.0 { size / capacity } else { 0.0 };
            if full < FULL && (full < FILLING || grown <= 0.0) {
                continue;
            }
            let rate = grown / figures.seconds().max(1.0);
            let left = (rate > 0.0 && full < 1.0).then(|| (capacity - size) / rate);
            let time = left.map(|left| format!(", full in {}", seconds(left))).unwrap_or_default();
            let entry = by_exporter.entry(key.first().cloned().unwrap_or_default()).or_default();
            entry.0 = entry.0.max(full);
            entry.1.push(format!(
                "pod {}, {}: {} of {} ({:.0} %), grows by {rate:.1} a second{time}",
                figures.pod(),
                key.get(1).map(String::as_str).unwrap_or_default(),
                number(size),
                number(capacity),
                full * 100.0
            ));
            entry.2 = match (entry.2, left) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
    }
    by_exporter.into_iter().map(|(exporter, (full, evidence, left))| {
        let is_full = full >= FULL;
        let title = match left {
            _ if is_full => format!("The sending queue is full ({:.0} %)", full * 100.0),
            Some(left) => format!("The sending queue fills and is full in {}", seconds(left)),
            None => format!("The sending queue fills ({:.0} %)", full * 100.0),
        };
        let map = map_of(agent);
        QUEUE
            .found(format!("exporter {exporter} of {}", agent.title()), title)
            .severity(if is_full { Severity::Error } else { Severity::Warning })
            .seen_all(evidence)
            .because("More comes in than the backend takes. When it is full, senders are refused and have to keep their data.")
            .mend(
                format!("{} --namespace={} edit configmap {map}", context.kubectl, agent.namespace()),
                format!(
                    "If the backend takes more at a time: exporters::{exporter}::sending_queue::num_consumers (default 10); for \
                     longer outages a larger queue_size, or a queue on disk with sending_queue::storage."
                ),
            )
    }).collect()
}

fn map_of(agent: &Agent) -> &str {
    let configuration = agent.configuration.some().and_then(Option::as_ref);
    configuration.map_or("otel-agent", |configuration| configuration.config_map.as_str())
}

fn lost(context: &Context<'_>, agent: &Agent, all: &[Figures<'_>]) -> Vec<Finding> {
    let mut by_exporter: BTreeMap<String, (f64, Vec<String>)> = BTreeMap::new();
    for figures in all {
        let growth = figures.growth(&[DROPPED], &["exporter", "reason"]);
        for (key, items) in figures.sums(&[DROPPED], &["exporter", "reason"]) {
            let [exporter, reason] = key.as_slice() else { continue };
            let grown = growth.get(&key).copied().unwrap_or_default();
            // What a processor takes out on purpose is not lost.
            if items > 0.0 && reason != "filtered" {
                let entry = by_exporter.entry(exporter.clone()).or_default();
                entry.0 += items;
                entry.1.push(format!(
                    "pod {}: {} items {}{}, {}",
                    figures.pod(),
                    number(items),
                    figures.since(),
                    figures.lately(grown),
                    failure::reason(reason)
                ));
            }
        }
    }
    let kubectl = &context.kubectl;
    by_exporter
        .into_iter()
        .map(|(exporter, (items, evidence))| {
            let finding = LOST
                .found(
                    format!("exporter {exporter} of {}", agent.title()),
                    format!("{} items were given up since the agents started", number(items)),
                )
                .seen_all(evidence)
                .because("Each reason says why; the log had a line for each time.")
                .mend(
                    format!(
                        "{kubectl} --namespace={} logs {} --all-pods --prefix --tail=-1 | grep 'Dropping data'",
                        agent.namespace(),
                        agent.controller.reference()
                    ),
                    "Shows when, and with which error.",
                );
            until_mended(finding)
        })
        .collect()
}

fn door(context: &Context<'_>, agent: &Agent, all: &[Figures<'_>]) -> Vec<Finding> {
    let mut by_reason: BTreeMap<String, (f64, Vec<String>)> = BTreeMap::new();
    for figures in all {
        let totals = figures.sums(&["otel_agent_receiver_refused_requests"], &["reason"]);
        for (key, grown) in figures.growth(&["otel_agent_receiver_refused_requests"], &["reason"]) {
            let entry = by_reason.entry(key.concat()).or_default();
            entry.0 += grown;
            entry.1.push(format!(
                "pod {}: {} requests refused within {}, {} {}",
                figures.pod(),
                number(grown),
                seconds(figures.seconds()),
                number(totals.get(&key).copied().unwrap_or_default()),
                figures.since()
            ));
        }
    }
    by_reason
        .into_iter()
        .map(|(reason, (requests, evidence))| {
            let (what, cause, remedy) = failure::at_the_door(&reason);
            let severity = if matches!(reason.as_str(), "memory" | "pipeline" | "unauthenticated") {
                Severity::Error
            } else {
                Severity::Warning
            };
            DOOR.found(agent.title(), format!("{} requests were refused while looking: {what}", number(requests)))
                .severity(severity)
                .seen_all(evidence)
                .because(cause)
                .mend(
                    format!(
                        "{} --namespace={} logs {} --since=5m --tail=50",
                        context.kubectl,
                        agent.namespace(),
                        agent.controller.reference()
                    ),
                    remedy,
                )
        })
        .collect()
}

#[cfg(test)]
mod tests;
