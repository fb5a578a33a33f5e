//! From protobuf to JSON: the fields of each message in the order of the schema.
//!
//! The fields of a message are gathered first, because on the wire they may stand in any order, and a message in pieces.
//! The entries of lists are not: there may be millions, so they are looked for when the list is written.

use std::io::{self, Write};
use std::ops::Range;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use crate::MAX_DEPTH;
use crate::fields::{FieldValue, Fields, varint};
use crate::schema::{Field, Kind, Label, Message};
use crate::view::Double;

/// What is held at most before it is handed on.
const PIECE: usize = 64 * 1024;

/// Writes one request into memory.
pub(super) fn request(message: &'static Message, request: &[u8]) -> Vec<u8> {
    let mut writer = Writer::new(Pieces { bytes: Vec::with_capacity(request.len() * 3), handed: 0, to: None });
    writer.request(message, request);
    writer.out.bytes
}

/// Writes one request piece by piece.
pub(super) fn request_to(message: &'static Message, request: &[u8], to: &mut dyn Write) -> io::Result<()> {
    let mut writer = Writer::new(Pieces { bytes: Vec::new(), handed: 0, to: Some((to, Ok(()))) });
    writer.request(message, request);
    let Some((to, result)) = writer.out.to else { return Ok(()) };
    result.and_then(|()| to.write_all(&writer.out.bytes))
}

struct Writer<'a, 'o> {
    out: Pieces<'o>,
    /// The fields of the messages that are being written: a stack, the outermost first.
    found: Vec<Found<'a>>,
    depth: usize,
}

/// What is written. Where it goes on to somebody, only the end of it is held, and always the last byte, which may yet be
/// taken back.
struct Pieces<'o> {
    bytes: Vec<u8>,
    /// How many bytes were handed on.
    handed: usize,
    /// Who takes it, and whether that went well so far.
    to: Option<(&'o mut dyn Write, io::Result<()>)>,
}

#[derive(Clone, Copy)]
struct Found<'a> {
    /// Position in the schema's list of fields.
    index: usize,
    order: usize,
    value: FieldValue<'a>,
}

/// What is known of a message's fields when they stand on the stack.
#[derive(Clone, Default)]
struct Gathered {
    /// Position of the member of the `oneof` that counts: the last.
    member: Option<usize>,
    /// Positions of the lists that have entries, one bit each.
    lists: u64,
    /// What the message stands in.
    pieces: Range<usize>,
}

impl Pieces<'_> {
    /// Where the next byte goes, counted from the first.
    fn position(&self) -> usize {
        self.handed + self.bytes.len()
    }

    fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    /// Takes back everything from a position on. Nothing of it was handed on: that is done only behind what stays.
    fn truncate(&mut self, position: usize) {
        self.bytes.truncate(position.saturating_sub(self.handed));
    }

    fn hand_on(&mut self) {
        let Some((to, result)) = self.to.as_mut().filter(|_| self.bytes.len() > PIECE) else { return };
        let last = self.bytes.len() - 1;
        if result.is_ok() {
            *result = to.write_all(&self.bytes[..last]);
        }
        self.bytes.drain(..last);
        self.handed += last;
    }
}

