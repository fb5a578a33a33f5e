//! The journal without threads and clocks: segments of records, and which destinations of each have not answered yet.
//!
//! Records are only ever added at the end of the newest segment, and segments only ever removed from the oldest on, so that
//! the mark of a record (which stands in the same segment or a later one) is there for as long as the record is. When what
//! is done takes more than half of the room that is needed, what is left of the oldest segment is written again at the end.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{BuildHasher as _, RandomState};
use std::io;

use super::disk::Disk;
use super::format::{self, ENTRY_HEAD, Head, Kind, MARK, Mark, SEGMENT_HEAD};
use super::record::Record;
use super::recovery::{self, Report};

/// How much a journal may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limits {
    /// Bytes on disk, of everything.
    pub(super) most: u64,
    /// Bytes of a segment, unless a single record is larger.
    pub(super) segment: u64,
}

/// Why a record was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// There is no room now.
    Full,
    /// There never will be.
    TooLarge { bytes: u64, most: u64 },
    /// The disk does not take it.
    Disk(String),
}

/// Segments on a disk.
#[derive(Debug)]
pub(super) struct Store<D> {
    disk: D,
    limits: Limits,
    /// What is written must survive a power failure sooner or later.
    durable: bool,
    /// Oldest first. The last one is written to, if `writing`.
    segments: VecDeque<Segment>,
    writing: bool,
    /// What is not done.
    records: BTreeMap<u64, Place>,
    next: u64,
    next_segment: u64,
    /// Destinations that have not answered, of all records.
    pending: u64,
    /// Marks that are not written yet, with the segment of their record.
    marks: Vec<(u64, Mark)>,
    /// What was appended and is not written yet.
    buffer: Vec<u8>,
    /// Records since the last commit.
    group: Vec<u64>,
    /// The segment that was written to at the last commit, and up to where it was good then.
    good: Option<(u64, u64)>,
    failed: Option<Refused>,
}

/// One file.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) id: u64,
    pub(super) salt: u32,
    pub(super) bytes: u64,
    /// Records that are not done, and their bytes.
    pub(super) live: u64,
    pub(super) live_bytes: u64,
}

/// Where a record is, and a bit for each destination that has not answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) segment: u64,
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) pending: u64,
}

/// Up to this size a record is copied together with others before it is written.
const COPIED: usize = 64 << 10;
/// So much is written at once.
const BUFFER: usize = 256 << 10;
/// Kept free for marks beside those that are already expected.
const SPARE: u64 = 4096;

impl<D: Disk> Store<D> {
    /// Reads what is there. `first` is the sequence to start from if nothing is; `found` is called with each record that is
    /// not done: its sequence, its pending destinations, and the record without its body.
    ///
    /// # Errors
    /// The disk cannot be read, or a later version wrote something that this one does not know.
    pub(super) fn open(
        mut disk: D,
        limits: Limits,
        durable: bool,
        first: u64,
        mut found: impl FnMut(u64, u64, Record),
    ) -> io::Result<(Store<D>, Report)> {
        let recovered = recovery::read(&mut disk, first)?;
        let mut store = Store {
            disk,
            limits,
            durable,
            segments: recovered.segments,
            writing: false,
            records: BTreeMap::new(),
            next: recovered.next,
            next_segment: recovered.next_segment,
            pending: 0,
            marks: Vec::new(),
            buffer: Vec::new(),
            group: Vec::new(),
            good: None,
            failed: None,
        };
        for (sequence, (place, record)) in recovered.records {
            store.insert(sequence, place);
            found(sequence, place.pending, record);
        }
        store.drop_done_segments();
        Ok((store, recovered.report))
    }

    /// Adds a record; it is there after the next [`Store::commit`]. Returns its sequence.
    ///
    /// # Errors
    /// There is no room, or the disk does not take it. After an error of the disk nothing is taken until the commit.
    pub(super) fn append(&mut self, record: &Record) -> Result<u64, Refused> {
        if let Some(failed) = &self.failed {
            return Err(failed.clone());
        }
        let sequence = self.next;
        let pending = every(record.destinations.len());
        let front = record.encode_front(sequence, pending);
        self.room_for((ENTRY_HEAD + front.len() + record.body.len()) as u64)?;
        let written = self.write(Kind::Record, &[&front, &record.body]);
        let (segment, at, bytes) = written.map_err(|error| self.fail(&error))?;
        self.next += 1;
        self.insert(sequence, Place { segment, at, bytes, pending });
        self.group.push(sequence);
        Ok(sequence)
    }

