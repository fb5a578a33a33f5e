//! What stands around every processor that is a plain call: counts what goes in and what comes out.

use std::sync::Arc;

use wire::Signal;

use crate::pipeline::{Batch, Process, Rejected, Wait};
use crate::telemetry::{Counter, Metrics, table};

/// A processor whose items are counted.
pub(super) struct Counted {
    processor: Arc<dyn Process>,
    incoming: Counter,
    outgoing: Counter,
}

impl Counted {
    pub(super) fn new(processor: Arc<dyn Process>, id: &str, signal: Signal, metrics: &Metrics) -> Self {
        let labels = [("processor", id), ("otel_signal", signal.name())];
        let incoming = metrics.counter(&table::PROCESSOR_INCOMING_ITEMS, &labels);
        let outgoing = metrics.counter(&table::PROCESSOR_OUTGOING_ITEMS, &labels);
        Self { processor, incoming, outgoing }
    }
}

impl Process for Counted {
    fn wait(&self, batch: &Batch) -> Option<Wait<'_>> {
        self.processor.wait(batch)
    }

    fn process(&self, batch: Batch) -> Result<Option<Batch>, Rejected> {
        self.incoming.add(batch.items() as u64);
        let processed = self.processor.process(batch)?;
        if let Some(batch) = &processed {
            self.outgoing.add(batch.items() as u64);
        }
        Ok(processed)
    }
}
