use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::prelude::*;
use wire::Signal;

use super::super::format;
use super::super::record::{Destination, Record};
use super::super::recovery::Report;
use super::super::store::{Limits, Refused, Store};
use super::sim::Sim;

/// Small enough that segments come and go.
const LIMITS: Limits = Limits { most: 24 << 10, segment: 2 << 10 };

fn destination(number: usize) -> Destination {
    Destination { pipeline: "logs".to_owned(), exporter: format!("otlp/{number}") }
}

/// A record that says who it is.
fn record(name: u64, destinations: usize, bytes: usize) -> Record {
    let mut body = name.to_le_bytes().to_vec();
    body.extend((0..bytes).map(|at| u8::try_from((at as u64 ^ name) & 0xFF).unwrap()));
    Record {
        signal: Signal::Logs,
        items: name + 1,
        peer: Some("10.1.2.3:4567".parse().unwrap()),
        metadata: vec![("x-scope".to_owned(), vec!["a".to_owned(), String::new()])],
        destinations: (0..destinations).map(destination).collect(),
        body: Bytes::from(body),
    }
}

fn name(record: &Record) -> u64 {
    u64::from_le_bytes(record.body[..8].try_into().unwrap())
}

/// By name: sequence, pending destinations, and the record.
type Records = BTreeMap<u64, (u64, u64, Record)>;

/// Opens, and reads everything that is not done.
fn open(disk: &Sim) -> (Store<Sim>, Report, Records) {
    let mut found = Vec::new();
    let (mut store, report) =
        Store::open(disk.clone(), LIMITS, true, 1000, |sequence, pending, _| found.push((sequence, pending))).unwrap();
    let mut records = BTreeMap::new();
    for (sequence, pending) in found {
        let record = store.read(sequence).unwrap();
        assert!(records.insert(name(&record), (sequence, pending, record)).is_none(), "a record is there once");
    }
    (store, report, records)
}

#[derive(Debug, Clone)]
enum Step {
    Append {
        destinations: usize,
        bytes: usize,
    },
    Commit,
    /// Of one of the records that are known, a destination answers.
    Finish {
        which: usize,
        destination: u16,
    },
    /// All of the oldest answer.
    FinishOldest {
        many: usize,
    },
    /// All but the oldest answer, so that it is written again sooner or later.
    FinishAllButOldest {
        many: usize,
    },
    DiskFull {
        after: usize,
    },
    DiskDies,
    DiskIsBack,
    Kill,
    PowerFailure {
        seed: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (1_usize..4, 0_usize..1500).prop_map(|(destinations, bytes)| Step::Append { destinations, bytes }),
        5 => Just(Step::Commit),
        5 => (0_usize..64, 0_u16..4).prop_map(|(which, destination)| Step::Finish { which, destination }),
        2 => (1_usize..6).prop_map(|many| Step::FinishOldest { many }),
        1 => (0_usize..3000).prop_map(|after| Step::DiskFull { after }),
        1 => Just(Step::DiskDies),
        2 => Just(Step::DiskIsBack),
        1 => Just(Step::Kill),
        1 => any::<u64>().prop_map(|seed| Step::PowerFailure { seed }),
    ]
}

/// One step, or much that comes and goes behind what waits.
fn steps() -> impl Strategy<Value = Vec<Step>> {
    let traffic = (1_usize..30, 0_usize..1500, 1_usize..4).prop_map(|(rounds, bytes, many)| {
        let append = || Step::Append { destinations: 1, bytes };
        let round = || [append(), Step::Commit, Step::FinishAllButOldest { many }];
        (0..rounds).flat_map(|_| round()).chain([append()]).collect()
    });
    prop_oneof![9 => step().prop_map(|step| vec![step]), 1 => traffic]
}

