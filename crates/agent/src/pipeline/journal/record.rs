//! What is kept of an arrival: its bytes, where it came from, and which exporters it is for.
//!
//! The head of a record is a row of fields, each with a tag and a length. A reader passes over tags that it does not know,
//! so that a later version can add some.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use wire::Signal;

use super::format::{u32_at, u64_at};

/// One exporter of one pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Destination {
    /// Id of the pipeline.
    pub pipeline: String,
    /// Id of the exporter.
    pub exporter: String,
}

/// Names, each with its values.
pub(super) type Names = Vec<(String, Vec<String>)>;

/// One arrival as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it carries.
    pub signal: Signal,
    /// How many items.
    pub items: u64,
    /// Address of the sender.
    pub peer: Option<SocketAddr>,
    /// Headers of the request that the receiver was told to keep.
    pub metadata: Vec<(String, Vec<String>)>,
    /// Whom it is for; at most [`MOST_DESTINATIONS`].
    pub destinations: Arc<[Destination]>,
    /// The export request in protobuf.
    pub body: Bytes,
}

/// So many destinations a record can have: one bit each.
pub const MOST_DESTINATIONS: usize = 64;

const SIGNAL: u8 = 1;
const ITEMS: u8 = 2;
const PEER: u8 = 3;
const METADATA: u8 = 4;
const DESTINATION: u8 = 5;

/// Length of what stands before the head of a record.
pub(super) const PREFIX: usize = 12;

impl Record {
    /// What stands before the body: the sequence, the head and its length. `pending` has a bit for each destination that has
    /// not answered yet.
    pub(super) fn encode_front(&self, sequence: u64, pending: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        out.extend_from_slice(&sequence.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        put(&mut out, SIGNAL, &[&[number(self.signal)]]);
        put(&mut out, ITEMS, &[&self.items.to_le_bytes()]);
        if let Some(peer) = self.peer {
            put(&mut out, PEER, &[peer.to_string().as_bytes()]);
        }
        for (name, values) in &self.metadata {
            for value in values {
                put(&mut out, METADATA, &[&length(name), name.as_bytes(), value.as_bytes()]);
            }
        }
        for (bit, destination) in self.destinations.iter().enumerate() {
            let is_pending = u8::from(pending & (1 << bit) != 0);
            let pipeline = destination.pipeline.as_str();
            put(
                &mut out,
                DESTINATION,
                &[&[is_pending], &length(pipeline), pipeline.as_bytes(), destination.exporter.as_bytes()],
            );
        }
        let head = u32::try_from(out.len() - PREFIX).unwrap_or(u32::MAX);
        out[8..PREFIX].copy_from_slice(&head.to_le_bytes());
        out
    }

    /// The sequence, the record and its pending destinations, from the payload of an entry. The body is copied out only
    /// if it is asked for.
    pub(super) fn decode(payload: &[u8], with_body: bool) -> Option<(u64, Record, u64)> {
        let sequence = u64_at(payload, 0)?;
        let head = usize::try_from(u32_at(payload, 8)?).ok()?;
        let rest = payload.get(PREFIX..)?;
        let (head, body) = (rest.get(..head)?, rest.get(head..)?);
        let (mut signal, mut items, mut peer) = (None, None, None);
        let (mut metadata, mut destinations, mut pending) = (Names::new(), Vec::new(), 0_u64);
        for (tag, value) in fields(head) {
            match tag {
                SIGNAL => signal = value.first().and_then(|number| signal_of(*number)),
                ITEMS => items = u64_at(value, 0),
                PEER => peer = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
                METADATA => {
                    let (name, value) = pair(value)?;
                    match metadata.last_mut() {
                        Some((last, values)) if *last == name => values.push(value),
                        _ => metadata.push((name, vec![value])),
                    }
                }
                DESTINATION if destinations.len() < MOST_DESTINATIONS => {
                    let (is_pending, rest) = value.split_first()?;
                    pending |= u64::from(*is_pending & 1) << destinations.len();
                    let (pipeline, exporter) = pair(rest)?;
                    destinations.push(Destination { pipeline, exporter });
                }
                _ => {}
            }
        }
        let body = if with_body { Bytes::copy_from_slice(body) } else { Bytes::new() };
        let record = Record { signal: signal?, items: items?, peer, metadata, destinations: destinations.into(), body };
        Some((sequence, record, pending))
    }
}

fn put(out: &mut Vec<u8>, tag: u8, parts: &[&[u8]]) {
    let length = parts.iter().map(|part| part.len()).sum::<usize>();
    // Heads of requests are bounded far below this.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    out.push(tag);
    out.extend_from_slice(&length.to_le_bytes());
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

fn length(text: &str) -> [u8; 4] {
    u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes()
}

/// The fields of a head; what is no field ends it.
fn fields(head: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = head;
    std::iter::from_fn(move || {
        let (tag, behind) = rest.split_first()?;
        let length = usize::try_from(u32_at(behind, 0)?).ok()?;
        let value = behind.get(4..)?.get(..length)?;
        rest = behind.get(4 + length..)?;
        Some((*tag, value))
    })
}

/// A text with its length before it, and the text behind it.
fn pair(bytes: &[u8]) -> Option<(String, String)> {
    let length = usize::try_from(u32_at(bytes, 0)?).ok()?;
    let text = bytes.get(4..)?;
    let of = |bytes: &[u8]| Some(std::str::from_utf8(bytes).ok()?.to_owned());
    Some((of(text.get(..length)?)?, of(text.get(length..)?)?))
}

fn number(signal: Signal) -> u8 {
    match signal {
        Signal::Traces => 1,
        Signal::Metrics => 2,
        Signal::Logs => 3,
    }
}

fn signal_of(number: u8) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| self::number(*signal) == number)
}
