//! Whether the agent takes data: the one fact that readiness is made of.
//!
//! It turns on when all pipelines have been started and off as the first step of stopping, and nothing else touches it.
//! An exporter that fails or a full queue must not: a node's agent that is not ready is taken out of its Service, and
//! then the applications of that node have nobody to send to. They are told to wait instead, on the connection.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwapOption;

/// Whether the agent is ready, and since when. Clones are the same fact.
#[derive(Debug, Clone, Default)]
pub struct Health {
    since: Arc<ArcSwapOption<Since>>,
}

/// The moment of getting ready, on both clocks: one to show, one to measure by.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    /// Time of day.
    pub time: jiff::Timestamp,
    /// For the uptime, which must not jump with the time of day.
    pub instant: Instant,
}

impl Health {
    /// Not ready yet.
    #[must_use]
    pub fn starting() -> Self {
        Self::default()
    }

    /// All pipelines run and all listeners are open.
    pub fn set_ready(&self) {
        self.since.store(Some(Arc::new(Since { time: jiff::Timestamp::now(), instant: Instant::now() })));
    }

    /// The agent is about to stop.
    pub fn set_stopping(&self) {
        self.since.store(None);
    }

    /// Since when the agent is ready; `None` when it is not.
    #[must_use]
    pub fn ready_since(&self) -> Option<Since> {
        self.since.load().as_deref().copied()
    }
}
