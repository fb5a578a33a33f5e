//! Charges: whose data a permit is for.

use std::sync::Arc;

use smallvec::SmallVec;
use wire::Signal;

use super::Party;

/// What a request weighs beside its bytes: the entries in queue, ledger and chain that it has even if it is empty. Without it
/// a flood of tiny requests would weigh nothing.
pub(super) const REQUEST: usize = 1 << 10;

/// So much of what is held is a sender's; given back by being dropped.
#[derive(Debug)]
pub struct Charge {
    party: Arc<Party>,
    signal: Signal,
    weight: usize,
}

impl Charge {
    /// For a new request, which has no bytes yet.
    #[must_use]
    pub fn new(party: Arc<Party>, signal: Signal) -> Charge {
        party.add(signal, REQUEST);
        Charge { party, signal, weight: REQUEST }
    }

    /// Who sent it.
    #[must_use]
    pub fn party(&self) -> &Arc<Party> {
        &self.party
    }

    /// What it weighs.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.weight
    }

    fn grow(&mut self, bytes: usize) {
        self.party.add(self.signal, bytes);
        self.weight += bytes;
    }

    fn shrink(&mut self, bytes: usize) {
        let bytes = bytes.min(self.weight.saturating_sub(REQUEST));
        self.party.sub(self.signal, bytes);
        self.weight -= bytes;
    }

    fn key(&self) -> (usize, usize) {
        (Arc::as_ptr(&self.party).addr(), self.signal.index())
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.party.sub(self.signal, self.weight);
    }
}

/// Whose data lies under one permit. There is one charge for each sender and signal, so that a batch of thousands of requests
/// has as many as there are senders.
#[derive(Debug, Default)]
pub struct Charges {
    /// In the order of their keys.
    own: SmallVec<[Charge; 1]>,
    /// Charges of memory that other permits stand for, too.
    shared: Vec<Arc<SmallVec<[Charge; 1]>>>,
}

impl Charges {
    /// The one charge of a request on its way in; none for what was joined, or comes from no sender.
    #[must_use]
    pub fn only(&self) -> Option<&Charge> {
        match self.own.as_slice() {
            [only] if self.shared.is_empty() => Some(only),
            _ => None,
        }
    }

    /// How many there are, without those that are shared.
    #[cfg(test)]
    pub(in crate::pipeline) fn count(&self) -> usize {
        self.own.len()
    }

    /// Adds a charge.
    pub fn push(&mut self, charge: Charge) {
        match self.own.binary_search_by_key(&charge.key(), Charge::key) {
            Ok(at) => {
                // What the two weigh together goes back with the one that stays.
                let mut charge = charge;
                self.own[at].weight += std::mem::take(&mut charge.weight);
            }
            Err(at) => self.own.insert(at, charge),
        }
    }

    /// Takes over what `other` has.
    pub fn merge(&mut self, other: Charges) {
        if self.own.is_empty() {
            self.own = other.own;
        } else {
            other.own.into_iter().for_each(|charge| self.push(charge));
        }
        self.shared.extend(other.shared);
    }

    /// The same charges for a second permit on the same memory: they go back with the last of both.
    #[must_use]
    pub fn share(&mut self) -> Charges {
        if !self.own.is_empty() {
            self.shared.push(Arc::new(std::mem::take(&mut self.own)));
        }
        Charges { own: SmallVec::new(), shared: self.shared.clone() }
    }

    /// More bytes of the one sender. Of several it is not known whose they are.
    pub fn grow(&mut self, bytes: usize) {
        if let [only] = self.own.as_mut_slice() {
            only.grow(bytes);
        }
    }

    /// Fewer bytes of the one sender.
    pub fn shrink(&mut self, bytes: usize) {
        if let [only] = self.own.as_mut_slice() {
            only.shrink(bytes);
        }
    }
}
