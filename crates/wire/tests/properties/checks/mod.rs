//! What must hold for any bytes, with a full decoder as the judge. The property tests and the fuzz targets both call
//! these; each panics if its property does not hold.

pub(crate) mod model;
pub(crate) mod reread;
pub(crate) mod unknown;

use bytes::Bytes;
use testkit::generate::Request;
use wire::{Chain, Edits, Fault, Level, Limits, Signal, Skim};

use model::decode;

/// Skim accepts what the decoder accepts, counts what it counts, and never panics.
pub(crate) fn skim(signal: Signal, bytes: &[u8]) {
    let decoded = decode(signal, bytes);
    match (wire::skim(signal, bytes), decoded) {
        (Ok(Skim { items, resources }), Ok(request)) => {
            assert_eq!(items, request.items(), "items");
            assert_eq!(resources, model::resources(&request), "resources");
            assert_eq!(wire::count(signal, bytes), items, "count");
        }
        (Ok(_), Err(error)) => unreachable!("accepted what the decoder refuses: {error}"),
        // The decoder skips groups, takes ids of any length, and has a bound on depth that is one message further out.
        (Err(malformed), Ok(_)) => {
            let expected = matches!(malformed.what, Fault::Tag | Fault::Id | Fault::Depth);
            assert!(expected, "refused what the decoder accepts: {malformed}");
            assert!(malformed.offset <= bytes.len(), "{malformed}");
        }
        (Err(malformed), Err(_)) => assert!(malformed.offset <= bytes.len(), "{malformed}"),
    }
}

/// Splice then decode is decode then edit; what is left is valid and has its unknown fields.
pub(crate) fn splice(signal: Signal, request: &Chain, edits: &Edits, same: impl Fn(&mut Request)) {
    let before = request.contiguous();
    if wire::skim(signal, &before).is_err() {
        // No promise, but no panic.
        let _ = wire::splice(signal, request, edits);
        return;
    }
    let after = wire::splice(signal, request, edits).contiguous();
    let mut expected = decode(signal, &before).expect("accepted by skim");
    same(&mut expected);
    assert_same(&decode(signal, &after).expect("a spliced request is valid"), &expected);
    wire::skim(signal, &after).expect("a spliced request is valid");
    unknown::survive(signal, &before, &after);
}

/// The same for attributes of items.
pub(crate) fn edit_items(signal: Signal, request: &Chain, edits: &Edits, same: impl Fn(&mut Request)) {
    let before = request.contiguous();
    let after = wire::edit(signal, request, Level::Item, &mut |editor| editor.apply(edits)).contiguous();
    if wire::skim(signal, &before).is_err() {
        return;
    }
    let mut expected = decode(signal, &before).expect("accepted by skim");
    same(&mut expected);
    assert_same(&decode(signal, &after).expect("an edited request is valid"), &expected);
    unknown::survive(signal, &before, &after);
}

/// Pieces keep to their limits, and joined again they hold the same items with the same around them.
pub(crate) fn split(signal: Signal, request: &Chain, limits: Limits) {
    let before = request.contiguous();
    let pieces = wire::split(signal, request, limits);
    if wire::skim(signal, &before).is_err() {
        return;
    }
    let mut joined = Chain::new();
    for piece in pieces {
        let bytes = piece.chain.contiguous();
        let skim = wire::skim(signal, &bytes).expect("a piece is valid");
        assert_eq!(skim.items, piece.items);
        model::assert_within(signal, &bytes, &limits);
        joined.append(piece.chain);
    }
    let after = joined.contiguous();
    let (before_items, after_items) = (decode(signal, &before), decode(signal, &after));
    assert_eq!(
        model::flat(&before_items.expect("accepted by skim")),
        model::flat(&after_items.expect("pieces are valid"))
    );
    unknown::survive(signal, &before, &after);
}

/// What the views show is what the decoder makes.
pub(crate) fn view(signal: Signal, bytes: &[u8]) {
    let reread = reread::request(signal, bytes);
    if wire::skim(signal, bytes).is_ok() && !unknown::has_strange_values(signal, bytes) {
        assert_same(&reread, &decode(signal, bytes).expect("accepted by skim"));
    }
}

/// Equal, where NaN is equal to NaN.
fn assert_same(left: &Request, right: &Request) {
    if left != right {
        assert_eq!(format!("{left:#?}"), format!("{right:#?}"));
    }
}

/// The request in slices that end anywhere.
pub(crate) fn cut(bytes: &[u8], mut next: impl FnMut(usize) -> usize) -> Chain {
    let mut chain = Chain::new();
    let mut rest = Bytes::copy_from_slice(bytes);
    while !rest.is_empty() {
        let len = 1 + next(rest.len());
        chain.push(rest.split_to(len.min(rest.len())));
    }
    chain
}
