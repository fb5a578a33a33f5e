use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::generate::Random;
use tokio::time::{Instant, sleep};

use crate::pipeline::testing::numbers;
use crate::pipeline::{Deliver, Fault, Outcome, Parcel};

/// What does not change within a story.
#[derive(Debug)]
pub(super) struct Settings {
    /// What stands under `sending_queue` and `retry_on_failure`.
    pub(super) queue: String,
    pub(super) retry: String,
    /// The batch processor, if there is one.
    pub(super) batch: Option<String>,
    pub(super) exporters: Vec<&'static str>,
    pub(super) budget: usize,
    /// Every answer waits for the disk, so that a power failure takes nothing.
    pub(super) durable: bool,
    pub(super) max_bytes: u64,
    /// The backend refuses for good, too.
    pub(super) harsh: bool,
    /// `max_elapsed_time` is short.
    pub(super) gives_up: bool,
}

/// How an attempt goes.
#[derive(Debug, Clone)]
enum Mood {
    Takes(u64),
    TakesButTheAnswerIsLost,
    TakesAndStalls,
    Stalls,
    Resets,
    Throttles(u64),
    Partly,
    Refuses(Fault),
    TakesAtMost(usize),
    RefusesSome(u64),
}

/// Counts of one story, or of many.
#[derive(Debug, Default, Clone)]
pub(super) struct Figures {
    pub(super) stories: u64,
    pub(super) offered: u64,
    pub(super) acknowledged: u64,
    pub(super) arrived: u64,
    pub(super) twice: u64,
    pub(super) crashes: u64,
    pub(super) stops: u64,
    pub(super) refused_offers: u64,
    pub(super) replayed: u64,
    pub(super) attempts: u64,
    /// Acknowledged items that an exporter without a journal lost in a crash, as the books said.
    pub(super) lost_without_journal: u64,
}

/// Everything that is known, over all lives. Clones are the same world.
#[derive(Clone)]
pub(super) struct World(Arc<Mutex<State>>);

struct State {
    random: Random,
    log: Vec<String>,
    figures: Figures,
    /// How often each item was offered.
    offers: Vec<u64>,
    acknowledged: BTreeSet<u64>,
    exporters: BTreeMap<&'static str, Exporter>,
}

#[derive(Default)]
struct Exporter {
    mood: Option<(Mood, Instant)>,
    arrived: BTreeMap<u64, u64>,
    /// In a request that was refused for good, or that may be given up.
    excused: BTreeSet<u64>,
    /// Items that it took, and whose answer did not arrive.
    unanswered: u64,
    /// Items that were answered with success in this life.
    answered: u64,
    /// Items that the books say may be lost.
    may_be_lost: u64,
}

/// The way to the backend of one exporter.
#[derive(Clone)]
pub(super) struct Destination {
    world: World,
    name: &'static str,
    /// In the last life all is well.
    calm: bool,
    harsh: bool,
    gives_up: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let (offers, acknowledged) = (Vec::new(), BTreeSet::new());
        let (random, figures) = (Random::new(seed), Figures { stories: 1, ..Figures::default() });
        World(Arc::new(Mutex::new(State {
            random,
            log: Vec::new(),
            figures,
            offers,
            acknowledged,
            exporters: BTreeMap::new(),
        })))
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(super) fn below(&self, bound: usize) -> usize {
        self.with(|state| state.random.below(bound))
    }

