//! The places for connections of a listener: so many in all, and none for one address at the expense of all others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What one address may always hold, however few places there are.
const SHARE_AT_LEAST: usize = 64;
/// Once half of the places are taken, an address holds at most one in so many of all.
const SHARES: usize = 16;

/// The places of a listener.
#[derive(Clone)]
pub(super) struct Places {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

/// Never more entries than places, as an address without a connection has none.
#[derive(Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A place that a connection has; given back by being dropped.
pub(super) struct Place {
    address: Option<IpAddr>,
    taken: Arc<Mutex<Taken>>,
}

/// Why a connection has no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoPlace {
    /// All places are taken.
    Full,
    /// Half of all are taken, and its address holds more than its share of them.
    Share,
}

impl Places {
    pub(super) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// How many an address may hold once half of all are taken.
    pub(super) fn share(&self) -> usize {
        (self.most / SHARES).max(SHARE_AT_LEAST)
    }

    /// A place for a connection from that address; those without one, over unix sockets, are bounded together only.
    pub(super) fn take(&self, address: Option<IpAddr>) -> Result<Place, NoPlace> {
        let mut taken = lock(&self.taken);
        if taken.all >= self.most {
            return Err(NoPlace::Full);
        }
        let of_address = address.and_then(|address| taken.by_address.get(&address)).copied().unwrap_or(0);
        if taken.all >= self.most / 2 && of_address >= self.share() {
            return Err(NoPlace::Share);
        }
        taken.all += 1;
        if let Some(address) = address {
            taken.by_address.insert(address, of_address + 1);
        }
        Ok(Place { address, taken: self.taken.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        let Some(address) = self.address else { return };
        if let Some(held) = taken.by_address.get_mut(&address) {
            *held -= 1;
            if *held == 0 {
                taken.by_address.remove(&address);
            }
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([10, 0, 0, last]))
    }

    fn take(places: &Places, address: Option<IpAddr>, most: usize) -> Vec<Place> {
        std::iter::repeat_with(|| places.take(address)).map_while(Result::ok).take(most).collect()
    }

    #[test]
    fn one_address_takes_half_and_leaves_the_rest_to_the_others() {
        let places = Places::new(4096);
        let flood = take(&places, address(1), 10_000);
        assert_eq!((flood.len(), places.take(address(1)).err()), (2048, Some(NoPlace::Share)));
        let other = take(&places, address(2), 10_000);
        assert_eq!(other.len(), 256);
        drop(flood);
        assert_eq!(take(&places, address(2), 10_000).len(), 2048 - 256);
    }

    #[test]
    fn all_places_are_taken_by_many_addresses() {
        let places = Places::new(200);
        let held: Vec<_> = (0..100).flat_map(|last| take(&places, address(last), 2)).collect();
        assert_eq!((held.len(), places.take(address(200)).err()), (200, Some(NoPlace::Full)));
    }

    #[test]
    fn few_places_are_not_divided() {
        let places = Places::new(SHARE_AT_LEAST);
        assert_eq!(take(&places, address(1), 1000).len(), SHARE_AT_LEAST);
    }

    #[test]
    fn nothing_is_kept_of_addresses_that_went() {
        let places = Places::new(100);
        for last in 0..50 {
            drop(take(&places, address(last), 2));
        }
        drop(take(&places, None, 100));
        let taken = lock(&places.taken);
        assert_eq!((taken.all, taken.by_address.len()), (0, 0));
    }
}
