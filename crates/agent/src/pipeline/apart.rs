//! Batches in pieces: body, ticket and hold are divided together.

use wire::{Limits, Piece};

use super::Batch;

/// Takes a batch apart so that no piece passes the limits. A single item that is too large is a piece of its own.
pub(super) fn divide(batch: Batch, limits: Limits) -> Vec<Batch> {
    if is_within(&batch, limits) {
        return vec![batch];
    }
    let pieces = wire::split(batch.signal, &batch.body, limits);
    deal(batch, pieces)
}

/// Whether there is nothing to take apart. Nearly always so, and the items are known without looking.
fn is_within(batch: &Batch, limits: Limits) -> bool {
    limits.max_items.is_none_or(|most| batch.items() <= most)
        && limits.max_bytes.is_none_or(|most| batch.body.len() <= most)
}

/// The first `items` of a batch, and the rest if there is one.
pub(super) fn front(batch: Batch, items: usize) -> (Batch, Option<Batch>) {
    if batch.items() <= items {
        return (batch, None);
    }
    let (first, rest) = wire::split_at(batch.signal, &batch.body, items);
    let mut dealt = deal(batch, [first].into_iter().chain(rest).collect());
    let rest = if dealt.len() > 1 { dealt.pop() } else { None };
    (dealt.pop().expect("a batch has at least one piece"), rest)
}

/// Gives each piece its part of the ticket, and a share of the memory.
fn deal(mut batch: Batch, pieces: Vec<Piece>) -> Vec<Batch> {
    if pieces.len() < 2 {
        return vec![batch];
    }
    let mut dealt: Vec<Batch> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        let rest = batch.ticket.split_off(piece.items);
        let ticket = std::mem::replace(&mut batch.ticket, rest);
        let (origin, hold) = (batch.origin.clone(), batch.hold.share());
        dealt.push(Batch { signal: batch.signal, body: piece.chain, ticket, origin, hold });
    }
    // Every item lies in some piece; should the counts not match, the last piece answers for what is left.
    if let Some(last) = dealt.last_mut() {
        last.ticket.merge(batch.ticket);
    }
    dealt
}

/// One batch of two, the items of `next` behind those of `batch`.
pub(super) fn join(mut batch: Batch, next: Batch) -> Batch {
    batch.body.append(next.body);
    batch.ticket.merge(next.ticket);
    batch.origin = batch.origin.common(&next.origin);
    batch.hold.merge(next.hold);
    batch
}
