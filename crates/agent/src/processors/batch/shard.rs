//! One batch in the making, and the task that passes it on when it is due.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use wire::Limits;

use super::Config;
use crate::pipeline::{Batch, Joiner, Refusal, Rejected, Segment};
use crate::telemetry::{Counter, Gauge, Histogram, Metrics, table};

/// So many finished batches may wait for what follows to take them; then new data is refused, and stays with its sender.
const WAITING: usize = 4;
/// A batch that was not taken is offered again after this time.
const OFFERED_AGAIN: Duration = Duration::from_millis(100);

/// When a batch is due, and how large it may be.
#[derive(Debug, Clone)]
pub(super) struct Triggers {
    /// `None`: everything is sent at once.
    timed: Option<Timed>,
    limits: Limits,
}

#[derive(Debug, Clone)]
struct Timed {
    timeout: Duration,
    items: usize,
}

/// The processor's own metrics.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    size: Histogram,
    bytes: Histogram,
    by_size: Counter,
    by_timeout: Counter,
    cardinality: Gauge,
}

/// One batch in the making.
pub(super) struct Shard {
    triggers: Triggers,
    next: Arc<Segment>,
    counts: Counts,
    state: Mutex<State>,
    /// There is something to do for the task: a batch is ready, a timer begins, or it is the end.
    work: Notify,
    /// Does the passing on; begins with the first batch.
    task: Mutex<Option<JoinHandle<u64>>>,
}

#[derive(Debug)]
struct State {
    joiner: Joiner,
    /// The timer runs all the time, as in the Collector: it fires each `timeout` after this moment.
    timer_from: Instant,
    /// When it next fires with something there.
    due: Option<Instant>,
    ready: VecDeque<Batch>,
    /// The task has a batch in its hands.
    passing_on: bool,
    /// From then on nothing comes in.
    deadline: Option<Instant>,
}

/// What the task does next.
enum Work {
    PassOn(Box<Batch>),
    Wait(Option<Instant>),
    End,
}

impl Triggers {
    pub(super) fn new(config: &Config) -> Triggers {
        let number = |value: u32| usize::try_from(value).ok().filter(|number| *number > 0);
        let timed = |items| Some(Timed { timeout: config.timeout.positive()?, items });
        Triggers {
            timed: number(config.send_batch_size).and_then(timed),
            limits: Limits {
                max_items: number(config.send_batch_max_size),
                max_bytes: config.send_batch_max_bytes.bytes(),
            },
        }
    }
}

impl Counts {
    pub(super) fn new(metrics: &Metrics, id: &str) -> Counts {
        let labels = [("processor", id)];
        Counts {
            size: metrics.histogram(&table::BATCH_SEND_SIZE, &labels),
            bytes: metrics.histogram(&table::BATCH_SEND_SIZE_BYTES, &labels),
            by_size: metrics.counter(&table::BATCH_SIZE_TRIGGER, &labels),
            by_timeout: metrics.counter(&table::BATCH_TIMEOUT_TRIGGER, &labels),
            cardinality: metrics.gauge(&table::BATCH_METADATA_CARDINALITY, &labels),
        }
    }
}

impl Shard {
    pub(super) fn new(triggers: Triggers, next: Arc<Segment>, counts: Counts) -> Shard {
        counts.cardinality.add(1);
        let state = State {
            joiner: Joiner::default(),
            timer_from: Instant::now(),
            due: None,
            ready: VecDeque::new(),
            passing_on: false,
            deadline: None,
        };
        Shard { triggers, next, counts, state: Mutex::new(state), work: Notify::new(), task: Mutex::default() }
    }

    /// Adds a batch to the one in the making.
    pub(super) fn add(self: &Arc<Self>, mut batch: Batch) -> Result<(), Rejected> {
        let mut state = self.lock();
        if state.deadline.is_some() {
            return Err(Rejected::back(batch, Refusal::unavailable("the agent is stopping")));
        }
        if state.ready.len() >= WAITING {
            let refusal = Refusal::unavailable("sending queue is full").after(Duration::from_secs(1));
            return Err(Rejected::back(batch, refusal));
        }
        batch.ticket.accept();
        let (ready, timer) = (state.ready.len(), state.due);
        state.add(batch, &self.triggers, &self.counts);
        let work = state.ready.len() > ready || state.due != timer;
        drop(state);
        if work {
            self.begin();
            self.work.notify_one();
        }
        Ok(())
    }

    /// The batch in the making is due now.
    pub(super) fn flush(&self) {
        let mut state = self.lock();
        if state.due.is_some() {
            state.due = Some(Instant::now());
            self.work.notify_one();
        }
    }

    /// Passes on everything; what is left at the deadline is given up. Returns how many items that were.
    pub(super) async fn drain(&self, deadline: Instant) -> u64 {
        self.lock().deadline = Some(deadline);
        self.work.notify_one();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        match task {
            Some(task) => task.await.unwrap_or(0),
            None => 0,
        }
    }

