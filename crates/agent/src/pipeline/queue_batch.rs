//! Batching inside the queue (`sending_queue::batch`): joined late, so that the queue still knows how each request ended.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{Semaphore, oneshot};
use tokio::time::{Instant, sleep_until};
use wire::Limits;

use super::courier::Courier;
use super::joiner::Joiner;
use super::queue::{BatchSizer, Batching, Entry, Queue, Sizer};
use super::{Batch, Refusal};

/// Reads the queue of one exporter and joins what it finds.
pub(super) struct Batcher {
    settings: Batching,
    sizer: BatchSizer,
    at_work: AtomicBool,
}

/// One request of the queue, until the last part of it is done: then its room is given back, and whoever waits is told.
struct Receipt {
    queue: Arc<Queue>,
    size: u64,
    reply: Option<oneshot::Sender<Result<(), Refusal>>>,
    result: Mutex<Result<(), Refusal>>,
}

/// Reads the queue. What it has read lies on shelves, one for each partition, until it is sent.
struct Reader {
    settings: Batching,
    sizer: BatchSizer,
    queue: Arc<Queue>,
    courier: Arc<Courier>,
    workers: Arc<Semaphore>,
    shelves: HashMap<Partition, Shelf>,
}

/// The values of the metadata by which batches are kept apart; empty without any.
type Partition = Vec<Vec<String>>;

/// What will be one batch.
struct Shelf {
    joiner: Joiner,
    receipts: Vec<Arc<Receipt>>,
    flush_at: Instant,
}

/// A batch that is due, with the requests that it has items of.
type Due = (Batch, Vec<Arc<Receipt>>);

impl Batcher {
    pub(super) fn new(settings: Batching, queue: Sizer) -> Batcher {
        let sizer = settings.sizer(queue);
        Batcher { settings, sizer, at_work: AtomicBool::new(false) }
    }

    /// Begins to work with the first request.
    pub(super) fn wake(&self, queue: &Arc<Queue>, courier: &Arc<Courier>, workers: usize) {
        if !self.at_work.swap(true, Relaxed) {
            let reader = Reader {
                settings: self.settings.clone(),
                sizer: self.sizer,
                queue: Arc::clone(queue),
                courier: Arc::clone(courier),
                workers: Arc::new(Semaphore::new(workers.min(Semaphore::MAX_PERMITS))),
                shelves: HashMap::new(),
            };
            tokio::spawn(reader.run());
        }
    }
}

impl Reader {
    async fn run(mut self) {
        loop {
            let flush_at = self.shelves.values().map(|shelf| shelf.flush_at).min();
            // What is due goes first, so that requests which never cease do not keep it waiting.
            tokio::select! {
                biased;
                () = sleep_until(flush_at.unwrap_or_else(Instant::now)), if flush_at.is_some() => {
                    let now = Instant::now();
                    self.flush(|shelf| shelf.flush_at <= now).await;
                }
                entry = self.queue.next() => match entry {
                    Some(entry) => self.put(entry).await,
                    None => break,
                },
            }
        }
        self.flush(|_| true).await;
    }

    /// Puts a request on its shelf, and sends what is large enough.
    async fn put(&mut self, entry: Entry) {
        let partition = self.partition(&entry.batch);
        let flush_at = Instant::now() + self.settings.flush_timeout.to_std();
        let (limits, sizer, enough) = (self.limits(), self.sizer, self.settings.min_size);
        let new = || Shelf { joiner: Joiner::default(), receipts: Vec::new(), flush_at };
        let shelf = self.shelves.entry(partition.clone()).or_insert_with(new);
        shelf.put(entry, &self.queue);
        let mut due = Vec::new();
        while !shelf.joiner.is_empty() && sizer.size(shelf.joiner.items(), shelf.joiner.bytes()) >= enough {
            let batch = shelf.joiner.cut(limits);
            due.extend(shelf.with_receipts(batch));
        }
        if shelf.joiner.is_empty() {
            self.shelves.remove(&partition);
        }
        self.send(due).await;
    }

    /// Empties the shelves that are due. What is above the largest size was sent before.
    async fn flush(&mut self, is_due: impl Fn(&Shelf) -> bool) {
        let mut due = Vec::new();
        self.shelves.retain(|_, shelf| {
            let flushed = is_due(shelf);
            if flushed {
                let batch = shelf.joiner.take();
                due.extend(shelf.with_receipts(batch));
            }
            !flushed
        });
        self.send(due).await;
    }

    /// Sends batches, each as soon as one of the workers is free.
    async fn send(&self, due: Vec<Due>) {
        for (batch, receipts) in due {
            let worker = Arc::clone(&self.workers).acquire_owned().await;
            let courier = Arc::clone(&self.courier);
            courier.counts.joined.record(batch.items(), batch.body.len());
            tokio::spawn(async move {
                let result = courier.send(batch).await;
                receipts.iter().for_each(|receipt| receipt.note(&result));
                // Room is given back before the next batch begins.
                drop((receipts, worker));
            });
        }
    }

    fn partition(&self, batch: &Batch) -> Partition {
        let metadata = batch.origin.metadata.as_deref();
        let values = |key: &String| metadata.map_or_else(Vec::new, |all| all.get(&key.to_lowercase()).to_vec());
        self.settings.partition.metadata_keys.iter().map(values).collect()
    }

    fn limits(&self) -> Limits {
        let most = usize::try_from(self.settings.max_size).ok().filter(|most| *most > 0);
        match self.sizer {
            BatchSizer::Items => Limits { max_items: most, max_bytes: None },
            BatchSizer::Bytes => Limits { max_items: None, max_bytes: most },
        }
    }
}

impl Shelf {
    fn put(&mut self, entry: Entry, queue: &Arc<Queue>) {
        let Entry { batch, size, reply } = entry;
        self.joiner.push(batch);
        let result = Mutex::new(Ok(()));
        self.receipts.push(Arc::new(Receipt { queue: Arc::clone(queue), size, reply, result }));
    }

    /// A batch from this shelf with its receipts. What is left over belongs to the request that came last: there was
    /// less than one batch before it.
    fn with_receipts(&mut self, batch: Option<Batch>) -> Option<Due> {
        let left = if self.joiner.is_empty() { None } else { self.receipts.last().cloned() };
        let receipts = std::mem::replace(&mut self.receipts, left.into_iter().collect());
        batch.map(|batch| (batch, receipts))
    }
}

impl Receipt {
    fn note(&self, result: &Result<(), Refusal>) {
        if result.is_err() {
            *self.result.lock().unwrap_or_else(PoisonError::into_inner) = result.clone();
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let result = std::mem::replace(self.result.get_mut().unwrap_or_else(PoisonError::into_inner), Ok(()));
        if let Some(reply) = self.reply.take() {
            // Whoever waited may have hung up.
            let _ = reply.send(result);
        }
        self.queue.done(self.size);
    }
}