    /// Writes what was appended since the last time, and the marks; with `sync` so that it survives a power failure.
    ///
    /// # Errors
    /// The disk does not take it: none of these records is kept.
    pub(super) fn commit(&mut self, sync: bool) -> Result<(), Refused> {
        let result = match self.failed.take() {
            Some(failed) => Err(failed),
            None => self.flush(sync).map_err(|error| Refused::Disk(error.to_string())),
        };
        if result.is_err() {
            self.roll_back();
        }
        self.group.clear();
        self.set_good();
        self.drop_done_segments();
        result
    }

    /// A destination of a record has answered for good. Returns false if that was known.
    pub(super) fn finish(&mut self, sequence: u64, destination: u16) -> bool {
        let mark = Mark { sequence, destination };
        let Some(place) = self.records.get_mut(&sequence).filter(|place| place.pending & mark.bit() != 0) else {
            return false;
        };
        place.pending &= !mark.bit();
        let place = *place;
        self.pending -= 1;
        self.marks.push((place.segment, mark));
        if place.pending == 0 {
            self.records.remove(&sequence);
            self.leave(place);
        }
        true
    }

    /// The destinations of a record that have not answered, a bit each; 0 if there is no such record.
    pub(super) fn pending_of(&self, sequence: u64) -> u64 {
        self.records.get(&sequence).map_or(0, |place| place.pending)
    }

    /// How many bytes a record takes.
    pub(super) fn bytes_of(&self, sequence: u64) -> Option<u64> {
        self.records.get(&sequence).map(|place| place.bytes)
    }

    /// Reads a record that is not done.
    ///
    /// # Errors
    /// It cannot be read, or is not what was written.
    pub(super) fn read(&mut self, sequence: u64) -> io::Result<Record> {
        let gone = || io::Error::new(io::ErrorKind::NotFound, "there is no such record");
        let place = *self.records.get(&sequence).ok_or_else(gone)?;
        let salt = self.segment_mut(place.segment).ok_or_else(gone)?.salt;
        let length = usize::try_from(place.bytes).map_err(io::Error::other)?;
        let bytes = self.disk.read(place.segment, place.at, length)?;
        let Some((Kind::Record, payload)) = format::entry(salt, &bytes) else { return Err(damaged()) };
        let (found, record, _) = Record::decode(payload, true).ok_or_else(damaged)?;
        if found == sequence { Ok(record) } else { Err(damaged()) }
    }

