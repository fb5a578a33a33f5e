//! The end: it is announced with a deadline, and then the deadline passes.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Tells everything in the pipelines that the agent is stopping, and until when. Clones are the same announcement.
#[derive(Debug, Clone)]
pub struct Stop(Arc<watch::Sender<Option<Instant>>>);

impl Default for Stop {
    fn default() -> Self {
        Stop(Arc::new(watch::Sender::new(None)))
    }
}

impl Stop {
    /// Announces the end. Nothing is tried again from now on, and nothing at all after `deadline`.
    pub fn begin(&self, deadline: Instant) {
        self.0.send_replace(Some(deadline));
    }

    /// True once the end is announced.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits for the announcement.
    pub async fn begun(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// Waits for the deadline.
    pub async fn passed(&self) {
        let deadline = self.0.subscribe().wait_for(Option::is_some).await.ok().and_then(|at| *at);
        if let Some(deadline) = deadline {
            sleep_until(deadline).await;
        }
    }
}
