//! Resources that no pod was found for: counted by how and why, the last ones kept, and explained in the log.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::kubernetes::{AddressClass, Directory};
use crate::telemetry::{Counter, Metrics, table};

/// A resource that no pod was found for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// When.
    pub time: SystemTime,
    /// Where it came from.
    pub peer: Option<IpAddr>,
    /// How the pod was looked for: `connection`, `resource_attribute/k8s.pod.uid`, `none`.
    pub method: String,
    /// Why it was not found.
    pub reason: Reason,
}

/// Why no pod was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// What the address is that it came from.
    Address(AddressClass),
    /// The pods are not known yet.
    NotSynced,
    /// The attributes name no pod of this node.
    NoSuchPod,
    /// There is neither an address nor an attribute to look for.
    NoIdentifier,
}

/// Counts and keeps the misses of one processor.
pub(super) struct Misses {
    processor: String,
    metrics: Metrics,
    /// How pods are looked for, and `none` at the end; for each, a counter of each reason once it is needed.
    methods: Vec<(String, [OnceLock<Counter>; Reason::COUNT])>,
    last: Mutex<VecDeque<Miss>>,
    told: Mutex<Told>,
}

/// What the log has been told lately.
#[derive(Default)]
struct Told {
    by_peer: HashMap<(Option<IpAddr>, Reason), Instant>,
}

/// How many misses are kept.
const KEPT: usize = 50;
/// The log is told of the same address and reason again after this long.
const TELL_AGAIN: Duration = Duration::from_hours(1);
/// The log is told of at most this many in that time.
const MOST_TOLD: usize = 32;

impl Reason {
    const COUNT: usize = AddressClass::ALL.len() + 3;

    /// The word for it, for labels of metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Address(AddressClass::Pod) => "mismatch",
            Reason::Address(class) => class.as_str(),
            Reason::NotSynced => "not_synced",
            Reason::NoSuchPod => "no_such_pod",
            Reason::NoIdentifier => "no_identifier",
        }
    }

    fn index(self) -> usize {
        match self {
            Reason::Address(class) => class as usize,
            Reason::NotSynced => AddressClass::ALL.len(),
            Reason::NoSuchPod => AddressClass::ALL.len() + 1,
            Reason::NoIdentifier => AddressClass::ALL.len() + 2,
        }
    }

    /// Why the address is not a pod's.
    pub(super) fn of_address(address: IpAddr, directory: &Directory) -> Reason {
        match directory.class_of(address) {
            AddressClass::Unknown if !directory.synced() => Reason::NotSynced,
            class => Reason::Address(class),
        }
    }

    /// What it means, and what to do about it.
    #[must_use]
    pub fn explanation(self) -> &'static str {
        match self {
            Reason::Address(AddressClass::Loopback) => {
                "the sender is in the agent's own network namespace, so it is no pod, or a proxy beside the agent hides \
                 it: let the sender set `k8s.pod.uid` with `OTEL_RESOURCE_ATTRIBUTES`"
            }
            Reason::Address(AddressClass::Mesh) => {
                "a service mesh's proxy passes the data on to the agent and hides who sent it: leave the agent out of the \
                 mesh (`sidecar.istio.io/inject: \"false\"`), or let the sender set `k8s.pod.uid`"
            }
            Reason::Address(AddressClass::Node | AddressClass::HostNetwork) => {
                "this is the node's own address: the sender uses the host's network, or reaches the agent by a host port \
                 that hides its address. Let it set `k8s.pod.uid` with `OTEL_RESOURCE_ATTRIBUTES` from the downward API, \
                 or send to the Service"
            }
            Reason::Address(AddressClass::Bridge) => {
                "this is the node's end of the pods' network, where host ports hide the sender: send to the Service \
                 instead, or let the sender set `k8s.pod.uid` with `OTEL_RESOURCE_ATTRIBUTES`"
            }
            Reason::Address(AddressClass::Ended) => {
                "its pod has ended; data that is sent that late is only associated by `k8s.pod.uid`"
            }
            Reason::Address(AddressClass::Pod) => {
                "the address is a pod's, but the other sources of the association say something else"
            }
            Reason::Address(AddressClass::Unknown) => {
                "this is no pod of this node: it may be a pod of another node (send to the Service with \
                 `internalTrafficPolicy: Local`), a pod that the filter keeps out, a proxy or a gateway (let it pass \
                 `k8s.pod.ip` or `k8s.pod.uid` on)"
            }
            Reason::NotSynced => "the pods are not known yet",
            Reason::NoSuchPod => "the attributes name no pod of this node",
            Reason::NoIdentifier => "neither its address nor an attribute to find the pod by is known",
        }
    }
}

impl Misses {
    /// Of a processor that looks for pods in these ways.
    pub(super) fn new<'a>(processor: &str, methods: impl Iterator<Item = &'a str>, metrics: &Metrics) -> Misses {
        let methods = methods.chain(["none"]).map(|method| (method.to_owned(), Default::default()));
        Misses {
            processor: processor.to_owned(),
            metrics: metrics.clone(),
            methods: methods.collect(),
            last: Mutex::default(),
            told: Mutex::default(),
        }
    }

    /// Counts a miss. `method` is which way was tried, `None` if there was none.
    pub(super) fn add(&self, method: Option<usize>, peer: Option<IpAddr>, reason: Reason) {
        let method = method.and_then(|index| self.methods.get(index)).or(self.methods.last());
        let Some((method, counters)) = method else { return };
        if let Some(counter) = counters.get(reason.index()) {
            let labels = [("processor", self.processor.as_str()), ("method", method), ("reason", reason.as_str())];
            counter.get_or_init(|| self.metrics.counter(&table::K8S_MISSES, &labels)).add(1);
        }
        let miss = Miss { time: SystemTime::now(), peer, method: method.to_owned(), reason };
        {
            let mut last = lock(&self.last);
            if last.len() == KEPT {
                last.pop_front();
            }
            last.push_back(miss);
        }
        if lock(&self.told).is_news(peer, reason) {
            tell(&self.processor, peer, method, reason);
        }
    }

    /// The last misses, the oldest first.
    pub(super) fn last(&self) -> Vec<Miss> {
        lock(&self.last).iter().cloned().collect()
    }
}

impl Told {
    fn is_news(&mut self, peer: Option<IpAddr>, reason: Reason) -> bool {
        let (key, now) = ((peer, reason), Instant::now());
        if self.by_peer.get(&key).is_some_and(|told| now.duration_since(*told) < TELL_AGAIN) {
            return false;
        }
        if self.by_peer.len() >= MOST_TOLD {
            self.by_peer.retain(|_, told| now.duration_since(*told) < TELL_AGAIN);
        }
        if self.by_peer.len() >= MOST_TOLD {
            return false;
        }
        self.by_peer.insert(key, now);
        true
    }
}

fn tell(processor: &str, peer: Option<IpAddr>, method: &str, reason: Reason) {
    let from = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.to_string());
    let text = format!("Telemetry from {from} cannot be associated with a pod: {}.", reason.explanation());
    match reason {
        // It is no mistake, and may pass by itself.
        Reason::NotSynced | Reason::Address(AddressClass::Ended) => {
            tracing::info!(processor, method, reason = reason.as_str(), "{text}");
        }
        _ => tracing::warn!(processor, method, reason = reason.as_str(), "{text}"),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
