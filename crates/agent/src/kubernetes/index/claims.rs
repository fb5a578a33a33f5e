//! Who owns an address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;
use tokio::time::Instant;

use super::claimed;
use crate::kubernetes::address::{self, AddressClass};
use crate::kubernetes::pod::Pod;

/// The addresses and who claims them. A pod that is over claims none, and one on the host's network none of its own.
#[derive(Debug, Default)]
pub(super) struct Claims {
    claims: HashMap<IpAddr, SmallVec<[Claim; 1]>>,
    /// The pods as they were when they were taken in here.
    taken: HashMap<Arc<str>, Arc<Pod>>,
    /// How many pods say that an address is their node's.
    nodes: HashMap<IpAddr, usize>,
    /// How many pods on the host's network have an address.
    host_network: HashMap<IpAddr, usize>,
    /// Addresses that nobody claims any more, and since when.
    ended: HashMap<IpAddr, Instant>,
}

/// One pod's claim of an address. Those of an address are kept with the owner first.
#[derive(Debug)]
struct Claim {
    pod: Arc<Pod>,
    /// When it was first seen with this address; see [`super::Index`].
    epoch: u64,
}

impl Claims {
    pub(super) fn owner(&self, address: IpAddr) -> Option<&Arc<Pod>> {
        self.claims.get(&address)?.first().map(|claim| &claim.pod)
    }

    pub(super) fn class_of(&self, address: IpAddr) -> AddressClass {
        if self.claims.contains_key(&address) {
            AddressClass::Pod
        } else if self.host_network.contains_key(&address) {
            AddressClass::HostNetwork
        } else if self.nodes.contains_key(&address) {
            AddressClass::Node
        } else if self.ended.contains_key(&address) {
            AddressClass::Ended
        } else if self.claims.keys().any(|pod| address::is_bridge_of(address, *pod)) {
            AddressClass::Bridge
        } else {
            AddressClass::Unknown
        }
    }

    /// A pod is as it is here now.
    pub(super) fn set(&mut self, pod: &Arc<Pod>, epoch: u64) {
        let claims = claimed(pod);
        if let Some(before) = self.taken.insert(pod.uid.clone(), Arc::clone(pod)) {
            self.count_host(&before, false);
            for address in claimed(&before).iter().filter(|address| !claims.contains(address)) {
                self.remove(*address, &pod.uid, Instant::now());
            }
        }
        for address in claims {
            self.ended.remove(&address);
            let all = self.claims.entry(address).or_default();
            match all.iter_mut().find(|claim| claim.pod.uid == pod.uid) {
                Some(claim) => claim.pod = Arc::clone(pod),
                None => all.push(Claim { pod: Arc::clone(pod), epoch }),
            }
            all.sort_by(|a, b| b.rank().cmp(&a.rank()));
        }
        self.count_host(pod, true);
    }

    /// The same pod, made anew.
    pub(super) fn replace(&mut self, pod: &Arc<Pod>) {
        let Some(taken) = self.taken.get_mut(&pod.uid) else { return };
        *taken = Arc::clone(pod);
        for address in claimed(pod) {
            let claims = self.claims.get_mut(&address).into_iter().flatten();
            for claim in claims.filter(|claim| claim.pod.uid == pod.uid) {
                claim.pod = Arc::clone(pod);
            }
        }
    }

    /// A pod ended: from now on it owns nothing.
    pub(super) fn release(&mut self, pod: &Pod, now: Instant) {
        let Some(before) = self.taken.remove(&pod.uid) else { return };
        self.count_host(&before, false);
        for address in claimed(&before) {
            self.remove(address, &pod.uid, now);
        }
    }

    pub(super) fn forget_ended(&mut self, over: impl Fn(Instant) -> bool) {
        self.ended.retain(|_, at| !over(*at));
    }

    fn remove(&mut self, address: IpAddr, uid: &str, now: Instant) {
        let Some(all) = self.claims.get_mut(&address) else { return };
        all.retain(|claim| &*claim.pod.uid != uid);
        if all.is_empty() {
            self.claims.remove(&address);
            self.ended.insert(address, now);
        }
    }

    /// Counts a pod's word for the addresses of its node, or takes it back.
    fn count_host(&mut self, pod: &Pod, come: bool) {
        count(&mut self.nodes, &pod.host_addresses, come);
        if pod.host_network {
            count(&mut self.host_network, &pod.addresses, come);
        }
    }
}

fn count(counts: &mut HashMap<IpAddr, usize>, addresses: &[IpAddr], come: bool) {
    for address in addresses {
        if come {
            *counts.entry(*address).or_default() += 1;
        } else if let Some(count) = counts.get_mut(address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(address);
            }
        }
    }
}

impl Claim {
    /// The highest owns the address: a pod that is not about to end before one that is, then the one that came by the
    /// address last. Those seen together, in one list, are told apart by when they started.
    fn rank(&self) -> (bool, u64, Option<&str>, &str, &str) {
        let pod = &self.pod;
        (!pod.deleted, self.epoch, pod.started.as_deref(), &pod.created, &pod.uid)
    }
}
