//! The journal with its thread, and what tickets do to it. Below it: the store on a disk that fails, and the format.

/// A disk in memory that fails when it is told to, and forgets what was not synced.
mod sim;

/// What is found after a crash at any point.
mod store;

/// The format.
mod format;

/// Stories of queue, retry and journal, drawn from seeds.
mod simulation;

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep, timeout};
use wire::Signal;

use super::record::{Destination, Record};
use super::store::Refused;
use super::worker::{Command, Worker};
use super::{Fsync, Journal, MOST_OFFERS, Offer, Options, Replay};
use crate::pipeline::ledger::Entry;
use crate::pipeline::testing::{Fake, logs, seen};
use crate::pipeline::{
    Arrival, Budget, Code, Door, Fault, Intake, Ledger, Metadata, Origin, Outcome, PipelinePlan, Pipelines, Policy,
    Refusal, Sender, Step,
};
use crate::processors::batch;
use crate::settings::{GoDuration, read_text};
use crate::telemetry::{Metrics, table};

/// One life of a process: a pipeline `logs` with a batch, and two exporters, of which the first names the storage.
struct Life {
    pipelines: Pipelines,
    journal: Journal,
    replay: Replay,
    kept: Fake,
    loose: Fake,
    metrics: Metrics,
}

fn options(folder: &Path) -> Options {
    Options {
        directory: folder.to_owned(),
        max_bytes: 4 << 20,
        fsync: Fsync::Always,
        interval: Duration::from_secs(1),
        patience: Duration::from_secs(5),
    }
}

impl Life {
    /// `exporters`: `kept`, which names the storage, and `loose`, which does not.
    fn begin(folder: &Path, exporters: &[&str]) -> Life {
        let metrics = Metrics::new();
        let journal = Journal::open("file_storage", options(folder), &metrics).unwrap();
        Life::with(journal, metrics, exporters)
    }

    /// A life on a disk that does nothing until the test lets it: whoever has the commands gives them to the worker.
    fn on_a_disk_that_stalls() -> (Life, Worker<sim::Sim>, mpsc::Receiver<Command>) {
        let (tell, commands) = mpsc::channel();
        let (tell, options) = (move |command| drop(tell.send(command)), options(Path::new("/simulated")));
        let metrics = Metrics::new();
        let (journal, worker) =
            Journal::over(sim::Sim::default(), "file_storage", options, &metrics, Box::new(tell)).unwrap();
        (Life::with(journal, metrics, &["kept"]), worker, commands)
    }

    fn with(journal: Journal, metrics: Metrics, exporters: &[&str]) -> Life {
        let (kept, loose) = (Fake::taking(), Fake::taking());
        let policy = Policy {
            retry: read_text("{initial_interval: 10ms, max_interval: 20ms, max_elapsed_time: 0s}").unwrap(),
            ..Policy::with_timeout(GoDuration::secs(5))
        };
        let sender = |id: &str, fake: &Fake| Sender::new(id, Signal::Logs, &policy, fake.clone(), &[], &metrics);
        let senders = vec![sender("kept", &kept).kept_in(Some(journal.clone())), sender("loose", &loose)];
        let plan = |receivers: &[&str], exporters: &[&str]| {
            let config: batch::Config = read_text("{timeout: 20ms, send_batch_size: 1000}").unwrap();
            let metrics = metrics.clone();
            let texts = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect();
            let step = Step::Gather(Box::new(move |next| config.build("batch", next, &metrics)));
            let (receivers, exporters) = (texts(receivers), texts(exporters));
            PipelinePlan { id: "logs".to_owned(), signal: Signal::Logs, receivers, steps: vec![step], exporters }
        };
        let plans = vec![plan(&["otlp"], exporters), plan(&[], &["kept"])];
        let plans = if exporters.len() > 1 { plans } else { plans.into_iter().take(1).collect() };
        let door = Door::new(Budget::new(1 << 20));
        let pipelines = Pipelines::build(plans, senders, door, Ledger::new(), &metrics).unwrap();
        Life { pipelines, journal, replay: Replay::default(), kept, loose, metrics }
    }

    fn replay(mut self) -> Life {
        self.replay = Replay::start(self.pipelines.ways(), self.pipelines.door().budget());
        self
    }

    fn intake(&self) -> Intake {
        self.pipelines.intake("otlp", Signal::Logs).unwrap()
    }

