//! `memory_limiter`: data is refused at the door before memory runs out.
//!
//! The limits size the memory budget, which is exact for what we hold ([`crate::pipeline::budget`]). As a second guard
//! the resident memory of the process is looked at every `check_interval`, for what the budget cannot see. While it is
//! above the soft limit, new data gets a quarter of the budget and no more; while it is above the hard one, the door is
//! shut. The texts of settings, log and refusal are the Collector's.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};
use wire::Signal;

use crate::component::{About, Component, Needs, Status};
use crate::pipeline::fair;
use crate::pipeline::sizing::Marks;
use crate::pipeline::{Batch, Door, Process, Refusal, Rejected};
use crate::settings::{GoDuration, Reader, settings};
use crate::telemetry::metric::PerSignal;
use crate::telemetry::{Counter, Metrics, table};

settings! {
    /// Refuses data before memory runs out, so that the agent is not killed and the sender keeps its data. It should
    /// be the first processor of every pipeline, and its hard limit at most 80 % of the container's memory limit.
    pub struct Config {
        /// How often the memory of the process is measured. The budget for payload is exact and needs no checks.
        pub check_interval: GoDuration = GoDuration::ZERO,
        /// The hard limit in MiB. Goes before `limit_percentage`.
        pub limit_mib: u32 = 0,
        /// How far below the hard limit refusing begins, in MiB; 0 is 20 % of it.
        pub spike_limit_mib: u32 = 0,
        /// The hard limit in percent of the memory limit of the container, or of the machine's memory.
        pub limit_percentage: u32 = 0,
        /// How far below the hard limit refusing begins, in percent of the same total; 0 is 20 % of the hard limit.
        pub spike_limit_percentage: u32 = 0,
        /// Accepted for the Collector's sake, without effect: there is no garbage collector.
        pub min_gc_interval_when_soft_limited: GoDuration = GoDuration::secs(10),
        /// Accepted for the Collector's sake, without effect: there is no garbage collector.
        pub min_gc_interval_when_hard_limited: GoDuration = GoDuration::ZERO,
        /// Accepted for the Collector's sake, without effect: there is no garbage collector.
        pub max_gc_interval_when_soft_limited: GoDuration = GoDuration::secs(30),
        /// Accepted for the Collector's sake, without effect: there is no garbage collector.
        pub max_gc_interval_when_hard_limited: GoDuration = GoDuration::secs(30),
        /// Whom it refuses first; a key of ours. When there is little room left, in the memory budget or in the queue of an
        /// exporter, a sender that holds more than its share is told to come back (429, `RESOURCE_EXHAUSTED`), and the others
        /// are still let in. A sender is a pod, where a `k8s_attributes` processor knows it, or else an address.
        pub fair_share: fair::Settings = fair::Settings::default(),
    }
    check Config::check
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "memory_limiter",
        formerly: None,
        summary: "refuses data at the door before memory runs out",
        status: Status::Stable,
        signals: &Signal::ALL,
    };

    fn needs(&self) -> Needs {
        let memory_limit = (self.limit_mib > 0).then(|| u64::from(self.limit_mib) << 20);
        Needs { memory_limit, ..Needs::default() }
    }
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.check_interval.positive().is_none() {
            cx.error_at("check_interval", "'check_interval' must be greater than zero", "write `check_interval: 1s`");
        }
        if self.limit_mib == 0 && self.limit_percentage == 0 {
            let what = "'limit_mib' or 'limit_percentage' must be greater than zero";
            cx.error_at("limit_mib", what, "write `limit_percentage: 80`");
        }
        if self.limit_percentage > 100 || self.spike_limit_percentage > 100 {
            let what = "'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or \
                        equal to hundred";
            cx.error_at("limit_percentage", what, "");
        }
        if self.limit_mib > 0 && self.spike_limit_mib >= self.limit_mib {
            cx.error_at("spike_limit_mib", "'spike_limit_mib' must be smaller than 'limit_mib'", "");
        }
        if self.limit_mib == 0 && self.limit_percentage > 0 && self.spike_limit_percentage >= self.limit_percentage {
            let what = "'spike_limit_percentage' must be smaller than 'limit_percentage'";
            cx.error_at("spike_limit_percentage", what, "");
        }
        self.check_gc(cx);
    }

    /// Without effect, but a file that the Collector refuses is refused here, too.
    fn check_gc(&self, cx: &mut Reader<'_>) {
        let (soft, hard) = (self.min_gc_interval_when_soft_limited, self.min_gc_interval_when_hard_limited);
        let (most_soft, most_hard) = (self.max_gc_interval_when_soft_limited, self.max_gc_interval_when_hard_limited);
        let mut must = |holds: bool, key: &str, what: &str| {
            if !holds {
                cx.error_at(key, what, "remove the key; it has no effect here");
            }
        };
        must(
            soft >= hard,
            "min_gc_interval_when_soft_limited",
            "'min_gc_interval_when_soft_limited' should be larger than 'min_gc_interval_when_hard_limited'",
        );
        for (least, most, key) in [
            (soft, most_soft, "max_gc_interval_when_soft_limited"),
            (hard, most_hard, "max_gc_interval_when_hard_limited"),
        ] {
            must(!most.is_negative(), key, &format!("'{key}' must not be negative"));
            let least_key = key.replace("max", "min");
            must(most.is_zero() || most >= least, key, &format!("'{key}' should not be smaller than '{least_key}'"));
        }
        must(
            most_soft.is_zero() || most_soft >= most_hard,
            "max_gc_interval_when_soft_limited",
            "'max_gc_interval_when_soft_limited' should be larger than 'max_gc_interval_when_hard_limited'",
        );
    }

    /// The two limits in bytes, percentages being of `total`.
    #[must_use]
    pub fn marks(&self, total: Option<u64>) -> Marks {
        let percent = |part: u32| total.unwrap_or(0) / 100 * u64::from(part);
        let (hard, spike) = match self.limit_mib {
            0 => (percent(self.limit_percentage), percent(self.spike_limit_percentage)),
            mib => (u64::from(mib) << 20, u64::from(self.spike_limit_mib) << 20),
        };
        let spike = if spike == 0 { hard / 5 } else { spike };
        Marks { hard, soft: hard.saturating_sub(spike) }
    }

    /// The processor for one pipeline. The budget and the guard are there once for the agent.
    #[must_use]
    pub fn build(&self, id: &str, signal: Signal, door: &Door, metrics: &Metrics) -> MemoryLimiter {
        let labels = [("processor", id)];
        // Each count under its present and its former name: dashboards have both.
        let counters = |rows: [&'static PerSignal; 2]| rows.map(|rows| metrics.counter(rows.of(signal), &labels));
        MemoryLimiter {
            door: door.clone(),
            accepted: counters([&table::MEMORY_LIMITER_ACCEPTED, &table::PROCESSOR_ACCEPTED]),
            refused: counters([&table::MEMORY_LIMITER_REFUSED, &table::PROCESSOR_REFUSED]),
        }
    }

    /// Watches the memory of the process for as long as the guard lives.
    #[must_use]
    pub fn guard(&self, door: &Door, total: Option<u64>) -> Guard {
        self.guard_of(door, total, crate::telemetry::process::resident_bytes)
    }

    fn guard_of(&self, door: &Door, total: Option<u64>, measure: impl Fn() -> Option<u64> + Send + 'static) -> Guard {
        let marks = self.marks(total);
        let every = self.check_interval.positive().unwrap_or(Duration::from_secs(1));
        tracing::info!(
            limit_mib = marks.hard >> 20,
            spike_limit_mib = (marks.hard - marks.soft) >> 20,
            check_interval = ?every,
            "Memory limiter configured"
        );
        Guard(tokio::spawn(watch(Shutter { door: door.clone(), gap: Gap::Open }, marks, every, measure)))
    }
}

