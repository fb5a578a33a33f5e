//! The thread of a journal: what arrives at the same time is written, and made durable, together.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;

use super::disk::Disk;
use super::record::{Destination, Record};
use super::store::{Limits, Refused, Store};
use super::{Answer, Counts, Fsync, Lost, Offer, Options};
use crate::pipeline::Hold;

/// What the thread is asked to do.
#[derive(Debug)]
pub(super) enum Command {
    /// Keep an arrival. Answered when it is on disk, as far as the policy wants it. Its place among those that wait is free
    /// for another as soon as it is begun.
    Append(Offer, oneshot::Sender<Answer>, OwnedSemaphorePermit),
    /// A destination has answered for good.
    Finish(u64, u16),
    /// A destination will get it later: nobody works on it now.
    Keep(u64, u16),
    /// The first record, from a sequence on, that waits for a destination: sequence, and bytes that reading it needs.
    Peek(Destination, u64, oneshot::Sender<Option<(u64, u64)>>),
    /// Takes a record that waits out for sending.
    Take(Destination, u64, oneshot::Sender<Result<(Record, u16), Lost>>),
    /// Items that were there at the start for a destination and are not in the books yet.
    Claim(Destination, oneshot::Sender<u64>),
    /// Whom records wait for, and how many.
    Waiting(oneshot::Sender<Vec<(Destination, usize)>>),
    /// Other settings.
    Change(Options),
    /// Write everything.
    Flush(oneshot::Sender<()>),
}

/// A record that was there at the start.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) sequence: u64,
    /// A bit for each destination that has not answered.
    pub(super) pending: u64,
    pub(super) destinations: Arc<[Destination]>,
    pub(super) items: u64,
}

/// One who waits: the record, how many destinations it has, the permit for its body, and whom to tell.
type Reply = (u64, u16, Hold, oneshot::Sender<Answer>);

/// The state of the thread.
pub(super) struct Worker<D> {
    store: Store<D>,
    options: Options,
    counts: Counts,
    /// Records that nobody works on, by destination, with their items.
    waiting: HashMap<Destination, BTreeSet<u64>>,
    /// What a record that waits is: its destinations, and how many items it has.
    known: BTreeMap<u64, (Arc<[Destination]>, u64)>,
    unclaimed: HashMap<Destination, u64>,
    /// Tells those who wait for records.
    more: Arc<Notify>,
    /// Who waits for the group to be written.
    replies: Vec<Reply>,
    sync_at: Option<Instant>,
    marks_at: Option<Instant>,
    healthy: bool,
}

/// So many commands are one group at most.
pub(super) const GROUP: usize = 1024;
/// And so many bytes.
const GROUP_BYTES: usize = 4 << 20;
/// Marks wait this long for others; what they are for is sent twice if the process is killed meanwhile.
const MARKS_WAIT: Duration = Duration::from_millis(20);
/// After an error of the disk, marks are tried again after this time.
const AGAIN: Duration = Duration::from_secs(1);

impl<D: Disk> Worker<D> {
    pub(super) fn new(
        store: Store<D>,
        found: Vec<Found>,
        options: Options,
        counts: Counts,
        more: Arc<Notify>,
    ) -> Worker<D> {
        let mut worker = Worker {
            store,
            options,
            counts,
            waiting: HashMap::new(),
            known: BTreeMap::new(),
            unclaimed: HashMap::new(),
            more,
            replies: Vec::new(),
            sync_at: None,
            marks_at: None,
            healthy: true,
        };
        for Found { sequence, pending, destinations, items } in found {
            for (bit, destination) in destinations.iter().enumerate() {
                if pending & (1 << bit) != 0 {
                    worker.waiting.entry(destination.clone()).or_default().insert(sequence);
                    *worker.unclaimed.entry(destination.clone()).or_default() += items;
                }
            }
            worker.known.insert(sequence, (destinations, items));
        }
        worker.show();
        worker
    }

