//! Batching inside the queue (`sending_queue::batch`): joined late, so that the queue still knows how each request ended.

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

/// What has been read and is not sent yet.
struct Pending {
    settings: Batching,
    sizer: BatchSizer,
    joiner: Joiner,
    receipts: Vec<Arc<Receipt>>,
    flush_at: Instant,
}

impl Batcher {
    pub(super) fn new(settings: Batching, queue: Sizer) -> Batcher {
        let sizer = settings.sizer(queue);
        Batcher { settings, sizer, at_work: AtomicBool::new(false) }
    }

    /// Begins to work with the first request.
    pub(super) fn wake(&self, queue: &Arc<Queue>, courier: &Arc<Courier>, workers: usize) {
        if !self.at_work.swap(true, Relaxed) {
            let pending = Pending::new(self.settings.clone(), self.sizer);
            let workers = Arc::new(Semaphore::new(workers.min(Semaphore::MAX_PERMITS)));
            tokio::spawn(pending.read(Arc::clone(queue), Arc::clone(courier), workers));
        }
    }
}

impl Pending {
    fn new(settings: Batching, sizer: BatchSizer) -> Pending {
        Pending { settings, sizer, joiner: Joiner::default(), receipts: Vec::new(), flush_at: Instant::now() }
    }

    async fn read(mut self, queue: Arc<Queue>, courier: Arc<Courier>, workers: Arc<Semaphore>) {
        loop {
            tokio::select! {
                entry = queue.next() => match entry {
                    Some(entry) => self.add(entry, &queue),
                    None => break,
                },
                () = sleep_until(self.flush_at), if !self.joiner.is_empty() => {
                    let all = self.joiner.take();
                    self.send(all, &courier, &workers).await;
                }
            }
            while self.size() >= self.settings.min_size && !self.joiner.is_empty() {
                let next = self.joiner.cut(self.limits());
                self.send(next, &courier, &workers).await;
            }
        }
        let all = self.joiner.take();
        self.send(all, &courier, &workers).await;
    }

    fn size(&self) -> u64 {
        self.sizer.size(self.joiner.items(), self.joiner.bytes())
    }

    fn limits(&self) -> Limits {
        let most = usize::try_from(self.settings.max_size).ok().filter(|most| *most > 0);
        match self.sizer {
            BatchSizer::Items => Limits { max_items: most, max_bytes: None },
            BatchSizer::Bytes => Limits { max_items: None, max_bytes: most },
        }
    }

    fn add(&mut self, entry: Entry, queue: &Arc<Queue>) {
        let Entry { batch, size, reply } = entry;
        if self.joiner.is_empty() {
            self.flush_at = Instant::now() + self.settings.flush_timeout.to_std();
        }
        self.joiner.push(batch);
        let result = Mutex::new(Ok(()));
        self.receipts.push(Arc::new(Receipt { queue: Arc::clone(queue), size, reply, result }));
    }

    /// Sends a batch as soon as one of the workers is free.
    async fn send(&mut self, batch: Option<Batch>, courier: &Arc<Courier>, workers: &Arc<Semaphore>) {
        let Some(batch) = batch else { return };
        // What is left over belongs to the request that came last: there was less than one batch before it.
        let receipts = match self.joiner.is_empty() {
            true => std::mem::take(&mut self.receipts),
            false => {
                let last = self.receipts.last().cloned();
                std::mem::replace(&mut self.receipts, last.into_iter().collect())
            }
        };
        courier.counts.joined.record(batch.items() as u64);
        let worker = Arc::clone(workers).acquire_owned().await;
        let courier = Arc::clone(courier);
        tokio::spawn(async move {
            let result = courier.send(batch).await;
            for receipt in receipts {
                receipt.note(&result);
            }
            drop(worker);
        });
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
