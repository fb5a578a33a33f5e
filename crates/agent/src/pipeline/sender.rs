//! What stands around every exporter, once: queue, retry, timeout, taking apart, counting.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

use tokio::sync::oneshot;
use wire::{Limits, Signal};

use super::courier::{Counts, Courier, Effort};
use super::deliver::DynDeliver;
use super::fair::Crowd;
use super::journal::Journal;
use super::queue::{self, Entry, Overflow, Queue, Sizer};
use super::queue_batch::Batcher;
use super::room::OnePlace;
use super::{Batch, Code, Deliver, Progress, Refusal, Rejected, Stop, apart, retry};
use crate::settings::{GoDuration, Reader, Toggle};
use crate::telemetry::{Metrics, table};

/// How an exporter is sent to: what its settings say under `sending_queue`, `retry_on_failure` and `timeout`.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// The queue. Off: the sender waits for the destination.
    pub queue: Toggle<queue::Settings>,
    /// Trying again. Off: a batch that fails once is given up.
    pub retry: Toggle<retry::Settings>,
    /// How long one attempt may take; 0 is for ever.
    pub timeout: GoDuration,
}

/// The way to one exporter for one signal. Clones are the same sender.
#[derive(Clone)]
pub struct Sender {
    inner: Arc<Inner>,
    /// What keeps its data.
    journal: Option<Journal>,
}

struct Inner {
    courier: Arc<Courier>,
    queued: Option<Arc<Queued>>,
}

struct Queued {
    settings: queue::Settings,
    queue: Arc<Queue>,
    courier: Arc<Courier>,
    /// Joins what waits, if the queue was told to.
    batcher: Option<Batcher>,
}

impl Policy {
    /// Queue and retry as they are if nothing is written, with the timeout that is usual for the protocol.
    #[must_use]
    pub fn with_timeout(timeout: GoDuration) -> Policy {
        Policy { queue: Toggle::On(queue::Settings::default()), retry: Toggle::On(retry::Settings::default()), timeout }
    }

    /// Checks the key `timeout`; the other two check themselves.
    pub fn check_timeout(timeout: GoDuration, cx: &mut Reader<'_>) {
        if timeout.is_negative() {
            cx.error_at("timeout", "'timeout' must be non-negative", "");
        }
    }
}

impl Sender {
    /// The way to `deliver`. `labels` go to the metrics of what was sent, beside the exporter's id.
    #[must_use]
    pub fn new(
        exporter: &str,
        signal: Signal,
        policy: &Policy,
        deliver: impl Deliver,
        labels: &[(&'static str, &str)],
        metrics: &Metrics,
    ) -> Sender {
        let settings = policy.queue.on();
        let queue = settings.map(|settings| Arc::new(Queue::new(settings.queue_size)));
        let courier = Arc::new(Courier {
            exporter: exporter.to_owned(),
            signal,
            deliver: Box::new(deliver) as Box<dyn DynDeliver>,
            retry: policy.retry.on().cloned(),
            timeout: policy.timeout.positive(),
            stop: Stop::default(),
            counts: Counts::new(metrics, exporter, signal, labels),
            progress: Arc::new(Progress::new(exporter, signal, queue.clone())),
            effort: Effort::default(),
            size_effort: Effort::default(),
            place: OnePlace::default(),
            left_behind: AtomicU64::new(0),
        });
        let queued = settings.zip(queue);
        let queued = queued.map(|(settings, queue)| Arc::new(Queued::new(settings.clone(), queue, &courier)));
        if let Some(queued) = &queued {
            queued.show_size(metrics);
        }
        Sender { inner: Arc::new(Inner { courier, queued }), journal: None }
    }

    /// The same sender; its data is kept in this journal until it has answered.
    #[must_use]
    pub fn kept_in(self, journal: Option<Journal>) -> Sender {
        Sender { journal, ..self }
    }

    /// What keeps its data.
    #[must_use]
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// The exporter's id.
    #[must_use]
    pub fn exporter(&self) -> &str {
        &self.inner.courier.exporter
    }

    /// What it takes.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.inner.courier.signal
    }

    /// Whether it moves.
    #[must_use]
    pub fn progress(&self) -> &Arc<Progress> {
        &self.inner.courier.progress
    }

    /// Whether its queue is nearly full; without a queue nobody can tell.
    #[must_use]
    pub fn crowd(&self) -> Option<&Crowd> {
        self.inner.queued.as_ref().map(|queued| queued.queue.crowd())
    }

    /// Takes a batch. One that is in our custody already waits for room; one that a sender still has is refused when
    /// there is none, unless `block_on_overflow` says otherwise.
    ///
    /// # Errors
    /// It was not taken or, where the sender waits for the result, not delivered. Only an offer ever comes back.
    pub async fn accept(&self, batch: Batch) -> Result<(), Rejected> {
        match &self.inner.queued {
            None => {
                let _at_work = self.progress().works();
                self.inner.courier.send(batch).await.map_err(Rejected::settled)
            }
            Some(queued) => queued.accept(batch).await,
        }
    }

    /// Begins the end: retry is switched off, so that everything gets one attempt more, until the deadline.
    pub fn stop(&self, deadline: tokio::time::Instant) {
        self.inner.courier.stop.begin(deadline);
    }

    /// Takes no more and waits until everything is delivered or given up, which is at the deadline given to
    /// [`Sender::stop`] at the latest. Returns how many items were left behind.
    pub async fn drain(&self) -> u64 {
        if let Some(queued) = &self.inner.queued {
            queued.queue.close();
            queued.queue.until_empty().await;
        }
        let courier = &self.inner.courier;
        tokio::select! {
            () = courier.deliver.close() => {}
            () = courier.stop.passed() => {}
        }
        let left = courier.left_behind.swap(0, Relaxed);
        if left > 0 {
            tracing::error!(
                exporter = courier.exporter,
                signal = %courier.signal,
                dropped_items = left,
                "Not delivered before the agent stopped. Dropping data."
            );
        }
        left
    }
}

impl std::fmt::Debug for Sender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sender({}, {})", self.exporter(), self.signal())
    }
}

