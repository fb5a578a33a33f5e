//! The door: what a receiver hands its data to.
//!
//! A receiver asks [`Intake::admit`] before it reads a body, and gives what it read to [`Intake::accept`]. What is refused
//! here stays with the sender.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use smallvec::SmallVec;
use wire::{Chain, Signal};

use crate::net::body::Reserve;
use crate::telemetry::who::{Away, Passed, Who};

use super::fair::{Charge, Crowd, Fair, Spent};
use super::journal::{Keeper, Kept};
use super::{Arrival, Batch, Budget, Cause, Full, Hold, Origin, Refusal, Rejected, Route, Segment, Ticket};

/// Lets data in while there is room. Clones are the same door.
#[derive(Debug, Clone)]
pub struct Door {
    budget: Budget,
    /// How many guards (of memory limiters) keep it shut.
    guards: Arc<AtomicUsize>,
    /// Counts who comes.
    who: Who,
    /// Says who has more than its share.
    fair: Fair,
}

/// What a receiver holds for one signal: the door, and the pipelines behind it. Clones are the same intake.
#[derive(Clone)]
pub struct Intake {
    signal: Signal,
    door: Door,
    entrances: Arc<[Entrance]>,
    /// Keep what comes in for the exporters that name a storage.
    keepers: Arc<[Keeper]>,
    /// Whether the queues that it leads to are nearly full.
    crowds: Arc<[Crowd]>,
}

/// Where data enters one pipeline.
pub struct Entrance {
    /// The ledger lines of the pipeline's exporters.
    pub route: Route,
    /// Its first part.
    pub segment: Arc<Segment>,
}

impl Door {
    /// A door that lets in what fits into `budget`.
    #[must_use]
    pub fn new(budget: Budget) -> Door {
        Door { budget, guards: Arc::default(), who: Who::new(), fair: Fair::default() }
    }

    /// The same door, at which `who` counts who sends what.
    #[must_use]
    pub fn seen_by(self, who: &Who) -> Door {
        Door { who: who.clone(), ..self }
    }

    /// The same door, which refuses those first that have more than their share.
    #[must_use]
    pub fn shared_by(self, fair: Fair) -> Door {
        Door { fair, ..self }
    }

    /// The budget behind it.
    #[must_use]
    pub fn budget(&self) -> &Budget {
        &self.budget
    }

    /// A permit for a body of this size, before it is read. Without a known size, ask for 0 and let the hold grow.
    ///
    /// # Errors
    /// There is no room now, or there never will be for a body of this size.
    pub fn admit(&self, bytes: usize) -> Result<Hold, Refusal> {
        if self.is_shut() {
            return Err(Refusal::memory());
        }
        self.budget.try_hold(bytes).map_err(Refusal::from)
    }

    /// True while a guard keeps it shut.
    #[must_use]
    pub fn is_shut(&self) -> bool {
        self.guards.load(Relaxed) > 0
    }

    /// Keeps it shut until the same guard opens it.
    pub fn shut(&self) {
        self.guards.fetch_add(1, Relaxed);
    }

    /// Ends what [`Door::shut`] began.
    pub fn open(&self) {
        self.guards.fetch_sub(1, Relaxed);
    }
}

impl From<Full> for Refusal {
    fn from(full: Full) -> Refusal {
        if full.of_sender {
            return Refusal::share();
        }
        if full.wanted <= full.limit {
            return Refusal::memory();
        }
        Refusal::invalid(format!(
            "a request of {} bytes does not fit into the memory budget of {} bytes",
            full.wanted, full.limit
        ))
    }
}

impl Intake {
    /// The way from one receiver into the pipelines of one signal.
    #[must_use]
    pub fn new(signal: Signal, door: Door, entrances: Vec<Entrance>) -> Intake {
        Intake { signal, door, entrances: entrances.into(), keepers: Arc::default(), crowds: Arc::default() }
    }

    /// The same intake; these keep what comes in.
    pub(super) fn kept_by(self, keepers: Vec<Keeper>) -> Intake {
        Intake { keepers: keepers.into(), ..self }
    }

    /// The same intake; these are the queues that it leads to.
    #[must_use]
    pub fn leading_to(self, crowds: Vec<Crowd>) -> Intake {
        Intake { crowds: crowds.into(), ..self }
    }

    /// What it takes.
    #[must_use]
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// A permit for a body of this size from this sender, before it is read; see [`Door::admit`].
    ///
    /// # Errors
    /// There is no room now, or not for this sender, or there never will be for a body of this size.
    pub fn admit(&self, origin: &Origin, bytes: usize) -> Result<Hold, Refusal> {
        self.admit_one(origin, bytes).inspect_err(|refusal| self.turned_away(origin, refusal.cause))
    }

