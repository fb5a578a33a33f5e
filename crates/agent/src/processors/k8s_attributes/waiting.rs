//! Data of a pod that is not known yet waits for it, a short while: the address of a new pod may be in its first
//! telemetry before it is in the watch.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::kubernetes::{AddressClass, Directory};
use crate::pipeline::{Patience, Wait};
use crate::telemetry::{Counter, Gauge, Metrics, table};

/// Who waits, and who waited in vain.
pub(super) struct Waiting {
    /// How long at most; zero does not wait.
    longest: Duration,
    patience: Patience,
    /// Addresses that were waited for in vain, until when nobody waits for them again.
    vain: Mutex<HashMap<IpAddr, Instant>>,
    now: AtomicUsize,
    gauge: Gauge,
    outcomes: Outcomes,
}

struct Outcomes {
    found: Counter,
    vain: Counter,
    crowded: Counter,
    stopped: Counter,
}

/// An address that was waited for in vain is not waited for again for this long.
const VAIN_FOR: Duration = Duration::from_secs(30);
/// So many such addresses are kept at most.
const MOST_VAIN: usize = 1024;
/// So many requests wait at a time; others go on at once.
const MOST_WAITING: usize = 256;

impl Waiting {
    pub(super) fn new(longest: Duration, patience: &Patience, processor: &str, metrics: &Metrics) -> Waiting {
        let outcome = |outcome| metrics.counter(&table::K8S_WAITED, &[("processor", processor), ("outcome", outcome)]);
        Waiting {
            longest,
            patience: patience.clone(),
            vain: Mutex::default(),
            now: AtomicUsize::new(0),
            gauge: metrics.gauge(&table::K8S_WAITING, &[("processor", processor)]),
            outcomes: Outcomes {
                found: outcome("found"),
                vain: outcome("vain"),
                crowded: outcome("crowded"),
                stopped: outcome("stopped"),
            },
        }
    }

    /// Whether what comes from this address could wait for its pod: it is not known, and may become known.
    pub(super) fn may(&self, address: IpAddr, directory: &Directory) -> bool {
        !self.longest.is_zero()
            && directory.by_address(address).is_none()
            && may_become_a_pod(address, directory.class_of(address))
            && !self.patience.has_ended()
            && !self.is_vain(address)
    }

    /// Waits for the pod of this address; `None` if too many wait already.
    pub(super) fn wait<'a>(&'a self, address: IpAddr, directory: &'a Directory) -> Option<Wait<'a>> {
        let Some(place) = Place::take(self) else {
            self.outcomes.crowded.add(1);
            return None;
        };
        directory.hint_unknown(address);
        Some(Box::pin(async move {
            let counter = self.until_known(address, directory).await;
            counter.add(1);
            drop(place);
        }))
    }

    async fn until_known(&self, address: IpAddr, directory: &Directory) -> &Counter {
        let mut over = std::pin::pin!(sleep(self.longest));
        loop {
            let generation = directory.generation();
            let known = directory.by_address(address).is_some();
            if known || !may_become_a_pod(address, directory.class_of(address)) {
                return &self.outcomes.found;
            }
            tokio::select! {
                () = directory.changed_since(generation) => {}
                () = self.patience.ended() => return &self.outcomes.stopped,
                () = &mut over => {
                    // Before the pods are known, that tells nothing of the address.
                    if directory.synced() {
                        self.remember_vain(address);
                    }
                    return &self.outcomes.vain;
                }
            }
        }
    }

    fn is_vain(&self, address: IpAddr) -> bool {
        let mut vain = self.vain.lock().unwrap_or_else(PoisonError::into_inner);
        match vain.get(&address) {
            Some(until) if *until > Instant::now() => true,
            Some(_) => {
                vain.remove(&address);
                false
            }
            None => false,
        }
    }

    fn remember_vain(&self, address: IpAddr) {
        let mut vain = self.vain.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if vain.len() >= MOST_VAIN {
            vain.retain(|_, until| *until > now);
        }
        if vain.len() >= MOST_VAIN {
            let oldest = vain.iter().min_by_key(|(_, until)| **until).map(|(address, _)| *address);
            oldest.and_then(|oldest| vain.remove(&oldest));
        }
        vain.insert(address, now + VAIN_FOR);
    }
}

/// Nothing is known that speaks against it. Pods may be given addresses of loopback where they are read from a file,
/// but not the two that every program of the host has.
fn may_become_a_pod(address: IpAddr, class: AddressClass) -> bool {
    match class {
        AddressClass::Unknown => true,
        AddressClass::Loopback => ![IpAddr::from(Ipv4Addr::LOCALHOST), Ipv6Addr::LOCALHOST.into()].contains(&address),
        _ => false,
    }
}

/// One request that waits.
struct Place<'a>(&'a Waiting);

impl<'a> Place<'a> {
    fn take(waiting: &'a Waiting) -> Option<Place<'a>> {
        let one_more = |now| (now < MOST_WAITING).then_some(now + 1);
        waiting.now.fetch_update(Relaxed, Relaxed, one_more).ok()?;
        waiting.gauge.add(1);
        Some(Place(waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Relaxed);
        self.0.gauge.add(-1);
    }
}
