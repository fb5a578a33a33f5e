//! The senders that are known here, and what each of them holds.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use wire::Signal;

use super::limits::Buckets;

/// More than a node has pods. Whoever comes when all of these hold something shares one entry with others like it.
const CAPACITY: usize = 1024;
/// After this time an address is looked up again: it may belong to another pod by then.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
/// Whoever was here this long ago is expected again: SDKs export metrics once a minute.
const LATELY: Duration = Duration::from_secs(70);
/// Whoever was not here for this long and holds nothing is forgotten. Twice as long as anyone is told to stay away, so that
/// nobody waits a fixed limit out by being forgotten.
const FORGOTTEN: Duration = Duration::from_mins(10);

/// All senders. Clones are the same.
#[derive(Clone)]
pub struct Parties(Arc<Table>);

struct Table {
    known: Mutex<HashMap<Option<IpAddr>, Known>>,
    totals: Arc<Totals>,
    /// Those for whom there is no entry.
    others: Arc<Party>,
    pods: Box<dyn Fn(IpAddr) -> Option<PodName> + Send + Sync>,
}

struct Known {
    party: Arc<Party>,
    looked: Instant,
}

/// Which pod a sender is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodName {
    /// Its UID: two addresses with the same one are one sender.
    pub uid: Arc<str>,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// One sender: a pod where it is known, or else an address; all unix sockets are one.
pub struct Party {
    pod: Option<PodName>,
    /// What it holds of each signal, and in all.
    held: [AtomicUsize; SLOTS],
    totals: Arc<Totals>,
    pub(super) buckets: Mutex<Buckets>,
}

/// What all senders hold together, and how many hold something.
#[derive(Default)]
struct Totals {
    held: [AtomicUsize; SLOTS],
    // Signed: whoever counts down may be ahead of whoever has still to count up.
    holding: [AtomicIsize; SLOTS],
    /// How many have asked to be let in of late.
    lately: AtomicUsize,
}

/// Each signal, and all of them.
const SLOTS: usize = Signal::ALL.len() + 1;
const ALL: usize = Signal::ALL.len();

impl Parties {
    /// Nobody is known yet. `pods` says which pod has an address.
    #[must_use]
    pub fn new(pods: impl Fn(IpAddr) -> Option<PodName> + Send + Sync + 'static) -> Parties {
        let totals = Arc::new(Totals::default());
        let others = Arc::new(Party::new(None, &totals));
        Parties(Arc::new(Table { known: Mutex::default(), totals, others, pods: Box::new(pods) }))
    }

    /// The sender with an address; `None` is a unix socket.
    #[must_use]
    pub fn of(&self, address: Option<IpAddr>) -> Arc<Party> {
        let mut known = self.0.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match known.get(&address) {
            Some(found) if now.duration_since(found.looked) < LOOK_AGAIN => Arc::clone(&found.party),
            _ => self.look(&mut known, address, now),
        }
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// True while nobody has sent anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn look(&self, known: &mut HashMap<Option<IpAddr>, Known>, address: Option<IpAddr>, now: Instant) -> Arc<Party> {
        let pod = address.and_then(|address| (self.0.pods)(address));
        let party = match known.get(&address).filter(|known| known.party.is(pod.as_ref())) {
            Some(same) => Arc::clone(&same.party),
            None => self.find(known, pod),
        };
        if !known.contains_key(&address) {
            known.retain(|_, known| now.duration_since(known.looked) < FORGOTTEN || known.party.holds(None) > 0);
            if known.len() >= CAPACITY && !make_room(known) {
                return Arc::clone(&self.0.others);
            }
        }
        known.insert(address, Known { party: Arc::clone(&party), looked: now });
        let lately = known.values().filter(|known| now.duration_since(known.looked) < LATELY).count();
        self.0.totals.lately.store(lately, Relaxed);
        party
    }

