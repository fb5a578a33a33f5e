//! The way through a pipeline: processors that are plain calls, and steps that hold batches for a while.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Batch, Refusal, Rejected, Sender};

/// What a batch waits for before it is processed.
pub type Wait<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A processor that is done with a batch when it returns.
pub trait Process: Send + Sync + 'static {
    /// What this batch has to wait for before it is processed, bounded in time by the processor; `None`, nearly always,
    /// if it need not wait. Meanwhile the sender waits for its answer and the memory stays under the batch's hold.
    fn wait(&self, _batch: &Batch) -> Option<Wait<'_>> {
        None
    }

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

    /// Passes on what it has as soon as it can, without waiting for more. It goes on working.
    fn flush(&self);

    /// Passes on everything it has. What is still there at `deadline` is given up; returns how many items that were.
    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = u64> + Send + '_>>;
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
    /// To the exporters, one after another.
    Exporters(Vec<Sender>),
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
    pub async fn accept(&self, batch: Batch) -> Result<(), Rejected> {
        let mut batch = batch;
        for processor in &self.processors {
            if let Some(wait) = processor.wait(&batch) {
                wait.await;
            }
            match processor.process(batch)? {
                Some(processed) => batch = processed,
                None => return Ok(()),
            }
        }
        match &self.end {
            End::Gather(step) => step.gather(batch),
            End::Exporters(senders) => match senders.as_slice() {
                [only] => only.accept(batch).await,
                several => fan_out(several, batch).await,
            },
        }
    }
}

/// Hands a batch to each exporter in turn, also when one of them does not take it.
async fn fan_out(senders: &[Sender], batch: Batch) -> Result<(), Rejected> {
    let Batch { signal, body, ticket, origin, mut hold } = batch;
    let mut refused = Vec::new();
    for (sender, ticket) in senders.iter().zip(ticket.fan_out()) {
        let copy = Batch { signal, body: body.clone(), ticket, origin: origin.clone(), hold: hold.share() };
        refused.extend(sender.accept(copy).await.err());
    }
    match refused.into_iter().map(Rejected::refuse).reduce(Refusal::and) {
        None => Ok(()),
        Some(refusal) => Err(Rejected::settled(refusal)),
    }
}