impl Write for Pieces<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = if self.to.is_some() { bytes.len().min(PIECE) } else { bytes.len() };
        self.bytes.extend_from_slice(&bytes[..taken]);
        self.hand_on();
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a, 'o> Writer<'a, 'o> {
    fn new(out: Pieces<'o>) -> Self {
        Writer { out, found: Vec::new(), depth: 0 }
    }

    fn request(&mut self, message: &'static Message, request: &'a [u8]) {
        self.one(message, FieldValue::Bytes(request));
    }

    /// Writes a message that stands in one piece.
    fn one(&mut self, message: &'static Message, value: FieldValue<'a>) {
        let at = self.found.len();
        self.found.push(Found { index: 0, order: 0, value });
        self.object(message, at..at + 1);
        self.found.truncate(at);
    }

    /// Writes a message whose content are these entries of `found`: more than one where it stood in pieces. One that is
    /// deeper than any in a request that was checked is written as `{}`.
    fn object(&mut self, message: &'static Message, pieces: Range<usize>) {
        self.out.push(b'{');
        if self.depth < MAX_DEPTH {
            self.depth += 1;
            let bottom = self.found.len();
            let gathered = self.gather(message, pieces);
            let before = self.out.position();
            self.fields(message, bottom, &gathered);
            if self.out.position() > before {
                self.out.bytes.pop();
            }
            self.found.truncate(bottom);
            self.depth -= 1;
        }
        self.out.push(b'}');
    }

    /// Puts the fields onto the stack, sorted, but for those in lists.
    fn gather(&mut self, message: &'static Message, pieces: Range<usize>) -> Gathered {
        let bottom = self.found.len();
        let mut gathered = Gathered { pieces, ..Gathered::default() };
        for piece in gathered.pieces.clone() {
            let Some(Found { value: FieldValue::Bytes(bytes), .. }) = self.found.get(piece).copied() else { continue };
            for field in Fields::new(bytes) {
                let Some(index) = message.fields.iter().position(|known| known.number == field.number) else {
                    continue;
                };
                let known = &message.fields[index];
                if !fits(known, field.value) {
                    continue;
                }
                match known.label {
                    Label::Repeated => {
                        gathered.lists |= 1 << index;
                        continue;
                    }
                    Label::OneOf => gathered.member = Some(index),
                    Label::Single | Label::Optional => {}
                }
                self.found.push(Found { index, order: self.found.len(), value: field.value });
            }
        }
        self.found[bottom..].sort_unstable_by_key(|found| (found.index, found.order));
        gathered
    }

    /// Writes the fields of a message, those not in lists from `bottom` of the stack on, each with a comma behind it.
    fn fields(&mut self, message: &'static Message, bottom: usize, gathered: &Gathered) {
        let top = self.found.len();
        let mut start = bottom;
        for (index, field) in message.fields.iter().enumerate() {
            if field.label == Label::Repeated {
                if gathered.lists & 1 << index != 0 {
                    self.named(field, |writer| writer.list(field, gathered.pieces.clone()));
                }
                continue;
            }
            let end = (start..top).find(|at| self.found[*at].index != index).unwrap_or(top);
            let entries = std::mem::replace(&mut start, end)..end;
            if field.label != Label::OneOf || gathered.member == Some(index) {
                self.named(field, |writer| writer.single(field, entries));
            }
        }
    }

    /// Writes the name of a field, what `write` writes of its value, and a comma; nothing if that is nothing.
    fn named(&mut self, field: &'static Field, write: impl FnOnce(&mut Self) -> bool) {
        let before = self.out.position();
        self.out.push(b'"');
        self.out.bytes.extend_from_slice(field.json_name.as_bytes());
        self.out.bytes.extend_from_slice(b"\":");
        if write(self) {
            self.out.push(b',');
        } else {
            self.out.truncate(before);
        }
    }

    fn single(&mut self, field: &'static Field, entries: Range<usize>) -> bool {
        if let Kind::Message(message) = field.kind {
            self.object(message, entries);
            return true;
        }
        match entries.last().map(|last| self.found[last].value) {
            Some(value) if field.label != Label::Single || !is_zero(field, value) => {
                self.scalar(field.kind, value);
                true
            }
            _ => false,
        }
    }

    /// Writes a list, unless it is empty. Its entries stand anywhere in these pieces of the message.
    fn list(&mut self, field: &'static Field, pieces: Range<usize>) -> bool {
        self.out.push(b'[');
        let before = self.out.position();
        for piece in pieces {
            let Some(Found { value: FieldValue::Bytes(bytes), .. }) = self.found.get(piece).copied() else { continue };
            let entries = Fields::new(bytes).filter(|entry| entry.number == field.number && fits(field, entry.value));
            entries.for_each(|entry| self.entry(field, entry.value));
        }
        let written = self.out.position() > before;
        if written {
            self.out.bytes.pop();
        }
        self.out.push(b']');
        written
    }

    /// Writes an entry of a list, or a row of them, with commas behind them.
    fn entry(&mut self, field: &'static Field, value: FieldValue<'a>) {
        self.out.hand_on();
        match (field.kind, value) {
            (Kind::Message(message), value) => self.one(message, value),
            (Kind::String | Kind::Bytes | Kind::Id(_), value) => self.scalar(field.kind, value),
            (kind, FieldValue::Bytes(packed)) => return self.packed(kind, packed),
            (kind, value) => self.scalar(kind, value),
        }
        self.out.push(b',');
    }

    /// Writes packed numbers, each with a comma behind it.
    fn packed(&mut self, kind: Kind, mut packed: &[u8]) {
        while let Some((value, rest)) = first(kind, packed) {
            self.scalar(kind, value);
            self.out.push(b',');
            packed = rest;
        }
    }

    fn scalar(&mut self, kind: Kind, value: FieldValue<'_>) {
        match (kind, value) {
            (Kind::String, FieldValue::Bytes(text)) => self.text(text),
            (Kind::Bytes, FieldValue::Bytes(bytes)) => {
                self.quoted(format_args!("{}", Base64Display::new(bytes, &STANDARD)));
            }
            (Kind::Id(_), FieldValue::Bytes(id)) => self.id(id),
            (Kind::Double, FieldValue::Fixed64(bits)) => self.double(f64::from_bits(bits)),
            (Kind::Bool, FieldValue::Varint(bits)) => self.plain(format_args!("{}", bits != 0)),
            (Kind::Int64, FieldValue::Varint(bits)) => self.quoted(format_args!("{}", bits as i64)),
            (Kind::Sfixed64, FieldValue::Fixed64(bits)) => self.quoted(format_args!("{}", bits as i64)),
            (Kind::Uint64, FieldValue::Varint(bits)) => self.quoted(format_args!("{bits}")),
            (_, FieldValue::Fixed64(bits)) => self.quoted(format_args!("{bits}")),
            (Kind::Uint32, FieldValue::Varint(bits)) => self.plain(format_args!("{}", bits as u32)),
            (Kind::Sint32, FieldValue::Varint(bits)) => {
                let bits = bits as u32;
                self.plain(format_args!("{}", (bits >> 1) as i32 ^ -((bits & 1) as i32)));
            }
            (_, FieldValue::Varint(bits)) => self.plain(format_args!("{}", bits as i32)),
            (_, FieldValue::Fixed32(bits)) => self.plain(format_args!("{bits}")),
            (_, FieldValue::Bytes(_)) => self.plain(format_args!("null")),
        }
    }

    fn text(&mut self, text: &[u8]) {
        let text = String::from_utf8_lossy(text);
        serde_json::to_writer(&mut self.out, &text).expect("what is written is taken, whatever becomes of it");
    }

    fn id(&mut self, id: &[u8]) {
        self.out.push(b'"');
        for byte in id {
            self.plain(format_args!("{byte:02x}"));
        }
        self.out.push(b'"');
    }

    fn double(&mut self, value: f64) {
        if value.is_finite() {
            self.plain(format_args!("{}", Double(value)));
        } else {
            self.quoted(format_args!("{}", Double(value)));
        }
    }

    fn quoted(&mut self, text: std::fmt::Arguments<'_>) {
        self.plain(format_args!("\"{text}\""));
    }

    fn plain(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("what is written is taken, whatever becomes of it");
    }
}

