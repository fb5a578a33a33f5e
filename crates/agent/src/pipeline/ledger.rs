//! The ledger: where every item that was accepted went.
//!
//! There is one [`Line`] for each exporter of each pipeline, and on each of them, at any time,
//! accepted = sent + dropped + held + kept. Kept is what lies in the journal alone, for later. The metrics, the status page
//! and the tests all read these lines. Items are moved along them by [`Ticket`](crate::pipeline::Ticket)s alone.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use wire::Signal;

use super::journal::Destination;
use super::progress::{self, Progress};
use crate::telemetry::metrics::Sink;
use crate::telemetry::{Metrics, table};

/// All lines of an agent. Clones are the same ledger.
#[derive(Clone, Default)]
pub struct Ledger {
    lines: Arc<Mutex<Vec<Arc<Line>>>>,
}

/// What became of the items that a pipeline took for one of its exporters.
pub struct Line {
    pipeline: String,
    exporter: String,
    signal: Signal,
    accepted: AtomicU64,
    refused: AtomicU64,
    sent: AtomicU64,
    held: AtomicU64,
    kept: AtomicU64,
    dropped: [AtomicU64; Reason::ALL.len()],
    /// What sends its items; also what was replaced and still sends.
    progress: Mutex<Vec<Weak<Progress>>>,
}

/// Why items were given up. The list is closed: there is no other way to lose one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// The destination refused them, and would again.
    Refused,
    /// All attempts failed until `max_elapsed_time` was over, or retrying is switched off.
    RetriesExhausted,
    /// Too large for the destination or the queue, and not divisible.
    TooLarge,
    /// The destination took the request but said that it rejected these (partial success).
    PartiallyRejected,
    /// A processor was told to leave them out.
    Filtered,
    /// The agent stopped before they could be delivered.
    Shutdown,
    /// The journal cannot be read any more where they were kept.
    Damaged,
    /// A fault of ours: they were lost track of. Always 0.
    Unaccounted,
}

/// The figures of a line at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Id of the pipeline.
    pub pipeline: String,
    /// Id of the exporter.
    pub exporter: String,
    /// What is counted.
    pub signal: Signal,
    /// Items taken.
    pub accepted: u64,
    /// Items that were not taken; the sender was told. Not part of the balance.
    pub refused: u64,
    /// Items that the destination took.
    pub sent: u64,
    /// Items that are in the agent.
    pub held: u64,
    /// Items that lie in the journal alone, to be sent later.
    pub kept: u64,
    /// Items given up, by reason, in the order of [`Reason::ALL`].
    pub dropped: [u64; Reason::ALL.len()],
}

impl Reason {
    /// All reasons, in the order in which they are listed to people.
    pub const ALL: [Reason; 8] = [
        Reason::Refused,
        Reason::RetriesExhausted,
        Reason::TooLarge,
        Reason::PartiallyRejected,
        Reason::Filtered,
        Reason::Shutdown,
        Reason::Damaged,
        Reason::Unaccounted,
    ];

    /// The word in metrics and logs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Reason::Refused => "refused",
            Reason::RetriesExhausted => "retries_exhausted",
            Reason::TooLarge => "too_large",
            Reason::PartiallyRejected => "partially_rejected",
            Reason::Filtered => "filtered",
            Reason::Shutdown => "shutdown",
            Reason::Damaged => "damaged",
            Reason::Unaccounted => "unaccounted",
        }
    }
}

/// A ledger that goes when nothing else keeps it.
#[derive(Clone)]
pub struct WeakLedger(Weak<Mutex<Vec<Arc<Line>>>>);

impl WeakLedger {
    /// The ledger, if it is still there.
    #[must_use]
    pub fn upgrade(&self) -> Option<Ledger> {
        self.0.upgrade().map(|lines| Ledger { lines })
    }
}

impl Ledger {
    /// An empty ledger.
    #[must_use]
    pub fn new() -> Ledger {
        Ledger::default()
    }

