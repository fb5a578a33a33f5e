//! The pods by UID, and pointers to them by address, container and name.
//!
//! A pod is what its UID says; everything else only points to it and may point elsewhere a moment later. So a delete is
//! one of a UID, and takes a pointer along only where it still points to that pod.

mod claims;

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::address::{self, AddressClass};
use super::objects::Objects;
use super::owners;
use super::pod::{Addresses, Pod};
use claims::Claims;

/// What a feed has seen of a pod.
#[derive(Debug)]
pub(super) struct Seen {
    /// The pod, with owners as it names them itself and without objects.
    pub(super) pod: Pod,
    /// `metadata.resourceVersion` as a number, to tell older from newer; 0 where there is none.
    pub(super) version: u64,
    /// What owns its owner, as far as names tell.
    pub(super) guess: Option<Arc<str>>,
}

/// How a change ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) added: u64,
    pub(super) updated: u64,
    pub(super) ended: u64,
}

impl Changes {
    pub(super) fn any(self) -> bool {
        self != Self::default()
    }
}

/// The pods of a node.
#[derive(Debug)]
pub(super) struct Index {
    entries: HashMap<Arc<str>, Entry>,
    claims: Claims,
    containers: HashMap<Arc<str>, Arc<str>>,
    names: HashMap<Arc<str>, SmallVec<[Arc<str>; 1]>>,
    pub(super) objects: Objects,
    /// For how long an ended pod can be found.
    grace: Duration,
    live: usize,
    horizon: u64,
    /// Counts what was seen together: each event, or all of a list.
    epoch: u64,
}

#[derive(Debug)]
struct Entry {
    pod: Arc<Pod>,
    version: u64,
    guess: Option<Arc<str>>,
    ended: Option<Instant>,
}

impl Index {
    pub(super) fn new(grace: Duration) -> Self {
        Self {
            entries: HashMap::new(),
            claims: Claims::default(),
            containers: HashMap::new(),
            names: HashMap::new(),
            objects: Objects::default(),
            grace,
            live: 0,
            horizon: 0,
            epoch: 0,
        }
    }

    // === looking up ===

    pub(super) fn by_address(&self, address: IpAddr) -> Option<&Arc<Pod>> {
        self.claims.owner(address::plain(address))
    }

    pub(super) fn by_uid(&self, uid: &str) -> Option<&Arc<Pod>> {
        self.entries.get(uid).map(|entry| &entry.pod)
    }

    pub(super) fn by_container(&self, id: &str) -> Option<&Arc<Pod>> {
        self.containers.get(id).and_then(|uid| self.by_uid(uid))
    }

    pub(super) fn by_name(&self, namespace: &str, name: &str) -> Option<&Arc<Pod>> {
        let entries = self.names.get(name)?.iter().filter_map(|uid| self.entries.get(uid));
        let here = entries.filter(|entry| &*entry.pod.namespace == namespace);
        here.max_by_key(|entry| entry.rank()).map(|entry| &entry.pod)
    }

    /// The best of all pods that `wanted` takes: one that has not ended, the newest.
    pub(super) fn find(&self, wanted: &dyn Fn(&Pod) -> bool) -> Option<&Arc<Pod>> {
        let found = self.entries.values().filter(|entry| wanted(&entry.pod));
        found.max_by_key(|entry| entry.rank()).map(|entry| &entry.pod)
    }

    pub(super) fn class_of(&self, address: IpAddr) -> AddressClass {
        let address = address::plain(address);
        match address::everywhere(address) {
            Some(class) if self.claims.owner(address).is_none() => class,
            _ => self.claims.class_of(address),
        }
    }

    /// The pods that have not ended.
    pub(super) fn pods(&self) -> impl Iterator<Item = &Arc<Pod>> {
        self.entries.values().filter(|entry| entry.ended.is_none()).map(|entry| &entry.pod)
    }

    /// How many have not ended.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    // === changing ===

    /// Takes what was seen of one pod. What is older than anything seen before is left: a watch tells things in order.
    pub(super) fn see(&mut self, seen: Seen) -> Changes {
        if !self.is_news(seen.version) {
            return Changes::default();
        }
        self.epoch += 1;
        self.see_now(seen)
    }

    /// Takes a complete list: pods that it lacks have ended. `version` is the list's, 0 where it has none; it must not be
    /// below the [horizon](Self::horizon).
    pub(super) fn see_all(&mut self, all: Vec<Seen>, version: u64, now: Instant) -> Changes {
        self.horizon = self.horizon.max(version);
        self.epoch += 1;
        let listed: HashSet<Arc<str>> = all.iter().map(|seen| seen.pod.uid.clone()).collect();
        let mut changes = Changes::default();
        // First what ended, so that its addresses are free for the others.
        for uid in self.live_uids().filter(|uid| !listed.contains(uid)).collect::<Vec<_>>() {
            changes.ended += u64::from(self.end(&uid, now));
        }
        for seen in all {
            let each = self.see_now(seen);
            changes.added += each.added;
            changes.updated += each.updated;
        }
        changes
    }

    /// Up to which version everything was seen; 0 where nothing was, or versions mean nothing.
    pub(super) fn horizon(&self) -> u64 {
        self.horizon
    }

