//! From JSON to protobuf: numbers, texts, ids, bytes and enums.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, Error, Unexpected, Visitor};

use super::read::Output;
use crate::schema::{Field, Kind, Label};
use crate::write::{FIXED32, FIXED64, VARINT};

/// As lenient as readers of ProtoJSON are asked to be.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads a value that is not a message. Says whether there was one: `null` is none.
pub(super) struct Scalar<'a> {
    pub(super) output: &'a mut Output,
    pub(super) field: &'static Field,
    /// It stands in a list: no `null`, and of a number no tag, since lists of numbers are packed.
    pub(super) element: bool,
}

impl<'de> DeserializeSeed<'de> for Scalar<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        match self.field.kind {
            // As bytes, since as text serde_json refuses lone surrogates.
            Kind::String => deserializer.deserialize_option(self),
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Scalar<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field.kind {
            Kind::String => f.write_str("a string"),
            Kind::Bytes => f.write_str("a string in base64"),
            Kind::Id(bytes) => write!(f, "an id of {} hexadecimal digits", bytes * 2),
            Kind::Bool => f.write_str("true or false"),
            Kind::Double => f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\""),
            Kind::Enum(names) => write!(f, "a number or a name of {}", names.name),
            kind => {
                let range = range(kind);
                write!(f, "a whole number from {} to {}", range.start(), range.end())
            }
        }
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_bytes(self)
    }

    fn visit_none<E: Error>(self) -> Result<bool, E> {
        self.visit_unit()
    }

    fn visit_unit<E: Error>(self) -> Result<bool, E> {
        let is_text = matches!(self.field.kind, Kind::String | Kind::Bytes | Kind::Id(_));
        if self.element && is_text {
            self.output.empty(self.field);
            return Ok(true);
        }
        // JavaScript writes NaN and the infinities as null, so a double that is null was a value.
        let is_lost = matches!(self.field.kind, Kind::Double) || self.field.label != Label::Single;
        if is_lost && !is_text {
            return Err(E::invalid_type(Unexpected::Other("null"), &self));
        }
        Ok(false)
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<bool, E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(Unexpected::Bool(value), &self));
        }
        self.write_whole(i128::from(value));
        Ok(true)
    }

    fn visit_u64<E: Error>(mut self, value: u64) -> Result<bool, E> {
        match self.field.kind {
            Kind::Double => self.write_double(value as f64),
            _ => self.whole(i128::from(value), Unexpected::Unsigned(value))?,
        }
        Ok(true)
    }

    fn visit_i64<E: Error>(mut self, value: i64) -> Result<bool, E> {
        match self.field.kind {
            Kind::Double => self.write_double(value as f64),
            _ => self.whole(i128::from(value), Unexpected::Signed(value))?,
        }
        Ok(true)
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<bool, E> {
        match self.field.kind {
            Kind::Double => self.write_double(value),
            // Beyond 2^63 it may be an integer that was too long to be read as one.
            _ if value.fract() == 0.0 && value.abs() < 9_223_372_036_854_775_808.0 => {
                self.whole(value as i128, Unexpected::Float(value))?;
            }
            _ => return Err(E::invalid_value(Unexpected::Float(value), &self)),
        }
        Ok(true)
    }

    fn visit_str<E: Error>(mut self, value: &str) -> Result<bool, E> {
        let unexpected = Unexpected::Str(value);
        match self.field.kind {
            Kind::Id(_) if value.is_empty() => return Ok(false),
            Kind::Id(length) => self.id(value, length)?,
            Kind::Bytes => self.bytes(value)?,
            Kind::Double => match double(value) {
                Some(value) => self.write_double(value),
                None => return Err(E::invalid_value(unexpected, &self)),
            },
            Kind::Enum(names) => match names.values.iter().find(|(_, name)| *name == value) {
                Some((number, _)) => self.write_whole(i128::from(*number)),
                None => return Err(E::invalid_value(unexpected, &self)),
            },
            Kind::Bool => return Err(E::invalid_type(unexpected, &self)),
            _ => match value.parse() {
                Ok(number) => self.whole(number, unexpected)?,
                Err(_) => return Err(E::invalid_value(unexpected, &self)),
            },
        }
        Ok(true)
    }

    /// The content of a string, in which an escaped lone surrogate is three bytes that are not UTF-8.
    fn visit_bytes<E: Error>(self, value: &[u8]) -> Result<bool, E> {
        let Some(text) = text(value) else { return Err(E::custom("invalid UTF-8 in a string")) };
        if text.is_empty() && self.field.label == Label::Single {
            return Ok(true);
        }
        let start = self.output.open(self.field);
        self.output.bytes.extend_from_slice(text.as_bytes());
        self.output.close(start);
        Ok(true)
    }
}

