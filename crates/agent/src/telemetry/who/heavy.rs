//! The heaviest of many keys in a fixed amount of memory: Space-Saving (Metwally, Agrawal, El Abbadi, 2005).
//!
//! What is heavier than a `capacity`-th of the whole is always in the table. A key that comes when the table is full takes
//! the place, and the weight, of the lightest.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

#[derive(Debug)]
pub(super) struct Heavy<K, V> {
    capacity: usize,
    entries: HashMap<K, Entry<V>>,
}

#[derive(Debug)]
struct Entry<V> {
    weight: u64,
    value: V,
}

impl<K: Hash + Eq + Clone, V> Heavy<K, V> {
    pub(super) fn new(capacity: usize) -> Self {
        Heavy { capacity, entries: HashMap::new() }
    }

    /// Adds weight to a key and gives what is kept for it, which is `new()` when it was not known.
    pub(super) fn add<Q>(&mut self, key: &Q, weight: u64, own: impl FnOnce(&Q) -> K, new: impl FnOnce() -> V) -> &mut V
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        if !self.entries.contains_key(key) {
            let inherited = if self.entries.len() < self.capacity { 0 } else { self.remove_lightest() };
            self.entries.insert(own(key), Entry { weight: inherited, value: new() });
        }
        let entry = self.entries.get_mut(key).expect("it was there, or was put there");
        entry.weight = entry.weight.saturating_add(weight);
        &mut entry.value
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&K, &mut V)> {
        self.entries.iter_mut().map(|(key, entry)| (key, &mut entry.value))
    }

    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().map(|entry| &mut entry.value)
    }

    fn remove_lightest(&mut self) -> u64 {
        let lightest = self.entries.iter().min_by_key(|(_, entry)| entry.weight).map(|(key, _)| key.clone());
        lightest.and_then(|key| self.entries.remove(&key)).map_or(0, |entry| entry.weight)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(heavy: &mut Heavy<u32, u64>, key: u32, weight: u64) {
        *heavy.add(&key, weight, |key| *key, || 0) += weight;
    }

    #[test]
    fn the_heaviest_stay_however_many_light_ones_pass() {
        let mut heavy = Heavy::new(20);
        for light in 100..10_100 {
            add(&mut heavy, light, 1);
            // Each of these is more than a twentieth of the whole.
            (0..5).for_each(|key| add(&mut heavy, key, 2));
        }
        let all: HashMap<u32, u64> = heavy.iter().map(|(key, value)| (*key, *value)).collect();
        assert_eq!(all.len(), 20);
        for key in 0..5 {
            let counted = all[&key];
            assert!(counted > 19_000, "{key} counted {counted}");
        }
    }

    #[test]
    fn below_its_capacity_the_table_is_exact() {
        let mut heavy = Heavy::new(3);
        [(1, 5), (2, 1), (1, 5), (3, 7)].into_iter().for_each(|(key, weight)| add(&mut heavy, key, weight));
        let mut all: Vec<_> = heavy.iter().map(|(key, value)| (*key, *value)).collect();
        all.sort_unstable();
        assert_eq!(all, [(1, 10), (2, 1), (3, 7)]);
    }
}
