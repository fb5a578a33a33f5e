//! Any bytes as a request: the check at the door agrees with a full decoder.
#![no_main]

#[path = "../common.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (signal, _, request) = common::read(data);
    common::checks::skim(signal, request);
});