    /// Counts a request that was refused for the sake of others, by its sender.
    pub fn turned_away(&self, origin: &Origin, cause: Cause) {
        let why = match cause {
            Cause::Memory => Away::Memory,
            Cause::Share => Away::Share,
            Cause::Limit => Away::Limit,
            Cause::Other => return,
        };
        self.door.who.turn_away(origin.peer, why);
    }

    fn admit_one(&self, origin: &Origin, bytes: usize) -> Result<Hold, Refusal> {
        let Some(party) = self.door.fair.party(origin.peer) else { return self.door.admit(bytes) };
        self.door.fair.check_limits(&party)?;
        let mut hold = self.door.admit(0)?;
        hold.charge(Charge::new(party, self.signal));
        self.check_share(&hold, bytes)?;
        Reserve::grow(&mut hold, bytes)?;
        Ok(hold)
    }

    /// Whether the sender of a request has more than its share of what is short: memory, or one of the queues.
    fn check_share(&self, hold: &Hold, more: usize) -> Result<(), Refusal> {
        let crowded = self.crowds.iter().any(Crowd::is_crowded).then_some(self.signal);
        hold.kept_from(more, crowded).map_or(Ok(()), |kept| Err(kept.refusal()))
    }

    /// Takes a request into every pipeline, one after another. When one of them refuses, the others have it
    /// nevertheless, and the sender is told no (as the Collector does): it sends again, and they see it twice.
    ///
    /// # Errors
    /// At least one pipeline did not take it.
    pub async fn accept(&self, arrival: Arrival) -> Result<(), Refusal> {
        debug_assert_eq!(arrival.signal, self.signal, "an intake is of one signal");
        if arrival.items == 0 {
            return Ok(());
        }
        self.check_share(&arrival.hold, 0).inspect_err(|refusal| self.turned_away(&arrival.origin, refusal.cause))?;
        let spent = self.spend(&arrival)?;
        let who = &self.door.who;
        let (peer, signal, items, bytes) = (arrival.origin.peer, arrival.signal, arrival.items, arrival.bytes.len());
        who.look(peer, signal, items, &arrival.bytes);
        let result = self.enter(arrival).await;
        if result.is_err() {
            spent.refund();
        }
        who.count(Passed { peer, signal, items, bytes, taken: result.is_ok() });
        result
    }

    /// Counts a request against the fixed limits of its sender.
    fn spend(&self, arrival: &Arrival) -> Result<Spent, Refusal> {
        let Some(party) = arrival.hold.sender() else { return Ok(Spent::default()) };
        let spent = self.door.fair.spend(party, arrival.items, arrival.bytes.len());
        spent.inspect_err(|refusal| self.turned_away(&arrival.origin, refusal.cause))
    }

    async fn enter(&self, arrival: Arrival) -> Result<(), Refusal> {
        let (arrival, kept) = self.keep(arrival).await?;
        let Arrival { signal, bytes, items, origin, mut hold } = arrival;
        // All tickets are made at once: should the sender hang up half-way, each says so to the journal.
        let ticket = |entrance: &Entrance| Ticket::offer_kept(&entrance.route, items, kept.clone());
        let mut tickets: SmallVec<[Ticket; 1]> = self.entrances.iter().map(ticket).collect();
        drop(kept);
        let (Some(last), Some((entrance, others))) = (tickets.pop(), self.entrances.split_last()) else {
            return Ok(());
        };
        let batch =
            |ticket, hold| Batch { signal, body: Chain::from(bytes.clone()), ticket, origin: origin.clone(), hold };
        let mut refused = Vec::new();
        for (entrance, ticket) in others.iter().zip(tickets) {
            let copy = batch(ticket, hold.share());
            refused.extend(entrance.segment.accept(copy).await.err());
        }
        let batch = batch(last, hold);
        drop((bytes, origin));
        refused.extend(entrance.segment.accept(batch).await.err());
        match refused.into_iter().map(Rejected::refuse).reduce(Refusal::and) {
            None => Ok(()),
            Some(refusal) => Err(refusal),
        }
    }

    /// Puts an arrival on disk, before anything else is done with it.
    async fn keep(&self, arrival: Arrival) -> Result<(Arrival, Option<Arc<Kept>>), Refusal> {
        if self.keepers.is_empty() {
            return Ok((arrival, None));
        }
        let items = arrival.items;
        match Keeper::keep(&self.keepers, arrival).await {
            Ok((arrival, kept)) => Ok((arrival, Some(kept))),
            Err(refusal) => {
                self.entrances.iter().for_each(|entrance| Ticket::offer(&entrance.route, items).refused());
                Err(refusal)
            }
        }
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Intake({})", self.signal)
    }
}