/// What must be there.
#[derive(Default)]
struct Model {
    next: u64,
    offered: BTreeMap<u64, Record>,
    /// In the store, acknowledged or not: name to sequence.
    present: BTreeMap<u64, u64>,
    /// Appended since the last commit.
    open: Vec<u64>,
    /// Acknowledged, with the destinations that have not answered.
    acknowledged: BTreeMap<u64, u64>,
}

impl Model {
    fn commit(&mut self, result: &Result<(), Refused>) {
        for name in std::mem::take(&mut self.open) {
            if result.is_ok() {
                let all = (1 << self.offered[&name].destinations.len()) - 1;
                self.acknowledged.insert(name, all);
            } else {
                self.present.remove(&name);
            }
        }
    }

    fn finish(&mut self, store: &mut Store<Sim>, name: u64, destination: u16) {
        // What is not committed is on its way to nobody.
        let Some(sequence) = self.present.get(&name).filter(|_| !self.open.contains(&name)) else { return };
        store.finish(*sequence, destination);
        let Some(pending) = self.acknowledged.get_mut(&name) else { return };
        *pending &= !(1 << destination);
        if *pending == 0 {
            self.acknowledged.remove(&name);
        }
    }

    /// Everything that was acknowledged and not done is there, and nothing that nobody offered. What else is there (offered,
    /// and not acknowledged) may be there the next time or not.
    fn check(&mut self, found: Records) {
        for (name, pending) in &self.acknowledged {
            let there = found.get(name).unwrap_or_else(|| panic!("the acknowledged record {name} is lost"));
            assert_eq!(there.1 & pending, *pending, "a destination of record {name} is forgotten");
        }
        self.present.clear();
        self.open.clear();
        for (name, (sequence, pending, record)) in found {
            assert_eq!(Some(&record), self.offered.get(&name), "record {name} is another than was offered");
            assert!(pending < 1 << record.destinations.len() && pending != 0);
            self.present.insert(name, sequence);
        }
    }
}

fn bytes_on(disk: &Sim) -> u64 {
    disk.0.borrow().files.values().map(|file| file.bytes.len() as u64).sum()
}

fn run(steps: Vec<Step>) {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    let mut model = Model::default();
    let mut allowed = LIMITS.most;
    for step in steps {
        match step {
            Step::Append { destinations, bytes } => {
                let offered = record(model.next, destinations, bytes);
                model.offered.insert(model.next, offered.clone());
                if let Ok(sequence) = store.append(&offered) {
                    model.present.insert(model.next, sequence);
                    model.open.push(model.next);
                }
                model.next += 1;
            }
            Step::Commit => {
                let result = store.commit(true);
                model.commit(&result);
            }
            Step::Finish { which, destination } => {
                let name = model.acknowledged.keys().nth(which % model.acknowledged.len().max(1)).copied();
                if let Some(name) = name {
                    let all = model.offered[&name].destinations.len();
                    model.finish(&mut store, name, destination % u16::try_from(all).unwrap());
                }
            }
            Step::FinishOldest { many } => {
                for name in model.present.keys().take(many).copied().collect::<Vec<_>>() {
                    (0..4).for_each(|destination| model.finish(&mut store, name, destination));
                }
            }
            Step::FinishAllButOldest { many } => {
                for name in model.present.keys().skip(many).copied().collect::<Vec<_>>() {
                    (0..4).for_each(|destination| model.finish(&mut store, name, destination));
                }
            }
            Step::DiskFull { after } => disk.0.borrow_mut().room = Some(after),
            Step::DiskDies => disk.0.borrow_mut().dead = true,
            Step::DiskIsBack => {
                let mut state = disk.0.borrow_mut();
                (state.room, state.dead) = (None, false);
            }
            Step::Kill => {
                disk.killed();
                let (reopened, _, found) = open(&disk);
                store = reopened;
                model.check(found);
            }
            Step::PowerFailure { mut seed } => {
                disk.power_failure(|below| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    usize::try_from(seed >> 33).unwrap() % below.max(1)
                });
                let (reopened, _, found) = open(&disk);
                store = reopened;
                model.check(found);
                allowed = LIMITS.most.max(bytes_on(&disk) + LIMITS.segment);
            }
        }
        let bytes = bytes_on(&disk);
        // Files that come back with a power failure take room until they are done, and writing one of them again takes more.
        allowed = if bytes <= LIMITS.most / 2 { LIMITS.most } else { allowed };
        assert!(bytes <= allowed, "{bytes} bytes on disk, {allowed} are allowed");
    }
    disk.killed();
    model.check(open(&disk).2);
}

