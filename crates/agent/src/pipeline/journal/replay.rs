//! What is kept and not on its way goes through the pipelines again: what an earlier process has left, and what a
//! configuration that was replaced could not send. Beside new data, one record after another for each destination, and
//! only while half of the memory budget is free.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wire::Chain;

use super::{Destination, Journal, Kept, Record};
use crate::pipeline::ledger::Line;
use crate::pipeline::{Batch, Budget, Hold, Metadata, Origin, Reason, Rejected, Route, Segment, Ticket};

/// The way to one exporter of one pipeline, past nothing: records were checked at the door, and have not been processed.
pub struct Way {
    /// Where it leads.
    pub line: Arc<Line>,
    /// Its first part.
    pub segment: Arc<Segment>,
    /// What keeps for it.
    pub journal: Journal,
}

impl Way {
    /// Whether what this journal keeps for a destination comes in by this way.
    #[must_use]
    pub fn is(&self, journal: &Journal, destination: &Destination) -> bool {
        self.journal.is(journal) && self.line.destination() == *destination
    }
}

/// Those who send what is kept.
#[derive(Debug, Default)]
pub struct Replay {
    end: CancellationToken,
    tasks: TaskTracker,
}

/// How often to look for room.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// A batch that was not taken is offered again after this time.
const OFFERED_AGAIN: Duration = Duration::from_millis(100);

impl Replay {
    /// Begins to send.
    #[must_use]
    pub fn start(ways: Vec<Way>, budget: &Budget) -> Replay {
        let replay = Replay::default();
        for way in ways {
            let destination = way.line.destination();
            let one = One { way, destination, budget: budget.clone(), end: replay.end.clone() };
            replay.tasks.spawn(one.run());
        }
        replay
    }

    /// Announces the end: no further record is taken.
    pub fn stop(&self) {
        self.end.cancel();
    }

    /// Waits for the end. A batch that waits for room in a queue comes back when the queue is drained.
    pub async fn stopped(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

struct One {
    way: Way,
    destination: Destination,
    budget: Budget,
    end: CancellationToken,
}

impl One {
    async fn run(self) {
        let (line, journal) = (&self.way.line, &self.way.journal);
        line.take_over(journal.claim(&self.destination).await);
        let mut floor = 0;
        while !self.end.is_cancelled() {
            let more = journal.more();
            let Some((sequence, bytes)) = journal.peek(&self.destination, floor).await else {
                tokio::select! {
                    () = more => {}
                    () = self.end.cancelled() => {}
                }
                continue;
            };
            match self.room(bytes).await {
                Room::Here(hold) => self.send(sequence, hold).await,
                Room::Stopped => return,
                Room::Never => {
                    tracing::error!(
                        pipeline = self.destination.pipeline,
                        exporter = self.destination.exporter,
                        bytes,
                        "A record of the journal is larger than the memory budget. It stays there until the budget is larger."
                    );
                    floor = sequence + 1;
                }
            }
        }
    }

    /// Memory for a record, as soon as new data leaves some.
    async fn room(&self, bytes: u64) -> Room {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        loop {
            if self.budget.usage() <= self.budget.soft() / 2 {
                match self.budget.try_hold(bytes) {
                    Ok(hold) => return Room::Here(hold),
                    Err(full) if full.wanted > full.limit => return Room::Never,
                    Err(_) => {}
                }
            }
            tokio::select! {
                () = sleep(LOOK_EVERY) => {}
                () = self.end.cancelled() => return Room::Stopped,
            }
        }
    }

    async fn send(&self, sequence: u64, hold: Hold) {
        let (line, journal) = (&self.way.line, &self.way.journal);
        let (record, destination) = match journal.take(&self.destination, sequence).await {
            Ok(taken) => taken,
            Err(lost) => return line.lose(lost.items),
        };
        journal.0.counts.replayed.add(record.items);
        let kept = Kept::again(Arc::clone(line), journal.clone(), sequence, destination, record.items);
        let items = usize::try_from(record.items).unwrap_or(usize::MAX);
        let ticket = Ticket::taken_back(&Route::One(Arc::clone(line)), items, kept);
        let Record { signal, peer, metadata, body, .. } = record;
        let origin = Origin { peer, metadata: as_metadata(&metadata), auth: None };
        self.pass_on(Batch { signal, body: Chain::from(body), ticket, origin, hold }).await;
    }

    /// Hands a batch on, and offers it again for as long as it comes back.
    async fn pass_on(&self, mut batch: Batch) {
        loop {
            let Err(Rejected { refusal, batch: Some(back) }) = self.way.segment.accept(batch).await else { return };
            batch = *back;
            if self.end.is_cancelled() {
                batch.ticket.left_behind();
                return;
            }
            if !refusal.is_retryable() {
                tracing::error!(error = %refusal, dropped_items = batch.items(),
                    "What was read back from the journal is refused. Dropping data.");
                batch.ticket.dropped(Reason::Refused);
                return;
            }
            tokio::select! {
                () = sleep(OFFERED_AGAIN) => {}
                () = self.end.cancelled() => {}
            }
        }
    }
}

enum Room {
    Here(Hold),
    Stopped,
    Never,
}

fn as_metadata(names: &[(String, Vec<String>)]) -> Option<Arc<Metadata>> {
    let mut metadata = Metadata::new();
    for (name, values) in names {
        values.iter().for_each(|value| metadata.add(name, value.as_str()));
    }
    (!names.is_empty()).then(|| Arc::new(metadata))
}
