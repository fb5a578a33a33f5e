//! Any bytes as what a journal finds on its disk: it opens or says why not, what it reads back it can keep on working with,
//! and what it finds the second time is what it found the first.
#![no_main]
#![allow(dead_code, unreachable_pub, reason = "the files are taken whole; the target calls a part of them")]

#[path = "../../crates/agent/src/pipeline/journal/disk.rs"]
mod disk;
#[path = "../../crates/agent/src/pipeline/journal/format.rs"]
mod format;
#[path = "../../crates/agent/src/pipeline/journal/record.rs"]
mod record;
#[path = "../../crates/agent/src/pipeline/journal/recovery.rs"]
mod recovery;
#[path = "../../crates/agent/src/pipeline/journal/store.rs"]
mod store;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};

use disk::Disk;
use record::Record;
use store::{Limits, Store};

/// Segments in memory.
#[derive(Clone, Default)]
struct Memory(BTreeMap<u64, Vec<u8>>);

impl Disk for &mut Memory {
    fn list(&mut self) -> io::Result<BTreeMap<u64, u64>> {
        Ok(self.0.iter().map(|(id, bytes)| (*id, bytes.len() as u64)).collect())
    }
    fn create(&mut self, id: u64) -> io::Result<()> {
        assert!(self.0.insert(id, Vec::new()).is_none(), "a segment is made once");
        Ok(())
    }
    fn sync_names(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn append(&mut self, id: u64, parts: &[&[u8]]) -> io::Result<()> {
        self.0.get_mut(&id).ok_or(ErrorKind::NotFound)?.extend_from_slice(&parts.concat());
        Ok(())
    }
    fn truncate(&mut self, id: u64, length: u64) -> io::Result<()> {
        self.0.get_mut(&id).ok_or(ErrorKind::NotFound)?.truncate(length as usize);
        Ok(())
    }
    fn sync(&mut self, _: u64) -> io::Result<()> {
        Ok(())
    }
    fn read(&mut self, id: u64, from: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.0.get(&id).ok_or(ErrorKind::NotFound)?;
        let from = (from as usize).min(bytes.len());
        Ok(bytes[from..from.saturating_add(length).min(bytes.len())].to_vec())
    }
    fn remove(&mut self, id: u64) -> io::Result<()> {
        self.0.remove(&id);
        Ok(())
    }
    fn set_aside(&mut self, id: u64) -> io::Result<()> {
        self.0.remove(&id);
        Ok(())
    }
}

const LIMITS: Limits = Limits { most: 1 << 20, segment: 4096 };

type Found = BTreeMap<u64, (u64, Record)>;

fn open(memory: &mut Memory) -> Option<(Store<&mut Memory>, Found)> {
    let mut found = Found::new();
    let note = |sequence, pending, record| {
        found.insert(sequence, (pending, record));
    };
    let (mut store, _) = Store::open(memory, LIMITS, true, 1, note).ok()?;
    for (sequence, (pending, record)) in &mut found {
        assert!(*pending != 0);
        // Its head was read without the body; both must be there still.
        let whole = store.read(*sequence).expect("what was found can be read");
        assert_eq!((whole.signal, whole.items, &whole.destinations), (record.signal, record.items, &record.destinations));
        *record = whole;
    }
    Some((store, found))
}

/// Half of the bytes are entries with checksums that fit, so that what is inside is reached.
fn segments(data: &[u8]) -> Memory {
    let mut memory = Memory::default();
    for (id, text) in (1_u64..).zip(data.split(|byte| *byte == 0xFF)) {
        let Some((how, text)) = text.split_first() else { continue };
        let salt = u32::from(*how);
        let mut bytes = format::Head::new(id, salt).encode().to_vec();
        for part in text.split(|byte| *byte == 0xFE) {
            let Some((kind, payload)) = part.split_first() else { continue };
            let kind = match kind % 4 {
                0 => format::Kind::Record,
                1 => format::Kind::Done,
                2 => format::Kind::Unknown,
                _ => {
                    bytes.extend_from_slice(payload);
                    continue;
                }
            };
            bytes.extend_from_slice(&format::entry_head(salt, kind, &[payload]).expect("it is short"));
            bytes.extend_from_slice(payload);
        }
        if how & 1 == 0 {
            bytes.truncate(bytes.len() - usize::from(*how).min(bytes.len()) / 2);
        }
        memory.0.insert(id, bytes);
    }
    memory
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let raw = Memory(BTreeMap::from([(1, data.to_vec())]));
    for mut memory in [segments(data), raw] {
        let Some((store, first)) = open(&mut memory) else { continue };
        drop(store);
        let (mut store, second) = open(&mut memory).expect("it opened before");
        assert!(first == second, "what is found changes");
        for (sequence, (_, record)) in &second {
            // Work goes on with what is there: others come in, and these are done.
            if !record.destinations.is_empty() {
                let _ = store.append(record);
            }
            (0..64).for_each(|destination| {
                store.finish(*sequence, destination);
            });
        }
        let appended = second.values().filter(|(_, record)| !record.destinations.is_empty()).count();
        store.commit(true).expect("memory takes everything");
        drop(store);
        let (_, third) = open(&mut memory).expect("it opened before");
        assert!(third.len() == appended && third.keys().all(|sequence| !second.contains_key(sequence)));
    }
});