proptest! {
    #[test]
    fn nothing_acknowledged_is_lost_and_nothing_is_invented_whatever_fails(
        steps in prop::collection::vec(steps(), 1..120)
    ) {
        run(steps.concat());
    }

    #[test]
    fn a_damaged_byte_costs_the_entry_that_it_is_in(at in 0_usize..6000, flip in 1_u8..=255) {
        let disk = Sim::default();
        let (mut store, _, _) = open(&disk);
        for name in 0..8 {
            store.append(&record(name, 1, 400)).unwrap();
        }
        store.commit(true).unwrap();
        drop(store);
        let mut damaged_file = None;
        let mut rest = at;
        for (id, file) in &mut disk.0.borrow_mut().files {
            if rest < file.bytes.len() {
                file.bytes[rest] ^= flip;
                damaged_file = Some((*id, rest));
                break;
            }
            rest -= file.bytes.len();
        }
        let (_, report, found) = open(&disk);
        let Some((id, at)) = damaged_file else { return Ok(()) };
        let lost = 8 - found.len();
        if at < format::SEGMENT_HEAD {
            // The reserved bytes at the end of the head are not looked at.
            prop_assert!(report.set_aside == [id] || (at >= 28 && lost == 0));
        } else {
            prop_assert_eq!(lost, 1);
            prop_assert!(report.cut + report.skipped > 0);
        }
        for (_, (_, _, read)) in found {
            prop_assert_eq!(&read, &record(name(&read), 1, 400));
        }
    }

    #[test]
    fn a_journal_cut_anywhere_has_the_records_before_the_cut(at in 0_usize..4000) {
        let disk = Sim::default();
        let (mut store, _, _) = open(&disk);
        let mut ends = vec![];
        for name in 0..6 {
            store.append(&record(name, 2, 100)).unwrap();
            store.commit(true).unwrap();
            ends.push(disk.0.borrow().files.values().map(|file| file.bytes.len()).sum::<usize>());
        }
        drop(store);
        prop_assert_eq!(disk.0.borrow().files.len(), 1);
        disk.0.borrow_mut().files.values_mut().for_each(|file| file.bytes.truncate(at));
        let (_, report, found) = open(&disk);
        prop_assert_eq!(found.len(), ends.iter().filter(|end| **end <= at).count());
        let (_, again, same) = open(&disk);
        prop_assert_eq!(again, Report::default(), "what was cut once is not reported again: {:?}", report);
        prop_assert_eq!(same.len(), found.len());
    }
}

#[test]
fn what_is_done_is_known_after_the_process_was_killed() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    let sequences: Vec<u64> = (0..5).map(|name| store.append(&record(name, 2, 10)).unwrap()).collect();
    store.commit(false).unwrap();
    assert!(store.finish(sequences[1], 0) && store.finish(sequences[2], 0) && store.finish(sequences[2], 1));
    assert!(
        !store.finish(sequences[2], 1) && !store.finish(sequences[0], 7),
        "only once, and only those that there are"
    );
    store.commit(false).unwrap();
    disk.killed();
    let (_, report, found) = open(&disk);
    assert_eq!(report, Report::default());
    let pending: Vec<(u64, u64)> = found.iter().map(|(name, (_, pending, _))| (*name, *pending)).collect();
    assert_eq!(pending, [(0, 0b11), (1, 0b10), (3, 0b11), (4, 0b11)]);
}

