//! How a segment looks on disk: a head, then entries, each with a marker and a checksum.
//!
//! ```text
//! segment  magic[8] version:u16 readable_by:u16 salt:u32 id:u64 crc:u32 zero:u32
//! entry    marker:u32 kind:u8 check[3] length:u32 crc:u32 payload[length]
//! record   (kind 1) sequence:u64 head_length:u32 head body
//! done     (kind 2) (sequence:u64 destination:u16)*
//! ```
//!
//! Numbers are little-endian. The checksum of an entry starts from the salt of its segment, which is random: bytes of
//! another file, or telemetry that looks like an entry, are not taken for one. `check` is a checksum of kind and length, so
//! that looking for the next entry behind damaged bytes stays cheap whatever these are. Entries of other kinds are passed
//! over.

use std::ops::Range;

/// What this version writes.
pub(super) const VERSION: u16 = 1;
/// The oldest version that can read what this one writes.
const READABLE_BY: u16 = 1;

const MAGIC: [u8; 8] = *b"OTAJRNL\n";
const MARKER: [u8; 4] = [0xF7, 0x4A, 0xA5, 0x01];

/// Length of the head of a segment.
pub(super) const SEGMENT_HEAD: usize = 32;
/// Length of an entry without its payload.
pub(super) const ENTRY_HEAD: usize = 16;
/// Length of one mark in a `done` entry.
pub(super) const MARK: usize = 10;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Record,
    Done,
    /// Of a later version.
    Unknown,
}

/// A destination of a record that has answered for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) sequence: u64,
    pub(super) destination: u16,
}

impl Mark {
    /// Its destination as a bit.
    pub(super) fn bit(self) -> u64 {
        1_u64.checked_shl(u32::from(self.destination)).unwrap_or(0)
    }
}

/// The head of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) version: u16,
    pub(super) readable_by: u16,
    pub(super) salt: u32,
    pub(super) id: u64,
}

/// Why a segment cannot be read at all.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadHead {
    /// Its first bytes are not a head.
    Damaged,
    /// A later version wrote it, in a way that this one does not know.
    Newer(u16),
}

/// One thing found in a segment, with where it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An entry: the range is the payload.
    Entry(Kind, Range<usize>),
    /// Bytes that are no entry, with entries behind them.
    Skipped(Range<usize>),
    /// Bytes that are no entry, up to the end.
    Cut(Range<usize>),
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Kind::Record => 1,
            Kind::Done => 2,
            Kind::Unknown => 0,
        }
    }

    fn of(byte: u8) -> Kind {
        match byte {
            1 => Kind::Record,
            2 => Kind::Done,
            _ => Kind::Unknown,
        }
    }
}

impl Head {
    /// The head of a new segment.
    pub(super) fn new(id: u64, salt: u32) -> Head {
        Head { version: VERSION, readable_by: READABLE_BY, salt, id }
    }

    pub(super) fn encode(self) -> [u8; SEGMENT_HEAD] {
        let mut bytes = [0; SEGMENT_HEAD];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&self.version.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.readable_by.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.salt.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.to_le_bytes());
        let crc = crc32fast::hash(&bytes[..24]);
        bytes[24..28].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Head, BadHead> {
        let head = bytes.get(..SEGMENT_HEAD).ok_or(BadHead::Damaged)?;
        if head[..8] != MAGIC || u32_at(head, 24) != Some(crc32fast::hash(&head[..24])) {
            return Err(BadHead::Damaged);
        }
        let u16_at = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let (version, readable_by) = (u16_at(8), u16_at(10));
        if readable_by > VERSION {
            return Err(BadHead::Newer(version));
        }
        let salt = u32_at(head, 12).ok_or(BadHead::Damaged)?;
        let id = u64_at(head, 16).ok_or(BadHead::Damaged)?;
        Ok(Head { version, readable_by, salt, id })
    }
}

/// The first bytes of an entry whose payload is these parts, one behind the other. `None`: it is longer than an entry can be.
pub(super) fn entry_head(salt: u32, kind: Kind, payload: &[&[u8]]) -> Option<[u8; ENTRY_HEAD]> {
    let length = payload.iter().map(|part| part.len()).sum::<usize>();
    let length = u32::try_from(length).ok()?;
    let mut head = [0; ENTRY_HEAD];
    head[..4].copy_from_slice(&MARKER);
    head[4] = kind.byte();
    head[8..12].copy_from_slice(&length.to_le_bytes());
    let check = check(salt, &head);
    head[5..8].copy_from_slice(&check);
    let crc = checksum(salt, &head, payload);
    head[12..].copy_from_slice(&crc.to_le_bytes());
    Some(head)
}

fn checksum(salt: u32, head: &[u8], payload: &[&[u8]]) -> u32 {
    let mut crc = crc32fast::Hasher::new_with_initial(salt);
    crc.update(&head[4..12]);
    payload.iter().for_each(|part| crc.update(part));
    crc.finalize()
}

fn check(salt: u32, head: &[u8]) -> [u8; 3] {
    let mut crc = crc32fast::Hasher::new_with_initial(salt);
    crc.update(&[head[4], head[8], head[9], head[10], head[11]]);
    let [one, two, three, _] = crc.finalize().to_le_bytes();
    [one, two, three]
}

/// The kind and the payload of the entry at the start of these bytes, if there is a whole one.
pub(super) fn entry(salt: u32, bytes: &[u8]) -> Option<(Kind, &[u8])> {
    let head = bytes.get(..ENTRY_HEAD)?;
    if head[..4] != MARKER || head[5..8] != check(salt, head) {
        return None;
    }
    let length = usize::try_from(u32_at(head, 8)?).ok()?;
    let payload = bytes.get(ENTRY_HEAD..)?.get(..length)?;
    (u32_at(head, 12)? == checksum(salt, head, &[payload])).then(|| (Kind::of(head[4]), payload))
}

/// Everything in the bytes of a segment, behind its head, in order.
pub(super) fn scan(salt: u32, bytes: &[u8]) -> impl Iterator<Item = Found> {
    let mut at = SEGMENT_HEAD;
    std::iter::from_fn(move || {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        if let Some((kind, payload)) = entry(salt, rest) {
            let start = at + ENTRY_HEAD;
            at = start + payload.len();
            return Some(Found::Entry(kind, start..at));
        }
        let from = at;
        let next = rest
            .windows(MARKER.len())
            .enumerate()
            .skip(1)
            .filter(|(_, window)| *window == MARKER)
            .map(|(behind, _)| from + behind)
            .find(|next| bytes.get(*next..).is_some_and(|rest| entry(salt, rest).is_some()));
        at = next.unwrap_or(bytes.len());
        Some(if next.is_some() { Found::Skipped(from..at) } else { Found::Cut(from..at) })
    })
}

/// The payload of a `done` entry.
pub(super) fn encode_marks(marks: &[Mark]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(marks.len() * MARK);
    for mark in marks {
        payload.extend_from_slice(&mark.sequence.to_le_bytes());
        payload.extend_from_slice(&mark.destination.to_le_bytes());
    }
    payload
}

/// The marks in the payload of a `done` entry.
pub(super) fn decode_marks(payload: &[u8]) -> impl Iterator<Item = Mark> {
    payload.chunks_exact(MARK).filter_map(|mark| {
        let destination = u16::from_le_bytes([mark[8], mark[9]]);
        Some(Mark { sequence: u64_at(mark, 0)?, destination })
    })
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..)?.get(..4)?.try_into().ok()?))
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..)?.get(..8)?.try_into().ok()?))
}
