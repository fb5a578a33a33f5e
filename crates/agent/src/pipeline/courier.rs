//! Brings one batch to its destination: attempts with a timeout, waits between them, takes apart what was refused as a
//! whole, and settles the ticket.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::{Instant, sleep, timeout};
use wire::Signal;

use super::deliver::DynDeliver;
use super::retry::{self, Waits};
use super::room::OnePlace;
use super::{Batch, Fault, Outcome, Parcel, Progress, Reason, Refusal, Stop, apart};
use crate::telemetry::{Counter, Gauge, Histogram, Metrics, table};

/// How many requests more than one a refused batch may cost. It takes 26 to find one bad item among 8192.
const MOST_EFFORT: usize = 64;
/// What is spent at least, when taking apart has not saved anything lately.
const LEAST_EFFORT: usize = 2;
/// After so many batches of which nothing was saved, one gets all the effort again: what was refused whatever it was, for a
/// while, must not be held for ever against batches of which most is good.
const TRIES_AGAIN_AFTER: u32 = 16;

/// Brings batches to one destination.
pub(super) struct Courier {
    pub(super) exporter: String,
    pub(super) signal: Signal,
    pub(super) deliver: Box<dyn DynDeliver>,
    pub(super) retry: Option<retry::Settings>,
    pub(super) timeout: Option<Duration>,
    pub(super) stop: Stop,
    pub(super) counts: Counts,
    pub(super) progress: Arc<Progress>,
    /// For batches with something bad in them.
    pub(super) effort: Effort,
    /// For batches that are too large. Kept apart: what is learned of the one says nothing of the other.
    pub(super) size_effort: Effort,
    /// For what the exporter makes of a request when the budget has no room for it.
    pub(super) place: OnePlace,
    /// Items that were not delivered before the end.
    pub(super) left_behind: AtomicU64,
}

/// The exporter's own metrics.
pub(super) struct Counts {
    sent: Counter,
    sent_bytes: Counter,
    send_failed: Counter,
    pub(super) enqueue_failed: Counter,
    retries: Counter,
    taken_apart: Counter,
    in_flight: Gauge,
    /// Of each batch that was put into the queue.
    pub(super) enqueued: Sizes,
    /// Of each batch that the queue itself has joined.
    pub(super) joined: Sizes,
}

/// How large batches are: in items, and in bytes before compression.
pub(super) struct Sizes {
    items: Histogram,
    bytes: Histogram,
}

impl Sizes {
    pub(super) fn record(&self, items: usize, bytes: usize) {
        self.items.record(items as u64);
        self.bytes.record(bytes as u64);
    }
}

/// How many more requests the next refused batch may cost. Where every item is refused, taking apart only multiplies the
/// requests; so it shrinks each time nothing was saved. It counts these times.
#[derive(Default)]
pub(super) struct Effort(AtomicU32);

/// Why a batch was not delivered.
#[derive(Debug)]
enum Failure {
    /// No more attempts.
    Exhausted { error: String, after: Option<Duration> },
    /// It would fail again.
    Refused { error: String, fault: Fault },
    /// The agent is stopping.
    Stopped { error: String },
}

