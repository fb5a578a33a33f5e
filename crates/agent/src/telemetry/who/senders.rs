//! What is known of each sender.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::heavy::Heavy;
use super::look::Seen;
use super::sketch::Lately;
use super::{Away, Passed, TURN, address_of};

/// More than a node has pods.
const CAPACITY: usize = 256;

/// The senders that send most, by address; `None` are those over unix sockets.
pub(super) struct Senders {
    table: Heavy<Option<IpAddr>, Sender>,
    turned: Instant,
}

#[derive(Default)]
struct Sender {
    /// The pod that had the address when it was last asked for.
    holder: Option<String>,
    /// The pod that its telemetry names.
    pod: Option<String>,
    service: Option<String>,
    items: [u64; 3],
    refused: [u64; 3],
    requests: u64,
    turned_away: [u64; Away::ALL.len()],
    bytes: u64,
    series: Option<Box<Lately<256>>>,
}

/// A sender at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// `namespace/pod`, or the address.
    pub(super) name: String,
    pub(super) address: String,
    /// `service.name`, as far as it says one.
    pub(super) service: String,
    /// Items taken, in the order of `Signal::ALL`.
    pub(super) items: [u64; 3],
    /// Items that were not taken; the sender was told.
    pub(super) refused: [u64; 3],
    pub(super) requests: u64,
    /// Requests that were turned away for the sake of others, in the order of `Away::ALL`. Their items are not known.
    pub(super) turned_away: [u64; Away::ALL.len()],
    pub(super) bytes: u64,
    /// Different series lately, about.
    pub(super) series: u64,
}

impl Senders {
    pub(super) fn new(now: Instant) -> Senders {
        Senders { table: Heavy::new(CAPACITY), turned: now }
    }

    pub(super) fn count(&mut self, passed: Passed) {
        let items = passed.items as u64;
        let sender = self.table.add(&address_of(passed.peer), items, |address| *address, Sender::default);
        let counted = if passed.taken { &mut sender.items } else { &mut sender.refused };
        counted[passed.signal.index()] += items;
        sender.requests += 1;
        sender.bytes += passed.bytes as u64;
    }

    /// A request weighs as much as an item here, as nobody knows what was in it.
    pub(super) fn turn_away(&mut self, peer: Option<SocketAddr>, why: Away) {
        let sender = self.table.add(&address_of(peer), 1, |address| *address, Sender::default);
        sender.turned_away[why as usize] += 1;
    }

    /// Takes over what a look at one of its requests has shown; `holder` is the pod that has its address.
    pub(super) fn learn(&mut self, peer: Option<IpAddr>, seen: Seen, holder: Option<String>) {
        let sender = self.table.add(&peer, 0, |address| *address, Sender::default);
        sender.is_held_by(holder);
        sender.pod = seen.pod.or_else(|| sender.pod.take());
        sender.service = seen.service.or_else(|| sender.service.take());
        if let Some(series) = &seen.series {
            sender.series.get_or_insert_with(|| Box::new(Lately::new())).merge(series);
        }
    }

    pub(super) fn largest(&mut self, now: Instant, pod: &dyn Fn(IpAddr) -> Option<String>) -> Vec<Row> {
        self.turn_if_due(now);
        let row = |(address, sender): (&Option<IpAddr>, &mut Sender)| {
            sender.is_held_by(address.and_then(pod));
            sender.row(*address)
        };
        let mut rows: Vec<Row> = self.table.iter_mut().map(row).collect();
        rows.sort_by(|one, two| two.total().cmp(&one.total()).then_with(|| one.name.cmp(&two.name)));
        rows
    }

    fn turn_if_due(&mut self, now: Instant) {
        if now.duration_since(self.turned) >= TURN {
            self.turned = now;
            self.table.values_mut().filter_map(|sender| sender.series.as_mut()).for_each(|series| series.turn());
        }
    }
}

impl Sender {
    /// Addresses are given to other pods when theirs have gone: what was counted is none of the new one's.
    fn is_held_by(&mut self, pod: Option<String>) {
        let Some(pod) = pod else { return };
        if self.holder.as_ref().is_some_and(|before| *before != pod) {
            *self = Sender::default();
        }
        self.holder = Some(pod);
    }

    fn row(&self, address: Option<IpAddr>) -> Row {
        let text = address.map_or_else(|| "unix".to_owned(), |address| address.to_string());
        // Where the address is a pod's, that is who it is, whatever its telemetry says.
        let pod = self.holder.clone().or_else(|| self.pod.clone());
        Row {
            name: pod.unwrap_or_else(|| text.clone()),
            address: text,
            service: self.service.clone().unwrap_or_default(),
            items: self.items,
            refused: self.refused,
            requests: self.requests,
            turned_away: self.turned_away,
            bytes: self.bytes,
            series: self.series.as_ref().map_or(0, |series| series.estimate()),
        }
    }
}

impl Row {
    pub(super) fn total(&self) -> u64 {
        self.items.iter().chain(&self.refused).sum()
    }
}