    pub(super) fn once_in(&self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn milliseconds(&self, below: usize) -> Duration {
        Duration::from_millis(self.below(below) as u64)
    }

    pub(super) fn tell(&self, line: String) {
        self.with(|state| state.log.push(line));
    }

    pub(super) fn count(&self, count: impl FnOnce(&mut Figures)) {
        self.with(|state| count(&mut state.figures));
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.with(|state| state.log.clone())
    }

    /// New items.
    pub(super) fn items(&self, items: usize) -> std::ops::Range<u64> {
        self.with(|state| {
            let first = state.offers.len() as u64;
            state.offers.resize(state.offers.len() + items, 0);
            first..first + items as u64
        })
    }

    pub(super) fn offered(&self, items: std::ops::Range<u64>) {
        self.with(|state| items.for_each(|item| state.offers[usize::try_from(item).unwrap()] += 1));
    }

    pub(super) fn acknowledged(&self, items: std::ops::Range<u64>) {
        self.with(|state| state.acknowledged.extend(items));
    }

    /// Items answered with success to an exporter since the last time that this was asked.
    pub(super) fn answered(&self, exporter: &'static str) -> u64 {
        self.with(|state| std::mem::take(&mut state.exporters.entry(exporter).or_default().answered))
    }

    /// The books of a life that is over say that an exporter may have lost so many.
    pub(super) fn may_be_lost(&self, exporter: &'static str, items: u64) {
        self.with(|state| state.exporters.entry(exporter).or_default().may_be_lost += items);
    }

    pub(super) fn destination(&self, name: &'static str, calm: bool, settings: &Settings) -> Destination {
        self.with(|state| state.exporters.entry(name).or_default().mood = None);
        let (harsh, gives_up) = (settings.harsh, settings.gives_up);
        Destination { world: self.clone(), name, calm, harsh, gives_up }
    }

    pub(super) fn figures(&self) -> Figures {
        self.with(|state| {
            let mut figures = state.figures.clone();
            (figures.offered, figures.acknowledged) = (state.offers.len() as u64, state.acknowledged.len() as u64);
            for exporter in state.exporters.values() {
                figures.arrived += exporter.arrived.len() as u64;
                figures.twice += exporter.arrived.values().map(|times| times - 1).sum::<u64>();
            }
            figures
        })
    }

    /// The end of the story: each exporter has what was acknowledged.
    pub(super) fn check(&self, settings: &Settings) {
        self.with(|state| {
            let offers: u64 = state.offers.iter().sum();
            let resent = offers - state.offers.iter().filter(|times| **times > 0).count() as u64;
            for name in &settings.exporters {
                let exporter = &state.exporters[name];
                let missing: Vec<u64> = state
                    .acknowledged
                    .iter()
                    .filter(|item| !exporter.arrived.contains_key(item) && !exporter.excused.contains(item))
                    .copied()
                    .collect();
                let may_be_lost = if *name == "kept" { 0 } else { exporter.may_be_lost };
                assert!(
                    missing.len() as u64 <= may_be_lost,
                    "{name}: of what was acknowledged {missing:?} is lost; {may_be_lost} may be"
                );
                state.figures.lost_without_journal += missing.len() as u64;
                let invented = exporter
                    .arrived
                    .keys()
                    .find(|item| state.offers.get(**item as usize).is_none_or(|times| *times == 0));
                assert_eq!(invented, None, "{name}: nobody offered it");
                let twice: u64 = exporter.arrived.values().map(|times| times - 1).sum();
                let bound = resent + exporter.unanswered + state.figures.replayed;
                assert!(twice <= bound, "{name}: {twice} came more than once, {bound} at most can be explained");
            }
        });
    }
}

impl Destination {
    fn mood(&self, state: &mut State) -> Mood {
        let State { random, exporters, log, .. } = state;
        let exporter = exporters.entry(self.name).or_default();
        if self.calm {
            return Mood::Takes(random.below(5) as u64);
        }
        let now = Instant::now();
        if let Some((mood, until)) = &exporter.mood
            && *until > now
        {
            return mood.clone();
        }
        let mood = match random.below(if self.harsh { 14 } else { 9 }) {
            0..=2 => Mood::Takes(random.below(60) as u64),
            3 => Mood::TakesButTheAnswerIsLost,
            4 => Mood::TakesAndStalls,
            5 => Mood::Stalls,
            6 => Mood::Resets,
            7 => Mood::Throttles(random.below(200) as u64),
            8 => Mood::TakesAtMost(1 + random.below(10)),
            9 => Mood::Partly,
            10 => Mood::Refuses(Fault::Data),
            11 => Mood::Refuses(Fault::Elsewhere),
            _ => Mood::RefusesSome(2 + random.below(30) as u64),
        };
        log.push(format!("  {} {mood:?}", self.name));
        exporter.mood = Some((mood.clone(), now + Duration::from_millis(10 + random.below(250) as u64)));
        mood
    }

    fn with<T>(&self, look: impl FnOnce(&mut Exporter) -> T) -> T {
        self.world.with(|state| look(state.exporters.entry(self.name).or_default()))
    }

    /// The backend has them from now on.
    fn take(&self, items: &[u64]) {
        self.with(|exporter| items.iter().for_each(|item| *exporter.arrived.entry(*item).or_default() += 1));
    }

    fn unanswered(&self, items: &[u64]) {
        self.with(|exporter| exporter.unanswered += items.len() as u64);
    }

    fn excuse(&self, items: &[u64]) {
        self.with(|exporter| exporter.excused.extend(items));
    }

