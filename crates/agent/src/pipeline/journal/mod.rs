//! The journal: what is acknowledged is on disk before, and stays there until its exporters have answered for good.
//!
//! It stands at the door. An arrival is one record, written before anything else is done with it; the sender is told yes
//! only after that. Each exporter that names the storage finishes its part of the record through the tickets of the
//! batches that the arrival became part of, so that joining and dividing change nothing. What is left when the agent stops
//! or dies is read back at the next start and goes through the pipelines again. Why it is built like this is written in
//! decision 7.

/// Bytes on disk.
mod format;

/// One arrival on disk.
mod record;

/// Files, or something in their place.
mod disk;

/// What is there at the start.
mod recovery;

/// Segments and what is not done in them.
mod store;

/// What waits for the thread.
mod offer;

/// The thread that writes.
mod worker;

/// The part of an arrival in the ticket of a batch.
mod kept;

/// What is kept goes through the pipelines again.
mod replay;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Notify, Semaphore, futures::Notified, oneshot};

use self::disk::{Disk, Folder};
use self::offer::Offer;
use self::store::{Refused, Store};
use self::worker::{Command, Found, Worker};
use super::{Hold, Refusal};
use crate::telemetry::{Counter, Gauge, Metrics, table};

pub(super) use kept::{Keeper, Kept};
pub use record::{Destination, MOST_DESTINATIONS, Record};
pub use replay::{Replay, Way};

/// A journal, for as long as somebody else uses it.
#[derive(Debug, Clone)]
pub struct WeakJournal(Weak<Handle>);

impl WeakJournal {
    /// The journal, if it is still open.
    #[must_use]
    pub fn upgrade(&self) -> Option<Journal> {
        self.0.upgrade().map(Journal)
    }
}

/// How a journal is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Where.
    pub directory: PathBuf,
    /// Bytes on disk, of everything.
    pub max_bytes: u64,
    /// When what was written is made to survive a power failure.
    pub fsync: Fsync,
    /// How often, with [`Fsync::Interval`].
    pub interval: Duration,
    /// How long to wait for another process to give the directory free.
    pub patience: Duration,
}

/// When what was written is made to survive a power failure. The end of the process it survives in any case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fsync {
    /// Before the sender is answered.
    Always,
    /// Every so often.
    Interval,
    /// When the system does it.
    Never,
}

/// A journal that is open. Clones are the same one; it is closed with the last of them.
#[derive(Debug, Clone)]
pub struct Journal(Arc<Handle>);

struct Handle {
    options: Mutex<Options>,
    /// Brings a command to whoever writes: a thread, or in a simulation a task.
    commands: Box<dyn Fn(Command) + Send + Sync>,
    /// For [`MOST_OFFERS`].
    places: Arc<Semaphore>,
    more: Arc<Notify>,
    counts: Counts,
}

/// The journal's own metrics. They end with it.
#[derive(Debug, Clone)]
struct Counts {
    bytes: Gauge,
    limit: Gauge,
    records: Gauge,
    syncs: Counter,
    replayed: Counter,
    cut: Counter,
    skipped: Counter,
    refused_full: Counter,
    refused_disk: Counter,
    _scope: Metrics,
}

/// A record cannot be read any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Lost {
    /// How many items it had; 0 if somebody else has it.
    items: u64,
}

/// So many arrivals are before the thread at most: a group. The others wait in the futures of their requests, and go with them.
const MOST_OFFERS: usize = worker::GROUP;
/// What is told with a refusal: disks do not get free in an instant.
const COME_BACK: Duration = Duration::from_secs(5);

impl Fsync {
    fn is_durable(self) -> bool {
        self != Fsync::Never
    }
}

impl Options {
    fn most(&self) -> u64 {
        self.max_bytes
    }
}

