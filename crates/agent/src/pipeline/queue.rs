//! The sending queue: how much may wait for an exporter, and in which order it leaves.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, oneshot};

use super::fair::Crowd;
use super::{Batch, Refusal, Stop};
use crate::settings::{ComponentId, GoDuration, Reader, Toggle, settings, words};

settings! {
    /// What waits in memory between the pipelines and the destination.
    pub struct Settings {
        /// How many requests are sent at one time.
        pub num_consumers: u32 = 10,
        /// How much may wait, what is being sent included, in units of `sizer`. The memory budget bounds it, too.
        pub queue_size: u64 = 1000,
        /// What `queue_size` counts.
        pub sizer: Sizer = Sizer::Requests,
        /// Makes the sender wait for room, where it would be refused otherwise.
        pub block_on_overflow: bool = false,
        /// Answers the sender only after the destination has answered.
        pub wait_for_result: bool = false,
        /// Id of a `file_storage` extension, which must also stand in `service::extensions`: what is acknowledged is on disk
        /// before, and stays there until this exporter has sent it or given it up. It also lies in memory while it waits, so
        /// `queue_size` and the memory budget bound it as they do without.
        pub storage: Option<ComponentId> = None,
        /// Joins requests in the queue before they are sent.
        pub batch: Toggle<Batching> = Toggle::Off,
    }
    check Settings::check
}

words! {
    /// What a size is counted in.
    pub enum Sizer {
        /// Requests, whatever their size.
        Requests = "requests",
        /// Spans, data points, log records.
        Items = "items",
        /// Bytes before compression.
        Bytes = "bytes",
    }
}

settings! {
    /// Joining requests in the queue.
    pub struct Batching {
        /// After this time a batch is sent even if it is smaller than `min_size`.
        pub flush_timeout: GoDuration = GoDuration::millis(200),
        /// From this size on a batch is sent.
        pub min_size: u64 = 8192,
        /// No batch is larger; 0 is no limit.
        pub max_size: u64 = 0,
        /// What the sizes count. The queue's own `sizer` if it counts items or bytes, otherwise items.
        pub sizer: Option<BatchSizer> = None,
        /// Keeps requests of different senders in different batches.
        pub partition: Partition = Partition::default(),
    }
    check Batching::check
}

settings! {
    /// Which requests are kept in different batches.
    pub struct Partition {
        /// Headers of the requests by whose values batches are kept apart. They need `include_metadata` on the receiver.
        pub metadata_keys: Vec<String> = Vec::new(),
    }
    check Partition::check
}

words! {
    /// What the sizes of a batch count.
    pub enum BatchSizer {
        /// Spans, data points, log records.
        Items = "items",
        /// Bytes before compression.
        Bytes = "bytes",
    }
}

impl Settings {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.num_consumers == 0 {
            cx.error_at("num_consumers", "`num_consumers` must be positive", "");
        }
        if self.queue_size == 0 {
            cx.error_at("queue_size", "`queue_size` must be positive", "");
        }
        if self.wait_for_result && self.storage.is_some() {
            let what = "`wait_for_result` is not supported with a persistent queue configured with `storage`";
            cx.error_at("wait_for_result", what, "remove it; what is acknowledged is on disk");
        }
        let Some(batch) = self.batch.on() else { return };
        if batch.sizer(self.sizer).counts_as(self.sizer) && batch.min_size > self.queue_size {
            cx.error_at("batch", "`min_size` must be less than or equal to `queue_size`", "");
        }
    }
}

impl Batching {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.flush_timeout.positive().is_none() {
            cx.error_at("flush_timeout", "`flush_timeout` must be positive", "");
        }
        if self.max_size > 0 && self.max_size < self.min_size {
            cx.error_at("max_size", "`max_size` must be greater than or equal to `min_size`", "");
        }
    }

    /// What the sizes count, in a queue that counts in `queue`.
    #[must_use]
    pub fn sizer(&self, queue: Sizer) -> BatchSizer {
        self.sizer.unwrap_or(if queue == Sizer::Bytes { BatchSizer::Bytes } else { BatchSizer::Items })
    }
}

impl Partition {
    fn check(&self, cx: &mut Reader<'_>) {
        let mut seen = Vec::new();
        for key in self.metadata_keys.iter().map(|key| key.to_lowercase()) {
            if !seen.contains(&key) {
                seen.push(key);
                continue;
            }
            let what = format!("duplicate entry in metadata_keys: \"{key}\" (case-insensitive)");
            cx.error_at("metadata_keys", what, "");
        }
    }
}

impl BatchSizer {
    fn counts_as(self, queue: Sizer) -> bool {
        matches!((self, queue), (BatchSizer::Items, Sizer::Items) | (BatchSizer::Bytes, Sizer::Bytes))
    }

    /// The size of a batch.
    #[must_use]
    pub fn size(self, items: usize, bytes: usize) -> u64 {
        match self {
            BatchSizer::Items => items as u64,
            BatchSizer::Bytes => bytes as u64,
        }
    }
}

impl Sizer {
    /// The size of a batch.
    #[must_use]
    pub fn size(self, batch: &Batch) -> u64 {
        match self {
            Sizer::Requests => 1,
            Sizer::Items => batch.items() as u64,
            Sizer::Bytes => batch.body.len() as u64,
        }
    }
}