/// Whether the value has the wire type of the field; if not it counts as unknown.
fn fits(field: &Field, value: FieldValue<'_>) -> bool {
    let is_bytes = matches!(value, FieldValue::Bytes(_));
    match field.kind {
        Kind::String | Kind::Bytes | Kind::Id(_) | Kind::Message(_) => is_bytes,
        _ if is_bytes => field.label == Label::Repeated,
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => matches!(value, FieldValue::Fixed64(_)),
        Kind::Fixed32 => matches!(value, FieldValue::Fixed32(_)),
        _ => matches!(value, FieldValue::Varint(_)),
    }
}

/// Whether a value says no more than its absence would. Ids of zeros are no ids in OpenTelemetry.
fn is_zero(field: &Field, value: FieldValue<'_>) -> bool {
    match value {
        FieldValue::Varint(bits) | FieldValue::Fixed64(bits) => bits == 0,
        FieldValue::Fixed32(bits) => bits == 0,
        FieldValue::Bytes(bytes) if matches!(field.kind, Kind::Id(_)) => bytes.iter().all(|byte| *byte == 0),
        FieldValue::Bytes(bytes) => bytes.is_empty(),
    }
}

/// The first of packed numbers, and the bytes behind it.
fn first(kind: Kind, packed: &[u8]) -> Option<(FieldValue<'_>, &[u8])> {
    match kind {
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => {
            let (bytes, rest) = packed.split_first_chunk()?;
            Some((FieldValue::Fixed64(u64::from_le_bytes(*bytes)), rest))
        }
        Kind::Fixed32 => {
            let (bytes, rest) = packed.split_first_chunk()?;
            Some((FieldValue::Fixed32(u32::from_le_bytes(*bytes)), rest))
        }
        _ => {
            let (value, end) = varint(packed, 0)?;
            Some((FieldValue::Varint(value), packed.get(end..)?))
        }
    }
}
