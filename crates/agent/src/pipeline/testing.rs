//! For the tests of other rooms: a pipeline that keeps what it takes.

use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message;
use tokio::time::Instant;
use wire::Signal;

use super::ledger::Entry;
use super::{
    Batch, Budget, Deliver, Door, End, Entrance, Gather, Intake, Ledger, Origin, Outcome, Parcel, Policy, Refusal,
    Rejected, Route, Segment, Sender, Ticket,
};
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
        (Intake::new(signal, Door::new(Budget::new(bytes)), vec![entrance]), capture)
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

    fn flush(&self) {}

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

/// Bytes of which the test sees whether they are in memory: `alive` has one owner more for as long as they are.
pub fn seen(bytes: Bytes, alive: &Arc<()>) -> Bytes {
    struct Seen {
        bytes: Bytes,
        _alive: Arc<()>,
    }
    impl AsRef<[u8]> for Seen {
        fn as_ref(&self) -> &[u8] {
            &self.bytes
        }
    }
    Bytes::from_owner(Seen { bytes, _alive: Arc::clone(alive) })
}

/// An export request with the log records of these numbers, in one resource.
pub fn logs(numbers: Range<u64>) -> Bytes {
    let record = |number| LogRecord { time_unix_nano: number, ..LogRecord::default() };
    let scope = ScopeLogs { log_records: numbers.map(record).collect(), ..ScopeLogs::default() };
    let resource = ResourceLogs { scope_logs: vec![scope], ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource] }.encode_to_vec().into()
}

/// The numbers of the log records in a request, in order.
pub fn numbers(body: &wire::Chain) -> Vec<u64> {
    let request = ExportLogsServiceRequest::decode(body.contiguous()).unwrap();
    let scopes = request.resource_logs.into_iter().flat_map(|resource| resource.scope_logs);
    scopes.flat_map(|scope| scope.log_records).map(|record| record.time_unix_nano).collect()
}

/// What surrounds the part under test: a budget, and a ledger with one line.
pub struct Bench {
    /// Where bytes come from.
    pub budget: Budget,
    /// Where items are counted.
    pub ledger: Ledger,
    /// The agent's metrics.
    pub metrics: Metrics,
    route: Route,
}

impl Default for Bench {
    fn default() -> Self {
        let ledger = Ledger::new();
        let route = Route::new(vec![ledger.line("logs", "fake", Signal::Logs)]);
        Bench { budget: Budget::new(1 << 30), ledger, metrics: Metrics::new(), route }
    }
}

impl Bench {
    /// A batch of these log records that a sender still has.
    pub fn offer(&self, numbers: Range<u64>) -> Batch {
        let items = usize::try_from(numbers.end - numbers.start).unwrap();
        let body = wire::Chain::from(logs(numbers));
        let hold = self.budget.try_hold(body.len()).unwrap();
        let ticket = Ticket::offer(&self.route, items);
        Batch { signal: Signal::Logs, body, ticket, origin: Origin::default(), hold }
    }

    /// A batch of these log records that is in our custody.
    pub fn ours(&self, numbers: Range<u64>) -> Batch {
        let mut batch = self.offer(numbers);
        batch.ticket.accept();
        batch
    }

    /// A sender to `fake`.
    pub fn sender(&self, policy: &Policy, fake: &Fake) -> Sender {
        Sender::new("fake", Signal::Logs, policy, fake.clone(), &[], &self.metrics)
    }

    /// The figures of the one line.
    pub fn entry(&self) -> Entry {
        self.ledger.entries().remove(0)
    }

    /// Checks that nothing is held any more and every item is accounted for.
    pub fn settled(&self) -> Entry {
        self.ledger.balance().unwrap();
        let entry = self.entry();
        assert_eq!((entry.held, self.budget.usage()), (0, 0), "{entry:?}");
        entry
    }
}

/// A destination that does as it is told. Clones are the same.
#[derive(Clone)]
pub struct Fake(Arc<FakeState>);

type Answer = Arc<dyn Fn(&[u64]) -> Outcome + Send + Sync>;

struct FakeState {
    answer: Mutex<Answer>,
    attempts: Mutex<Vec<Vec<u64>>>,
    /// How long an attempt takes.
    delay: Mutex<Duration>,
    most_at_once: AtomicUsize,
    at_once: AtomicUsize,
    closed: AtomicUsize,
}

impl Fake {
    /// Answers each attempt by the numbers of its log records.
    pub fn answering(answer: impl Fn(&[u64]) -> Outcome + Send + Sync + 'static) -> Fake {
        Fake(Arc::new(FakeState {
            answer: Mutex::new(Arc::new(answer)),
            attempts: Mutex::default(),
            delay: Mutex::default(),
            most_at_once: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            closed: AtomicUsize::new(0),
        }))
    }

    /// Takes everything.
    pub fn taking() -> Fake {
        Fake::answering(|_| Outcome::Sent)
    }

    /// Is down.
    pub fn down() -> Fake {
        Fake::answering(|_| Outcome::Retry { error: "down".to_owned(), after: None })
    }

    /// Answers like this from now on.
    pub fn answer(&self, answer: impl Fn(&[u64]) -> Outcome + Send + Sync + 'static) {
        *self.0.answer.lock().unwrap() = Arc::new(answer);
    }

    /// Takes its time from now on.
    pub fn delay(&self, delay: Duration) {
        *self.0.delay.lock().unwrap() = delay;
    }

    /// The numbers of each attempt so far.
    pub fn attempts(&self) -> Vec<Vec<u64>> {
        self.0.attempts.lock().unwrap().clone()
    }

    /// How many attempts were made at one time at most.
    pub fn most_at_once(&self) -> usize {
        self.0.most_at_once.load(SeqCst)
    }

    /// How often it was closed.
    pub fn closed(&self) -> usize {
        self.0.closed.load(SeqCst)
    }
}

impl Deliver for Fake {
    async fn deliver(&self, parcel: Parcel<'_>) -> Outcome {
        let numbers = numbers(parcel.body);
        assert_eq!(numbers.len(), parcel.items, "the count goes with the body");
        let at_once = self.0.at_once.fetch_add(1, SeqCst) + 1;
        self.0.most_at_once.fetch_max(at_once, SeqCst);
        self.0.attempts.lock().unwrap().push(numbers.clone());
        let delay = *self.0.delay.lock().unwrap();
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        self.0.at_once.fetch_sub(1, SeqCst);
        let answer = Arc::clone(&self.0.answer.lock().unwrap());
        answer(&numbers)
    }

    async fn close(&self) {
        self.0.closed.fetch_add(1, SeqCst);
    }
}
