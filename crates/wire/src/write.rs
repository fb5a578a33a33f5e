//! Encoders for the small things: fields, attribute values, and the answers of an OTLP server.
//!
//! All of them append to a `Vec<u8>`. Requests are never written from here as a whole; they arrive as bytes and stay so.

use crate::Value;

/// Wire type 0.
pub const VARINT: u32 = 0;
/// Wire type 1.
pub const FIXED64: u32 = 1;
/// Wire type 2.
pub const LEN: u32 = 2;
/// Wire type 5.
pub const FIXED32: u32 = 5;

/// Appends a varint.
#[inline]
pub fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// How many bytes [`varint`] takes.
#[must_use]
pub fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Appends a field's tag.
pub fn tag(out: &mut Vec<u8>, number: u32, wire_type: u32) {
    varint(out, u64::from(number << 3 | wire_type));
}

/// Appends a varint field, also if it is zero.
pub fn varint_field(out: &mut Vec<u8>, number: u32, value: u64) {
    tag(out, number, VARINT);
    varint(out, value);
}

/// Appends a fixed64, sfixed64 or double field (as bits), also if it is zero.
pub fn fixed64_field(out: &mut Vec<u8>, number: u32, bits: u64) {
    tag(out, number, FIXED64);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Appends a fixed32 field, also if it is zero.
pub fn fixed32_field(out: &mut Vec<u8>, number: u32, bits: u32) {
    tag(out, number, FIXED32);
    out.extend_from_slice(&bits.to_le_bytes());
}

/// Appends a text, bytes or ready-made message field, also if it is empty.
pub fn bytes_field(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    tag(out, number, LEN);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// Appends a message field whose content `fill` writes.
pub fn message_field(out: &mut Vec<u8>, number: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    tag(out, number, LEN);
    length_prefixed(out, fill);
}

/// Appends what `fill` writes with its length before it.
pub fn length_prefixed(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    // Room for the shortest length; longer ones are rare here and move the content by a byte or two.
    out.push(0);
    fill(out);
    let len = out.len() - start - 1;
    match out.get_mut(start) {
        Some(prefix) if len < 0x80 => *prefix = len as u8,
        _ => {
            let mut prefix = Vec::with_capacity(10);
            varint(&mut prefix, len as u64);
            out.splice(start..=start, prefix);
        }
    }
}

/// Appends the content of an `AnyValue`.
pub fn any_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(text) => bytes_field(out, 1, text.as_bytes()),
        Value::Bool(truth) => varint_field(out, 2, u64::from(*truth)),
        Value::Int(number) => varint_field(out, 3, number.cast_unsigned()),
        Value::Double(number) => fixed64_field(out, 4, number.to_bits()),
        Value::Array(values) => message_field(out, 5, |out| {
            values.iter().for_each(|value| message_field(out, 1, |out| any_value(out, value)));
        }),
        Value::Map(entries) => message_field(out, 6, |out| {
            entries.iter().for_each(|(key, value)| key_value_field(out, 1, key, value));
        }),
        Value::Bytes(bytes) => bytes_field(out, 7, bytes),
    }
}

/// Appends a `KeyValue` field.
pub fn key_value_field(out: &mut Vec<u8>, number: u32, key: &str, value: &Value) {
    message_field(out, number, |out| key_value(out, key, value));
}

/// Appends the content of a `KeyValue`.
pub fn key_value(out: &mut Vec<u8>, key: &str, value: &Value) {
    bytes_field(out, 1, key.as_bytes());
    message_field(out, 2, |out| any_value(out, value));
}