    /// The pod as it is known by another address, or a new one.
    fn find(&self, known: &HashMap<Option<IpAddr>, Known>, pod: Option<PodName>) -> Arc<Party> {
        let has_uid = |known: &&Known, uid| known.party.pod.as_ref().is_some_and(|pod| pod.uid == uid);
        let uid = pod.as_ref().map(|pod| pod.uid.clone());
        let same_pod = uid.and_then(|uid| known.values().find(|known| has_uid(known, uid.clone())));
        same_pod.map_or_else(|| Arc::new(Party::new(pod, &self.0.totals)), |known| Arc::clone(&known.party))
    }
}

/// Forgets who came longest ago of those that hold nothing.
fn make_room(known: &mut HashMap<Option<IpAddr>, Known>) -> bool {
    let idle = known.iter().filter(|(_, known)| known.party.holds(None) == 0);
    let Some(oldest) = idle.min_by_key(|(_, known)| known.looked).map(|(address, _)| *address) else { return false };
    known.remove(&oldest).is_some()
}

impl Party {
    fn new(pod: Option<PodName>, totals: &Arc<Totals>) -> Party {
        let held = [const { AtomicUsize::new(0) }; SLOTS];
        Party { pod, held, totals: Arc::clone(totals), buckets: Mutex::default() }
    }

    /// Which pod it is, if that is known.
    #[must_use]
    pub fn pod(&self) -> Option<&PodName> {
        self.pod.as_ref()
    }

    /// What it holds, of one signal or in all.
    #[must_use]
    pub fn holds(&self, signal: Option<Signal>) -> usize {
        self.held[signal.map_or(ALL, Signal::index)].load(Relaxed)
    }

    /// What each sender may have of `bytes`, this one and so many newcomers among them. What all hold may weigh more than that,
    /// as requests weigh more than their bytes: then it is that which is shared, so that a sender that is alone is never over its
    /// share.
    #[must_use]
    pub fn share_of(&self, bytes: usize, newcomers: usize) -> usize {
        bytes.max(self.totals.held[ALL].load(Relaxed)) / (self.senders(ALL) + newcomers)
    }

    /// What a sender may have of what waits of a signal: twice the average, and half of all at most, if it is not alone. Queues
    /// are also filled by many who all send a little too much; none of them is over its share.
    #[must_use]
    pub fn most_of_queue(&self, signal: Signal) -> usize {
        let held = self.totals.held[signal.index()].load(Relaxed);
        match self.senders(signal.index()) {
            1 => held,
            senders => (held / senders * 2).min(held / 2),
        }
    }

    /// Those that hold something, and those that have been here of late and will come again.
    fn senders(&self, slot: usize) -> usize {
        let holding = usize::try_from(self.totals.holding[slot].load(Relaxed)).unwrap_or(0);
        let joins = usize::from(self.held[slot].load(Relaxed) == 0);
        (holding + joins).max(self.totals.lately.load(Relaxed)).max(1)
    }

    pub(super) fn add(&self, signal: Signal, bytes: usize) {
        for slot in [signal.index(), ALL].into_iter().filter(|_| bytes > 0) {
            self.totals.held[slot].fetch_add(bytes, Relaxed);
            if self.held[slot].fetch_add(bytes, Relaxed) == 0 {
                self.totals.holding[slot].fetch_add(1, Relaxed);
            }
        }
    }

    pub(super) fn sub(&self, signal: Signal, bytes: usize) {
        for slot in [signal.index(), ALL].into_iter().filter(|_| bytes > 0) {
            if self.held[slot].fetch_sub(bytes, Relaxed) == bytes {
                self.totals.holding[slot].fetch_sub(1, Relaxed);
            }
            self.totals.held[slot].fetch_sub(bytes, Relaxed);
        }
    }

    fn is(&self, pod: Option<&PodName>) -> bool {
        self.pod.as_ref() == pod
    }
}

impl fmt::Debug for Parties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parties({})", self.len())
    }
}

impl fmt::Debug for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.pod.as_ref().map_or("no pod", |pod| &pod.name);
        write!(f, "Party({name}, {})", self.holds(None))
    }
}
