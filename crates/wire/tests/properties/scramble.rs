//! The same request written as other encoders may write it: fields in another order, messages in several parts, numbers
//! longer than they need to be, lists of numbers not packed, and fields that nobody knows.

use testkit::generate::Random;
use wire::fields::{Field, FieldValue, Fields};
use wire::schema::{ANY_VALUE, KEY_VALUE, Kind, Label, Message};
use wire::{Signal, write};

/// Writes a request anew; it decodes to the same.
pub(crate) fn scramble(signal: Signal, request: &[u8], random: &mut Random) -> Vec<u8> {
    message(signal.request(), request, random)
}

fn message(schema: &'static Message, content: &[u8], random: &mut Random) -> Vec<u8> {
    let mut fields: Vec<(usize, Vec<u8>)> = Vec::new();
    // Fields of one number keep their order, and so do the members of a oneof.
    let places: Vec<usize> = (0..40).map(|number| if random.once_in(2) { number } else { random.below(40) }).collect();
    for field in Fields::new(content) {
        let known = schema.fields.iter().find(|known| known.number == field.number);
        let of_one = known.is_some_and(|known| known.label == Label::OneOf);
        let place = places[if of_one { 0 } else { field.number as usize % 40 }];
        let mut out = Vec::new();
        write_field(schema, &field, random, &mut out);
        fields.push((place, out));
    }
    if random.once_in(3) {
        fields.push((random.below(40), unknown(random)));
    }
    fields.sort_by_key(|(place, _)| *place);
    fields.into_iter().flat_map(|(_, bytes)| bytes).collect()
}

fn write_field(schema: &'static Message, field: &Field<'_>, random: &mut Random, out: &mut Vec<u8>) {
    let known = schema.fields.iter().find(|known| known.number == field.number);
    match (known.map(|known| (known.kind, known.label)), field.value) {
        (Some((Kind::Message(nested), label)), FieldValue::Bytes(content)) => {
            for part in parts(schema, nested, label, content, random) {
                let part = message(nested, part, random);
                write_bytes(out, field.number, &part, random);
            }
        }
        (Some((Kind::Fixed64 | Kind::Double, Label::Repeated)), FieldValue::Bytes(packed)) if random.once_in(3) => {
            for value in packed.chunks_exact(8) {
                write::fixed64_field(out, field.number, u64::from_le_bytes(value.try_into().expect("eight bytes")));
            }
        }
        (_, FieldValue::Bytes(content)) => write_bytes(out, field.number, content, random),
        (_, FieldValue::Varint(value)) => {
            write_tag(out, field.number, 0, random);
            long_varint(out, value, random);
        }
        (_, FieldValue::Fixed64(value)) => {
            write_tag(out, field.number, 1, random);
            out.extend_from_slice(&value.to_le_bytes());
        }
        (_, FieldValue::Fixed32(value)) => {
            write_tag(out, field.number, 5, random);
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
}

/// A message that may stand once may come in two parts, which are merged. (Not values: views do not merge them.)
fn parts<'a>(
    schema: &Message,
    nested: &Message,
    label: Label,
    content: &'a [u8],
    random: &mut Random,
) -> Vec<&'a [u8]> {
    let is_value = nested.name == ANY_VALUE.name || schema.name == ANY_VALUE.name || schema.name == KEY_VALUE.name;
    if label == Label::Repeated || is_value || !random.once_in(4) {
        return vec![content];
    }
    let ends: Vec<usize> = Fields::new(content).map(|field| field.end).collect();
    let at = if ends.is_empty() { 0 } else { random.pick(&ends) };
    let (first, second) = content.split_at(at);
    vec![first, second]
}

fn write_bytes(out: &mut Vec<u8>, number: u32, content: &[u8], random: &mut Random) {
    write_tag(out, number, 2, random);
    long_varint(out, content.len() as u64, random);
    out.extend_from_slice(content);
}

fn write_tag(out: &mut Vec<u8>, number: u32, wire_type: u32, random: &mut Random) {
    long_varint(out, u64::from(number << 3 | wire_type), random);
}

/// A varint, at times with more bytes than it needs.
fn long_varint(out: &mut Vec<u8>, value: u64, random: &mut Random) {
    write::varint(out, value);
    let room = 10 - write::varint_len(value);
    if room > 0 && random.once_in(16) {
        let last = out.len() - 1;
        out[last] |= 0x80;
        for _ in 0..random.below(room) {
            out.push(0x80);
        }
        out.push(0);
    }
}

/// A field that the schema does not know.
fn unknown(random: &mut Random) -> Vec<u8> {
    let number = random.pick(&[1000, 18, 536_870_911]);
    let mut out = Vec::new();
    match random.below(4) {
        0 => write::varint_field(&mut out, number, random.number()),
        1 => write::fixed64_field(&mut out, number, random.number()),
        2 => write::fixed32_field(&mut out, number, random.number() as u32),
        _ => {
            let len = random.below(20);
            write::bytes_field(&mut out, number, &random.bytes(len));
        }
    }
    out
}

/// Changes some bytes: flips, cuts, repeats, puts in.
pub(crate) fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.below(bytes.len());
        match random.below(6) {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = random.number() as u8,
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.number() as u8),
            4 => drop(bytes.remove(at)),
            _ => {
                let end = (at + random.below(30)).min(bytes.len());
                let repeated = bytes[at..end].to_vec();
                bytes.splice(at..at, repeated);
            }
        }
    }
}

#[test]
fn a_scrambled_request_decodes_to_the_same() {
    for seed in 0..300 {
        let mut random = Random::new(seed);
        for signal in Signal::ALL {
            let request = super::wild(signal, &mut random).encode();
            let scrambled = scramble(signal, &request, &mut random);
            let decode = super::checks::model::decode;
            assert_eq!(decode(signal, &scrambled).expect("valid"), decode(signal, &request).expect("valid"));
        }
    }
}
