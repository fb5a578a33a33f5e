//! Any bytes as a request, any edits, any slices: splice then decode is decode then edit.
#![no_main]

#[path = "../common.rs"]
mod common;

use common::checks::{self, model};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let (signal, mut random, request) = common::read(data);
    let list = common::edits(&mut random);
    let chain = common::chain(request, &mut random);
    checks::splice(signal, &chain, &model::edits(&list), |request| model::edit_resources(request, &list));
    checks::edit_items(signal, &chain, &model::edits(&list), |request| model::edit_items(request, &list));
});
