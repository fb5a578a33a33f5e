//! What the process holds beside payload and that grows with use: connections, series, pods. It is looked at several times a
//! second, and payload may use that much less.
//!
//! It is not held by permits, as most of it is not ours to refuse in the middle; but it stands in the same memory, so whatever
//! it takes is missing for payload. The reasons are in `docs/decisions/0004-memory-budget.md`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::{Budget, sizing};
use crate::telemetry::{Metrics, table};

/// How often it is looked at. Within this time a thousand connections may come, but hardly more.
const EVERY: Duration = Duration::from_millis(200);

/// All that is beside payload. Clones are the same.
#[derive(Clone, Default)]
pub struct Beside(Arc<Mutex<Vec<Source>>>);

struct Source {
    what: &'static str,
    bytes: Box<dyn Fn() -> usize + Send + Sync>,
}

/// Looks for as long as it lives.
#[derive(Debug)]
pub struct Watch(JoinHandle<()>);

impl Beside {
    /// Something that takes memory; `bytes` says how much now, and must be quick.
    pub fn add(&self, what: &'static str, bytes: impl Fn() -> usize + Send + Sync + 'static) {
        self.sources(|sources| sources.push(Source { what, bytes: Box::new(bytes) }));
    }

    /// How much there is now, by what it is.
    #[must_use]
    pub fn by_what(&self) -> Vec<(&'static str, usize)> {
        let mut sums: Vec<(&'static str, usize)> = Vec::new();
        self.sources(|sources| {
            for source in sources.iter() {
                let bytes = (source.bytes)();
                match sums.iter_mut().find(|(what, _)| *what == source.what) {
                    Some((_, sum)) => *sum += bytes,
                    None => sums.push((source.what, bytes)),
                }
            }
        });
        sums
    }

    /// Takes what there is now from what payload may use.
    pub fn weigh_on(&self, budget: &Budget) {
        let all = self.by_what().iter().map(|(_, bytes)| bytes).sum();
        budget.set_beside(sizing::taken_from_payload(all));
    }

    /// Does so several times a second.
    #[must_use]
    pub fn watch(&self, budget: &Budget) -> Watch {
        let (beside, budget) = (self.clone(), budget.downgrade());
        Watch(tokio::spawn(async move {
            let mut ticks = interval(EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                let Some(budget) = budget.upgrade() else { return };
                beside.weigh_on(&budget);
            }
        }))
    }

    /// Shows it in `metrics`.
    pub fn show_in(&self, metrics: &Metrics) {
        let beside = self.clone();
        metrics.on_collect(move |sink| {
            for (what, bytes) in beside.by_what() {
                sink.set(&table::BUDGET_BESIDE, &[("what", what)], bytes as u64);
            }
        });
    }

    fn sources<T>(&self, see: impl FnOnce(&mut Vec<Source>) -> T) -> T {
        see(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl std::fmt::Debug for Beside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.by_what()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use tokio::time::sleep;

    use super::*;

    const MIB: usize = 1 << 20;

    #[tokio::test(start_paused = true)]
    async fn what_grows_beside_payload_is_taken_from_it_and_given_back() {
        let budget = Budget::with_soft(60 * MIB, 40 * MIB);
        let (beside, connections) = (Beside::default(), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&connections);
        beside.add("connections", move || counted.load(Relaxed) * MIB);
        beside.add("series", || MIB);
        let metrics = Metrics::new();
        beside.show_in(&metrics);
        let watch = beside.watch(&budget);
        sleep(EVERY).await;
        assert_eq!((budget.soft(), budget.limit()), (40 * MIB, 60 * MIB), "a little is in the base");
        connections.store(18, Relaxed);
        sleep(2 * EVERY).await;
        assert_eq!(
            (budget.soft(), budget.limit()),
            (30 * MIB, 50 * MIB),
            "15 MiB above it, at 1.5 for each byte of payload"
        );
        assert_eq!(metrics.value(&table::BUDGET_BESIDE, &[("what", "connections")]), Some((18 * MIB) as f64));
        assert!(budget.try_hold(31 * MIB).is_err() && budget.try_hold(29 * MIB).is_ok());
        connections.store(1000, Relaxed);
        sleep(2 * EVERY).await;
        assert_eq!((budget.soft(), budget.limit()), (10 * MIB, 15 * MIB), "a quarter is always left");
        drop(watch);
        connections.store(0, Relaxed);
        sleep(2 * EVERY).await;
        assert_eq!(budget.soft(), 10 * MIB, "nobody looks any more");
        beside.weigh_on(&budget);
        assert_eq!(budget.soft(), 40 * MIB);
    }

    #[test]
    fn a_request_that_only_now_does_not_fit_may_come_again() {
        let budget = Budget::with_soft(60 * MIB, 40 * MIB);
        budget.set_beside(30 * MIB);
        let full = budget.try_hold(20 * MIB).unwrap_err();
        assert!(full.wanted < full.limit, "{full}");
        let held = budget.try_hold(9 * MIB).unwrap();
        budget.set_beside(60 * MIB);
        assert!(budget.try_hold(0).is_ok() && budget.try_hold(2 * MIB).is_err());
        drop(held);
        assert_eq!(budget.usage(), 0);
    }
}
