//! Any bytes as a request, any limits: the pieces keep to them, and joined they hold the same items.
#![no_main]

#[path = "../common.rs"]
mod common;

use wire::Limits;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (signal, mut random, request) = common::read(data);
    let chain = common::chain(request, &mut random);
    let max_items = (!random.once_in(3)).then(|| random.below(5));
    let max_bytes = (!random.once_in(3)).then(|| random.below(600));
    common::checks::split(signal, &chain, Limits { max_items, max_bytes });
});
