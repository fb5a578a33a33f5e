//! Keys: what a series is found by, without building its labels.
//!
//! A key is 128 bits of two hashes with secrets of this process: one that nobody outside can aim at, and one that is
//! independent of it, so that two different series do not get the same key by chance either.

use std::hash::{BuildHasher, Hasher, RandomState};

/// What something is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(u64, u64);

impl Key {
    /// A part of it, for what is only compared with few others.
    pub(super) fn short(self) -> u32 {
        self.1 as u32
    }
}

/// Makes keys.
#[derive(Debug, Clone)]
pub(super) struct Keys {
    state: RandomState,
    secret: u64,
}

/// A key in the making.
#[derive(Clone)]
pub(super) struct Making {
    first: <RandomState as BuildHasher>::Hasher,
    second: u64,
    secret: u64,
}

impl Keys {
    pub(super) fn new() -> Keys {
        let state = RandomState::new();
        let secret = RandomState::new().hash_one(0_u64) | 1;
        Keys { state, secret }
    }

    /// Begins a key. What keys of different things stand for is told apart by `domain`.
    pub(super) fn begin(&self, domain: u8) -> Making {
        let mut making = Making { first: self.state.build_hasher(), second: self.secret, secret: self.secret };
        making.number(u64::from(domain));
        making
    }
}

impl Making {
    pub(super) fn number(&mut self, number: u64) {
        self.first.write_u64(number);
        self.mix(number);
    }

    pub(super) fn key(&mut self, key: Key) {
        self.number(key.0);
        self.number(key.1);
    }

    /// With its length, so that what is behind it cannot be taken for a part of it.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.first.write(bytes);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.mix(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.mix(u64::from_le_bytes(last));
    }

    fn mix(&mut self, word: u64) {
        let product = u128::from(self.second ^ word) * u128::from(self.secret ^ 0x9e37_79b9_7f4a_7c15);
        self.second = (product as u64) ^ ((product >> 64) as u64) ^ word.rotate_left(23);
    }

    pub(super) fn end(self) -> Key {
        Key(self.first.finish(), self.second)
    }
}

#[cfg(test)]
mod tests {
    use super::Keys;

    #[test]
    fn keys_tell_apart_what_is_different() {
        let keys = Keys::new();
        let of = |domain, parts: &[&str]| {
            let mut making = keys.begin(domain);
            parts.iter().for_each(|part| making.bytes(part.as_bytes()));
            making.end()
        };
        assert_eq!(of(1, &["ab", "c"]), of(1, &["ab", "c"]));
        assert_ne!(of(1, &["ab", "c"]), of(1, &["a", "bc"]));
        assert_ne!(of(1, &["ab", "c"]), of(2, &["ab", "c"]));
        assert_ne!(of(1, &[""]), of(1, &[]));
        assert_ne!(of(1, &["12345678"]), of(1, &["12345679"]));
    }
}