    /// Whether the disk did not take something since the last commit: nothing is taken until the next one.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether there are marks to write.
    pub(super) fn has_marks(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Bytes on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Records that are not done.
    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    /// From now on these limits count.
    pub(super) fn set_limits(&mut self, limits: Limits, durable: bool) {
        (self.limits, self.durable) = (limits, durable);
    }

    /// Removes everything if nothing is kept; the end of a process that has sent all it had.
    pub(super) fn tidy(&mut self) {
        if self.records.is_empty() {
            self.writing = false;
            self.drop_done_segments();
        }
    }

    /// Room for an entry. Makes some, if it can.
    fn room_for(&mut self, bytes: u64) -> Result<(), Refused> {
        // One segment is kept free, for writing again what is left of the oldest one.
        let usable = self.limits.most.saturating_sub(self.limits.segment + SPARE + 2 * SEGMENT_HEAD as u64);
        let marks = (self.pending + MOST_MARKS_OF_ONE) * (MARK + ENTRY_HEAD) as u64;
        if bytes + marks.min(MOST_MARKS_OF_ONE * MARK as u64) > usable {
            return Err(Refused::TooLarge { bytes, most: usable });
        }
        let fits = |store: &Self| store.bytes() + bytes + marks <= usable;
        for _ in 0..=self.segments.len() {
            if fits(self) {
                return Ok(());
            }
            let live: u64 = self.segments.iter().map(|segment| segment.live_bytes).sum();
            let only_one = self.segments.len() < 2;
            if live * 2 > usable || only_one {
                return Err(Refused::Full);
            }
            self.move_oldest().map_err(|error| self.fail(&error))?;
        }
        if fits(self) { Ok(()) } else { Err(Refused::Full) }
    }

    /// Writes what is left of the oldest segment again, and removes it.
    fn move_oldest(&mut self) -> io::Result<()> {
        let Some(oldest) = self.segments.front() else { return Ok(()) };
        let (id, salt) = (oldest.id, oldest.salt);
        let bytes = match self.disk.read(id, 0, usize::MAX) {
            Ok(bytes) => bytes,
            // Somebody removed it. It takes no room; what of it is in memory goes its way, and the rest is found missing when
            // it is read.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget_oldest();
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let there: Vec<(u64, Place)> =
            self.records.iter().filter(|(_, place)| place.segment == id).map(|(at, place)| (*at, *place)).collect();
        let mut moved = Vec::with_capacity(there.len());
        for (sequence, place) in there {
            let entry = usize::try_from(place.at).ok().and_then(|at| bytes.get(at..));
            let payload = entry.and_then(|entry| format::entry(salt, entry)).map(|(_, payload)| payload);
            // One that is damaged stays where it was, and is found missing when it is read.
            let Some((_, record, _)) = payload.and_then(|payload| Record::decode(payload, true)) else { continue };
            let front = record.encode_front(sequence, place.pending);
            let (segment, at, bytes) = self.write(Kind::Record, &[&front, &record.body])?;
            moved.push((sequence, Place { segment, at, bytes, pending: place.pending }));
        }
        self.flush(self.durable)?;
        // What stands here now is nowhere else soon: it is not cut off if the group that it was written with fails.
        self.set_good();
        for (sequence, place) in moved {
            if let Some(before) = self.records.remove(&sequence) {
                self.leave(before);
                self.pending -= u64::from(before.pending.count_ones());
            }
            self.insert(sequence, place);
        }
        self.disk.remove(id)?;
        self.forget_oldest();
        Ok(())
    }

    /// The oldest segment is not on the disk any more.
    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.segments.pop_front() {
            self.marks.retain(|(segment, _)| *segment != oldest.id);
        }
    }

    /// What has been written up to here is not cut off.
    fn set_good(&mut self) {
        if self.writing {
            self.good = self.segments.back().map(|segment| (segment.id, segment.bytes));
        }
    }

    /// A record is not in its segment any more, or done.
    fn leave(&mut self, place: Place) {
        if let Some(segment) = self.segment_mut(place.segment) {
            segment.live -= 1;
            segment.live_bytes -= place.bytes;
        }
    }

    fn insert(&mut self, sequence: u64, place: Place) {
        self.pending += u64::from(place.pending.count_ones());
        self.records.insert(sequence, place);
        if let Some(segment) = self.segment_mut(place.segment) {
            segment.live += 1;
            segment.live_bytes += place.bytes;
        }
    }

    fn segment_mut(&mut self, id: u64) -> Option<&mut Segment> {
        let at = self.segments.binary_search_by_key(&id, |segment| segment.id).ok()?;
        self.segments.get_mut(at)
    }

    /// Puts an entry at the end. Returns its segment, where it begins there, and its length.
    fn write(&mut self, kind: Kind, payload: &[&[u8]]) -> io::Result<(u64, u64, u64)> {
        let length = ENTRY_HEAD + payload.iter().map(|part| part.len()).sum::<usize>();
        let salt = self.segment_for(length as u64)?;
        let head = format::entry_head(salt, kind, payload)
            .ok_or_else(|| io::Error::new(io::ErrorKind::FileTooLarge, "an entry has 4 GiB at most"))?;
        let parts: Vec<&[u8]> = std::iter::once(head.as_slice()).chain(payload.iter().copied()).collect();
        if length <= COPIED {
            parts.iter().for_each(|part| self.buffer.extend_from_slice(part));
            if self.buffer.len() >= BUFFER {
                self.write_buffer()?;
            }
        } else {
            self.write_buffer()?;
            let id = self.segments.back().map_or(0, |segment| segment.id);
            self.disk.append(id, &parts)?;
        }
        let newest = self.segments.back_mut().ok_or_else(|| io::Error::other("there is no segment"))?;
        let at = newest.bytes;
        newest.bytes += length as u64;
        Ok((newest.id, at, length as u64))
    }

    /// Sees to it that the newest segment can take an entry; its salt.
    fn segment_for(&mut self, length: u64) -> io::Result<u32> {
        if self.writing
            && let Some(newest) = self.segments.back()
            && (newest.bytes + length <= self.limits.segment || newest.bytes <= SEGMENT_HEAD as u64)
        {
            return Ok(newest.salt);
        }
        if self.writing {
            self.flush(self.durable)?;
        }
        self.writing = false;
        let (id, salt, bytes) = (self.next_segment, random(), SEGMENT_HEAD as u64);
        self.next_segment += 1;
        self.disk.create(id)?;
        let named = if self.durable { self.disk.sync_names() } else { Ok(()) };
        if let Err(error) = named.and_then(|()| self.disk.append(id, &[&Head::new(id, salt).encode()])) {
            // What is left of it is no segment, and is removed at the next start if it cannot be now.
            let _ = self.disk.remove(id);
            return Err(error);
        }
        self.segments.push_back(Segment { id, salt, bytes, live: 0, live_bytes: 0 });
        (self.writing, self.good) = (true, Some((id, bytes)));
        Ok(salt)
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let id = self.segments.back().map_or(0, |segment| segment.id);
        let result = self.disk.append(id, &[&self.buffer]);
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER);
        result
    }