    async fn send(&self, numbers: std::ops::Range<u64>) -> Result<(), Refusal> {
        let items = usize::try_from(numbers.end - numbers.start).unwrap();
        self.send_bytes(logs(numbers), items).await
    }

    async fn send_bytes(&self, bytes: Bytes, items: usize) -> Result<(), Refusal> {
        let intake = self.intake();
        let hold = intake.admit(&Origin::default(), bytes.len()).unwrap();
        let mut metadata = Metadata::new();
        metadata.add("x-scope", "team-a");
        metadata.add("authorization", "Bearer secret");
        let origin =
            Origin { peer: Some("10.0.0.7:999".parse().unwrap()), metadata: Some(Arc::new(metadata)), auth: None };
        intake.accept(Arrival { signal: Signal::Logs, bytes, items, origin, hold }).await
    }

    /// The process is killed: everything stops without a word. Returns what is on disk then, in another directory, as the
    /// thread of this life still has its own.
    fn killed(self, folder: &Path) -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for file in std::fs::read_dir(folder).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
        }
        std::mem::forget(self.pipelines);
        copy
    }

    async fn end(self) -> (u64, Vec<Entry>) {
        self.replay.stop();
        let drained = self.pipelines.drain(Instant::now() + Duration::from_secs(1));
        let (left, ()) = tokio::join!(drained, self.replay.stopped());
        self.journal.flush().await;
        self.pipelines.ledger().balance().unwrap();
        (left, self.entries())
    }

    fn entries(&self) -> Vec<Entry> {
        self.pipelines.ledger().entries()
    }

    fn held_bytes(&self) -> usize {
        self.pipelines.door().budget().usage()
    }

    fn line(&self, exporter: &str) -> Entry {
        self.entries().into_iter().find(|entry| entry.exporter == exporter).unwrap()
    }
}

/// The numbers that a destination took, sorted.
fn taken(fake: &Fake) -> Vec<u64> {
    let mut numbers: Vec<u64> = fake.attempts().concat();
    numbers.sort_unstable();
    numbers
}

