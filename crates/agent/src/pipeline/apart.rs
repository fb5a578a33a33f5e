//! Batches in pieces: body, ticket and hold are divided together.

use wire::Limits;

use super::Batch;

/// Takes a batch apart so that no piece passes the limits. A single item that is too large is a piece of its own.
pub(super) fn divide(batch: Batch, limits: Limits) -> Vec<Batch> {
    let pieces = wire::split(batch.signal, &batch.body, limits);
    if pieces.len() < 2 {
        return vec![batch];
    }
    let Batch { signal, ticket: mut rest, origin, mut hold, body: _ } = batch;
    let mut divided = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let after = rest.split_off(piece.items);
        let ticket = std::mem::replace(&mut rest, after);
        divided.push(Batch { signal, body: piece.chain, ticket, origin: origin.clone(), hold: hold.share() });
    }
    // Every item lies in some piece; should the last tickets not match, they stay with the last piece.
    if let Some(last) = divided.last_mut() {
        last.ticket.merge(rest);
    }
    divided
}

/// The first `items` of a batch, and the rest if there is one.
pub(super) fn front(batch: Batch, items: usize) -> (Batch, Option<Batch>) {
    if batch.items() <= items {
        return (batch, None);
    }
    let mut pieces = divide(batch, Limits { max_items: Some(items), max_bytes: None }).into_iter();
    let first = pieces.next().expect("a batch has at least one piece");
    (first, pieces.reduce(join))
}

/// One batch of two, the items of `next` behind those of `batch`.
pub(super) fn join(mut batch: Batch, next: Batch) -> Batch {
    batch.body.append(next.body);
    batch.ticket.merge(next.ticket);
    batch.origin = batch.origin.common(&next.origin);
    batch.hold.merge(next.hold);
    batch
}