// === impl Scalar ===

impl Scalar<'_> {
    /// Writes a whole number that may not fit the field.
    fn whole<E: Error>(&mut self, value: i128, unexpected: Unexpected<'_>) -> Result<(), E> {
        let range = range(self.field.kind);
        if range.is_empty() {
            return Err(E::invalid_type(unexpected, &*self));
        }
        if !range.contains(&value) {
            return Err(E::invalid_value(unexpected, &*self));
        }
        self.write_whole(value);
        Ok(())
    }

    fn write_whole(&mut self, value: i128) {
        if value == 0 && self.field.label == Label::Single {
            return;
        }
        match self.field.kind {
            Kind::Fixed64 | Kind::Sfixed64 => {
                self.start(FIXED64);
                self.output.bytes.extend_from_slice(&(value as u64).to_le_bytes());
            }
            Kind::Fixed32 => {
                self.start(FIXED32);
                self.output.bytes.extend_from_slice(&(value as u32).to_le_bytes());
            }
            Kind::Sint32 => {
                self.start(VARINT);
                let value = value as i32;
                self.output.varint(u64::from((value << 1 ^ value >> 31) as u32));
            }
            _ => {
                self.start(VARINT);
                self.output.varint(value as u64);
            }
        }
    }

    fn write_double(&mut self, value: f64) {
        if value.to_bits() == 0 && self.field.label == Label::Single {
            return;
        }
        self.start(FIXED64);
        self.output.bytes.extend_from_slice(&value.to_le_bytes());
    }

    /// Writes the tag of a number, which it has when it does not stand in a list: those are packed.
    fn start(&mut self, wire_type: u32) {
        if !self.element {
            self.output.tag(self.field, wire_type);
        }
    }

    fn id<E: Error>(&mut self, digits: &str, length: usize) -> Result<(), E> {
        if digits.len() != length * 2 {
            return Err(E::invalid_length(digits.len(), &*self));
        }
        let start = self.output.open(self.field);
        for pair in digits.as_bytes().chunks_exact(2) {
            let byte = pair.iter().try_fold(0, |byte, digit| Some(byte << 4 | char::from(*digit).to_digit(16)?));
            let Some(byte) = byte else { return Err(E::invalid_value(Unexpected::Str(digits), &*self)) };
            self.output.bytes.push(byte as u8);
        }
        self.output.close(start);
        Ok(())
    }

    fn bytes<E: Error>(&mut self, digits: &str) -> Result<(), E> {
        let mut digits = Cow::from(digits);
        if digits.contains(['-', '_']) {
            digits = digits.replace('-', "+").replace('_', "/").into();
        }
        let start = self.output.open(self.field);
        let decoded = BASE64.decode_vec(digits.as_bytes(), &mut self.output.bytes);
        decoded.map_err(|error| E::custom(format_args!("not base64: {error}")))?;
        self.output.close(start);
        Ok(())
    }
}

/// The numbers that an integer field can hold; empty for other fields.
fn range(kind: Kind) -> RangeInclusive<i128> {
    match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Enum(_) => i32::MIN.into()..=i32::MAX.into(),
        Kind::Int64 | Kind::Sfixed64 => i64::MIN.into()..=i64::MAX.into(),
        Kind::Uint32 | Kind::Fixed32 => 0..=u32::MAX.into(),
        Kind::Uint64 | Kind::Fixed64 => 0..=u64::MAX.into(),
        _ => RangeInclusive::new(1, 0),
    }
}

/// A double in a string. What is too large for one is no number: only the word makes an infinity.
fn double(text: &str) -> Option<f64> {
    let value: f64 = text.parse().ok()?;
    (value.is_finite() || !text.contains(|c: char| c.is_ascii_digit())).then_some(value)
}

/// The text of a string as serde_json hands over its bytes, with U+FFFD for lone surrogates.
fn text(bytes: &[u8]) -> Option<Cow<'_, str>> {
    if let Ok(text) = simdutf8::basic::from_utf8(bytes) {
        return Some(text.into());
    }
    let mut bytes = bytes.to_vec();
    for at in 0..bytes.len().saturating_sub(2) {
        if let [first @ 0xED, second @ 0xA0..=0xBF, third @ 0x80..=0xBF] = &mut bytes[at..at + 3] {
            (*first, *second, *third) = (0xEF, 0xBF, 0xBD);
        }
    }
    String::from_utf8(bytes).ok().map(Cow::from)
}