impl Journal {
    /// Opens the journal of a directory, and reads what is there.
    ///
    /// # Errors
    /// The directory cannot be read and written, another process uses it, or a later version wrote what is there.
    pub fn open(storage: &str, options: Options, metrics: &Metrics) -> io::Result<Journal> {
        let folder = Folder::open(&options.directory, options.patience)?;
        let (commands, inbox) = mpsc::channel();
        // The thread lives as long as the handle; should it have failed, whoever asks notices by the missing answer.
        let tell = move |command| drop(commands.send(command));
        let (journal, worker) = Journal::over(folder, storage, options, metrics, Box::new(tell))?;
        std::thread::Builder::new().name("journal".to_owned()).spawn(move || worker.run(&inbox))?;
        Ok(journal)
    }

    /// The journal on a disk, and who writes it: it has to be given what goes to `commands`.
    fn over<D: Disk>(
        disk: D,
        storage: &str,
        options: Options,
        metrics: &Metrics,
        commands: Box<dyn Fn(Command) + Send + Sync>,
    ) -> io::Result<(Journal, Worker<D>)> {
        let counts = Counts::new(storage, metrics);
        let mut found = Vec::new();
        let mut known: HashMap<Arc<[Destination]>, ()> = HashMap::new();
        let note = |sequence, pending, record: Record| {
            let destinations = match known.get_key_value(&record.destinations) {
                Some((same, ())) => Arc::clone(same),
                None => {
                    known.insert(Arc::clone(&record.destinations), ());
                    record.destinations
                }
            };
            found.push(Found { sequence, pending, destinations, items: record.items });
        };
        let durable = options.fsync.is_durable();
        let (store, report) = Store::open(disk, options.limits(), durable, first_sequence(), note)?;
        let directory = options.directory.display();
        counts.cut.add(report.cut);
        counts.skipped.add(report.skipped);
        if report.cut > 0 {
            tracing::warn!(%directory, bytes = report.cut,
                "The end of the journal was not written whole, and is cut off. Nothing of it was acknowledged as durable.");
        }
        if report.skipped > 0 {
            tracing::error!(%directory, bytes = report.skipped, set_aside = ?report.set_aside,
                "A part of the journal is damaged and left out. What stood there is lost; the rest is sent.");
        }
        if !found.is_empty() {
            tracing::info!(%directory, records = found.len(), "The journal has records that were not sent. Sending them now.");
        }
        let more = Arc::new(Notify::new());
        let worker = Worker::new(store, found, options.clone(), counts.clone(), Arc::clone(&more));
        let (options, places) = (Mutex::new(options), Arc::new(Semaphore::new(MOST_OFFERS)));
        Ok((Journal(Arc::new(Handle { options, commands, places, more, counts })), worker))
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.0.options.lock().unwrap_or_else(PoisonError::into_inner).directory.clone()
    }

    /// The same journal, without keeping it open.
    #[must_use]
    pub fn downgrade(&self) -> WeakJournal {
        WeakJournal(Arc::downgrade(&self.0))
    }

    /// Whether both are the same one.
    #[must_use]
    pub fn is(&self, other: &Journal) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it is the one of this directory.
    #[must_use]
    pub fn is_in(&self, directory: &Path) -> bool {
        self.directory() == directory
    }

    /// From now on these settings count; the directory stays.
    pub fn change(&self, options: Options) {
        let mut present = self.0.options.lock().unwrap_or_else(PoisonError::into_inner);
        if *present != options {
            present.clone_from(&options);
            self.tell(Command::Change(options));
        }
    }

    /// Writes everything that is known, also that records are done.
    pub async fn flush(&self) {
        let _ = self.ask(Command::Flush).await;
    }

    /// Keeps an arrival, and returns its sequence as soon as it is on disk, as far as the policy says. The permit for its
    /// body comes back with it.
    async fn append(&self, record: Record, hold: Hold) -> Result<(u64, Hold), Refusal> {
        let (items, destinations) = (record.items, record.destinations.len());
        let ended = || Refused::Disk("the thread of the journal has ended".to_owned());
        let place = Arc::clone(&self.0.places).acquire_owned().await.map_err(|_| ended())?;
        let (reply, answer) = oneshot::channel();
        let offer = Offer::new(record, hold);
        self.tell(Command::Append(offer.clone(), reply, place));
        let mut waiting = Waiting { journal: self, destinations, offer, answer };
        let answer = (&mut waiting.answer).await;
        let refused = match answer {
            Ok(Ok(kept)) => return Ok(kept),
            Ok(Err(refused)) => refused,
            Err(_) => ended(),
        };
        let counted =
            if matches!(refused, Refused::Disk(_)) { &self.0.counts.refused_disk } else { &self.0.counts.refused_full };
        counted.add(items);
        Err(refused.into())
    }

