//! What is on disk when a journal is opened: every segment is read once, and what cannot be read is left out with a report.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use super::disk::Disk;
use super::format::{self, BadHead, ENTRY_HEAD, Found, Head, Kind, SEGMENT_HEAD};
use super::record::Record;
use super::store::{Place, Segment};

/// What could not be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// Bytes that were cut off: the ends of segments that were not written whole.
    pub(super) cut: u64,
    /// Bytes in the middle that are damaged.
    pub(super) skipped: u64,
    /// Segments that are damaged from their first byte on.
    pub(super) set_aside: Vec<u64>,
}

/// What was found.
pub(super) struct Recovered {
    /// Oldest first.
    pub(super) segments: VecDeque<Segment>,
    /// What is not done, without bodies.
    pub(super) records: BTreeMap<u64, (Place, Record)>,
    /// Sequence and segment that were never used.
    pub(super) next: u64,
    pub(super) next_segment: u64,
    pub(super) report: Report,
}

/// Reads everything; `first` is the sequence to start from if nothing is there.
pub(super) fn read(disk: &mut impl Disk, first: u64) -> io::Result<Recovered> {
    let mut recovered = Recovered {
        segments: VecDeque::new(),
        records: BTreeMap::new(),
        next: first,
        next_segment: first,
        report: Report::default(),
    };
    for (id, _) in disk.list()? {
        let bytes = disk.read(id, 0, usize::MAX)?;
        recovered.next_segment = recovered.next_segment.max(id.saturating_add(1));
        match Head::decode(&bytes) {
            Ok(head) => recovered.segment(disk, head, id, &bytes),
            Err(BadHead::Newer(version)) => return Err(newer(version)),
            Err(BadHead::Damaged) if bytes.len() <= SEGMENT_HEAD => {
                // It was just being made.
                recovered.report.cut += bytes.len() as u64;
                disk.remove(id)?;
            }
            Err(BadHead::Damaged) => {
                recovered.report.skipped += bytes.len() as u64;
                recovered.report.set_aside.push(id);
                disk.set_aside(id)?;
            }
        }
    }
    recovered.records.retain(|_, (place, _)| place.pending != 0);
    Ok(recovered)
}

impl Recovered {
    fn segment(&mut self, disk: &mut impl Disk, head: Head, id: u64, bytes: &[u8]) {
        let mut segment = Segment { id, salt: head.salt, bytes: bytes.len() as u64, live: 0, live_bytes: 0 };
        for found in format::scan(head.salt, bytes) {
            match found {
                Found::Entry(Kind::Record, payload) => {
                    let at = (payload.start - ENTRY_HEAD) as u64;
                    self.record(id, at, &bytes[payload]);
                }
                Found::Entry(Kind::Done, payload) => self.marks(&bytes[payload]),
                Found::Entry(Kind::Unknown, _) => {}
                Found::Skipped(range) => self.report.skipped += range.len() as u64,
                Found::Cut(range) => {
                    self.report.cut += range.len() as u64;
                    if disk.truncate(id, range.start as u64).is_ok() {
                        segment.bytes = range.start as u64;
                    }
                }
            }
        }
        self.segments.push_back(segment);
    }

    fn record(&mut self, segment: u64, at: u64, payload: &[u8]) {
        let bytes = (payload.len() + ENTRY_HEAD) as u64;
        let Some((sequence, record, pending)) = Record::decode(payload, false) else {
            self.report.skipped += bytes;
            return;
        };
        self.next = self.next.max(sequence.saturating_add(1));
        // One that was written again is where it was written last.
        self.records.insert(sequence, (Place { segment, at, bytes, pending }, record));
    }

    fn marks(&mut self, payload: &[u8]) {
        for mark in format::decode_marks(payload) {
            self.next = self.next.max(mark.sequence.saturating_add(1));
            if let Some((place, _)) = self.records.get_mut(&mark.sequence) {
                place.pending &= !mark.bit();
            }
        }
    }
}

fn newer(version: u16) -> io::Error {
    let own = format::VERSION;
    let what = format!(
        "a later version of otel-agent has written it in format {version}, this one reads up to {own}; start that \
         version until everything is sent, or name another directory"
    );
    io::Error::new(io::ErrorKind::Unsupported, what)
}
