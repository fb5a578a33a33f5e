//! From protobuf to JSON: the fields of each message in the order of the schema.
//!
//! The fields of a message are gathered first, because on the wire they may stand in any order, and a list in pieces.

use std::io::Write;
use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::MAX_DEPTH;
use crate::fields::{FieldValue, Fields, varint};
use crate::schema::{Field, Kind, Label, Message};
use crate::view::Double;

/// Writes one request.
pub(super) fn request(message: &'static Message, request: &[u8]) -> Vec<u8> {
    let mut writer = Writer { out: Vec::with_capacity(request.len() * 3), found: Vec::new(), depth: 0 };
    writer.found.push(Found { index: 0, order: 0, value: FieldValue::Bytes(request) });
    writer.object(message, 0..1);
    writer.out
}

struct Writer<'a> {
    out: Vec<u8>,
    /// The fields of the messages that are being written: a stack, the outermost first.
    found: Vec<Found<'a>>,
    depth: usize,
}

#[derive(Clone, Copy)]
struct Found<'a> {
    /// Position in the schema's list of fields.
    index: usize,
    order: usize,
    value: FieldValue<'a>,
}

impl<'a> Writer<'a> {
    /// Writes a message whose content are these entries of `found`: more than one where it stood in pieces. One that is
    /// deeper than any in a request that was checked is written as `{}`.
    fn object(&mut self, message: &'static Message, pieces: Range<usize>) {
        self.out.push(b'{');
        if self.depth < MAX_DEPTH {
            self.depth += 1;
            let bottom = self.found.len();
            let member = self.gather(message, pieces);
            let before = self.out.len();
            self.fields(message, bottom, member);
            if self.out.len() > before {
                self.out.pop();
            }
            self.found.truncate(bottom);
            self.depth -= 1;
        }
        self.out.push(b'}');
    }

    /// Puts the fields onto the stack, sorted. Gives the position of the member of the `oneof` that counts: the last.
    fn gather(&mut self, message: &'static Message, pieces: Range<usize>) -> Option<usize> {
        let bottom = self.found.len();
        let mut member = None;
        for piece in pieces {
            let Some(Found { value: FieldValue::Bytes(bytes), .. }) = self.found.get(piece).copied() else { continue };
            for field in Fields::new(bytes) {
                let Some(index) = message.fields.iter().position(|known| known.number == field.number) else {
                    continue;
                };
                let known = &message.fields[index];
                if !fits(known, field.value) {
                    continue;
                }
                if known.label == Label::OneOf {
                    member = Some(index);
                }
                self.found.push(Found { index, order: self.found.len(), value: field.value });
            }
        }
        self.found[bottom..].sort_unstable_by_key(|found| (found.index, found.order));
        member
    }

    /// Writes the fields that stand on the stack from `bottom`, each with a comma behind it.
    fn fields(&mut self, message: &'static Message, bottom: usize, member: Option<usize>) {
        let top = self.found.len();
        let mut start = bottom;
        for (index, field) in message.fields.iter().enumerate() {
            let end = (start..top).find(|at| self.found[*at].index != index).unwrap_or(top);
            let entries = std::mem::replace(&mut start, end)..end;
            if field.label != Label::OneOf || member == Some(index) {
                self.field(field, entries);
            }
        }
    }

    fn field(&mut self, field: &'static Field, entries: Range<usize>) {
        let before = self.out.len();
        self.out.push(b'"');
        self.out.extend_from_slice(field.json_name.as_bytes());
        self.out.extend_from_slice(b"\":");
        let written = match (field.label, field.kind) {
            (Label::Repeated, _) => self.list(field, entries),
            (_, Kind::Message(message)) => {
                self.object(message, entries);
                true
            }
            _ => match entries.last().map(|last| self.found[last].value) {
                Some(value) if field.label != Label::Single || !is_zero(field, value) => {
                    self.scalar(field.kind, value);
                    true
                }
                _ => false,
            },
        };
        if written {
            self.out.push(b',');
        } else {
            self.out.truncate(before);
        }
    }

    /// Writes a list, unless it is empty.
    fn list(&mut self, field: &'static Field, entries: Range<usize>) -> bool {
        let before = self.out.len() + 1;
        self.out.push(b'[');
        for entry in entries {
            match (field.kind, self.found[entry].value) {
                (Kind::Message(message), _) => self.object(message, entry..entry + 1),
                (Kind::String | Kind::Bytes | Kind::Id(_), value) => self.scalar(field.kind, value),
                (kind, FieldValue::Bytes(packed)) => {
                    self.packed(kind, packed);
                    continue;
                }
                (kind, value) => self.scalar(kind, value),
            }
            self.out.push(b',');
        }
        let written = self.out.len() > before;
        if written {
            self.out.pop();
        }
        self.out.push(b']');
        written
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
            (Kind::Bytes, FieldValue::Bytes(bytes)) => self.quoted(format_args!("{}", STANDARD.encode(bytes))),
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
        serde_json::to_writer(&mut self.out, &text).expect("a Vec takes everything");
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
        self.out.write_fmt(text).expect("a Vec takes everything");
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