    /// The line of this pipeline and exporter; the same line each time it is asked for.
    #[must_use]
    pub fn line(&self, pipeline: &str, exporter: &str, signal: Signal) -> Arc<Line> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let known = lines.iter().find(|line| line.is(pipeline, exporter, signal));
        if let Some(line) = known {
            return Arc::clone(line);
        }
        let line = Arc::new(Line::new(pipeline, exporter, signal));
        lines.push(Arc::clone(&line));
        line
    }

    /// The same ledger, without keeping it.
    #[must_use]
    pub fn downgrade(&self) -> WeakLedger {
        WeakLedger(Arc::downgrade(&self.lines))
    }

    /// All lines.
    #[must_use]
    pub fn lines(&self) -> Vec<Arc<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The figures of all lines.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().map(|line| line.entry()).collect()
    }

    /// Shows every line in `metrics`. Once for the life of the ledger.
    pub fn register(&self, metrics: &Metrics) {
        let ledger = self.downgrade();
        metrics.on_collect(move |sink| {
            let Some(ledger) = ledger.upgrade() else { return };
            ledger.entries().iter().for_each(|entry| entry.show(sink));
            progress::show(&ledger, sink);
        });
    }

    /// Items that are in the agent.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.entries().iter().map(|entry| entry.held).sum()
    }

    /// Checks every line. The figures are only consistent while nothing moves.
    ///
    /// # Errors
    /// The lines that do not balance or that lost track of items.
    pub fn balance(&self) -> Result<(), Vec<Entry>> {
        let wrong: Vec<Entry> = self.entries().into_iter().filter(|entry| !entry.balances()).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl Line {
    fn new(pipeline: &str, exporter: &str, signal: Signal) -> Line {
        Line {
            pipeline: pipeline.to_owned(),
            exporter: exporter.to_owned(),
            signal,
            accepted: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            held: AtomicU64::new(0),
            kept: AtomicU64::new(0),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
            progress: Mutex::default(),
        }
    }

    fn is(&self, pipeline: &str, exporter: &str, signal: Signal) -> bool {
        self.signal == signal && self.pipeline == pipeline && self.exporter == exporter
    }

    /// The figures now.
    #[must_use]
    pub fn entry(&self) -> Entry {
        Entry {
            pipeline: self.pipeline.clone(),
            exporter: self.exporter.clone(),
            signal: self.signal,
            accepted: self.accepted.load(Relaxed),
            refused: self.refused.load(Relaxed),
            sent: self.sent.load(Relaxed),
            held: self.held.load(Relaxed),
            kept: self.kept.load(Relaxed),
            dropped: std::array::from_fn(|reason| self.dropped[reason].load(Relaxed)),
        }
    }

    /// What sends its items, for as long as it does.
    #[must_use]
    pub fn progress(&self) -> Vec<Arc<Progress>> {
        let mut all = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|progress| progress.strong_count() > 0);
        all.iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn is_sent_by(&self, progress: &Arc<Progress>) {
        let weak = Arc::downgrade(progress);
        let mut all = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|progress| progress.strong_count() > 0);
        if !all.iter().any(|known| known.ptr_eq(&weak)) {
            all.push(weak);
        }
    }

    /// The name of the line in journals.
    pub(super) fn destination(&self) -> Destination {
        Destination { pipeline: self.pipeline.clone(), exporter: self.exporter.clone() }
    }

    pub(super) fn accept(&self, items: u64) {
        self.held.fetch_add(items, Relaxed);
        self.accepted.fetch_add(items, Relaxed);
    }

    pub(super) fn refuse(&self, items: u64) {
        self.refused.fetch_add(items, Relaxed);
    }

    pub(super) fn send(&self, items: u64) {
        self.sent.fetch_add(items, Relaxed);
        self.held.fetch_sub(items, Relaxed);
    }

    pub(super) fn drop(&self, items: u64, reason: Reason) {
        self.dropped[reason as usize].fetch_add(items, Relaxed);
        self.held.fetch_sub(items, Relaxed);
    }

    /// Items are left to the journal.
    pub(super) fn keep(&self, items: u64) {
        self.kept.fetch_add(items, Relaxed);
        self.held.fetch_sub(items, Relaxed);
    }

    /// Items come back from the journal.
    pub(super) fn take_back(&self, items: u64) {
        self.held.fetch_add(items, Relaxed);
        self.kept.fetch_sub(items, Relaxed);
    }

    /// Items that an earlier process has left in the journal are in the books from now on.
    pub(super) fn take_over(&self, items: u64) {
        self.kept.fetch_add(items, Relaxed);
        self.accepted.fetch_add(items, Relaxed);
    }

    /// Items that are settled come back all the same, with others of their record.
    pub(super) fn send_again(&self, items: u64) {
        self.take_over(items);
    }

    /// Items cannot be read from the journal any more.
    pub(super) fn lose(&self, items: u64) {
        self.dropped[Reason::Damaged as usize].fetch_add(items, Relaxed);
        self.kept.fetch_sub(items, Relaxed);
    }
}

impl Entry {
    fn show(&self, sink: &mut Sink) {
        let labels = [
            ("pipeline", self.pipeline.as_str()),
            ("exporter", self.exporter.as_str()),
            ("otel_signal", self.signal.name()),
        ];
        sink.set(&table::LEDGER_ACCEPTED, &labels, self.accepted);
        sink.set(&table::LEDGER_SENT, &labels, self.sent);
        sink.set(&table::LEDGER_HELD, &labels, self.held);
        sink.set(&table::LEDGER_KEPT, &labels, self.kept);
        for (reason, items) in self.dropped_by_reason() {
            let labels = [&labels[..], &[("reason", reason.name())]].concat();
            sink.set(&table::LEDGER_DROPPED, &labels, items);
        }
    }

    /// Items given up for this reason.
    #[must_use]
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.dropped[reason as usize]
    }

    /// All reasons, with how many items were given up for each.
    pub fn dropped_by_reason(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.dropped)
    }

    /// Items given up for any reason.
    #[must_use]
    pub fn dropped_in_all(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// True if every accepted item is sent, dropped for a reason, held, or kept for later.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.accepted == self.sent + self.dropped_in_all() + self.held + self.kept
            && self.dropped(Reason::Unaccounted) == 0
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.entry().fmt(f)
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_forgets_who_sends_no_more_though_nobody_looks() {
        let line = Ledger::new().line("logs", "otlp", Signal::Logs);
        let stays = Arc::new(Progress::new("otlp", Signal::Logs, None));
        for _ in 0..100 {
            line.is_sent_by(&stays);
            line.is_sent_by(&Arc::new(Progress::new("otlp", Signal::Logs, None)));
        }
        let known = line.progress.lock().unwrap().len();
        assert!(known <= 2, "{known}");
        assert!(line.progress().iter().any(|progress| Arc::ptr_eq(progress, &stays)));
    }
}