/// One batch in the queue.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) batch: Batch,
    /// Its size in units of the queue's sizer; given back by [`Queue::done`].
    pub(super) size: u64,
    /// Tells whoever waits for the result how it went. Without it the queue takes the batch into custody.
    pub(super) reply: Option<oneshot::Sender<Result<(), Refusal>>>,
}

/// What waits for one exporter, first in first out. Its size includes what was taken out and is not done yet.
#[derive(Debug)]
pub(super) struct Queue {
    capacity: u64,
    state: Mutex<State>,
    /// Somebody gave room back.
    room: Notify,
    /// Something came in.
    arrival: Notify,
    /// The last of what there was is done.
    empty: Notify,
    /// Tells the door when it is nearly full.
    crowd: Crowd,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Entry>,
    used: u64,
    closed: bool,
    /// Consumers at work; they leave when nothing waits.
    consumers: usize,
}

/// Why an entry was not taken; it comes back.
#[derive(Debug)]
pub(super) enum Overflow {
    /// There is no room now.
    Full(Box<Entry>),
    /// The agent is stopping.
    Closed(Box<Entry>),
}

impl Queue {
    pub(super) fn new(capacity: u64) -> Queue {
        let (room, arrival, empty) = (Notify::new(), Notify::new(), Notify::new());
        Queue { capacity, state: Mutex::default(), room, arrival, empty, crowd: Crowd::default() }
    }

    /// The largest size it can have.
    pub(super) fn capacity(&self) -> u64 {
        self.capacity
    }

    /// Whether it is nearly full.
    pub(super) fn crowd(&self) -> &Crowd {
        &self.crowd
    }

    /// Its size, what is being sent included.
    pub(super) fn used(&self) -> u64 {
        self.lock().used
    }

    /// Puts an entry at the end. Returns whether it is the only one.
    ///
    /// # Errors
    /// There is no room, or no more ever.
    pub(super) fn push(&self, mut entry: Box<Entry>) -> Result<bool, Overflow> {
        let mut state = self.lock();
        if state.closed {
            return Err(Overflow::Closed(entry));
        }
        if state.used.saturating_add(entry.size) > self.capacity {
            return Err(Overflow::Full(entry));
        }
        if entry.reply.is_none() {
            entry.batch.ticket.accept();
        }
        let only_one = state.used == 0;
        state.used += entry.size;
        self.crowd.set(Crowd::at(state.used, self.capacity));
        state.waiting.push_back(*entry);
        let more = state.used < self.capacity;
        drop(state);
        self.arrival.notify_one();
        if more {
            // Room that was given back at once may be enough for several that wait.
            self.room.notify_one();
        }
        Ok(only_one)
    }

    /// Puts an entry at the end as soon as there is room. Returns whether it is the only one.
    ///
    /// # Errors
    /// There will be no more room: the queue is closed, or the time to stop is over.
    pub(super) async fn push_waiting(&self, mut entry: Box<Entry>, stop: &Stop) -> Result<bool, Box<Entry>> {
        loop {
            let room = self.room.notified();
            match self.push(entry) {
                Ok(only_one) => return Ok(only_one),
                Err(Overflow::Closed(entry)) => return Err(entry),
                Err(Overflow::Full(back)) => entry = back,
            }
            tokio::select! {
                () = room => {}
                () = stop.passed() => return Err(entry),
            }
        }
    }

    /// One more consumer, if something waits and there are less than `most`.
    pub(super) fn hire(&self, most: usize) -> bool {
        let mut state = self.lock();
        let hired = state.consumers < most && !state.waiting.is_empty();
        state.consumers += usize::from(hired);
        hired
    }

    /// The first entry for a consumer, which leaves when there is none. Its size stays until [`Queue::done`].
    pub(super) fn next_or_leave(&self) -> Option<Entry> {
        let mut state = self.lock();
        let next = state.waiting.pop_front();
        state.consumers -= usize::from(next.is_none());
        next
    }

    /// The first entry, as soon as there is one; `None` when there will be no more.
    pub(super) async fn next(&self) -> Option<Entry> {
        loop {
            let arrival = self.arrival.notified();
            {
                let mut state = self.lock();
                match state.waiting.pop_front() {
                    Some(entry) => return Some(entry),
                    None if state.closed => return None,
                    None => {}
                }
            }
            arrival.await;
        }
    }

    /// Gives back the size of entries that were taken out.
    pub(super) fn done(&self, size: u64) {
        let empty = {
            let mut state = self.lock();
            state.used -= size;
            self.crowd.set(Crowd::at(state.used, self.capacity));
            state.used == 0
        };
        self.room.notify_one();
        if empty {
            self.empty.notify_waiters();
        }
    }

    /// From now on nothing comes in.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.room.notify_waiters();
        self.arrival.notify_waiters();
        self.arrival.notify_one();
    }

    /// Waits until nothing waits and nothing is being sent.
    pub(super) async fn until_empty(&self) {
        loop {
            let empty = self.empty.notified();
            if self.used() == 0 {
                return;
            }
            empty.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is called under the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