    /// Works until nobody uses the journal any more.
    pub(super) fn run(mut self, commands: &Receiver<Command>) {
        loop {
            let first = match self.due() {
                None => commands.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => commands.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match first {
                Ok(command) => self.round(std::iter::once(command).chain(commands.try_iter())),
                Err(RecvTimeoutError::Timeout) => self.round(std::iter::empty()),
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.finish();
    }

    /// When there is something to do without a command.
    pub(super) fn due(&self) -> Option<Instant> {
        self.sync_at.into_iter().chain(self.marks_at).min()
    }

    /// One group: as many of these commands as belong together, then the disk.
    pub(super) fn round(&mut self, commands: impl Iterator<Item = Command>) {
        let mut bytes = 0;
        for command in commands.take(GROUP) {
            self.obey(command, &mut bytes);
            if bytes >= GROUP_BYTES {
                break;
            }
        }
        self.write();
    }

    fn obey(&mut self, command: Command, bytes: &mut usize) {
        match command {
            Command::Append(offer, reply, place) => {
                drop(place);
                // One who has hung up has taken it back.
                if let Some((record, hold)) = offer.take() {
                    *bytes += record.body.len();
                    self.append(record, hold, reply);
                }
            }
            Command::Finish(sequence, destination) => self.done(sequence, destination),
            Command::Keep(sequence, destination) => self.keep(sequence, destination),
            Command::Peek(destination, floor, reply) => {
                let waiting = self.waiting.get(&destination);
                let first = waiting.and_then(|waiting| waiting.range(floor..).next()).copied();
                let _ = reply.send(first.map(|sequence| (sequence, self.store.bytes_of(sequence).unwrap_or(0))));
            }
            Command::Take(destination, sequence, reply) => self.take(&destination, sequence, reply),
            Command::Claim(destination, reply) => {
                let items = self.unclaimed.remove(&destination).unwrap_or(0);
                let _ = reply.send(items);
            }
            Command::Waiting(reply) => {
                let waiting = self.waiting.iter().filter(|(_, sequences)| !sequences.is_empty());
                let _ = reply
                    .send(waiting.map(|(destination, sequences)| (destination.clone(), sequences.len())).collect());
            }
            Command::Change(options) => {
                self.store.set_limits(options.limits(), options.fsync.is_durable());
                self.options = options;
                self.show();
            }
            Command::Flush(reply) => {
                // Twice: writing tells who has hung up meanwhile, which makes marks.
                for _ in 0..2 {
                    self.marks_at = self.store.has_marks().then(Instant::now);
                    self.write();
                }
                self.store.tidy();
                let _ = reply.send(());
            }
        }
    }

    fn append(&mut self, record: Record, hold: Hold, reply: oneshot::Sender<Answer>) {
        match self.store.append(&record) {
            Ok(sequence) => {
                let destinations = u16::try_from(record.destinations.len()).unwrap_or(u16::MAX);
                self.known.insert(sequence, (record.destinations, record.items));
                self.replies.push((sequence, destinations, hold, reply));
            }
            Err(refused) => {
                drop(hold);
                let _ = reply.send(Err(refused));
            }
        }
    }

    fn done(&mut self, sequence: u64, destination: u16) {
        if !self.store.finish(sequence, destination) {
            return;
        }
        if self.store.pending_of(sequence) == 0 {
            self.known.remove(&sequence);
        }
        self.marks_at.get_or_insert_with(|| Instant::now() + MARKS_WAIT);
    }

    fn keep(&mut self, sequence: u64, bit: u16) {
        let Some((destinations, _)) = self.known.get(&sequence) else { return };
        if let Some(destination) = destinations.get(usize::from(bit)).cloned() {
            self.waiting.entry(destination).or_default().insert(sequence);
            self.more.notify_waiters();
        }
    }

    fn take(&mut self, destination: &Destination, sequence: u64, reply: oneshot::Sender<Result<(Record, u16), Lost>>) {
        let waits = self.waiting.get_mut(destination).is_some_and(|waiting| waiting.remove(&sequence));
        let known = self.known.get(&sequence).cloned();
        let bit = known.as_ref().and_then(|(all, _)| all.iter().position(|one| one == destination));
        let bit = bit.and_then(|bit| u16::try_from(bit).ok());
        let (true, Some(bit), Some((_, items))) = (waits, bit, known) else {
            let _ = reply.send(Err(Lost { items: 0 }));
            return;
        };
        match self.store.read(sequence) {
            Ok(record) => {
                if reply.send(Ok((record, bit))).is_err() {
                    self.keep(sequence, bit);
                }
            }
            Err(error) => {
                tracing::error!(directory = %self.options.directory.display(), %error, items,
                    "A record of the journal cannot be read any more. Its items are lost.");
                self.counts.skipped.add(self.store.bytes_of(sequence).unwrap_or(0));
                self.done(sequence, bit);
                let _ = reply.send(Err(Lost { items }));
            }
        }
    }

    /// Ends a group: what was appended is written, and then answered.
    fn write(&mut self) {
        let now = Instant::now();
        let appended = !self.replies.is_empty();
        let due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        let marks = due(self.marks_at);
        if appended || marks || due(self.sync_at) || self.store.has_failed() {
            let sync = match self.options.fsync {
                Fsync::Always => appended,
                Fsync::Interval => due(self.sync_at),
                Fsync::Never => false,
            };
            let result = self.store.commit(sync);
            if sync {
                self.sync_at = None;
                self.counts.syncs.add(1);
            } else if self.options.fsync == Fsync::Interval {
                self.sync_at.get_or_insert(now + self.options.interval);
            }
            self.marks_at = self.store.has_marks().then(|| now + if result.is_ok() { MARKS_WAIT } else { AGAIN });
            self.tell(&result);
            self.answer(&result);
        }
        self.show();
    }

    fn answer(&mut self, result: &Result<(), Refused>) {
        for (sequence, destinations, hold, reply) in std::mem::take(&mut self.replies) {
            let answer = result.clone().map(|()| (sequence, hold));
            let kept = answer.is_ok();
            // Whoever hung up meanwhile was not told yes, and has the data still.
            if reply.send(answer).is_err() || !kept {
                (0..destinations).for_each(|destination| self.done(sequence, destination));
                self.known.remove(&sequence);
            }
        }
    }

    /// Trouble is told once, and its end.
    fn tell(&mut self, result: &Result<(), Refused>) {
        let directory = self.options.directory.display();
        match result {
            Err(Refused::Disk(error)) if self.healthy => {
                tracing::error!(%directory, error, "The journal cannot be written. Data is refused until it can.");
            }
            Ok(()) if !self.healthy => tracing::info!(%directory, "The journal can be written again."),
            _ => {}
        }
        self.healthy = result.is_ok();
    }

    fn show(&self) {
        let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        self.counts.bytes.set(number(self.store.bytes()));
        self.counts.limit.set(number(self.options.most()));
        self.counts.records.set(number(self.store.len() as u64));
    }

    /// The end: nobody uses it any more.
    pub(super) fn finish(mut self) {
        if let Err(refused) = self.store.commit(self.options.fsync.is_durable()) {
            tracing::warn!(directory = %self.options.directory.display(), error = ?refused,
                "The last marks of the journal cannot be written: what they stand for is sent again.");
        }
        self.store.tidy();
    }
}

impl Options {
    pub(super) fn limits(&self) -> Limits {
        let most = self.most();
        Limits { most, segment: (most / 16).clamp(64 << 10, 4 << 20) }
    }
}
