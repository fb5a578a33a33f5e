//! `batch`: joins requests until there are enough items, enough bytes, or enough time has gone by.
//!
//! Sizes, triggers and texts are the Collector's. Three things differ, and `docs/reference/differences.md` says so: a
//! batch is bounded by bytes, too; when what follows takes no more, nothing is dropped but new data is refused; and
//! what could not be handed on is offered again.

mod bound;
mod shard;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wire::Signal;

use crate::component::{About, Component, Status};
use crate::pipeline::{Batch, Gather, Metadata, Origin, Refusal, Rejected, Segment};
use crate::settings::{GoDuration, Reader, settings};
use crate::telemetry::Metrics;

pub use bound::ByteBound;
use shard::{Counts, Shard, Triggers};

settings! {
    /// Joins requests into larger ones, which are cheaper to compress, to send and to take in.
    pub struct Config {
        /// After this time a batch is sent, whatever its size; 0 sends everything at once.
        pub timeout: GoDuration = GoDuration::millis(200),
        /// From this number of items on a batch is sent; 0 sends everything at once.
        pub send_batch_size: u32 = 8192,
        /// No batch has more items; 0 is no limit.
        pub send_batch_max_size: u32 = 0,
        /// No batch has more bytes (before compression), as far as items can be divided: many backends refuse requests
        /// of more than 4 MiB. `off` for no limit, as in the Collector. This key is ours.
        pub send_batch_max_bytes: ByteBound = ByteBound::default(),
        /// Headers of the requests by whose values batches are kept apart. They need `include_metadata` on the receiver.
        pub metadata_keys: Vec<String> = Vec::new(),
        /// At most this many combinations of those values at a time; 0 is no limit. Those with nothing to send make room.
        pub metadata_cardinality_limit: u32 = 1000,
    }
    check Config::check
}

impl Component for Config {
    const ABOUT: About = About {
        kind: "batch",
        formerly: None,
        summary: "joins requests by number of items, bytes and time",
        status: Status::Stable,
        signals: &Signal::ALL,
    };
}

impl Config {
    fn check(&self, cx: &mut Reader<'_>) {
        if self.timeout.is_negative() {
            cx.error_at("timeout", "timeout must be greater or equal to 0", "");
        }
        if self.send_batch_max_size > 0 && self.send_batch_max_size < self.send_batch_size {
            let what = "send_batch_max_size must be greater or equal to send_batch_size";
            cx.error_at("send_batch_max_size", what, "");
        }
        let mut seen = Vec::new();
        for key in &self.metadata_keys {
            let lower = key.to_lowercase();
            if seen.contains(&lower) {
                let what = format!("duplicate entry in metadata_keys: \"{lower}\" (case-insensitive)");
                cx.error_at("metadata_keys", what, "");
            }
            seen.push(lower);
        }
    }

    /// The processor of one pipeline, with what follows it there.
    #[must_use]
    pub fn build(&self, id: &str, next: Arc<Segment>, metrics: &Metrics) -> Arc<dyn Gather> {
        let origin = Origin::default();
        let new = NewShard { triggers: Triggers::new(self), next, counts: Counts::new(metrics, id) };
        if self.metadata_keys.is_empty() {
            return Arc::new(Whole { shard: new.shard(), origin });
        }
        let keys = self.metadata_keys.iter().map(|key| key.to_lowercase()).collect();
        let limit = usize::try_from(self.metadata_cardinality_limit).ok().filter(|limit| *limit > 0);
        Arc::new(ByMetadata { keys, limit, new, shards: Mutex::default() })
    }
}

/// Everything in one batch.
struct Whole {
    shard: Arc<Shard>,
    /// What is left of the origins: nothing.
    origin: Origin,
}

/// One batch for each combination of values.
struct ByMetadata {
    /// In lower case.
    keys: Vec<String>,
    limit: Option<usize>,
    new: NewShard,
    shards: Mutex<Shards>,
}