/// The processor: where refusing at the door is not enough, because data is in already, it is refused here.
#[derive(Debug)]
pub struct MemoryLimiter {
    door: Door,
    accepted: [Counter; 2],
    refused: [Counter; 2],
}

impl Process for MemoryLimiter {
    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected> {
        let items = batch.items() as u64;
        if self.door.is_shut() {
            self.refused.iter().for_each(|counter| counter.add(items));
            return Err(Rejected::back(batch, Refusal::memory()));
        }
        self.accepted.iter().for_each(|counter| counter.add(items));
        Ok(Some(batch))
    }
}

/// Watches the memory of the process until it is dropped.
#[derive(Debug)]
pub struct Guard(JoinHandle<()>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How far a guard lets the door be open.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Gap {
    Open,
    /// For little at a time. What stands above the soft limit need not be payload: connections alone may take as much, and
    /// then refusing everything gives back nothing, and would never end.
    Narrow,
    Shut,
}

impl Marks {
    fn gap(self, used: u64) -> Gap {
        match used {
            used if used >= self.hard => Gap::Shut,
            used if used >= self.soft => Gap::Narrow,
            _ => Gap::Open,
        }
    }
}

/// One guard's hand on the door; lets go when it is dropped.
struct Shutter {
    door: Door,
    gap: Gap,
}

impl Shutter {
    fn set(&mut self, gap: Gap) {
        if gap == self.gap {
            return;
        }
        match gap {
            Gap::Open => {}
            Gap::Narrow => self.door.budget().narrow(),
            Gap::Shut => self.door.shut(),
        }
        match std::mem::replace(&mut self.gap, gap) {
            Gap::Open => {}
            Gap::Narrow => self.door.budget().widen(),
            Gap::Shut => self.door.open(),
        }
    }
}

impl Drop for Shutter {
    fn drop(&mut self) {
        self.set(Gap::Open);
    }
}

/// Keeps the door as the memory of the process asks for, and tells the log when refusing begins and ends, also when it is
/// the budget that refuses.
async fn watch(mut shutter: Shutter, marks: Marks, every: Duration, measure: impl Fn() -> Option<u64>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let budget = shutter.door.budget().clone();
    let (mut refusals, mut was_refusing) = (budget.refusals(), false);
    loop {
        ticks.tick().await;
        let Some(used) = measure() else { continue };
        shutter.set(marks.gap(used));
        let before = std::mem::replace(&mut refusals, budget.refusals());
        let refusing = shutter.gap == Gap::Shut || refusals != before;
        if refusing != was_refusing {
            tell(refusing, used, budget.usage());
        }
        was_refusing = refusing;
    }
}

fn tell(refusing: bool, used: u64, payload: usize) {
    let (cur_mem_mib, payload_mib) = (used >> 20, payload >> 20);
    if refusing {
        tracing::warn!(cur_mem_mib, payload_mib, "Memory usage is above soft limit. Refusing data.");
    } else {
        tracing::info!(cur_mem_mib, payload_mib, "Memory usage back within limits. Resuming normal operation.");
    }
}

#[cfg(test)]
mod tests;
