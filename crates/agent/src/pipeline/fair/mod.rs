//! Fair shares: when there is little room left, senders that hold more than their share are refused first, so that one noisy
//! pod does not starve the others on its node. And fixed limits, for those who write some.
//!
//! What counts is what a sender holds: every permit for a body carries a `Charge`, which goes with the data to wherever it
//! ends. Since everything waits in the same line, what a sender holds is its rate times the time that data spends in the agent;
//! there is no other rate to keep. The reasons are in `docs/decisions/0008-fair-shares.md`.

mod charge;
mod limits;
mod parties;
mod settings;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use wire::Signal;

use super::{Budget, Full, Refusal};
use limits::Limits;

pub use charge::{Charge, Charges};
pub use limits::Spent;
pub use parties::{Parties, Party, PodName};
pub use settings::{Limit, Settings};

/// Who is refused first, and who is refused always. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Fair(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    parties: Parties,
    limits: Limits,
}

/// Whether a queue is nearly full: the queue says so, the door looks. Clones are of the same queue.
#[derive(Clone, Debug, Default)]
pub struct Crowd(Arc<AtomicBool>);

impl Crowd {
    /// Says how it is now.
    pub fn set(&self, crowded: bool) {
        if self.0.load(Relaxed) != crowded {
            self.0.store(crowded, Relaxed);
        }
    }

    /// True from three quarters on: the last quarter is for those below their share.
    #[must_use]
    pub fn is_crowded(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// Whether so much of a capacity is a crowd.
    #[must_use]
    pub fn at(used: u64, capacity: u64) -> bool {
        u128::from(used) * 4 >= u128::from(capacity) * 3 && used > 0
    }
}

impl Fair {
    /// Shares for all that is known in `parties`, as these settings say; those of several limiters count together.
    #[must_use]
    pub fn new<'a>(settings: impl Iterator<Item = &'a Settings> + Clone, parties: &Parties) -> Fair {
        if settings.clone().any(|settings| !settings.enabled) {
            return Fair(None);
        }
        let limits = Limits::new(settings.flat_map(|settings| &settings.limits));
        Fair(Some(Arc::new(Inner { parties: parties.clone(), limits })))
    }

    /// Who sends, if anybody asks.
    #[must_use]
    pub fn party(&self, peer: Option<SocketAddr>) -> Option<Arc<Party>> {
        self.0.as_ref().map(|inner| inner.parties.of(peer.map(|peer| peer.ip().to_canonical())))
    }

    /// Before a body is read: may this sender send at all?
    ///
    /// # Errors
    /// It has used up what a fixed limit gives it.
    pub fn check_limits(&self, party: &Party) -> Result<(), Refusal> {
        self.0.as_ref().map_or(Ok(()), |inner| inner.limits.check(party))
    }

    /// Counts a request against the fixed limits of its sender.
    ///
    /// # Errors
    /// It has used up what a fixed limit gives it; nothing was counted.
    pub fn spend(&self, party: &Party, items: usize, bytes: usize) -> Result<Spent, Refusal> {
        self.0.as_ref().map_or(Ok(Spent::default()), |inner| inner.limits.spend(party, items, bytes))
    }
}

/// Why a request is not let in although there is room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The room is for senders that are below their share.
    ForOthers,
    /// It is the last room, for a sender that is not here yet. Whoever is refused for it is not over its share otherwise.
    ForNewcomers,
}

/// Whether the room that there is, is kept from a sender. `own` is what the request that it asks for weighs already: a sender
/// that holds nothing else is never refused here, however large the request is.
#[must_use]
pub fn kept_from(party: &Party, own: usize, budget: &Budget, more: usize, crowded: Option<Signal>) -> Option<Kept> {
    let others = |slot| party.holds(slot).saturating_sub(own);
    if crowded.is_some_and(|signal| others(Some(signal)) > party.most_of_queue(signal)) {
        return Some(Kept::ForOthers);
    }
    if !budget.is_scarce(more) {
        return None;
    }
    let held = others(None);
    if held > party.share_of(budget.soft(), 0) {
        return Some(Kept::ForOthers);
    }
    (budget.is_nearly_full(more) && held > party.share_of(budget.soft(), 1)).then_some(Kept::ForNewcomers)
}

impl Kept {
    /// What the sender is told.
    #[must_use]
    pub fn refusal(self) -> Refusal {
        match self {
            Kept::ForOthers => Refusal::share(),
            Kept::ForNewcomers => Refusal::memory(),
        }
    }

    /// The same for whoever reads a body.
    #[must_use]
    pub fn full(self, budget: &Budget) -> Full {
        Full { wanted: 0, used: budget.usage(), limit: budget.soft(), of_sender: self == Kept::ForOthers }
    }
}

#[cfg(test)]
mod tests;