#[derive(Default)]
struct Shards {
    by_values: HashMap<Values, (Arc<Shard>, Origin)>,
    /// When it was last looked for those with nothing in them.
    looked: Option<Instant>,
}

/// From so many on, those with nothing in them go also where there is no limit.
const MANY: usize = 1000;
/// They are looked for no more often than this, so that senders with ever new values do not keep us busy.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The values of each key.
type Values = Vec<Vec<String>>;

/// What a shard is made of.
struct NewShard {
    triggers: Triggers,
    next: Arc<Segment>,
    counts: Counts,
}

impl NewShard {
    fn shard(&self) -> Arc<Shard> {
        Arc::new(Shard::new(self.triggers.clone(), Arc::clone(&self.next), self.counts.clone()))
    }
}

impl Gather for Whole {
    fn gather(&self, batch: Batch) -> Result<(), Rejected> {
        self.shard.add(Batch { origin: self.origin.clone(), ..batch })
    }

    fn flush(&self) {
        self.shard.flush();
    }

    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = u64> + Send + '_>> {
        Box::pin(self.shard.drain(deadline))
    }
}

impl Gather for ByMetadata {
    fn gather(&self, batch: Batch) -> Result<(), Rejected> {
        let values = self.values(&batch);
        match self.shard(values) {
            Some((shard, origin)) => shard.add(Batch { origin, ..batch }),
            None => {
                let refusal = Refusal::permanent("too many batcher metadata-value combinations");
                Err(Rejected::back(batch, refusal))
            }
        }
    }

    fn flush(&self) {
        self.lock().by_values.values().for_each(|(shard, _)| shard.flush());
    }

    fn drain(&self, deadline: Instant) -> Pin<Box<dyn Future<Output = u64> + Send + '_>> {
        let shards: Vec<Arc<Shard>> = self.lock().by_values.values().map(|(shard, _)| Arc::clone(shard)).collect();
        Box::pin(async move {
            let drains = shards.iter().map(|shard| shard.drain(deadline));
            futures_util::future::join_all(drains).await.into_iter().sum()
        })
    }
}

impl ByMetadata {
    fn values(&self, batch: &Batch) -> Values {
        let metadata = batch.origin.metadata.as_deref();
        self.keys.iter().map(|key| metadata.map_or_else(Vec::new, |all| all.get(key).to_vec())).collect()
    }

    /// The batch of these values; none if there are too many already.
    fn shard(&self, values: Values) -> Option<(Arc<Shard>, Origin)> {
        let mut shards = self.lock();
        if let Some(known) = shards.by_values.get(&values) {
            return Some(known.clone());
        }
        if shards.by_values.len() >= self.limit.unwrap_or(MANY) {
            shards.end_idle();
        }
        if self.limit.is_some_and(|limit| shards.by_values.len() >= limit) {
            return None;
        }
        let new = (self.new.shard(), self.origin(&values));
        shards.by_values.insert(values, new.clone());
        Some(new)
    }

    /// Of the origins, the values that the batch was chosen by are kept.
    fn origin(&self, values: &Values) -> Origin {
        let mut metadata = Metadata::new();
        for (key, values) in self.keys.iter().zip(values) {
            values.iter().for_each(|value| metadata.add(key, value.as_str()));
        }
        Origin { metadata: Some(Arc::new(metadata)), ..Origin::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Shards> {
        // Nothing that is called under the lock can panic half-way.
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shards {
    /// Values come and go with those who send them: what has nothing in it makes room for others.
    fn end_idle(&mut self) {
        let now = Instant::now();
        if self.looked.is_none_or(|looked| now.duration_since(looked) >= LOOK_AGAIN) {
            self.looked = Some(now);
            self.by_values.retain(|_, (shard, _)| !shard.end_if_idle());
        }
    }
}

#[cfg(test)]
mod tests;
