//! The part of an arrival that tickets carry: which records of which journals wait for which lines of the ledger.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel};

use smallvec::SmallVec;

use super::{Destination, Journal, Record};
use crate::pipeline::ledger::Line;
use crate::pipeline::{Arrival, Refusal};

/// Puts the arrivals of one door into one journal.
#[derive(Debug, Clone)]
pub(in crate::pipeline) struct Keeper {
    journal: Journal,
    destinations: Arc<[Destination]>,
    /// The lines of these destinations, in the same order.
    lines: Vec<Arc<Line>>,
}

/// An arrival in journals. Its parts are in the tickets of batches; each line that has settled all of its items finishes
/// its part of the record.
pub(in crate::pipeline) struct Kept {
    places: SmallVec<[Place; 1]>,
}

/// One destination of a record.
struct Place {
    line: Arc<Line>,
    journal: Journal,
    sequence: u64,
    destination: u16,
    items: u64,
    /// Items that are on their way.
    open: AtomicU64,
    /// Items that are left for later.
    later: AtomicU64,
}

/// Records that no ticket stands for yet: they are withdrawn if none ever does.
struct Fresh(SmallVec<[Place; 1]>);

impl Keeper {
    /// Keeps in `journal` for these lines; at most [`super::MOST_DESTINATIONS`].
    pub(in crate::pipeline) fn new(journal: Journal, lines: Vec<Arc<Line>>) -> Keeper {
        let destinations = lines.iter().map(|line| line.destination()).collect();
        Keeper { journal, destinations, lines }
    }

    fn record(&self, arrival: &Arrival) -> Record {
        Record {
            signal: arrival.signal,
            items: arrival.items as u64,
            peer: arrival.origin.peer,
            metadata: arrival.origin.metadata.as_deref().map(harmless).unwrap_or_default(),
            destinations: Arc::clone(&self.destinations),
            body: arrival.bytes.clone(),
        }
    }

    /// Puts an arrival into the journals of all keepers, and gives it back.
    ///
    /// # Errors
    /// One of them does not take it; then none keeps it.
    pub(in crate::pipeline) async fn keep(
        keepers: &[Keeper],
        mut arrival: Arrival,
    ) -> Result<(Arrival, Arc<Kept>), Refusal> {
        let mut fresh = Fresh(SmallVec::new());
        for keeper in keepers {
            let sequence;
            let record = keeper.record(&arrival);
            (sequence, arrival.hold) = keeper.journal.append(record, arrival.hold).await?;
            let items = arrival.items as u64;
            fresh.0.extend((0_u16..).zip(&keeper.lines).map(|(destination, line)| {
                Place::new(Arc::clone(line), keeper.journal.clone(), sequence, destination, items)
            }));
        }
        Ok((arrival, Arc::new(Kept { places: std::mem::take(&mut fresh.0) })))
    }
}

/// Headers without those that are passwords: a journal is a file.
fn harmless(metadata: &crate::pipeline::Metadata) -> Vec<(String, Vec<String>)> {
    const SECRET: [&str; 3] = ["authorization", "proxy-authorization", "cookie"];
    let kept = metadata.iter().filter(|(name, _)| !SECRET.contains(name));
    kept.map(|(name, values)| (name.to_owned(), values.to_vec())).collect()
}

impl Kept {
    /// A record that was read back, for one line.
    pub(super) fn again(line: Arc<Line>, journal: Journal, sequence: u64, destination: u16, items: u64) -> Arc<Kept> {
        Arc::new(Kept { places: SmallVec::from_buf([Place::new(line, journal, sequence, destination, items)]) })
    }

    /// This line has answered for good for so many items.
    pub(in crate::pipeline) fn settle(&self, line: &Arc<Line>, items: u64) {
        if let Some(place) = self.place(line) {
            place.close(items);
        }
    }

    /// This line leaves so many items for later. Returns false if they are not kept for it: then they are lost.
    pub(in crate::pipeline) fn leave(&self, line: &Arc<Line>, items: u64) -> bool {
        let Some(place) = self.place(line) else { return false };
        line.keep(items);
        place.later.fetch_add(items, AcqRel);
        place.close(items);
        true
    }

    fn place(&self, line: &Arc<Line>) -> Option<&Place> {
        self.places.iter().find(|place| Arc::ptr_eq(&place.line, line))
    }
}

impl Place {
    fn new(line: Arc<Line>, journal: Journal, sequence: u64, destination: u16, items: u64) -> Place {
        let (open, later) = (AtomicU64::new(items), AtomicU64::new(0));
        Place { line, journal, sequence, destination, items, open, later }
    }

    fn close(&self, items: u64) {
        if self.open.fetch_sub(items, AcqRel) != items {
            return;
        }
        let later = self.later.load(std::sync::atomic::Ordering::Acquire);
        if later == 0 {
            self.journal.finish(self.sequence, self.destination);
            return;
        }
        // Records are sent again as a whole, also those items that were sent already.
        self.line.send_again(self.items - later);
        self.journal.keep(self.sequence, self.destination);
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.0.iter().for_each(|place| place.journal.finish(place.sequence, place.destination));
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.places.iter().map(|place| (place.sequence, place.destination))).finish()
    }
}