impl Counts {
    pub(super) fn new(metrics: &Metrics, exporter: &str, signal: Signal, labels: &[(&'static str, &str)]) -> Counts {
        let labels = [&[("exporter", exporter)], labels].concat();
        let plain = [("exporter", exporter)];
        let ours = [("exporter", exporter), ("otel_signal", signal.name())];
        let data_type = [("exporter", exporter), ("data_type", signal.name())];
        Counts {
            sent: metrics.counter(table::EXPORTER_SENT.of(signal), &labels),
            sent_bytes: metrics.counter(&table::EXPORTER_SENT_BYTES, &ours),
            send_failed: metrics.counter(table::EXPORTER_SEND_FAILED.of(signal), &labels),
            enqueue_failed: metrics.counter(table::EXPORTER_ENQUEUE_FAILED.of(signal), &plain),
            retries: metrics.counter(&table::EXPORTER_RETRIES, &ours),
            taken_apart: metrics.counter(&table::EXPORTER_TAKEN_APART, &ours),
            in_flight: metrics.gauge(&table::EXPORTER_IN_FLIGHT, &data_type),
            enqueued: Sizes {
                items: metrics.histogram(&table::EXPORTER_ENQUEUE_SIZE, &plain),
                bytes: metrics.histogram(&table::EXPORTER_ENQUEUE_SIZE_BYTES, &plain),
            },
            joined: Sizes {
                items: metrics.histogram(&table::EXPORTER_QUEUE_BATCH_SEND_SIZE, &plain),
                bytes: metrics.histogram(&table::EXPORTER_QUEUE_BATCH_SEND_SIZE_BYTES, &plain),
            },
        }
    }
}

/// One request being sent, for as long as it lives: an attempt may be dropped half-way.
struct InFlight<'a>(&'a Gauge);

impl<'a> InFlight<'a> {
    fn new(gauge: &'a Gauge) -> InFlight<'a> {
        gauge.add(1);
        InFlight(gauge)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

impl Effort {
    fn learn(&self, something_was_sent: bool) {
        if something_was_sent {
            self.0.store(0, Relaxed);
        } else {
            self.0.fetch_add(1, Relaxed);
        }
    }

    fn requests(&self) -> usize {
        let in_vain = self.0.load(Relaxed) % TRIES_AGAIN_AFTER;
        (MOST_EFFORT >> in_vain).max(LEAST_EFFORT)
    }
}

/// How many requests it takes to halve so many items until one is left, and to send the other halves.
fn down_to_one(items: usize) -> usize {
    2 * items.next_power_of_two().trailing_zeros() as usize
}

impl Courier {
    /// Delivers a batch, or settles it otherwise.
    ///
    /// # Errors
    /// Some of it was not delivered. Its ticket is settled all the same.
    pub(super) async fn send(&self, batch: Batch) -> Result<(), Refusal> {
        if batch.ticket.is_accepted() { self.send_ours(batch).await } else { self.send_offered(batch).await }
    }

    /// The sender waits for the answer: it gets it as it is, and keeps the data.
    async fn send_offered(&self, batch: Batch) -> Result<(), Refusal> {
        match self.try_until_done(&batch, Instant::now()).await {
            Ok(rejected) => self.sent(batch, rejected),
            Err(failure) => {
                tracing::error!(exporter = self.exporter, signal = %self.signal, error = failure.text(),
                    rejected_items = batch.items(), "Exporting failed. Rejecting data.");
                self.counts.send_failed.add(batch.items() as u64);
                self.progress.gave_up();
                batch.ticket.refused();
                return Err(failure.into_refusal());
            }
        }
        Ok(())
    }

    /// Nobody else has the data any more: as much of it as possible is delivered.
    async fn send_ours(&self, batch: Batch) -> Result<(), Refusal> {
        let started = Instant::now();
        let (mut spent, mut any_sent) = (Spent::of(batch.items()), false);
        let mut verdict = Ok(());
        let mut parts = vec![batch];
        while let Some(part) = parts.pop() {
            match self.try_until_done(&part, started).await {
                Ok(rejected) => {
                    (any_sent, spent.on_size) = (true, 0);
                    self.sent(part, rejected);
                }
                Err(Failure::Refused { fault, .. }) if part.items() > 1 && self.is_worth(&spent, fault) => {
                    if spent.faults.is_empty() {
                        self.counts.taken_apart.add(1);
                    }
                    spent.faults.push(fault);
                    match fault {
                        Fault::Size => spent.on_size += 2,
                        _ => spent.on_data += 2,
                    }
                    let half = part.items().div_ceil(2);
                    let (first, rest) = apart::front(part, half);
                    parts.extend(rest.into_iter().chain([first]));
                }
                Err(failure) => {
                    if let Failure::Refused { fault, .. } = &failure {
                        spent.in_vain.push(*fault);
                    }
                    self.give_up(part, &failure);
                    verdict = Err(failure.into_refusal());
                }
            }
        }
        for (fault, effort) in [(Fault::Data, &self.effort), (Fault::Size, &self.size_effort)] {
            if any_sent || (spent.faults.contains(&fault) && spent.in_vain.contains(&fault)) {
                effort.learn(any_sent);
            }
        }
        verdict
    }

    /// Whether a refused batch may cost two requests more.
    fn is_worth(&self, spent: &Spent, fault: Fault) -> bool {
        match fault {
            Fault::Data => spent.on_data < self.effort.requests(),
            // However small the parts must be, they are found on the way down.
            Fault::Size => spent.on_size < self.size_effort.requests().max(spent.way_down),
            Fault::Elsewhere => false,
        }
    }

    /// Attempts until it is delivered, refused, or given up. Returns how many items the destination rejected.
    async fn try_until_done(&self, batch: &Batch, started: Instant) -> Result<usize, Failure> {
        let mut waits = self.retry.as_ref().map(|settings| Waits::new(settings, started));
        loop {
            let (error, after) = match self.attempt(batch).await {
                Outcome::Sent => return Ok(0),
                Outcome::Partial { rejected, message } => {
                    if !message.is_empty() {
                        tracing::warn!(exporter = self.exporter, signal = %self.signal, message,
                            dropped_items = rejected, "Partial success response");
                    }
                    self.progress.failed(&format!("the destination rejected {rejected} items: {message}"));
                    return Ok(rejected.min(batch.items()));
                }
                Outcome::Refused { error, fault } => {
                    self.progress.failed(&error);
                    return Err(Failure::Refused { error, fault });
                }
                Outcome::Retry { error, after } => (error, after),
            };
            self.progress.failed(&error);
            if self.stop.has_begun() {
                return Err(Failure::Stopped { error });
            }
            let Some(waits) = &mut waits else { return Err(Failure::Exhausted { error, after }) };
            let Some(wait) = waits.next(after) else {
                return Err(Failure::Exhausted { error: format!("no more retries left: {error}"), after });
            };
            tracing::info!(exporter = self.exporter, signal = %self.signal, error, interval = ?wait,
                "Exporting failed. Will retry the request after interval.");
            // When the end is announced, everything gets one attempt more, at once.
            tokio::select! {
                () = sleep(wait) => {}
                () = self.stop.begun() => {}
            }
            self.counts.retries.add(1);
        }
    }

    async fn attempt(&self, batch: &Batch) -> Outcome {
        let Batch { signal, ref body, ref origin, ref hold, .. } = *batch;
        let parcel = Parcel { signal, body, items: batch.items(), origin, room: self.place.beside(hold) };
        let _counted = InFlight::new(&self.counts.in_flight);
        tokio::select! {
            biased;
            () = self.stop.passed() => Outcome::Retry { error: "the time to stop is over".to_owned(), after: None },
            outcome = self.attempt_in_time(parcel) => outcome,
        }
    }

    async fn attempt_in_time(&self, parcel: Parcel<'_>) -> Outcome {
        // A fault in an exporter must not end the consumer with the batch in its hands.
        let attempt = AssertUnwindSafe(self.deliver.deliver(parcel)).catch_unwind();
        let attempt = attempt.map(|outcome| {
            let error = "the exporter failed on this request; this is a bug".to_owned();
            outcome.unwrap_or(Outcome::Refused { error, fault: Fault::Data })
        });
        let Some(limit) = self.timeout else { return attempt.await };
        timeout(limit, attempt)
            .await
            .unwrap_or_else(|_| Outcome::Retry { error: format!("no answer within {limit:?}"), after: None })
    }

    fn sent(&self, batch: Batch, rejected: usize) {
        if rejected < batch.items() {
            self.progress.taken();
        } else {
            self.progress.gave_up();
        }
        self.counts.sent.add(batch.items() as u64);
        self.counts.sent_bytes.add(batch.body.len() as u64);
        batch.ticket.sent_but(rejected);
    }

    fn give_up(&self, batch: Batch, failure: &Failure) {
        let items = batch.items() as u64;
        self.counts.send_failed.add(items);
        match failure {
            Failure::Stopped { .. } => {
                // What the journal keeps is sent by the next start.
                self.left_behind.fetch_add(batch.ticket.left_behind(), Relaxed);
                return;
            }
            _ => tracing::error!(exporter = self.exporter, signal = %self.signal, error = failure.text(),
                dropped_items = items, "Exporting failed. Dropping data."),
        }
        self.progress.gave_up();
        batch.ticket.dropped(failure.reason());
    }

    /// Gives up a batch that cannot be sent because the agent stops.
    pub(super) fn leave_behind(&self, batch: Batch) {
        self.give_up(batch, &Failure::Stopped { error: String::new() });
    }

    /// Gives up a batch that nothing can hold.
    pub(super) fn drop_too_large(&self, batch: Batch) {
        let error = "element size too large".to_owned();
        self.give_up(batch, &Failure::Refused { error, fault: Fault::Size });
    }
}

/// What taking one batch apart has cost so far, in requests.
#[derive(Default)]
struct Spent {
    /// What it takes to get to a single item.
    way_down: usize,
    /// Why parts were refused.
    faults: Vec<Fault>,
    /// Why parts were given up in the end.
    in_vain: Vec<Fault>,
    /// To find what is bad.
    on_data: usize,
    /// Since the destination last took a part: where only the size is at fault, each part that is small enough is taken,
    /// however many there are.
    on_size: usize,
}

impl Spent {
    fn of(items: usize) -> Spent {
        Spent { way_down: down_to_one(items), ..Spent::default() }
    }
}

impl Failure {
    fn text(&self) -> String {
        match self {
            Failure::Refused { error, .. } => format!("not retryable error: {error}"),
            Failure::Exhausted { error, .. } | Failure::Stopped { error } => error.clone(),
        }
    }

    fn reason(&self) -> Reason {
        match self {
            Failure::Refused { fault: Fault::Size, .. } => Reason::TooLarge,
            Failure::Refused { .. } => Reason::Refused,
            Failure::Exhausted { .. } => Reason::RetriesExhausted,
            Failure::Stopped { .. } => Reason::Shutdown,
        }
    }

    fn into_refusal(self) -> Refusal {
        let text = self.text();
        match self {
            Failure::Refused { .. } => Refusal::permanent(text),
            Failure::Exhausted { after, .. } => Refusal { retry_after: after, ..Refusal::unavailable(text) },
            Failure::Stopped { .. } => Refusal::unavailable(text),
        }
    }
}