impl Queued {
    fn new(settings: queue::Settings, queue: Arc<Queue>, courier: &Arc<Courier>) -> Queued {
        let batcher = settings.batch.on().map(|batching| Batcher::new(batching.clone(), settings.sizer));
        Queued { settings, queue, courier: Arc::clone(courier), batcher }
    }

    fn show_size(self: &Arc<Self>, metrics: &Metrics) {
        let queued: Weak<Queued> = Arc::downgrade(self);
        metrics.on_collect(move |sink| {
            let Some(queued) = queued.upgrade() else { return };
            let courier = &queued.courier;
            let labels = [("exporter", courier.exporter.as_str()), ("data_type", courier.signal.name())];
            sink.set(&table::EXPORTER_QUEUE_SIZE, &labels, queued.queue.used());
            sink.set(&table::EXPORTER_QUEUE_CAPACITY, &labels, queued.queue.capacity());
        });
    }

    async fn accept(self: &Arc<Self>, batch: Batch) -> Result<(), Rejected> {
        if batch.items() == 0 {
            batch.ticket.sent();
            return Ok(());
        }
        if self.settings.sizer.size(&batch) <= self.queue.capacity() {
            return self.accept_one(batch).await;
        }
        if !batch.ticket.is_accepted() {
            let code = Code::InvalidArgument;
            let refusal = Refusal { code, ..Refusal::invalid("element size too large") };
            return Err(self.back(batch, refusal));
        }
        for part in apart::divide(batch, self.settings.largest()) {
            if self.settings.sizer.size(&part) <= self.queue.capacity() {
                self.accept_one(part).await?;
            } else {
                self.courier.drop_too_large(part);
            }
        }
        Ok(())
    }

    async fn accept_one(self: &Arc<Self>, batch: Batch) -> Result<(), Rejected> {
        let ours = batch.ticket.is_accepted();
        let (items, bytes) = (batch.items(), batch.body.len());
        let (reply, result) = match self.settings.wait_for_result {
            true => {
                let (reply, result) = oneshot::channel();
                (Some(reply), Some(result))
            }
            false => (None, None),
        };
        let entry = Box::new(Entry { size: self.settings.sizer.size(&batch), batch, reply });
        if self.push(entry, ours).await? {
            self.courier.progress.begins();
        }
        self.courier.counts.enqueued.record(items, bytes);
        self.wake();
        let Some(result) = result else { return Ok(()) };
        let lost = || Refusal::unavailable("the request was given up");
        result.await.unwrap_or_else(|_| Err(lost())).map_err(Rejected::settled)
    }

    /// Whether it is the only one in the queue now.
    async fn push(&self, entry: Box<Entry>, ours: bool) -> Result<bool, Rejected> {
        let closed = match self.queue.push(entry) {
            Ok(only_one) => return Ok(only_one),
            Err(Overflow::Closed(entry)) => entry,
            Err(Overflow::Full(entry)) if ours || self.settings.block_on_overflow => {
                match self.queue.push_waiting(entry, &self.courier.stop).await {
                    Ok(only_one) => return Ok(only_one),
                    Err(entry) => entry,
                }
            }
            Err(Overflow::Full(entry)) => {
                return Err(self.back(entry.batch, Refusal::unavailable("sending queue is full")));
            }
        };
        let refusal = Refusal::unavailable("the agent is stopping");
        if ours {
            self.courier.leave_behind(closed.batch);
            return Err(Rejected::settled(refusal));
        }
        Err(self.back(closed.batch, refusal))
    }

    fn back(&self, batch: Batch, refusal: Refusal) -> Rejected {
        self.courier.counts.enqueue_failed.add(batch.items() as u64);
        Rejected::back(batch, refusal)
    }

    /// Sees to it that somebody works on what waits. Consumers come with the work and leave with it.
    fn wake(self: &Arc<Self>) {
        let consumers = self.settings.consumers();
        match &self.batcher {
            Some(batcher) => batcher.wake(&self.queue, &self.courier, consumers),
            None => {
                if self.queue.hire(consumers) {
                    tokio::spawn(Arc::clone(self).consume());
                }
            }
        }
    }

    async fn consume(self: Arc<Self>) {
        while let Some(entry) = self.queue.next_or_leave() {
            let result = self.courier.send(entry.batch).await;
            if let Some(reply) = entry.reply {
                // Whoever waited may have hung up.
                let _ = reply.send(result);
            }
            self.queue.done(entry.size);
        }
    }
}

impl queue::Settings {
    fn consumers(&self) -> usize {
        usize::try_from(self.num_consumers).unwrap_or(usize::MAX)
    }

    /// The largest batch that the queue can hold.
    fn largest(&self) -> Limits {
        let size = usize::try_from(self.queue_size).ok();
        match self.sizer {
            Sizer::Requests => Limits::default(),
            Sizer::Items => Limits { max_items: size, max_bytes: None },
            Sizer::Bytes => Limits { max_items: None, max_bytes: size },
        }
    }
}

#[cfg(test)]
mod tests;
