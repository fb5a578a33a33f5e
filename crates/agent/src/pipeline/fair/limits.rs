//! Fixed limits: so many items and bytes a second for a namespace or a pod, whatever room there is.
//!
//! A bucket gains its rate and holds a second of it. A request is let in while anything is in the bucket, and takes all that it
//! is, so that one that is larger than a second's worth gets through and is paid for afterwards: over time the rate is exact.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::{Limit, Party};
use crate::pipeline::Refusal;

/// The limits as they were written.
#[derive(Debug, Default)]
pub(super) struct Limits(Arc<[Rule]>);

#[derive(Debug)]
struct Rule {
    limit: Limit,
    /// What all that it is for share; unused where each pod has its own.
    together: Arc<Mutex<Bucket>>,
}

/// The buckets of one sender, for the rules that are for it.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    /// Which rules they were made for; others after a reload.
    made_for: Option<Arc<[Rule]>>,
    buckets: SmallVec<[Arc<Mutex<Bucket>>; 1]>,
}

#[derive(Debug)]
struct Bucket {
    items: Option<Tokens>,
    bytes: Option<Tokens>,
}

#[derive(Debug)]
struct Tokens {
    rate: f64,
    level: f64,
    at: Instant,
}

/// What a request has taken out of buckets.
#[derive(Debug, Default)]
pub struct Spent {
    items: f64,
    bytes: f64,
    from: SmallVec<[Arc<Mutex<Bucket>>; 1]>,
}

impl Limits {
    pub(super) fn new<'a>(limits: impl Iterator<Item = &'a Limit>) -> Limits {
        let rule = |limit: &Limit| Rule { limit: limit.clone(), together: Arc::new(Mutex::new(Bucket::of(limit))) };
        Limits(limits.map(rule).collect())
    }

    pub(super) fn check(&self, party: &Party) -> Result<(), Refusal> {
        self.of(party).iter().try_for_each(|bucket| lock(bucket).check())
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes of requests are far below 2^52")]
    pub(super) fn spend(&self, party: &Party, items: usize, bytes: usize) -> Result<Spent, Refusal> {
        let from = self.of(party);
        from.iter().try_for_each(|bucket| lock(bucket).check())?;
        let spent = Spent { items: items as f64, bytes: bytes as f64, from };
        spent.from.iter().for_each(|bucket| lock(bucket).take(spent.items, spent.bytes));
        Ok(spent)
    }

    /// The buckets that a sender takes from.
    fn of(&self, party: &Party) -> SmallVec<[Arc<Mutex<Bucket>>; 1]> {
        if self.0.is_empty() {
            return SmallVec::new();
        }
        let mut own = party.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if !own.made_for.as_ref().is_some_and(|rules| Arc::ptr_eq(rules, &self.0)) {
            let buckets = self.0.iter().filter(|rule| rule.limit.is_for(party.pod())).map(Rule::bucket).collect();
            *own = Buckets { made_for: Some(Arc::clone(&self.0)), buckets };
        }
        own.buckets.clone()
    }
}

impl Spent {
    /// The request was not taken after all.
    pub fn refund(self) {
        self.from.iter().for_each(|bucket| lock(bucket).take(-self.items, -self.bytes));
    }
}

impl Rule {
    fn bucket(&self) -> Arc<Mutex<Bucket>> {
        if self.limit.is_for_each() {
            Arc::new(Mutex::new(Bucket::of(&self.limit)))
        } else {
            Arc::clone(&self.together)
        }
    }
}

impl Bucket {
    #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^52")]
    fn of(limit: &Limit) -> Bucket {
        let tokens = |rate: u64| (rate > 0).then(|| Tokens::full(rate as f64));
        Bucket { items: tokens(limit.items_per_second), bytes: tokens(limit.bytes_per_second.as_u64()) }
    }

    fn check(&mut self) -> Result<(), Refusal> {
        let wait = [("items", &mut self.items), ("bytes", &mut self.bytes)].into_iter().filter_map(|(what, tokens)| {
            let tokens = tokens.as_mut()?;
            Some((tokens.wait()?, what, tokens.rate))
        });
        match wait.max_by_key(|(wait, ..)| *wait) {
            None => Ok(()),
            Some((wait, what, rate)) => Err(Refusal::limit(what, rate, wait)),
        }
    }

    fn take(&mut self, items: f64, bytes: f64) {
        for (tokens, amount) in [(&mut self.items, items), (&mut self.bytes, bytes)] {
            if let Some(tokens) = tokens {
                tokens.level = (tokens.level - amount).min(tokens.rate);
            }
        }
    }
}

impl Tokens {
    fn full(rate: f64) -> Tokens {
        Tokens { rate, level: rate, at: Instant::now() }
    }

    /// How long until there is something; none if there is.
    fn wait(&mut self) -> Option<Duration> {
        let now = Instant::now();
        let gained = now.duration_since(self.at).as_secs_f64() * self.rate;
        (self.level, self.at) = ((self.level + gained).min(self.rate), now);
        (self.level <= 0.0).then(|| {
            // One more, as nothing at all is not enough.
            let seconds = (1.0 - self.level) / self.rate;
            Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST).min(LONGEST)
        })
    }
}

/// Nobody is told to stay away for longer.
const LONGEST: Duration = Duration::from_secs(300);

fn lock(bucket: &Mutex<Bucket>) -> MutexGuard<'_, Bucket> {
    // Two numbers, whole whatever happened to the holder of the lock.
    bucket.lock().unwrap_or_else(PoisonError::into_inner)
}