    /// The server counts anew, as after its data were restored: what was seen is older than nothing.
    pub(super) fn forget_versions(&mut self) {
        self.horizon = 0;
        for entry in self.entries.values_mut() {
            entry.version = 0;
        }
    }

    /// A pod was deleted. It can still be found for a while, but not by its address.
    pub(super) fn delete(&mut self, uid: &str, version: u64, now: Instant) -> Changes {
        if !self.is_news(version) {
            return Changes::default();
        }
        Changes { ended: u64::from(self.end(uid, now)), ..Changes::default() }
    }

    /// Forgets what ended long enough ago.
    pub(super) fn sweep(&mut self, now: Instant) -> bool {
        let (grace, before) = (self.grace, self.entries.len());
        let over = |at: Instant, after: Duration| now.saturating_duration_since(at) >= after;
        let gone = self.entries.iter().filter(|(_, entry)| entry.ended.is_some_and(|at| over(at, grace)));
        for uid in gone.map(|(uid, _)| uid.clone()).collect::<Vec<_>>() {
            if let Some(entry) = self.entries.remove(&uid) {
                self.forget_pointers(&entry.pod);
            }
        }
        self.claims.forget_ended(|at| over(at, grace));
        self.entries.len() < before
    }

    /// Makes the pods anew to which `concerns` applies, after something about an object changed.
    pub(super) fn resolve_again(&mut self, concerns: impl Fn(&Pod) -> bool) -> bool {
        let mut changed = false;
        for entry in self.entries.values_mut().filter(|entry| concerns(&entry.pod)) {
            let mut pod = entry.pod.again();
            owners::resolve(&mut pod, entry.guess.as_ref(), &self.objects);
            if pod != *entry.pod {
                entry.pod = Arc::new(pod);
                self.claims.replace(&entry.pod);
                changed = true;
            }
        }
        changed
    }

    /// Whether an event of this version is later than all that was seen; it is then seen, too.
    fn is_news(&mut self, version: u64) -> bool {
        let news = version == 0 || version > self.horizon;
        self.horizon = self.horizon.max(version);
        news
    }

    fn see_now(&mut self, seen: Seen) -> Changes {
        let Seen { mut pod, version, guess } = seen;
        if pod.uid.is_empty() {
            return Changes::default();
        }
        owners::resolve(&mut pod, guess.as_ref(), &self.objects);
        let Some(before) = self.entries.get(&pod.uid) else {
            self.insert(Entry { pod: Arc::new(pod), version, guess, ended: None });
            return Changes { added: 1, ..Changes::default() };
        };
        let was_live = before.ended.is_none();
        if version < before.version {
            return Changes::default();
        }
        let before = Arc::clone(&before.pod);
        if was_live && pod == *before {
            // Only the version is new: what was made for the pod stays.
            if let Some(entry) = self.entries.get_mut(&pod.uid) {
                entry.version = version;
            }
            return Changes::default();
        }
        self.forget_pointers(&before);
        self.live -= usize::from(was_live);
        self.insert(Entry { pod: Arc::new(pod), version, guess, ended: None });
        Changes { updated: u64::from(was_live), added: u64::from(!was_live), ended: 0 }
    }

    fn insert(&mut self, entry: Entry) {
        let pod = &entry.pod;
        self.claims.set(pod, self.epoch);
        for instance in pod.containers.iter().flat_map(|container| &container.instances) {
            self.containers.insert(instance.id.clone(), pod.uid.clone());
        }
        let named = self.names.entry(pod.name.clone()).or_default();
        if !named.contains(&pod.uid) {
            named.push(pod.uid.clone());
        }
        self.live += 1;
        self.entries.insert(pod.uid.clone(), entry);
    }

    /// Ends a pod; whether it was there and had not ended.
    fn end(&mut self, uid: &str, now: Instant) -> bool {
        let Some(entry) = self.entries.get_mut(uid).filter(|entry| entry.ended.is_none()) else { return false };
        entry.ended = Some(now);
        self.live -= 1;
        self.claims.release(&entry.pod, now);
        true
    }

    /// Drops what points to a pod by container and name.
    fn forget_pointers(&mut self, pod: &Pod) {
        for instance in pod.containers.iter().flat_map(|container| &container.instances) {
            if self.containers.get(&instance.id).is_some_and(|uid| *uid == pod.uid) {
                self.containers.remove(&instance.id);
            }
        }
        if let Some(named) = self.names.get_mut(&pod.name) {
            named.retain(|uid| *uid != pod.uid);
            if named.is_empty() {
                self.names.remove(&pod.name);
            }
        }
    }

    fn live_uids(&self) -> impl Iterator<Item = Arc<str>> {
        self.entries.iter().filter(|(_, entry)| entry.ended.is_none()).map(|(uid, _)| uid.clone())
    }
}

impl Entry {
    /// What decides between two pods that both fit: the one that has not ended, then the newer one.
    fn rank(&self) -> (bool, bool, &str, &str) {
        (self.ended.is_none(), !self.pod.deleted, &self.pod.created, &self.pod.uid)
    }
}

/// All addresses that a pod claims as its own: none on the host's network, none when it is over.
fn claimed(pod: &Pod) -> Addresses {
    if pod.host_network || pod.phase.is_over() { Addresses::new() } else { pod.addresses.clone() }
}

#[cfg(test)]
mod tests;
