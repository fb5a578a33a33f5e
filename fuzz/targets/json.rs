//! Any bytes as OTLP/JSON: what is read is a valid request, no longer than promised, and is read the same once written.
#![no_main]

use wire::{Chain, Signal, json};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let [signal, document @ ..] = data else { return };
    let signal = Signal::ALL[usize::from(*signal) % 3];
    let Ok(request) = json::to_protobuf(signal, document) else { return };
    assert!(request.len() <= json::most_bytes(document));
    wire::skim(signal, &request).expect("what is read is a valid request");

    let written = json::from_protobuf(signal, &Chain::from(request));
    let again = json::to_protobuf(signal, &written).expect("what is written can be read");
    assert_eq!(json::from_protobuf(signal, &Chain::from(again)), written);
});