#[test]
fn segments_go_when_everything_in_them_is_done() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    for name in 0..200 {
        let sequence = store.append(&record(name, 1, 1000)).unwrap();
        store.commit(true).unwrap();
        store.finish(sequence, 0);
        store.commit(true).unwrap();
        assert!(disk.0.borrow().files.len() <= 2, "{:?}", disk.0.borrow().files.keys());
    }
    store.tidy();
    assert!(disk.0.borrow().files.is_empty());
}

#[test]
fn one_record_that_waits_does_not_fill_the_disk_with_what_is_done() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    store.append(&record(7000, 2, 100)).unwrap();
    store.commit(true).unwrap();
    for name in 0..500 {
        let sequence = store.append(&record(name, 1, 1000)).unwrap();
        store.commit(true).unwrap();
        store.finish(sequence, 0);
    }
    store.commit(true).unwrap();
    disk.killed();
    let (_, _, found) = open(&disk);
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [7000]);
}

#[test]
fn everything_that_waits_in_a_segment_is_kept_when_the_segment_is_written_again() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    let names = 7000..7006_u64;
    let waiting: Vec<u64> = names.clone().map(|name| store.append(&record(name, 2, 100)).unwrap()).collect();
    waiting.iter().zip(0..).for_each(|(sequence, at)| assert!(store.finish(*sequence, at % 2)));
    store.commit(true).unwrap();
    let first = *disk.0.borrow().files.keys().next().unwrap();
    for name in 0..500 {
        let sequence = store.append(&record(name, 1, 1000)).unwrap();
        store.commit(true).unwrap();
        store.finish(sequence, 0);
    }
    store.commit(true).unwrap();
    assert!(!disk.0.borrow().files.contains_key(&first), "the segment that they came in is gone");
    disk.killed();
    let (_, _, found) = open(&disk);
    let pending: Vec<(u64, u64)> = found.iter().map(|(name, (_, pending, _))| (*name, *pending)).collect();
    let expected: Vec<(u64, u64)> = names.zip([0b10, 0b01].into_iter().cycle()).collect();
    assert_eq!(pending, expected);
}

#[test]
fn what_was_written_again_is_there_also_when_the_group_that_it_was_written_with_fails() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    store.append(&record(7000, 1, 100)).unwrap();
    store.commit(true).unwrap();
    let first = *disk.0.borrow().files.keys().next().unwrap();
    for name in 0.. {
        let sequence = store.append(&record(name, 1, 600)).unwrap();
        if !disk.0.borrow().files.contains_key(&first) {
            break;
        }
        store.commit(true).unwrap();
        store.finish(sequence, 0);
    }
    disk.0.borrow_mut().room = Some(0);
    store.commit(true).unwrap_err();
    disk.killed();
    let (_, _, found) = open(&disk);
    assert!(found.contains_key(&7000), "{:?}", found.keys());
}

#[test]
fn files_that_somebody_removed_take_no_room() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    store.append(&record(7000, 1, 100)).unwrap();
    let under_way: Vec<u64> = (0..10).map(|name| store.append(&record(name, 1, 1000)).unwrap()).collect();
    store.commit(true).unwrap();
    disk.0.borrow_mut().files.clear();
    under_way.into_iter().for_each(|sequence| assert!(store.finish(sequence, 0)));
    let mut taken = 0;
    for name in 10..510 {
        // Those with which the removed file is noticed are refused.
        if let Ok(sequence) = store.append(&record(name, 1, 1000))
            && store.commit(true).is_ok()
        {
            store.finish(sequence, 0);
            taken += 1;
        }
        let _ = store.commit(true);
    }
    assert!(taken >= 498, "{taken}");
    assert!(disk.0.borrow().files.len() <= 14, "{:?}", disk.0.borrow().files.keys());
}

