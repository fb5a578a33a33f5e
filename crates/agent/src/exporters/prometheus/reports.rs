//! What goes wrong with the data of senders: counted always, logged now and then, with who it was and what to do.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::refusal::Refusal;
use crate::telemetry::metrics::Sink;
use crate::telemetry::{cut, table};

/// Something that two senders, or one sender twice, say differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Conflict {
    /// One name, two types.
    Type,
    /// One name, two metrics of OTLP.
    Name,
    /// One name, two descriptions.
    Help,
    /// One series, two sources that write in turns.
    Duplicate,
    /// A counter has become smaller without a new start.
    Decrease,
}

/// A conflict with what is to be said about it.
#[derive(Debug, Clone)]
pub(super) struct Report {
    pub(super) conflict: Conflict,
    /// The name of the family.
    pub(super) family: String,
    /// What is there.
    pub(super) existing: String,
    /// What came.
    pub(super) new: String,
    /// How often.
    pub(super) times: u64,
}

/// Counters and the memory of what was logged.
#[derive(Debug)]
pub(super) struct Reports {
    exporter: String,
    refused: [AtomicU64; Refusal::ALL.len()],
    conflicts: [AtomicU64; Conflict::ALL.len()],
    scrapes: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When what was last logged, in ticks of the table.
    logged: HashMap<(Conflict, String), u32>,
    logged_limit: Option<u32>,
    /// Refused points by metric and pod.
    offenders: HashMap<(String, String), u64>,
    others: u64,
}

/// Metrics and pods whose refused points are counted by name.
const MOST_OFFENDERS: usize = 50;
/// Conflicts that are remembered as logged.
const MOST_LOGGED: usize = 256;
/// Longer names of metrics and resources are cut in logs and metrics.
pub(super) const LONGEST_NAME: usize = 253;
/// So much is logged of what two senders say differently, such as descriptions.
const LONGEST_SAID: usize = 1024;
/// The same is logged again after ten minutes, in ticks of a tenth of a second.
const AGAIN: u32 = 6000;

impl Conflict {
    const ALL: [Conflict; 5] =
        [Conflict::Type, Conflict::Name, Conflict::Help, Conflict::Duplicate, Conflict::Decrease];

    fn name(self) -> &'static str {
        match self {
            Conflict::Type => "type",
            Conflict::Name => "name",
            Conflict::Help => "help",
            Conflict::Duplicate => "duplicate",
            Conflict::Decrease => "decrease",
        }
    }

    fn remedy(self) -> &'static str {
        match self {
            Conflict::Type => {
                "The first stays, the data points of the other are dropped. Rename one of the two, or keep them apart with `namespace`."
            }
            Conflict::Name => {
                "Where their labels are the same, the data points of the second are dropped. Rename one of the two, or use another `translation_strategy`."
            }
            Conflict::Help => "The first description is shown. Give both the same one.",
            Conflict::Duplicate => {
                "Two senders write to one series in turns, so that its value jumps. Tell them apart: add the processor `k8s_attributes` to the pipeline and `resource_constant_labels: {included: [\"k8s.*\"]}` to this exporter, or give each a `service.instance.id`."
            }
            Conflict::Decrease => {
                "A monotonic sum has become smaller while its start stayed; Prometheus takes it as a reset. Its sender should report a new start, or an up-down counter."
            }
        }
    }
}

