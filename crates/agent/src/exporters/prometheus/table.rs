//! The table of series: what is there, how it is found, how it goes.
//!
//! One lock guards it. Whoever writes holds it for some hundred data points, whoever shows it for as long as it takes to
//! point to a thousand series; what takes long, such as encoding, happens outside.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::by_key::ByKey;
use super::key::Keys;
use super::refusal::Refusal;
use super::reports::{LONGEST_NAME, Reports};
use super::rules::Rules;
use super::series::{Family, Series};
use super::slab::{Place, SLOT_SIZE, Slab};
use super::source::{Base, Source};
use crate::telemetry::cut;
use crate::telemetry::metrics::Sink;
use crate::telemetry::table as own;

/// All series of an exporter.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) rules: Rules,
    pub(super) keys: Keys,
    pub(super) reports: Reports,
    exporter: String,
    began: Instant,
    state: Mutex<State>,
}

/// What the lock guards.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) slab: Slab,
    /// Series by their labels: a key for each.
    pub(super) by_labels: ByKey<Place>,
    /// Series by the bytes of the data points that were seen to mean them. What is missing here is found by its labels.
    pub(super) by_bytes: ByKey<Place>,
    pub(super) families: HashMap<u32, Family>,
    pub(super) names: BTreeMap<Arc<str>, u32>,
    /// Where the metrics of a base belong.
    pub(super) streams: ByKey<Belonging>,
    pub(super) bases: ByKey<Arc<Base>>,
    pub(super) sources: ByKey<Arc<Source>>,
    /// Bytes of all this but the keys.
    pub(super) own_bytes: usize,
    /// How many series there were in all.
    pub(super) births: u32,
    pub(super) last_id: u32,
}

/// Where a metric of a resource and a scope belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Belonging {
    /// Which family, or why to none.
    pub(super) family: Result<u32, Refusal>,
    /// The base.
    pub(super) base: u32,
}

/// Bytes of an entry of a map by key, with the room that maps keep free.
pub(super) const KEY_SIZE: usize = 40;
/// Keys by bytes that a series has at most, on average. Attributes in ever new orders are then looked up by their labels.
pub(super) const MOST_KEYS: usize = 5;
/// With fewer keys by bytes than these, it does not matter how many a series has.
const FEW_KEYS: usize = 1024;
/// Metrics and pods that are shown with how many series they have.
const MOST_SHOWN: usize = 20;
/// Series that are looked at in one go.
const SWEEP: u32 = 4096;

impl Table {
    pub(super) fn new(exporter: &str, rules: Rules) -> Table {
        Table {
            rules,
            keys: Keys::new(),
            reports: Reports::new(exporter),
            exporter: exporter.to_owned(),
            began: Instant::now(),
            state: Mutex::default(),
        }
    }

    /// What is here is whole whatever happened to the holder of the lock: it changes one series at a time.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time in ticks of a tenth of a second since the table was made.
    pub(super) fn now(&self) -> u32 {
        u32::try_from(self.began.elapsed().as_millis() / 100).unwrap_or(u32::MAX)
    }

    /// Whether what was seen then has expired by now.
    pub(super) fn is_over(&self, seen: u32, now: u32) -> bool {
        u128::from(now.saturating_sub(seen)) * 100 > self.rules.expiration.as_millis()
    }

    /// Removes what has expired.
    pub(super) fn sweep(&self) {
        let now = self.now();
        let end = self.state().slab.end();
        for from in (0..end).step_by(SWEEP as usize) {
            let mut state = self.state();
            for index in from..from.saturating_add(SWEEP).min(end) {
                if state.slab.get(index).is_some_and(|series| self.is_over(series.seen, now)) {
                    state.remove(index);
                }
            }
        }
        self.state().tidy(|seen| self.is_over(seen, now));
    }

    pub(super) fn show(&self, sink: &mut Sink) {
        let exporter = [("exporter", self.exporter.as_str())];
        let state = self.state();
        sink.set(&own::PROMETHEUS_SERIES, &exporter, state.slab.len() as u64);
        sink.set(&own::PROMETHEUS_SERIES_LIMIT, &exporter, self.rules.max_series as u64);
        sink.set(&own::PROMETHEUS_SERIES_BYTES, &exporter, state.bytes() as u64);
        let metrics =
            state.families.values().map(|family| (family.members.len(), cut(&family.name, LONGEST_NAME).to_owned()));
        let pods = state.sources.values().map(|source| (source.series.load(Relaxed) as usize, source.name.clone()));
        let (metrics, pods) = (largest(metrics), largest(pods));
        drop(state);
        for (series, metric) in metrics {
            sink.set(&own::PROMETHEUS_METRIC_SERIES, &[exporter[0], ("metric", &metric)], series as u64);
        }
        for (series, pod) in pods {
            sink.set(&own::PROMETHEUS_POD_SERIES, &[exporter[0], ("pod", &pod)], series as u64);
        }
        self.reports.show(sink);
    }
}

