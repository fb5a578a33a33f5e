//! From JSON to protobuf: walks objects and lists along the schema.
//!
//! A message is written behind one byte kept for its length; where the length needs more bytes, the content moves up.
//! At a depth of at most 128 that costs less than reading the text did.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::scalar::Scalar;
use super::{JsonError, most_bytes};
use crate::schema::{Field, Kind, Label, Message};
use crate::write;

/// The request being written, and the way to the field being read.
#[derive(Default)]
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
    path: Vec<Step>,
}

/// How much of an explanation is kept, in characters: it may quote a long string of the document.
const MAX_WHAT: usize = 200;

enum Step {
    Field(&'static str),
    Index(usize),
}

/// Translates one document.
pub(super) fn request(message: &'static Message, json: &[u8]) -> Result<Vec<u8>, JsonError> {
    // Room for all there can be, so that the output never moves. What is not written to costs no memory.
    let mut output = Output { bytes: Vec::with_capacity(most_bytes(json)), path: Vec::with_capacity(16) };
    let mut deserializer = serde_json::Deserializer::from_slice(json);
    Object { output: &mut output, message }
        .deserialize(&mut deserializer)
        .and_then(|_| deserializer.end())
        .map_err(|error| explain(&error, &output))?;
    output.bytes.shrink_to_fit();
    Ok(output.bytes)
}

fn explain(error: &serde_json::Error, output: &Output) -> JsonError {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let what = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    let what = match what {
        "recursion limit exceeded" => "nested more than 128 levels deep",
        other => other,
    };
    JsonError { line, column, path: output.path(), what: what.chars().take(MAX_WHAT).collect() }
}

// === impl Output ===

impl Output {
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Index(index) => path.push_str(&format!("[{index}]")),
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
            }
        }
        path
    }

    pub(super) fn varint(&mut self, value: u64) {
        write::varint(&mut self.bytes, value);
    }

    pub(super) fn tag(&mut self, field: &Field, wire_type: u32) {
        write::tag(&mut self.bytes, field.number, wire_type);
    }

    /// Starts a length-delimited value; give what it returns to [`Output::close`].
    pub(super) fn open(&mut self, field: &Field) -> usize {
        self.tag(field, write::LEN);
        self.bytes.push(0);
        self.bytes.len()
    }

    /// Writes an empty length-delimited value.
    pub(super) fn empty(&mut self, field: &Field) {
        self.open(field);
    }

    /// Writes the length in front of what was written since `open`.
    pub(super) fn close(&mut self, start: usize) {
        let end = self.bytes.len();
        self.varint((end - start) as u64);
        let length_bytes = self.bytes.len() - end;
        let mut length = [0; 10];
        length[..length_bytes].copy_from_slice(&self.bytes[end..]);
        if length_bytes > 1 {
            self.bytes.copy_within(start..end, start + length_bytes - 1);
        }
        self.bytes[start - 1..start - 1 + length_bytes].copy_from_slice(&length[..length_bytes]);
        self.bytes.truncate(end + length_bytes - 1);
    }
}

// === an object ===

/// Reads an object into the fields of a message. Says whether there was one: `null` is none.
struct Object<'a> {
    output: &'a mut Output,
    message: &'static Message,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let mut seen = Seen::default();
        let mut expected = 0;
        while let Some(index) = map.next_key_seed(Name { message: self.message, expected })? {
            let Some((index, field)) = index.and_then(|index| Some((index, self.message.fields.get(index)?))) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            expected = index + 1;
            self.output.path.push(Step::Field(field.json_name));
            let set = map.next_value_seed(Value { output: self.output, field })?;
            if set {
                seen.set(index, field)?;
            }
            self.output.path.pop();
        }
        Ok(true)
    }
}

/// Which fields of an object had a value. No message of OTLP has more than one `oneof`.
#[derive(Default)]
struct Seen {
    fields: u32,
    member: Option<&'static str>,
}

impl Seen {
    fn set<E: Error>(&mut self, index: usize, field: &'static Field) -> Result<(), E> {
        if self.fields & 1 << index != 0 {
            return Err(E::custom("the field stands here twice"));
        }
        self.fields |= 1 << index;
        if field.label == Label::OneOf
            && let Some(other) = self.member.replace(field.json_name)
        {
            return Err(E::custom(format_args!("only one may be set, and {other} stands before it")));
        }
        Ok(())
    }
}

/// Reads a key: the index of the field, or none when the schema does not know it.
struct Name {
    message: &'static Message,
    /// Where to look first: writers keep to an order.
    expected: usize,
}

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_bytes(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_bytes<E: Error>(self, name: &[u8]) -> Result<Self::Value, E> {
        let fields = self.message.fields;
        let is_it = |field: &Field| field.json_name.as_bytes() == name || field.name.as_bytes() == name;
        let first = fields.iter().skip(self.expected).position(is_it).map(|index| index + self.expected);
        Ok(first.or_else(|| fields.iter().take(self.expected).position(is_it)))
    }
}

// === the value of a field ===

/// Reads the value of a field. Says whether there was one: `null` is none.
struct Value<'a> {
    output: &'a mut Output,
    field: &'static Field,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        let Value { output, field } = self;
        match field.kind {
            _ if field.label == Label::Repeated => deserializer.deserialize_any(List { output, field }),
            Kind::Message(message) => embedded(output, field, message, deserializer, false),
            _ => Scalar { output, field, element: false }.deserialize(deserializer),
        }
    }
}

/// Reads a message inside a message. A `null` leaves nothing behind, unless it is to stand for an empty message.
fn embedded<'de, D: Deserializer<'de>>(
    output: &mut Output,
    field: &'static Field,
    message: &'static Message,
    deserializer: D,
    null_is_empty: bool,
) -> Result<bool, D::Error> {
    let before = output.bytes.len();
    let start = output.open(field);
    let set = Object { output, message }.deserialize(deserializer)? || null_is_empty;
    if set {
        output.close(start);
    } else {
        output.bytes.truncate(before);
    }
    Ok(set)
}

/// Reads a list; numbers are packed.
struct List<'a> {
    output: &'a mut Output,
    field: &'static Field,
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        let List { output, field } = self;
        let packed = !matches!(field.kind, Kind::Message(_) | Kind::String | Kind::Bytes | Kind::Id(_));
        let before = output.bytes.len();
        let start = if packed { output.open(field) } else { before };
        let mut index = 0;
        output.path.push(Step::Index(0));
        while list.next_element_seed(Element { output, field })?.is_some() {
            index += 1;
            if let Some(step) = output.path.last_mut() {
                *step = Step::Index(index);
            }
        }
        output.path.pop();
        match (packed, index) {
            (true, 0) => output.bytes.truncate(before),
            (true, _) => output.close(start),
            (false, _) => {}
        }
        Ok(true)
    }
}

/// Reads an element of a list.
struct Element<'a> {
    output: &'a mut Output,
    field: &'static Field,
}

impl<'de> DeserializeSeed<'de> for Element<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        let Element { output, field } = self;
        match field.kind {
            Kind::Message(message) => embedded(output, field, message, deserializer, true)?,
            _ => Scalar { output, field, element: true }.deserialize(deserializer)?,
        };
        Ok(())
    }
}