    /// Ends it if there is nothing in it and nobody but the caller has it, who does not give it to anybody any more then.
    pub(super) fn end_if_idle(self: &Arc<Self>) -> bool {
        let has_task = self.task.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        let mut state = self.lock();
        let holders = 1 + usize::from(has_task);
        let is_idle = state.joiner.is_empty() && state.ready.is_empty() && !state.passing_on;
        if !is_idle || Arc::strong_count(self) > holders {
            return false;
        }
        state.deadline = Some(Instant::now());
        self.work.notify_one();
        true
    }

    fn begin(self: &Arc<Self>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.is_none() {
            *task = Some(tokio::spawn(Arc::clone(self).run()));
        }
    }

    async fn run(self: Arc<Self>) -> u64 {
        let mut left_behind = 0;
        loop {
            match self.next_work() {
                Work::PassOn(batch) => left_behind += self.pass_on(*batch).await,
                Work::Wait(due) => self.wait(due).await,
                Work::End => return left_behind,
            }
        }
    }

    fn next_work(&self) -> Work {
        let mut state = self.lock();
        let is_due = state.due.is_some_and(|due| due <= Instant::now());
        if state.ready.is_empty() && (is_due || (state.deadline.is_some() && !state.joiner.is_empty())) {
            state.timer_fires(&self.triggers, &self.counts);
        }
        let next = state.ready.pop_front();
        state.passing_on = next.is_some();
        match next {
            Some(batch) => Work::PassOn(Box::new(batch)),
            None if state.deadline.is_some() => Work::End,
            None => Work::Wait(state.due),
        }
    }

    async fn wait(&self, due: Option<Instant>) {
        let work = self.work.notified();
        match due {
            None => work.await,
            Some(due) => tokio::select! {
                () = work => {}
                () = sleep_until(due) => {}
            },
        }
    }

    /// Hands a batch on, and offers it again for as long as it comes back. Returns how many items were left behind.
    async fn pass_on(&self, mut batch: Batch) -> u64 {
        loop {
            let Err(rejected) = self.next.accept(batch).await else { return 0 };
            let Some(back) = rejected.batch else {
                tracing::warn!(error = %rejected.refusal, "Sender failed");
                return 0;
            };
            batch = *back;
            let again = Instant::now() + OFFERED_AGAIN;
            if self.lock().deadline.is_some_and(|deadline| deadline < again) {
                let lost = batch.ticket.left_behind();
                if lost > 0 {
                    tracing::error!(error = %rejected.refusal, dropped_items = lost,
                        "Not delivered before the agent stopped. Dropping data.");
                }
                return lost;
            }
            sleep_until(again).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is called under the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Shard {
    fn drop(&mut self) {
        self.counts.cardinality.add(-1);
    }
}

impl State {
    fn add(&mut self, batch: Batch, triggers: &Triggers, counts: &Counts) {
        let Some(timed) = &triggers.timed else {
            self.joiner.push(batch);
            while !self.joiner.is_empty() {
                self.cut(triggers.limits, counts, &counts.by_size);
            }
            return;
        };
        let most = triggers.limits.max_bytes.unwrap_or(usize::MAX);
        let (mut sent, was_empty) = (false, self.joiner.is_empty());
        if !was_empty && self.joiner.bytes() + batch.body.len() > most {
            // Requests stay whole where they can: what is there goes first.
            while !self.joiner.is_empty() {
                self.cut(triggers.limits, counts, &counts.by_size);
            }
            sent = true;
        }
        self.joiner.push(batch);
        while self.joiner.items() >= timed.items || self.joiner.bytes() > most {
            self.cut(triggers.limits, counts, &counts.by_size);
            sent = true;
        }
        if sent {
            self.timer_from = Instant::now();
        }
        if self.joiner.is_empty() {
            self.due = None;
        } else if sent || was_empty {
            self.due = Some(next_tick(self.timer_from, timed.timeout));
        }
    }

    fn timer_fires(&mut self, triggers: &Triggers, counts: &Counts) {
        while !self.joiner.is_empty() {
            self.cut(triggers.limits, counts, &counts.by_timeout);
        }
        self.timer_from = Instant::now();
        self.due = None;
    }

    fn cut(&mut self, limits: Limits, counts: &Counts, trigger: &Counter) {
        let Some(batch) = self.joiner.cut(limits) else { return };
        trigger.add(1);
        counts.size.record(batch.items() as u64);
        counts.bytes.record(batch.body.len() as u64);
        self.ready.push_back(batch);
    }
}

/// The first moment after now at which a timer fires that was set at `from` and runs on and on.
fn next_tick(from: Instant, every: Duration) -> Instant {
    let into = from.elapsed().as_nanos() % every.as_nanos().max(1);
    let into = Duration::from_nanos(u64::try_from(into).unwrap_or(0));
    Instant::now() + every - into
}
