//! A map by key whose size follows what is in it, however long keys come and go.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::key::Key;

/// A map by key.
///
/// Where a key was taken out of a hash table, a mark may stay that takes room as a key does, and a table without room is
/// doubled: one in which as much goes as comes would be, too, though it never holds more. So it is made anew in time.
#[derive(Debug)]
pub(super) struct ByKey<V> {
    map: Map<V>,
    /// For how many keys there would be room without marks.
    room: usize,
}

/// Keys are random already, so they are taken as they are.
type Map<V> = HashMap<Key, V, BuildHasherDefault<AsItIs>>;

/// A table that has room for more than so many times its keys, and for this many more, is made smaller.
const LOOSE: (usize, usize) = (4, 1024);

impl<V> ByKey<V> {
    pub(super) fn len(&self) -> usize {
        self.map.len()
    }

    pub(super) fn get(&self, key: &Key) -> Option<&V> {
        self.map.get(key)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.map.values()
    }

    pub(super) fn insert(&mut self, key: Key, value: V) {
        self.map.insert(key, value);
        self.room = self.room.max(self.map.capacity());
    }

    pub(super) fn clear(&mut self) {
        *self = ByKey::default();
    }

    /// Takes out what does not stay. To be called again and again, as this is also when the table is made anew.
    pub(super) fn retain(&mut self, mut stays: impl FnMut(&mut V) -> bool) {
        self.map.retain(|_, value| stays(value));
        let (keys, capacity) = (self.map.len(), self.map.capacity());
        let (marks, left) = (self.room.saturating_sub(capacity), capacity - keys);
        if self.room > LOOSE.0 * keys + LOOSE.1 {
            self.make_anew(2 * keys);
        } else if marks > left / 2 {
            self.make_anew(self.room);
        }
    }

    fn make_anew(&mut self, room: usize) {
        let mut map = Map::with_capacity_and_hasher(room, BuildHasherDefault::default());
        map.extend(self.map.drain());
        self.room = map.capacity();
        self.map = map;
    }
}

impl<V> Default for ByKey<V> {
    fn default() -> Self {
        ByKey { map: Map::default(), room: 0 }
    }
}

/// Takes the first half of a key as the hash.
#[derive(Debug, Clone, Copy, Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 ^= value;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{Key, Keys};
    use super::ByKey;

    fn key(keys: &Keys, number: u64) -> Key {
        let mut making = keys.begin(0);
        making.number(number);
        making.end()
    }

    /// `live` keys at a time; in each round a tenth of them goes and as many others come.
    fn churned(live: u64, rounds: u64) -> (ByKey<u64>, usize) {
        let (keys, mut map) = (Keys::new(), ByKey::default());
        (0..live).for_each(|number| map.insert(key(&keys, number), number));
        let room = map.room;
        let (mut first, mut next) = (0, live);
        for _ in 0..rounds {
            first += live / 10;
            map.retain(|number| *number >= first);
            (next..first + live).for_each(|number| map.insert(key(&keys, number), number));
            next = first + live;
        }
        assert!((first..next).all(|number| map.get(&key(&keys, number)) == Some(&number)));
        assert_eq!((map.len() as u64, map.get(&key(&keys, 0))), (live, None));
        (map, room)
    }

    #[test]
    fn keys_that_come_and_go_do_not_make_it_grow() {
        // From more than half full to nearly full; a plain table doubles in all of these.
        for live in [8_000, 10_000, 12_000, 14_000] {
            let (map, room) = churned(live, 200);
            assert_eq!(map.room, room, "{live} keys");
        }
    }

    #[test]
    fn it_becomes_small_when_most_has_gone() {
        let (mut map, _) = churned(100_000, 1);
        let all = map.room;
        let mut left = 1000;
        map.retain(|_| {
            left -= i32::from(left > 0);
            left > 0
        });
        assert!(map.len() == 999 && map.room < all / 20, "{} of {all}", map.room);
        map.clear();
        assert_eq!((map.len(), map.room), (0, 0));
    }
}
