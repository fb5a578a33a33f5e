//! Properties: a random request survives the way to JSON and back; random text does no harm.

use proptest::prelude::*;
use proptest::test_runner::TestRng;

use super::reencode;
use crate::Signal;
use crate::json::{from_protobuf, most_bytes, to_protobuf};
use crate::schema::{Kind, Label, Message};

/// A request with any fields of the schema, drawn from the schema itself. Single messages are always there and ids are
/// never zeros, because JSON does not tell those from their absence.
fn request(signal: Signal, rng: &mut TestRng) -> Vec<u8> {
    message(signal.request(), rng, 0)
}

fn message(message: &'static Message, rng: &mut TestRng, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let members: Vec<_> = message.fields.iter().filter(|field| field.label == Label::OneOf).collect();
    let member = if members.is_empty() { 0 } else { members[rng.random_range(0..members.len())].number };
    for field in message.fields {
        let times = match field.label {
            Label::Repeated if depth > 12 => 0,
            Label::Repeated => rng.random_range(0..4),
            Label::OneOf => usize::from(field.number == member && rng.random_bool(0.9)),
            Label::Single if matches!(field.kind, Kind::Message(_)) => 1,
            _ => rng.random_range(0..2),
        };
        for _ in 0..times {
            value(field.number, field.kind, rng, depth, &mut out);
        }
    }
    out
}

fn value(number: u32, kind: Kind, rng: &mut TestRng, depth: usize, out: &mut Vec<u8>) {
    let integer = [0, 1, u64::MAX, rng.random(), rng.random::<u64>() >> 40][rng.random_range(0..5)];
    let double = [0.0, -0.0, 0.1, 1e300, f64::NAN, f64::INFINITY, f64::from_bits(rng.random())][rng.random_range(0..7)];
    let (wire_type, bytes) = match kind {
        Kind::Message(inner) => (2, message(inner, rng, depth + 1)),
        Kind::String => (2, ["", "a", "\"\\\u{0}\u{1f}é😀", "x".repeat(300).as_str()][rng.random_range(0..4)].into()),
        Kind::Bytes => (2, (0..rng.random_range(0..6)).map(|_| rng.random()).collect()),
        Kind::Id(length) => (2, (0..length).map(|_| rng.random_range(1..=255)).collect()),
        Kind::Double if double.is_nan() => (1, f64::NAN.to_le_bytes().into()),
        Kind::Double => (1, double.to_le_bytes().into()),
        Kind::Fixed64 | Kind::Sfixed64 => (1, integer.to_le_bytes().into()),
        Kind::Fixed32 => (5, (integer as u32).to_le_bytes().into()),
        Kind::Bool => (0, vec![(integer & 1) as u8]),
        Kind::Int32 | Kind::Enum(_) => (0, varint(integer as i32 as u64)),
        Kind::Uint32 | Kind::Sint32 => (0, varint(u64::from(integer as u32))),
        Kind::Int64 | Kind::Uint64 => (0, varint(integer)),
    };
    out.extend(varint(u64::from(number << 3 | wire_type)));
    if wire_type == 2 {
        out.extend(varint(bytes.len() as u64));
    }
    out.extend(bytes);
}

fn varint(value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    crate::write::varint(&mut out, value);
    out
}

fn signal() -> impl Strategy<Value = Signal> {
    prop::sample::select(Signal::ALL.to_vec())
}

proptest! {
    #[test]
    fn a_request_survives_json(signal in signal(), rng in any::<u64>().prop_perturb(|_, rng| rng)) {
        let protobuf = request(signal, &mut rng.clone());
        let json = from_protobuf(signal, &protobuf.clone().into());
        let back = to_protobuf(signal, &json).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(back.len() <= most_bytes(&json));
        prop_assert_eq!(reencode(signal, &back), reencode(signal, &protobuf));
        prop_assert_eq!(from_protobuf(signal, &back.into()), json);
    }

    #[test]
    fn a_damaged_document_is_read_or_refused(
        signal in signal(),
        rng in any::<u64>().prop_perturb(|_, rng| rng),
        cut in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut json = from_protobuf(signal, &request(signal, &mut rng.clone()).into());
        let at = cut.index(json.len());
        json[at] = byte;
        if let Ok(protobuf) = to_protobuf(signal, &json) {
            reencode(signal, &protobuf);
            prop_assert!(crate::skim(signal, &protobuf).is_ok());
            prop_assert!(protobuf.len() <= most_bytes(&json));
        }
        prop_assert!(to_protobuf(signal, &json[..at]).is_err());
    }

    #[test]
    fn damaged_protobuf_is_written_without_a_panic(signal in signal(), bytes in any::<Vec<u8>>()) {
        let json = from_protobuf(signal, &bytes.into());
        prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&json).is_ok());
    }

    #[test]
    fn short_documents_grow_no_more_than_promised(count in 0usize..200, seed in 0usize..8) {
        let element = ["0", "{}", "null", "{\"sum\":0}", "{\"min\":0,\"max\":0}", "{\"asInt\":-1}", "{\"flags\":1}", "\"0\""][seed];
        let list = vec![element; count].join(",");
        for (data, name) in [("histogram", "bucketCounts"), ("histogram", "explicitBounds"), ("sum", "dataPoints")] {
            let data = match name {
                "dataPoints" => format!(r#""{data}":{{"dataPoints":[{list}]}}"#),
                _ => format!(r#""{data}":{{"dataPoints":[{{"{name}":[{list}]}}]}}"#),
            };
            let document = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{data}}}]}}]}}]}}"#);
            if let Ok(protobuf) = to_protobuf(Signal::Metrics, document.as_bytes()) {
                prop_assert!(protobuf.len() <= most_bytes(document.as_bytes()));
            }
        }
    }
}
