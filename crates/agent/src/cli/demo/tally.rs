//! How many items of each signal: what the application created, what the agent acknowledged, what the backend got.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use wire::Signal;

/// A count for each signal.
#[derive(Debug, Default)]
pub(super) struct Tally([AtomicU64; 3]);

/// The counts at one moment, in the order of [`Signal::ALL`].
pub(super) type Counts = [u64; 3];

impl Tally {
    /// Adds items.
    pub(super) fn add(&self, signal: Signal, items: usize) {
        if let Some(count) = self.0.get(signal.index()) {
            count.fetch_add(items as u64, Relaxed);
        }
    }

    /// The counts now.
    #[must_use]
    pub(super) fn counts(&self) -> Counts {
        [0, 1, 2].map(|index: usize| self.0.get(index).map_or(0, |count| count.load(Relaxed)))
    }
}
