//! Whether an exporter moves: since when it has had data without its destination taking any of it, and what was said last.
//!
//! An exporter that has nothing to do moves. One that gives up everything does not, although nothing waits for it: for
//! a while after the last thing that it gave up it counts as one that has data.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use wire::Signal;

use super::Ledger;
use super::queue::Queue;
use crate::telemetry::metrics::Sink;
use crate::telemetry::table;

/// What one exporter has done lately with the data of one signal.
#[derive(Debug)]
pub struct Progress {
    /// Id of the exporter.
    pub exporter: String,
    /// What it is sent.
    pub signal: Signal,
    queue: Option<Arc<Queue>>,
    /// Requests being sent without a queue.
    at_work: AtomicUsize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// When data came in where there was none, or something was taken last.
    since: Option<Instant>,
    taken_at: Option<Timestamp>,
    given_up: Option<Instant>,
    error: Option<Said>,
}

/// What went wrong last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// In whose words.
    pub error: String,
    /// When.
    pub at: Timestamp,
}

/// How it is with an exporter at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// For how long it has had data without any of it being taken; zero while it has none.
    pub stalled: Duration,
    /// When something was taken last.
    pub taken_at: Option<Timestamp>,
    /// What went wrong last.
    pub error: Option<Said>,
}

/// One request on its way without a queue.
#[derive(Debug)]
pub(super) struct AtWork<'a>(&'a Progress);

/// For so long after it gave something up, an exporter counts as one that has data.
const REMEMBERED: Duration = Duration::from_secs(60);
/// An error may quote an answer of the destination; this much of it is kept, in bytes.
const QUOTED: usize = 500;

impl Progress {
    /// Of an exporter that has had nothing to do yet.
    pub(super) fn new(exporter: &str, signal: Signal, queue: Option<Arc<Queue>>) -> Progress {
        let (at_work, state) = (AtomicUsize::new(0), Mutex::default());
        Progress { exporter: exporter.to_owned(), signal, queue, at_work, state }
    }

    /// How it is now.
    #[must_use]
    pub fn movement(&self) -> Movement {
        let (now, has_data) = (Instant::now(), self.has_data());
        let state = self.lock();
        let since = state.since.filter(|_| has_data || state.gives_up(now));
        let stalled = since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        Movement { stalled, taken_at: state.taken_at, error: state.error.clone() }
    }

    /// Data came in where there was none.
    pub(super) fn begins(&self) {
        let now = Instant::now();
        let mut state = self.lock();
        // Where everything is given up at once, each request comes to an empty exporter.
        if !state.gives_up(now) {
            state.since = Some(now);
        }
    }

    /// A request without a queue, for as long as what is returned lives.
    pub(super) fn works(&self) -> AtWork<'_> {
        if self.at_work.fetch_add(1, SeqCst) == 0 {
            self.begins();
        }
        AtWork(self)
    }

    /// The destination took something.
    pub(super) fn taken(&self) {
        let mut state = self.lock();
        (state.since, state.taken_at, state.given_up) = (Some(Instant::now()), Some(Timestamp::now()), None);
    }

    /// An attempt failed.
    pub(super) fn failed(&self, error: &str) {
        let error = error.get(..error.floor_char_boundary(QUOTED)).unwrap_or_default().to_owned();
        self.lock().error = Some(Said { error, at: Timestamp::now() });
    }

    /// Something was given up, or refused to a sender that waits for the result.
    pub(super) fn gave_up(&self) {
        self.lock().given_up = Some(Instant::now());
    }

    fn has_data(&self) -> bool {
        self.at_work.load(SeqCst) > 0 || self.queue.as_ref().is_some_and(|queue| queue.used() > 0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows for each exporter how long it has been stalled. What a replaced configuration still sends counts, too: the longest
/// is shown.
pub(super) fn show(ledger: &Ledger, sink: &mut Sink) {
    let mut longest: BTreeMap<(String, &'static str), Duration> = BTreeMap::new();
    for progress in ledger.lines().iter().flat_map(|line| line.progress()) {
        let stalled = progress.movement().stalled;
        let of = longest.entry((progress.exporter.clone(), progress.signal.name())).or_default();
        *of = stalled.max(*of);
    }
    for ((exporter, signal), stalled) in longest {
        let labels = [("exporter", exporter.as_str()), ("otel_signal", signal)];
        sink.set_float(&table::EXPORTER_STALLED, &labels, stalled.as_secs_f64());
    }
}

impl State {
    fn gives_up(&self, now: Instant) -> bool {
        self.given_up.is_some_and(|at| now.saturating_duration_since(at) < REMEMBERED)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        self.0.at_work.fetch_sub(1, SeqCst);
    }
}

// How an exporter is judged over time is tested where it is shown, in `extensions::health_check`.
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_error_is_quoted_in_part_and_never_in_the_middle_of_a_letter() {
        let progress = Progress::new("otlp", Signal::Logs, None);
        progress.failed(&"é".repeat(400));
        assert_eq!(progress.movement().error.unwrap().error, "é".repeat(250));
        progress.failed("short");
        assert_eq!(progress.movement().error.unwrap().error, "short");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_sent_without_a_queue_counts_for_as_long_as_it_takes() {
        let progress = Progress::new("otlp", Signal::Logs, None);
        let work = progress.works();
        tokio::time::advance(Duration::from_secs(70)).await;
        assert_eq!(progress.movement().stalled, Duration::from_secs(70));
        drop(work);
        assert_eq!(progress.movement().stalled, Duration::ZERO, "whoever waited hung up");
    }
}