    fn refuse(&self, items: &[u64], fault: Fault) -> Outcome {
        if fault != Fault::Size {
            self.excuse(items);
        }
        Outcome::Refused { error: "no".to_owned(), fault }
    }
}

impl Deliver for Destination {
    async fn deliver(&self, parcel: Parcel<'_>) -> Outcome {
        let items = numbers(parcel.body);
        assert_eq!(items.len(), parcel.items, "the count goes with the body");
        let mood = self.world.with(|state| {
            state.figures.attempts += 1;
            self.mood(state)
        });
        if self.gives_up && !matches!(mood, Mood::Takes(_)) {
            self.excuse(&items);
        }
        let again = |after| Outcome::Retry { error: "not now".to_owned(), after };
        match mood {
            Mood::Resets => again(None),
            Mood::Throttles(after) => again(Some(Duration::from_millis(after))),
            Mood::Stalls => pending().await,
            Mood::TakesButTheAnswerIsLost => {
                self.take(&items);
                self.unanswered(&items);
                again(None)
            }
            Mood::TakesAndStalls => {
                self.take(&items);
                self.unanswered(&items);
                pending().await
            }
            Mood::Refuses(fault) => self.refuse(&items, fault),
            Mood::TakesAtMost(most) if items.len() > most => self.refuse(&items, Fault::Size),
            Mood::RefusesSome(every) if items.iter().any(|item| item % every == 0) => self.refuse(&items, Fault::Data),
            Mood::Partly => {
                let rejected = items.len() / 2;
                self.take(&items);
                self.with(|exporter| exporter.answered += (items.len() - rejected) as u64);
                Outcome::Partial { rejected, message: String::new() }
            }
            Mood::Takes(delay) => {
                if self.gives_up {
                    // It may be too late, or the last attempt.
                    self.excuse(&items);
                }
                sleep(Duration::from_millis(delay)).await;
                self.take(&items);
                self.with(|exporter| exporter.answered += items.len() as u64);
                Outcome::Sent
            }
            Mood::TakesAtMost(_) | Mood::RefusesSome(_) => {
                self.take(&items);
                self.with(|exporter| exporter.answered += items.len() as u64);
                Outcome::Sent
            }
        }
    }
}

impl Settings {
    pub(super) fn draw(world: &World) -> Settings {
        let gives_up = world.once_in(4);
        let queue_batch = match world.below(3) {
            0 => ", batch: {flush_timeout: 15ms, min_size: 10, max_size: 40}",
            1 => ", batch: {flush_timeout: 15ms, min_size: 10}",
            _ => "",
        };
        let sizer = ["requests", "items", "bytes"][world.below(3)];
        let size = match sizer {
            "requests" => 1 + world.below(20),
            "items" => 40 + world.below(200),
            _ => 2000 + world.below(10_000),
        };
        let (consumers, blocks) = (1 + world.below(4), world.once_in(3));
        Settings {
            queue: format!(
                "{{num_consumers: {consumers}, queue_size: {size}, sizer: {sizer}, block_on_overflow: {blocks}{queue_batch}}}"
            ),
            retry: format!(
                "{{initial_interval: 10ms, randomization_factor: 0, max_interval: 60ms, max_elapsed_time: {}}}",
                if gives_up { "200ms" } else { "0s" }
            ),
            batch: (!world.once_in(3)).then(|| {
                let (timeout, size) = (5 + world.below(60), 5 + world.below(40));
                let most = if world.once_in(2) {
                    format!(", send_batch_max_size: {}", size + world.below(20))
                } else {
                    String::new()
                };
                format!("{{timeout: {timeout}ms, send_batch_size: {size}{most}}}")
            }),
            exporters: if world.once_in(2) { vec!["kept", "loose"] } else { vec!["kept"] },
            budget: [6_000, 20_000, 1 << 20][world.below(3)],
            durable: world.once_in(2),
            max_bytes: [200 << 10, 400 << 10][world.below(2)],
            harsh: world.once_in(2),
            gives_up,
        }
    }
}

impl Figures {
    pub(super) fn add(&mut self, other: &Figures) {
        self.stories += other.stories;
        self.offered += other.offered;
        self.acknowledged += other.acknowledged;
        self.arrived += other.arrived;
        self.twice += other.twice;
        self.crashes += other.crashes;
        self.stops += other.stops;
        self.refused_offers += other.refused_offers;
        self.replayed += other.replayed;
        self.attempts += other.attempts;
        self.lost_without_journal += other.lost_without_journal;
    }
}
