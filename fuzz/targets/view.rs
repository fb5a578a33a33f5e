//! Any bytes as a request: the views show what a full decoder makes.
#![no_main]

#[path = "../common.rs"]
mod common;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (signal, _, request) = common::read(data);
    common::checks::view(signal, request);
});