    /// A destination of a record has answered for good.
    fn finish(&self, sequence: u64, destination: u16) {
        self.tell(Command::Finish(sequence, destination));
    }

    /// A destination of a record gets it later.
    fn keep(&self, sequence: u64, destination: u16) {
        self.tell(Command::Keep(sequence, destination));
    }

    /// The first record from `floor` on that waits for a destination, with the bytes that it takes.
    async fn peek(&self, destination: &Destination, floor: u64) -> Option<(u64, u64)> {
        self.ask(|reply| Command::Peek(destination.clone(), floor, reply)).await.flatten()
    }

    /// Takes out a record that waits, with the number of the destination in it.
    async fn take(&self, destination: &Destination, sequence: u64) -> Result<(Record, u16), Lost> {
        let taken = self.ask(|reply| Command::Take(destination.clone(), sequence, reply)).await;
        taken.unwrap_or(Err(Lost { items: 0 }))
    }

    /// Items that were there at the start for a destination; 0 from the second time on.
    async fn claim(&self, destination: &Destination) -> u64 {
        self.ask(|reply| Command::Claim(destination.clone(), reply)).await.unwrap_or(0)
    }

    /// Whom records wait for, and how many.
    pub async fn waiting(&self) -> Vec<(Destination, usize)> {
        self.ask(Command::Waiting).await.unwrap_or_default()
    }

    /// Done when another record waits.
    fn more(&self) -> Notified<'_> {
        self.0.more.notified()
    }

    fn tell(&self, command: Command) {
        (self.0.commands)(command);
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.tell(command(reply));
        answer.await.ok()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("options", &self.options).finish_non_exhaustive()
    }
}

/// Waits for an arrival to be written. One who stops waiting has not told its sender yes.
struct Waiting<'a> {
    journal: &'a Journal,
    destinations: usize,
    offer: Offer,
    answer: oneshot::Receiver<Answer>,
}

/// The sequence of a record that is kept, and the permit that came with it.
type Answer = Result<(u64, Hold), Refused>;

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        drop(self.offer.take());
        self.answer.close();
        if let Ok(Ok((sequence, _))) = self.answer.try_recv() {
            let destinations = u16::try_from(self.destinations).unwrap_or(u16::MAX);
            (0..destinations).for_each(|destination| self.journal.finish(sequence, destination));
        }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Refusal {
        match refused {
            Refused::Full => Refusal::unavailable("the journal on disk is full").after(COME_BACK),
            Refused::Disk(_) => Refusal::unavailable("the journal on disk cannot be written").after(COME_BACK),
            Refused::TooLarge { bytes, most } => {
                Refusal::invalid(format!("a record of {bytes} bytes does not fit into the journal of {most} bytes"))
            }
        }
    }
}

/// Sequences never come twice, also when the directory is emptied in between: a new journal starts from the clock.
fn first_sequence() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_micros()).unwrap_or(1).max(1)
}

impl Counts {
    fn new(storage: &str, metrics: &Metrics) -> Counts {
        let scope = metrics.scoped();
        let labels = [("storage", storage)];
        let refused = |reason| scope.counter(&table::JOURNAL_REFUSED, &[("storage", storage), ("reason", reason)]);
        Counts {
            bytes: scope.gauge(&table::JOURNAL_BYTES, &labels),
            limit: scope.gauge(&table::JOURNAL_LIMIT, &labels),
            records: scope.gauge(&table::JOURNAL_RECORDS, &labels),
            syncs: scope.counter(&table::JOURNAL_SYNCS, &labels),
            replayed: scope.counter(&table::JOURNAL_REPLAYED, &labels),
            cut: scope.counter(&table::JOURNAL_CUT, &labels),
            skipped: scope.counter(&table::JOURNAL_SKIPPED, &labels),
            refused_full: refused("full"),
            refused_disk: refused("disk"),
            _scope: scope.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
