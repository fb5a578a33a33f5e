//! Whether the agent takes data: the facts that liveness and readiness are made of. What moves behind the door is told by
//! the pipelines (`pipeline::progress`).
//!
//! The listeners are up from the moment when all pipelines have been started until the first step of stopping; with
//! `k8s_attributes`, the agent is ready when the pods are known too, or the time for that is over. Nothing else touches it.
//! An exporter that fails or a full queue must not: a node's agent that is not ready is taken out of its Service, and
//! then the applications of that node have nobody to send to. They are told to wait instead, on the connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

use super::{Metrics, table};

/// Whether the agent takes data, and since when. Clones are the same fact.
#[derive(Debug, Clone, Default)]
pub struct Health {
    facts: Arc<Facts>,
}

#[derive(Debug, Default)]
struct Facts {
    /// Since when the listeners are open.
    since: ArcSwapOption<Since>,
    stopping: AtomicBool,
    /// The first list of pods is still waited for.
    looking: AtomicBool,
}

/// The moment of getting ready, on both clocks: one to show, one to measure by.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    /// Time of day.
    pub time: jiff::Timestamp,
    /// For the uptime, which must not jump with the time of day.
    pub instant: Instant,
}

/// Whether applications of the node should be sent here.
#[derive(Debug, Clone, Copy)]
pub enum Readiness {
    /// The pipelines are being started.
    Starting,
    /// The listeners are open; the pods of the node are not known yet.
    Looking,
    /// Data is taken.
    Ready(Since),
    /// The agent is draining.
    Stopping,
}

impl Health {
    /// Not ready yet.
    #[must_use]
    pub fn starting() -> Self {
        Self::default()
    }

    /// All pipelines run and all listeners are open.
    pub fn set_ready(&self) {
        let now = Since { time: jiff::Timestamp::now(), instant: Instant::now() };
        self.facts.since.store(Some(Arc::new(now)));
    }

    /// Whether the first list of pods is waited for. It does not change what the Collector calls available.
    pub fn set_looking(&self, looking: bool) {
        self.facts.looking.store(looking, Relaxed);
    }

    /// The agent is about to stop.
    pub fn set_stopping(&self) {
        self.facts.stopping.store(true, Relaxed);
        self.facts.since.store(None);
    }

    /// Since when all pipelines run; `None` when they do not. This is what the Collector calls available.
    #[must_use]
    pub fn ready_since(&self) -> Option<Since> {
        self.facts.since.load().as_deref().copied()
    }

    /// Whether applications of the node should be sent here.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        match self.ready_since() {
            _ if self.facts.stopping.load(Relaxed) => Readiness::Stopping,
            None => Readiness::Starting,
            Some(_) if self.facts.looking.load(Relaxed) => Readiness::Looking,
            Some(since) => Readiness::Ready(since),
        }
    }

    /// Shows readiness in `metrics`. Once for the life of the process.
    pub fn register(&self, metrics: &Metrics) {
        let health = self.clone();
        metrics.on_collect(move |sink| {
            let ready = matches!(health.readiness(), Readiness::Ready(_));
            sink.set(&table::READY, &[], u64::from(ready));
        });
    }

    /// Whether the runtime turns: a task is started, sleeps, and ends. Returns how long that took; where it does not
    /// turn, the answer never comes, which tells whoever asked the same.
    pub async fn turn() -> Duration {
        let started = Instant::now();
        // A task that panics has also been run.
        let _ = tokio::spawn(tokio::time::sleep(Duration::from_millis(1))).await;
        started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_after_the_listeners_and_the_pods_and_before_the_stop() {
        let health = Health::starting();
        assert!(matches!(health.readiness(), Readiness::Starting));
        health.set_looking(true);
        health.set_ready();
        assert!(matches!(health.readiness(), Readiness::Looking) && health.ready_since().is_some());
        health.set_looking(false);
        assert!(matches!(health.readiness(), Readiness::Ready(_)));
        health.set_stopping();
        assert!(matches!(health.readiness(), Readiness::Stopping) && health.ready_since().is_none());
    }

    #[test]
    fn the_metric_says_the_same() {
        let (health, metrics) = (Health::starting(), Metrics::new());
        health.register(&metrics);
        assert_eq!(metrics.value(&table::READY, &[]), Some(0.0));
        health.set_ready();
        assert_eq!(metrics.value(&table::READY, &[]), Some(1.0));
    }

    #[tokio::test]
    async fn a_runtime_that_turns_says_so() {
        assert!(Health::turn().await >= Duration::from_millis(1));
    }
}
