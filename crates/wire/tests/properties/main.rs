//! Properties of every operation, against a full decoder.

mod checks;
mod schema;
mod scramble;

use proptest::prelude::*;
use testkit::generate::{self, Random, Request, wild::KEYS};
use wire::{Action, Chain, Limits, Signal, Value};

use checks::model;
use scramble::{mutate, scramble};

/// Any request of this signal.
fn wild(signal: Signal, random: &mut Random) -> Request {
    match signal {
        Signal::Traces => generate::wild::traces(random),
        Signal::Metrics => generate::wild::metrics(random),
        Signal::Logs => generate::wild::logs(random),
    }
}

fn signal() -> impl Strategy<Value = Signal> {
    prop_oneof![Just(Signal::Traces), Just(Signal::Metrics), Just(Signal::Logs)]
}

fn any_edits(random: &mut Random) -> Vec<model::Edit> {
    let actions = [Action::Insert, Action::Fill, Action::Update, Action::Upsert, Action::Delete];
    random.some(5, |random| {
        let value = random.pick(&[
            Value::from("k8s-node-7"),
            Value::from(""),
            Value::Int(-1),
            Value::Array(vec![Value::Double(1.5), Value::Map(vec![("k".into(), Value::Bool(true))])]),
            Value::Bytes(vec![0xff; 200]),
        ]);
        (random.pick(&actions), random.pick(&KEYS).to_owned(), value)
    })
}

fn any_chain(bytes: &[u8], random: &mut Random) -> Chain {
    match random.below(3) {
        0 => Chain::from(bytes.to_vec()),
        1 => checks::cut(bytes, |left| random.below(left)),
        _ => checks::cut(bytes, |_| random.below(5)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn skim_accepts_what_encoders_write_and_counts_it(signal in signal(), seed: u64) {
        let mut random = Random::new(seed);
        let request = wild(signal, &mut random);
        let expected = wire::Skim { items: request.items(), resources: model::resources(&request) };
        let bytes = request.encode();
        prop_assert_eq!(wire::skim(signal, &bytes), Ok(expected));
        prop_assert_eq!(wire::skim(signal, &scramble(signal, &bytes, &mut random)), Ok(expected));
    }

    #[test]
    fn skim_agrees_with_the_decoder_about_damaged_requests(signal in signal(), seed: u64) {
        let mut random = Random::new(seed);
        let mut bytes = wild(signal, &mut random).encode();
        for _ in 0..20 {
            mutate(&mut bytes, &mut random);
            checks::skim(signal, &bytes);
            checks::view(signal, &bytes);
        }
    }

    #[test]
    fn skim_agrees_with_the_decoder_about_any_bytes(signal in signal(), bytes: Vec<u8>) {
        checks::skim(signal, &bytes);
        checks::view(signal, &bytes);
    }

    #[test]
    fn views_show_what_the_decoder_makes(signal in signal(), seed: u64) {
        let mut random = Random::new(seed);
        let bytes = wild(signal, &mut random).encode();
        checks::view(signal, &bytes);
        checks::view(signal, &scramble(signal, &bytes, &mut random));
    }

    #[test]
    fn splice_then_decode_is_decode_then_edit(signal in signal(), seed: u64) {
        let mut random = Random::new(seed);
        let bytes = wild(signal, &mut random).encode();
        let bytes = scramble(signal, &bytes, &mut random);
        let list = any_edits(&mut random);
        let chain = any_chain(&bytes, &mut random);
        checks::splice(signal, &chain, &model::edits(&list), |request| model::edit_resources(request, &list));
        checks::edit_items(signal, &chain, &model::edits(&list), |request| model::edit_items(request, &list));
    }

    #[test]
    fn splitting_and_joining_keeps_every_item(signal in signal(), seed: u64, items in 1usize..8, bytes in 1usize..3000) {
        let mut random = Random::new(seed);
        let request = wild(signal, &mut random).encode();
        let request = scramble(signal, &request, &mut random);
        let chain = any_chain(&request, &mut random);
        checks::split(signal, &chain, Limits { max_items: Some(items), max_bytes: None });
        checks::split(signal, &chain, Limits { max_items: None, max_bytes: Some(bytes) });
        checks::split(signal, &chain, Limits { max_items: Some(items), max_bytes: Some(bytes) });
    }

    #[test]
    fn nothing_panics_on_damaged_requests(signal in signal(), seed: u64) {
        let mut random = Random::new(seed);
        let mut bytes = wild(signal, &mut random).encode();
        let list = any_edits(&mut random);
        for _ in 0..10 {
            mutate(&mut bytes, &mut random);
            let chain = any_chain(&bytes, &mut random);
            let limits = Limits { max_items: Some(1 + random.below(4)), max_bytes: Some(random.below(500)) };
            checks::splice(signal, &chain, &model::edits(&list), |request| model::edit_resources(request, &list));
            checks::edit_items(signal, &chain, &model::edits(&list), |request| model::edit_items(request, &list));
            checks::split(signal, &chain, limits);
        }
    }
}