    fn flush(&mut self, sync: bool) -> io::Result<()> {
        self.write_marks()?;
        self.write_buffer()?;
        match self.segments.back() {
            Some(newest) if sync && self.writing => self.disk.sync(newest.id),
            _ => Ok(()),
        }
    }

    fn write_marks(&mut self) -> io::Result<()> {
        // In pieces, so that each is copied into the buffer.
        while !self.marks.is_empty() && self.writing {
            let many = self.marks.len().min(4096);
            let marks: Vec<Mark> = self.marks.iter().take(many).map(|(_, mark)| *mark).collect();
            let payload = format::encode_marks(&marks);
            let salt = self.segments.back().map_or(0, |newest| newest.salt);
            let Some(head) = format::entry_head(salt, Kind::Done, &[&payload]) else { return Ok(()) };
            self.buffer.extend_from_slice(&head);
            self.buffer.extend_from_slice(&payload);
            if let Some(newest) = self.segments.back_mut() {
                newest.bytes += (head.len() + payload.len()) as u64;
            }
            self.write_buffer()?;
            self.marks.drain(..many);
        }
        if !self.marks.is_empty() {
            // There is no segment to write to: one is made, for marks alone.
            self.segment_for(0)?;
            return self.write_marks();
        }
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) -> Refused {
        let refused = Refused::Disk(error.to_string());
        self.failed = Some(refused.clone());
        refused
    }

    /// Forgets the records since the last commit. What of them is on disk is cut off or marked as done.
    fn roll_back(&mut self) {
        self.buffer.clear();
        // Only what this group wrote is cut: the newest segment may also be one of an earlier process.
        let newest = self.segments.back().map(|segment| segment.id);
        let good = self.good.filter(|(id, _)| Some(*id) == newest);
        let cut = good.filter(|(id, length)| self.disk.truncate(*id, *length).is_ok());
        for sequence in std::mem::take(&mut self.group) {
            let Some(place) = self.records.get(&sequence).copied() else { continue };
            let is_cut = cut.is_some_and(|(id, length)| place.segment == id && place.at >= length);
            for destination in 0..64 {
                self.finish(sequence, destination);
            }
            if is_cut {
                self.marks.retain(|(_, mark)| mark.sequence != sequence);
            }
        }
        if let (Some((_, length)), Some(newest)) = (cut, self.segments.back_mut()) {
            newest.bytes = length;
        }
        // After an error of the disk nobody knows what the file looks like: the next record begins another one.
        self.writing = false;
    }

    /// Removes the oldest segments for as long as all of their records are done.
    fn drop_done_segments(&mut self) {
        while let Some(oldest) = self.segments.front() {
            let (id, last) = (oldest.id, self.segments.len() == 1);
            if oldest.live > 0 || (last && self.writing) || self.disk.remove(id).is_err() {
                return;
            }
            self.forget_oldest();
        }
    }
}

/// Marks that one record needs at most.
const MOST_MARKS_OF_ONE: u64 = 64;

fn every(destinations: usize) -> u64 {
    if destinations >= 64 { u64::MAX } else { (1 << destinations) - 1 }
}

fn random() -> u32 {
    // The keys of a new hasher are the randomness that the standard library has.
    u32::try_from(RandomState::new().hash_one(0_u8) >> 32).unwrap_or_default()
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "its checksum does not fit: it is damaged on disk")
}
