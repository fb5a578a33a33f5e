//! Whether a batch may wait in a processor. It ends at once when the receivers are about to close: nobody is to be kept
//! waiting for something that may never come.

use std::sync::Arc;

use tokio::sync::watch;

/// Tells everything that waits in processors whether it may go on waiting. Clones are the same.
#[derive(Debug, Clone)]
pub struct Patience(Arc<watch::Sender<bool>>);

impl Default for Patience {
    fn default() -> Self {
        Patience(Arc::new(watch::Sender::new(true)))
    }
}

impl Patience {
    /// What waits goes on, and nothing waits any more.
    pub fn end(&self) {
        self.0.send_replace(false);
    }

    /// Batches may wait again.
    pub fn begin(&self) {
        self.0.send_replace(true);
    }

    /// True while nothing may wait.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        !*self.0.borrow()
    }

    /// Waits for the end.
    pub async fn ended(&self) {
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = self.0.subscribe().wait_for(|patient| !*patient).await;
    }
}
