//! A list of users with their passwords, as the program `htpasswd` writes it.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Users by name.
#[derive(Default)]
pub(super) struct Users(HashMap<String, Password>);

/// How a password is kept.
#[derive(Clone)]
enum Password {
    Bcrypt(String),
    Sha1([u8; 20]),
    Plain(String),
}

/// What proves that a name and password were right once: a fingerprint of them and of what they were checked against.
type Fingerprint = [u8; 32];

/// Passwords that were checked. A bcrypt hash takes a tenth of a second on purpose, far too much for each request of an SDK
/// that sends every second, with the right password or with a wrong one that somebody forgot to change.
#[derive(Default)]
pub(super) struct Verified {
    seen: Mutex<Seen>,
    /// Random for each process, so that fingerprints are of no use elsewhere.
    salt: RandomState,
}

#[derive(Default)]
struct Seen {
    /// At most one for each user of the list.
    right: HashMap<String, Fingerprint>,
    /// The latest ones, at most [`MOST_WRONG`].
    wrong: VecDeque<Fingerprint>,
}

/// Enough for every misconfigured pod of a node.
const MOST_WRONG: usize = 256;

impl Users {
    /// Reads lines of `name:password`; a later line wins.
    ///
    /// # Errors
    ///
    /// A line has no colon, or its password is kept in a way that we do not check.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let users = lines.map(|(number, line)| {
            let (name, password) = line
                .split_once(':')
                .ok_or_else(|| anyhow::anyhow!("line {number} of the htpasswd list has no colon"))?;
            Ok((name.to_owned(), Password::parse(password, number)?))
        });
        Ok(Self(users.collect::<anyhow::Result<_>>()?))
    }
}

impl Password {
    fn parse(text: &str, line: usize) -> anyhow::Result<Self> {
        let any = |starts: &[&str]| starts.iter().any(|start| text.starts_with(start));
        if any(&["$2a$", "$2b$", "$2y$"]) {
            return Ok(Self::Bcrypt(text.to_owned()));
        }
        if any(&["$apr1$", "$1$", "$5$", "$6$", "{SSHA}"]) {
            anyhow::bail!(
                "line {line} of the htpasswd list is hashed in a way that is not supported; use `htpasswd -B`"
            );
        }
        if let Some(encoded) = text.strip_prefix("{SHA}") {
            let hash = BASE64.decode(encoded).ok().and_then(|bytes| bytes.try_into().ok());
            let hash =
                hash.ok_or_else(|| anyhow::anyhow!("line {line} of the htpasswd list has a malformed {{SHA}} hash"))?;
            return Ok(Self::Sha1(hash));
        }
        Ok(Self::Plain(text.to_owned()))
    }

    fn matches(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(hash) => bcrypt::verify(password, hash).unwrap_or(false),
            Self::Sha1(hash) => bool::from(Sha1::digest(password).as_slice().ct_eq(hash)),
            // Hashed first, so that the time does not tell the length.
            Self::Plain(text) => bool::from(Sha256::digest(password).ct_eq(&Sha256::digest(text))),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Bcrypt(text) | Self::Plain(text) => text.as_bytes(),
            Self::Sha1(hash) => hash,
        }
    }
}

impl Verified {
    /// Whether the first list that has this name has it with this password.
    pub(super) fn check<'a>(&self, lists: impl IntoIterator<Item = &'a Users>, name: &str, password: &str) -> bool {
        let lists: Vec<_> = lists.into_iter().collect();
        let listed = lists.iter().find_map(|list| list.0.get(name));
        // An unknown name takes as long as a wrong password, so that names cannot be found out.
        let Some(kept) = listed.or_else(|| lists.iter().find_map(|list| list.0.values().next())) else { return false };
        let fingerprint = self.fingerprint(name, password, kept, listed.is_some());
        if let Some(known) = self.known(name, &fingerprint) {
            return known;
        }
        let right = kept.matches(password) && listed.is_some();
        self.remember(name, fingerprint, right);
        right
    }

    fn known(&self, name: &str, fingerprint: &Fingerprint) -> Option<bool> {
        let same = |known: &Fingerprint| bool::from(known.as_slice().ct_eq(fingerprint.as_slice()));
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.right.get(name).is_some_and(same) {
            return Some(true);
        }
        seen.wrong.iter().any(same).then_some(false)
    }

    fn remember(&self, name: &str, fingerprint: Fingerprint, right: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if right {
            seen.right.insert(name.to_owned(), fingerprint);
            return;
        }
        seen.wrong.truncate(MOST_WRONG - 1);
        seen.wrong.push_front(fingerprint);
    }

    fn fingerprint(&self, name: &str, password: &str, kept: &Password, listed: bool) -> Fingerprint {
        let mut hasher = Sha256::new();
        hasher.update(self.salt.hash_one(0).to_le_bytes());
        hasher.update(self.salt.hash_one(1).to_le_bytes());
        hasher.update([u8::from(listed)]);
        for part in [name.as_bytes(), password.as_bytes(), kept.bytes()] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }
}