impl Reports {
    pub(super) fn new(exporter: &str) -> Reports {
        Reports {
            exporter: exporter.to_owned(),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            conflicts: std::array::from_fn(|_| AtomicU64::new(0)),
            scrapes: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// Counts data points that are not kept.
    pub(super) fn refuse(&self, refusal: Refusal, points: u64, metric: &str, pod: &str, now: u32) {
        self.refused[refusal as usize].fetch_add(points, Relaxed);
        let metric = cut(metric, LONGEST_NAME);
        let mut state = self.state();
        state.offend(points, metric, pod);
        if refusal == Refusal::Limit && state.logged_limit.is_none_or(|at| now.wrapping_sub(at) >= AGAIN) {
            state.logged_limit = Some(now);
            drop(state);
            tracing::warn!(
                exporter = self.exporter,
                metric,
                pod,
                "There are as many series as `max_series` and `max_series_bytes` allow; data points of new ones are dropped. \
                 otel_agent_prometheus_refused_points names the metrics and pods they come from. Have these use fewer \
                 attributes, or raise the limit."
            );
        }
    }

    pub(super) fn scraped(&self) {
        self.scrapes.fetch_add(1, Relaxed);
    }

    /// Counts a conflict, and logs it unless it was logged lately.
    pub(super) fn conflict(&self, report: &Report, now: u32) {
        let Report { conflict, family, existing, new, times } = report;
        self.conflicts[*conflict as usize].fetch_add(*times, Relaxed);
        let family = cut(family, LONGEST_NAME);
        if self.state().is_news(*conflict, family, now) {
            tracing::warn!(
                exporter = self.exporter,
                conflict = conflict.name(),
                metric = family,
                existing = cut(existing, LONGEST_SAID),
                new = cut(new, LONGEST_SAID),
                "Conflicting metrics. {}",
                conflict.remedy()
            );
        }
    }

    /// Points refused for this reason.
    #[cfg(test)]
    pub(super) fn refused(&self, refusal: Refusal) -> u64 {
        self.refused[refusal as usize].load(Relaxed)
    }

    /// Conflicts of this kind.
    #[cfg(test)]
    pub(super) fn conflicts(&self, conflict: Conflict) -> u64 {
        self.conflicts[conflict as usize].load(Relaxed)
    }

    pub(super) fn show(&self, sink: &mut Sink) {
        let exporter = ("exporter", self.exporter.as_str());
        for refusal in Refusal::ALL {
            let labels = [exporter, ("reason", refusal.name())];
            sink.set(&table::PROMETHEUS_DROPPED, &labels, self.refused[refusal as usize].load(Relaxed));
        }
        for conflict in Conflict::ALL {
            let labels = [exporter, ("kind", conflict.name())];
            sink.set(&table::PROMETHEUS_CONFLICTS, &labels, self.conflicts[conflict as usize].load(Relaxed));
        }
        sink.set(&table::PROMETHEUS_SCRAPES, &[exporter], self.scrapes.load(Relaxed));
        let state = self.state();
        for ((metric, pod), points) in &state.offenders {
            let labels = [exporter, ("metric", metric.as_str()), ("pod", pod.as_str())];
            sink.set(&table::PROMETHEUS_REFUSED, &labels, *points);
        }
        if state.others > 0 {
            let labels = [exporter, ("metric", "other"), ("pod", "other")];
            sink.set(&table::PROMETHEUS_REFUSED, &labels, state.others);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps the largest counts. The one that has to make room goes to the others, so that nothing is lost from the sum.
    fn offend(&mut self, points: u64, metric: &str, pod: &str) {
        let key = (metric.to_owned(), pod.to_owned());
        if let Some(count) = self.offenders.get_mut(&key) {
            *count += points;
            return;
        }
        if self.offenders.len() >= MOST_OFFENDERS {
            let least = self.offenders.iter().min_by_key(|(_, points)| **points).map(|(key, _)| key.clone());
            self.others += least.and_then(|least| self.offenders.remove(&least)).unwrap_or_default();
        }
        self.offenders.insert(key, points);
    }

    fn is_news(&mut self, conflict: Conflict, family: &str, now: u32) -> bool {
        if self.logged.len() >= MOST_LOGGED {
            self.logged.retain(|_, at| now.wrapping_sub(*at) < AGAIN);
        }
        let key = (conflict, family.to_owned());
        if self.logged.get(&key).is_some_and(|at| now.wrapping_sub(*at) < AGAIN) || self.logged.len() >= MOST_LOGGED {
            return false;
        }
        self.logged.insert(key, now);
        true
    }
}
