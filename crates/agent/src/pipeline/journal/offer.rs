//! An arrival that waits for the thread, with the permit for its memory.
//!
//! A disk may stall for longer than senders wait. Whoever hangs up meanwhile takes the arrival back out, so that neither bytes
//! without a permit nor permits for nobody collect before the thread; what it has begun with stays under its permit until it
//! is answered.

use std::sync::{Arc, Mutex, PoisonError};

use super::Record;
use crate::pipeline::Hold;

/// Clones are the same offer: it is there for one of them.
#[derive(Debug, Clone)]
pub(super) struct Offer(Arc<Mutex<Option<(Record, Hold)>>>);

impl Offer {
    pub(super) fn new(record: Record, hold: Hold) -> Offer {
        Offer(Arc::new(Mutex::new(Some((record, hold)))))
    }

    /// What is offered; none from the second time on.
    pub(super) fn take(&self) -> Option<(Record, Hold)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