/// The largest of them.
fn largest(all: impl Iterator<Item = (usize, String)>) -> Vec<(usize, String)> {
    let mut all: Vec<_> = all.filter(|(size, _)| *size > 0).collect();
    all.sort_unstable_by(|a, b| b.cmp(a));
    all.truncate(MOST_SHOWN);
    all
}

impl State {
    pub(super) fn next_id(&mut self) -> u32 {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// Bytes of all this, with the places that are kept for series to come.
    pub(super) fn bytes_held(&self) -> usize {
        self.bytes() + self.slab.idle_bytes()
    }

    /// Bytes of all this.
    pub(super) fn bytes(&self) -> usize {
        self.own_bytes + KEY_SIZE * (self.by_labels.len() + self.by_bytes.len() + self.streams.len())
    }

    /// Whether there is room for this much more.
    pub(super) fn has_room(&self, rules: &Rules, bytes: usize) -> bool {
        self.bytes().saturating_add(bytes) <= rules.max_bytes
    }

    /// Whether there is room for a key that only saves time.
    pub(super) fn has_room_for_key<V>(&self, rules: &Rules, of: &ByKey<V>) -> bool {
        of.len() < MOST_KEYS * rules.max_series && self.has_room(rules, KEY_SIZE)
    }

    /// Puts a series into its family.
    pub(super) fn insert(&mut self, mut series: Series) -> Place {
        self.own_bytes += size_of_series(&series);
        self.births = self.births.wrapping_add(1);
        series.born = self.births;
        series.base.source.series.fetch_add(1, Relaxed);
        let family = series.family;
        let members = self.families.get(&family).map_or(0, |family| family.members.len());
        series.member = u32::try_from(members).unwrap_or(u32::MAX);
        let place = self.slab.insert(series);
        if let Some(family) = self.families.get_mut(&family) {
            family.members.push(place.index);
        }
        place
    }

    /// Takes a series out. Its keys lead nowhere from now on and go at the next tidying.
    pub(super) fn remove(&mut self, index: u32) {
        let Some(series) = self.slab.remove(index) else { return };
        self.own_bytes = self.own_bytes.saturating_sub(size_of_series(&series));
        series.base.source.series.fetch_sub(1, Relaxed);
        let Some(family) = self.families.get_mut(&series.family) else { return };
        let at = series.member as usize;
        if at < family.members.len() {
            family.members.swap_remove(at);
        }
        let moved = family.members.get(at).copied();
        if let Some(moved) = moved.and_then(|moved| self.slab.get_mut(moved)) {
            moved.member = series.member;
        }
    }

    /// Removes what leads nowhere, and families, scopes and resources without series.
    fn tidy(&mut self, is_over: impl Fn(u32) -> bool) {
        let State { slab, by_labels, by_bytes, families, names, streams, bases, sources, own_bytes: bytes, .. } = self;
        by_labels.retain(|place| slab.holds(*place));
        by_bytes.retain(|place| slab.holds(*place));
        // Most are of senders that have gone, whose series others go on writing. What is still needed comes again.
        if by_bytes.len() > MOST_KEYS * slab.len() + FEW_KEYS {
            by_bytes.clear();
        }
        families.retain(|_, family| {
            let stays = !family.members.is_empty();
            if !stays {
                *bytes = bytes.saturating_sub(family.size());
            }
            stays
        });
        names.retain(|_, id| families.contains_key(id));
        bases.retain(|base| {
            let stays = Arc::strong_count(base) > 1 || !is_over(base.source.seen.load(Relaxed));
            if !stays {
                *bytes = bytes.saturating_sub(base.size());
            }
            stays
        });
        sources.retain(|source| {
            let stays = Arc::strong_count(source) > 1 || !is_over(source.seen.load(Relaxed));
            if !stays {
                *bytes = bytes.saturating_sub(source.size());
            }
            stays
        });
        slab.give_back();
        let there: HashSet<u32> = bases.values().map(|base| base.id).collect();
        streams.retain(|Belonging { family, base }| {
            there.contains(base) && family.is_ok_and(|id| families.contains_key(&id))
        });
    }

    /// What a base is called in reports.
    pub(super) fn writer(&self, id: u32) -> String {
        let base = self.bases.values().find(|base| base.id == id);
        base.map_or_else(|| "gone".to_owned(), |base| base.source.name.clone())
    }
}

/// Bytes of a series but its keys.
pub(super) fn size_of_series(series: &Series) -> usize {
    let exemplars = series.exemplars.as_ref().map_or(0, |exemplars| 16 + size_of_val(&**exemplars));
    SLOT_SIZE + series.own.size() + series.value.size() + exemplars + 4
}