async fn until(what: impl Fn() -> bool) {
    timeout(Duration::from_secs(10), async {
        while !what() {
            sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("it does not come");
}

fn down(fake: &Fake) {
    fake.answer(|_| Outcome::Retry { error: "down".to_owned(), after: None });
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_is_done_and_the_directory_is_empty_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path(), &["kept", "loose"]).replay();
    life.send(0..5).await.unwrap();
    life.send(5..7).await.unwrap();
    until(|| taken(&life.kept).len() == 7 && taken(&life.loose).len() == 7).await;
    let (left, entries) = life.end().await;
    assert!(left == 0 && entries.iter().all(|entry| entry.sent == 7 && entry.kept == 0), "{entries:?}");
    let again = Life::begin(folder.path(), &["kept", "loose"]).replay();
    assert_eq!(again.journal.waiting().await, []);
    assert!(again.kept.attempts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_batch_held_when_the_process_was_killed_is_sent_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path(), &["kept", "loose"]).replay();
    down(&life.kept);
    life.send(0..5).await.unwrap();
    life.send(5..9).await.unwrap();
    until(|| taken(&life.loose).len() == 9).await;
    let copy = life.killed(folder.path());
    let next = Life::begin(copy.path(), &["kept", "loose"]).replay();
    until(|| taken(&next.kept).len() == 9).await;
    assert_eq!(taken(&next.kept), (0..9).collect::<Vec<u64>>());
    assert!(next.loose.attempts().is_empty(), "only the exporter that names the storage gets it again");
    let line = next.line("kept");
    assert_eq!((line.accepted, line.sent, line.held, line.kept), (9, 9, 0, 0), "{line:?}");
    assert_eq!(next.metrics.value(&table::JOURNAL_REPLAYED, &[("storage", "file_storage")]), Some(9.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_sent_before_the_end_is_left_to_the_next_start_and_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    for exporters in [&["kept"][..], &["kept", "loose"]] {
        let life = Life::begin(folder.path(), exporters).replay();
        down(&life.kept);
        life.send(0..5).await.unwrap();
        until(|| !life.kept.attempts().is_empty()).await;
        life.send(5..8).await.unwrap();
        let (left, entries) = life.end().await;
        let kept = entries.iter().find(|entry| entry.exporter == "kept").unwrap();
        assert_eq!((left, kept.accepted, kept.kept, kept.dropped_in_all()), (0, 8, 8, 0), "{entries:?}");
        let next = Life::begin(folder.path(), exporters).replay();
        until(|| taken(&next.kept).len() == 8).await;
        let (left, entries) = next.end().await;
        assert_eq!((left, entries.iter().map(|entry| entry.kept).sum::<u64>()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_with_a_reason_is_done() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path(), &["kept"]).replay();
    life.kept.answer(|numbers| match numbers.contains(&3) {
        true => Outcome::Refused { error: "poison".to_owned(), fault: Fault::Data },
        false => Outcome::Sent,
    });
    life.send(0..5).await.unwrap();
    life.send(5..7).await.unwrap();
    until(|| life.line("kept").sent == 6 && life.line("kept").dropped_in_all() == 1).await;
    assert_eq!(life.end().await.0, 0);
    let next = Life::begin(folder.path(), &["kept"]);
    assert_eq!(next.journal.waiting().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_replaced_configuration_leaves_is_sent_by_the_one_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path(), &["kept"]).replay();
    down(&life.kept);
    life.send(0..5).await.unwrap();
    until(|| !life.kept.attempts().is_empty()).await;
    // Both share the journal and the ledger; the second one sends from the moment at which the first gives up.
    let (journal, ledger) = (life.journal.clone(), life.pipelines.ledger().clone());
    let second = Fake::taking();
    let sender = Sender::new(
        "kept",
        Signal::Logs,
        &Policy::with_timeout(GoDuration::secs(5)),
        second.clone(),
        &[],
        &life.metrics,
    );
    let plan = PipelinePlan {
        id: "logs".to_owned(),
        signal: Signal::Logs,
        receivers: vec!["otlp".to_owned()],
        steps: Vec::new(),
        exporters: vec!["kept".to_owned()],
    };
    let senders = vec![sender.kept_in(Some(journal))];
    let next = Pipelines::build(vec![plan], senders, Door::new(Budget::new(1 << 20)), ledger, &life.metrics).unwrap();
    let replay = Replay::start(next.ways(), next.door().budget());
    sleep(Duration::from_millis(50)).await;
    assert!(second.attempts().is_empty(), "the first one works on it");
    life.end().await;
    until(|| taken(&second) == [0, 1, 2, 3, 4]).await;
    until(|| next.ledger().entries()[0].sent == 5).await;
    next.ledger().balance().unwrap();
    assert_eq!(next.ledger().entries()[0].accepted, 5);
    replay.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn where_it_came_from_is_kept_but_passwords_are_not_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path(), &["kept"]);
    down(&life.kept);
    life.send(0..1).await.unwrap();
    let folder = life.killed(folder.path());
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let text = String::from_utf8_lossy(&std::fs::read(file.unwrap().path()).unwrap()).into_owned();
        assert!(!text.contains("secret"), "{text}");
    }
    let journal = Journal::open("file_storage", options(folder.path()), &Metrics::new()).unwrap();
    let waiting = journal.waiting().await;
    let (destination, records) = &waiting[0];
    assert_eq!((destination.exporter.as_str(), *records), ("kept", 1));
    let (sequence, _) = journal.peek(destination, 0).await.unwrap();
    let (record, _) = journal.take(destination, sequence).await.unwrap();
    assert_eq!(record.peer, Some("10.0.0.7:999".parse().unwrap()));
    assert_eq!(record.metadata, [("x-scope".to_owned(), vec!["team-a".to_owned()])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_journal_refuses_with_a_time_to_come_back_and_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path(), &["kept"]);
    life.journal.change(Options { max_bytes: 200 << 10, ..options(folder.path()) });
    down(&life.kept);
    let refusal = loop {
        if let Err(refusal) = life.send(0..1000).await {
            break refusal;
        }
    };
    assert_eq!((refusal.code, refusal.message.as_str()), (Code::Unavailable, "the journal on disk is full"));
    assert!(refusal.is_retryable() && refusal.retry_after.is_some());
    life.pipelines.ledger().balance().unwrap();
    assert!(life.line("kept").refused == 1000 && life.line("kept").accepted > 0, "{:?}", life.line("kept"));
    let labels = [("storage", "file_storage"), ("reason", "full")];
    assert_eq!(life.metrics.value(&table::JOURNAL_REFUSED, &labels), Some(1000.0));
    life.kept.answer(|_| Outcome::Sent);
    until(|| life.line("kept").held == 0).await;
    life.journal.flush().await;
    life.send(0..1000).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_who_hangs_up_before_the_answer_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let life = Life::begin(folder.path(), &["kept"]);
    down(&life.kept);
    for _ in 0..50 {
        tokio::select! {
            biased;
            result = life.send(0..3) => result.unwrap(),
            () = std::future::ready(()) => {}
        }
    }
    let accepted = life.line("kept").accepted / 3;
    life.journal.flush().await;
    let folder = life.killed(folder.path());
    let journal = Journal::open("file_storage", options(folder.path()), &Metrics::new()).unwrap();
    let waiting: usize = journal.waiting().await.iter().map(|(_, records)| records).sum();
    assert_eq!(waiting as u64, accepted);
}

#[tokio::test]
async fn requests_that_are_given_up_while_the_disk_stalls_take_no_memory_and_are_not_written() {
    let (life, mut worker, commands) = Life::on_a_disk_that_stalls();
    let (bytes, alive) = (logs(0..3), Arc::new(()));
    for _ in 0..3 * MOST_OFFERS {
        let body = seen(bytes.clone(), &alive);
        tokio::select! {
            biased;
            _ = life.send_bytes(body, 3) => panic!("nothing is written yet"),
            () = std::future::ready(()) => {}
        }
    }
    assert_eq!((life.held_bytes(), Arc::strong_count(&alive) - 1), (0, 0), "bytes held, bodies in memory");
    let waiting: Vec<Command> = commands.try_iter().collect();
    assert!(waiting.len() <= MOST_OFFERS, "{} commands wait for the disk", waiting.len());
    waiting.into_iter().for_each(|command| worker.round(std::iter::once(command)));
    assert_eq!(life.metrics.value(&table::JOURNAL_BYTES, &[("storage", "file_storage")]), Some(0.0));
    // The disk works again.
    let working = async {
        loop {
            worker.round(commands.try_iter());
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        result = life.send(0..3) => result.unwrap(),
        () = working => {}
    }
    assert_eq!(life.line("kept").accepted, 3);
}

#[tokio::test]
async fn a_request_that_is_given_up_while_it_is_written_holds_its_memory_until_it_is() {
    let (life, mut worker, commands) = Life::on_a_disk_that_stalls();
    let bytes = logs(0..3);
    let mut sending = Some(Box::pin(life.send_bytes(bytes.clone(), 3)));
    assert!(futures_util::poll!(sending.as_mut().unwrap()).is_pending());
    let hangs_up = std::iter::from_fn(|| {
        drop(sending.take());
        assert_eq!(life.held_bytes(), bytes.len());
        None
    });
    worker.round(std::iter::once(commands.recv().unwrap()).chain(hangs_up));
    assert_eq!(life.held_bytes(), 0);
    assert_eq!(life.metrics.value(&table::JOURNAL_RECORDS, &[("storage", "file_storage")]), Some(0.0));
}

#[test]
fn a_disk_that_takes_again_is_noticed_also_when_nothing_else_is_to_be_written() {
    let disk = sim::Sim::default();
    let options = Options { fsync: Fsync::Never, ..options(Path::new("/simulated")) };
    let (_journal, mut worker) =
        Journal::over(disk.clone(), "file_storage", options, &Metrics::new(), Box::new(drop)).unwrap();
    let places = Arc::new(Semaphore::new(1));
    let mut append = || {
        let (reply, mut answer) = oneshot::channel();
        let record = Record {
            signal: Signal::Logs,
            items: 1,
            peer: None,
            metadata: Vec::new(),
            destinations: [Destination { pipeline: "logs".to_owned(), exporter: "otlp".to_owned() }].into(),
            body: "a record".into(),
        };
        let hold = Budget::new(100).try_hold(record.body.len()).unwrap();
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        worker.round(std::iter::once(Command::Append(Offer::new(record, hold), reply, place)));
        answer.try_recv().unwrap().map(drop)
    };
    disk.0.borrow_mut().dead = true;
    assert_eq!(append(), Err(Refused::Disk("the disk is dead".to_owned())));
    disk.0.borrow_mut().dead = false;
    append().unwrap();
}
