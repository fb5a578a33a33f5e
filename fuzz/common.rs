//! What the targets about requests share. An input is three bytes that choose, and a request.
#![allow(dead_code, reason = "no target uses all of it")]

// The properties are those of the crate's own tests.
#[path = "../crates/wire/tests/properties/checks/mod.rs"]
pub(crate) mod checks;

use testkit::generate::{Random, wild::KEYS};
use wire::{Action, Chain, Signal, Value};

use checks::model::Edit;

/// Which signal the request is, what else is chosen, and the request.
pub(crate) fn read(data: &[u8]) -> (Signal, Random, &[u8]) {
    match data {
        [signal, low, high, request @ ..] => {
            let seed = u64::from(u16::from_le_bytes([*low, *high]));
            (Signal::ALL[usize::from(*signal) % 3], Random::new(seed), request)
        }
        _ => (Signal::Traces, Random::new(0), data),
    }
}

/// Some edits.
pub(crate) fn edits(random: &mut Random) -> Vec<Edit> {
    let actions = [Action::Insert, Action::Fill, Action::Update, Action::Upsert, Action::Delete];
    random.some(4, |random| {
        let value = random.pick(&[
            Value::from("k8s-node-7"),
            Value::Int(-1),
            Value::Array(vec![Value::Double(1.5), Value::Map(vec![("k".into(), Value::Bool(true))])]),
            Value::Bytes(vec![0xff; 200]),
        ]);
        (random.pick(&actions), random.pick(&KEYS).to_owned(), value)
    })
}

/// The request in one slice, or in slices that end anywhere.
pub(crate) fn chain(request: &[u8], random: &mut Random) -> Chain {
    match random.below(3) {
        0 => Chain::from(request.to_vec()),
        1 => checks::cut(request, |left| random.below(left)),
        _ => checks::cut(request, |_| random.below(5)),
    }
}
