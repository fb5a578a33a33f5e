//! What a directory and its feed share.

use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use super::counts::Counts;
use crate::kubernetes::index::{Changes, Index, Seen};
use crate::kubernetes::interest::Interest;
use crate::kubernetes::objects::{self, Key, Known};
use crate::kubernetes::right::Troubles;
use crate::telemetry::Metrics;

/// The pods, what is wanted of them, and who waits for changes.
pub(in crate::kubernetes) struct Shared {
    index: RwLock<Index>,
    generation: watch::Sender<u64>,
    listed: watch::Sender<bool>,
    synced: watch::Sender<bool>,
    interest: watch::Sender<Interest>,
    hint: Notify,
    pub(in crate::kubernetes) troubles: Troubles,
    pub(in crate::kubernetes) counts: Counts,
}

impl Shared {
    pub(in crate::kubernetes) fn new(interest: Interest, grace: Duration, metrics: &Metrics) -> Self {
        // It may outlive the plan whose metrics these are, and must not keep what that plan shows.
        let metrics = &metrics.scoped();
        Self {
            index: RwLock::new(Index::new(grace)),
            generation: watch::Sender::new(0),
            listed: watch::Sender::new(false),
            synced: watch::Sender::new(false),
            interest: watch::Sender::new(interest),
            hint: Notify::new(),
            troubles: Troubles::new(metrics),
            counts: Counts::new(metrics),
        }
    }

    // === for those who ask ===

    pub(in crate::kubernetes) fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn want(&self, more: Interest) {
        self.interest.send_if_modified(|interest| {
            let both = interest.clone().and(more);
            let grew = both != *interest;
            *interest = both;
            grew
        });
    }

    pub(super) fn synced(&self) -> bool {
        *self.synced.borrow()
    }

    pub(super) async fn wait_synced(&self) {
        // The sender is in `self`, so that it cannot be gone.
        let _ = self.synced.subscribe().wait_for(|synced| *synced).await;
    }

    pub(in crate::kubernetes) fn generation(&self) -> u64 {
        *self.generation.borrow()
    }

    pub(in crate::kubernetes) async fn changed_since(&self, generation: u64) {
        let _ = self.generation.subscribe().wait_for(|now| *now > generation).await;
    }

    pub(super) fn hint(&self) {
        self.hint.notify_one();
    }

    /// The directory ended: what it counted as there is no longer there.
    pub(super) fn close(&self) {
        self.counts.size.add(-to_gauge(self.read().len()));
        self.troubles.close();
    }

    // === for the feed ===

    /// What is wanted, and word when it becomes more.
    pub(in crate::kubernetes) fn interest(&self) -> watch::Receiver<Interest> {
        self.interest.subscribe()
    }

    /// Waits until somebody asks for an address that nobody has.
    pub(in crate::kubernetes) async fn hinted(&self) {
        self.hint.notified().await;
    }

    /// All pods were seen once.
    pub(in crate::kubernetes) fn set_listed(&self) {
        self.listed.send_if_modified(|listed| !std::mem::replace(listed, true));
    }

    /// Waits until all pods were seen once.
    pub(in crate::kubernetes) async fn wait_listed(&self) {
        // The sender is in `self`, so that it cannot be gone.
        let _ = self.listed.subscribe().wait_for(|listed| *listed).await;
    }

    /// All pods and what they have to do with were seen once.
    pub(in crate::kubernetes) fn set_synced(&self) {
        self.synced.send_if_modified(|synced| !std::mem::replace(synced, true));
    }

    /// One pod as it is now.
    pub(in crate::kubernetes) fn see(&self, seen: Seen) -> Changes {
        self.change_pods(|index| index.see(seen))
    }

    /// All pods that there are, and the version of that list; see [`Index::see_all`].
    pub(in crate::kubernetes) fn replace_all(&self, all: Vec<Seen>, version: u64) -> Changes {
        self.change_pods(|index| index.see_all(all, version, Instant::now()))
    }

    /// Up to which version everything was seen.
    pub(in crate::kubernetes) fn horizon(&self) -> u64 {
        self.read().horizon()
    }

    /// The server counts anew.
    pub(in crate::kubernetes) fn forget_versions(&self) {
        self.write(Index::forget_versions);
    }

    /// A pod is gone; what says so has this version, 0 if none.
    pub(in crate::kubernetes) fn delete(&self, uid: &str, version: u64) -> Changes {
        self.change_pods(|index| index.delete(uid, version, Instant::now()))
    }

    /// Forgets what ended long enough ago.
    pub(in crate::kubernetes) fn sweep(&self) {
        let changed = self.write(|index| index.sweep(Instant::now()));
        self.tell(changed);
    }

    /// An object is so now, or is not there.
    pub(in crate::kubernetes) fn set_object(&self, key: &Key, known: Option<Known>) {
        let changed = self.write(|index| {
            let changed = index.objects.set(key, known);
            if changed {
                index.resolve_again(|pod| objects::key_of(pod, key.kind).is_some_and(|own| own == *key));
            }
            changed
        });
        self.tell(changed);
    }

    pub(in crate::kubernetes) fn set_cluster_uid(&self, uid: &str) {
        self.write(|index| index.objects.cluster_uid = Some(uid.into()));
        self.tell(true);
    }

    /// The objects that are wanted because of the pods that there are.
    pub(in crate::kubernetes) fn wanted_objects(&self, interest: &Interest) -> BTreeSet<Key> {
        objects::wanted(self.read().pods(), interest)
    }

    fn change_pods(&self, change: impl FnOnce(&mut Index) -> Changes) -> Changes {
        let changes = self.write(change);
        self.counts.pods(changes);
        self.tell(changes.any());
        changes
    }

    fn write<T>(&self, change: impl FnOnce(&mut Index) -> T) -> T {
        // A fault in the middle of a change leaves the index as it was or a little behind; the next list puts it right.
        change(&mut self.index.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn tell(&self, changed: bool) {
        if changed {
            self.generation.send_modify(|generation| *generation += 1);
        }
    }
}

fn to_gauge(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