#[test]
fn a_file_whose_name_may_not_stay_is_removed_again() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    disk.0.borrow_mut().keeps_no_names = true;
    for name in 0..10 {
        assert!(store.append(&record(name, 1, 100)).and_then(|_| store.commit(true)).is_err());
    }
    assert_eq!(disk.0.borrow().files.len(), 0);
    disk.0.borrow_mut().keeps_no_names = false;
    let _ = store.commit(true);
    store.append(&record(10, 1, 100)).unwrap();
    store.commit(true).unwrap();
    assert_eq!(disk.0.borrow().files.len(), 1);
}

#[test]
fn a_full_journal_refuses_and_takes_again_when_something_is_done() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    let mut taken = Vec::new();
    let refused = loop {
        match store.append(&record(taken.len() as u64, 1, 1000)) {
            Ok(sequence) => taken.push(sequence),
            Err(refused) => break refused,
        }
    };
    store.commit(true).unwrap();
    assert_eq!((refused, taken.len() > 10), (Refused::Full, true));
    taken.drain(..4).for_each(|sequence| assert!(store.finish(sequence, 0)));
    store.commit(true).unwrap();
    store.append(&record(99, 1, 1000)).unwrap();
    store.commit(true).unwrap();
    let large = store.append(&record(100, 1, 50_000)).unwrap_err();
    assert!(matches!(large, Refused::TooLarge { .. }), "{large:?}");
}

#[test]
fn a_later_format_is_refused_and_left_alone() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    store.append(&record(0, 1, 10)).unwrap();
    store.commit(true).unwrap();
    let head = format::Head { version: 3, readable_by: 2, salt: 1, id: 5 }.encode();
    disk.0.borrow_mut().files.values_mut().for_each(|file| file.bytes[..head.len()].copy_from_slice(&head));
    let before = format!("{:?}", disk.0.borrow().files);
    let error = Store::open(disk.clone(), LIMITS, true, 1, |_, _, _| {}).unwrap_err().to_string();
    assert!(error.contains("format 3") && error.contains("another directory"), "{error}");
    assert_eq!(format!("{:?}", disk.0.borrow().files), before);
}

#[test]
fn what_the_next_version_may_add_is_passed_over() {
    let disk = Sim::default();
    let (mut store, _, _) = open(&disk);
    store.append(&record(0, 1, 10)).unwrap();
    store.commit(true).unwrap();
    drop(store);
    // A later version that this one can read: an entry of a kind, and a field of a record, that are unknown.
    let (id, salt) = {
        let mut state = disk.0.borrow_mut();
        let (id, file) = state.files.first_key_value().map(|(id, file)| (*id, file.bytes.clone())).unwrap();
        let salt = format::Head::decode(&file).unwrap().salt;
        let head = format::Head { version: 2, readable_by: 1, salt, id }.encode();
        let file = state.files.get_mut(&id).unwrap();
        file.bytes[..head.len()].copy_from_slice(&head);
        let mut unknown = format::entry_head(salt, format::Kind::Unknown, &[b"new"]).unwrap().to_vec();
        unknown.extend_from_slice(b"new");
        let known = record(1, 1, 10);
        let mut front = known.encode_front(2000, 1);
        front.extend_from_slice(&[200, 4, 0, 0, 0, 1, 2, 3, 4]);
        let length = u32::try_from(front.len() - 12).unwrap();
        front[8..12].copy_from_slice(&length.to_le_bytes());
        unknown.extend_from_slice(&format::entry_head(salt, format::Kind::Record, &[&front, &known.body]).unwrap());
        unknown.extend_from_slice(&front);
        unknown.extend_from_slice(&known.body);
        file.bytes.extend_from_slice(&unknown);
        (id, salt)
    };
    let (_, report, found) = open(&disk);
    assert_eq!((report, found.len()), (Report::default(), 2), "segment {id}, salt {salt}");
    assert_eq!(found[&1].2, record(1, 1, 10));
}
