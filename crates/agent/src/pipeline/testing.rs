//! For the tests of other rooms: a pipeline that keeps what it takes.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::time::Instant;
use wire::Signal;

use super::process::End;
use super::{Batch, Budget, Door, Entrance, Gather, Intake, Ledger, Origin, Refusal, Rejected, Route, Segment, Ticket};
use crate::telemetry::Metrics;

/// What a captured request was.
#[derive(Debug, Clone)]
pub struct Captured {
    /// What it carried.
    pub signal: Signal,
    /// Its body.
    pub bytes: Bytes,
    /// How many items.
    pub items: usize,
    /// Where it came from.
    pub origin: Origin,
}

/// Keeps what it takes, or refuses it with what it was told.
#[derive(Default)]
pub struct Capture {
    taken: Mutex<Vec<Captured>>,
    refusal: Mutex<Option<Refusal>>,
}

impl Capture {
    /// An intake for `signal` with a budget of `bytes`, and what it leads to.
    pub fn intake(signal: Signal, bytes: usize) -> (Intake, Arc<Capture>) {
        let capture = Arc::new(Capture::default());
        let route = Route::new(vec![Ledger::new().line("test", "capture", signal)]);
        let end = End::Gather(Arc::clone(&capture) as Arc<dyn Gather>);
        let entrance = Entrance { route, segment: Arc::new(Segment::new(Vec::new(), end)) };
        (Intake::new("test", signal, Door::new(Budget::new(bytes)), vec![entrance], Metrics::new()), capture)
    }

    /// Takes out what was captured.
    pub fn take(&self) -> Vec<Captured> {
        std::mem::take(&mut self.taken.lock().unwrap())
    }

    /// From now on refuses with this; `None` to take again.
    pub fn refuse_with(&self, refusal: Option<Refusal>) {
        *self.refusal.lock().unwrap() = refusal;
    }
}

impl Gather for Capture {
    fn gather(&self, mut batch: Batch) -> Result<(), Rejected> {
        if let Some(refusal) = self.refusal.lock().unwrap().clone() {
            return Err(Rejected::back(batch, refusal));
        }
        batch.ticket.accept();
        let captured = Captured {
            signal: batch.signal,
            bytes: batch.body.contiguous(),
            items: batch.items(),
            origin: batch.origin.clone(),
        };
        self.taken.lock().unwrap().push(captured);
        batch.ticket.sent();
        Ok(())
    }

    fn drain(&self, _deadline: Instant) -> Pin<Box<dyn Future<Output = u64> + Send + '_>> {
        Box::pin(std::future::ready(0))
    }
}

/// A batch for the test of a processor: its body, as an offer of `items` in a ledger of its own.
pub fn batch(signal: Signal, body: impl Into<wire::Chain>, items: usize) -> Batch {
    let body = body.into();
    let ticket = Ticket::offer(&Route::new(vec![Ledger::new().line("test", "test", signal)]), items);
    let hold = Budget::new(1 << 30).try_hold(body.len()).unwrap();
    Batch { signal, body, ticket, origin: Origin::default(), hold }
}
