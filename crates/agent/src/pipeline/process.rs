//! The way through a pipeline: processors that are plain calls, and steps that hold batches for a while.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Batch, Rejected};

/// A processor that is done with a batch when it returns.
pub trait Process: Send + Sync + 'static {
    /// The batch as it goes on, or `None` if nothing of it is left (its ticket is settled).
    ///
    /// # Errors
    /// The batch is not let through; it comes back as it was.
    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected>;
}

/// A step that takes batches into custody and passes them on later, joined or divided.
pub trait Gather: Send + Sync + 'static {
    /// Takes custody of a batch. Does not wait.
    ///
    /// # Errors
    /// There is no room; the batch comes back as it was.
    fn gather(&self, batch: Batch) -> Result<(), Rejected>;

    /// Passes on everything it has. What is still there at `deadline` is counted as dropped.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// A part of a pipeline: processors in order, then a step that holds, or the exporters.
pub struct Segment {
    processors: Vec<Arc<dyn Process>>,
    end: End,
}

/// Where a segment leads.
pub enum End {
    /// To a step that holds.
    Gather(Arc<dyn Gather>),
}

impl Segment {
    /// These processors, then the end.
    #[must_use]
    pub fn new(processors: Vec<Arc<dyn Process>>, end: End) -> Segment {
        Segment { processors, end }
    }

    /// Takes a batch through.
    ///
    /// # Errors
    /// A processor or what follows did not let it through.
    #[expect(clippy::unused_async, reason = "exporters without a queue are waited for")]
    pub async fn accept(&self, batch: Batch) -> Result<(), Rejected> {
        let Some(batch) = self.process(batch)? else { return Ok(()) };
        match &self.end {
            End::Gather(step) => step.gather(batch),
        }
    }

    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected> {
        let mut batch = batch;
        for processor in &self.processors {
            match processor.process(batch)? {
                Some(processed) => batch = processed,
                None => return Ok(None),
            }
        }
        Ok(Some(batch))
    }
}
