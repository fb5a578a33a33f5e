//! Taking a request apart, so that no piece has more than so many items or bytes.
//!
//! Pieces are filled in order, as the Collector does: a metric's data points may end up in two pieces, and each piece
//! repeats what stands around its items: resource, scope, schema URLs, the metric's name, unit, temporality and the
//! rest, unknown fields too. Put together again, the pieces decode to the same items in the same order.

mod levels;

use crate::assemble::Assembly;
use crate::cursor::Cursor;
use crate::{Chain, Signal, count};
use levels::Levels;

/// How large a piece may become; without either, the request is one piece.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Most items in a piece; 0 is taken as 1.
    pub max_items: Option<usize>,
    /// Most bytes in a piece. An item that is larger with what has to stand around it is a piece of its own.
    pub max_bytes: Option<usize>,
}

/// A part of a request, and a request itself.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The request.
    pub chain: Chain,
    /// How many items it holds.
    pub items: usize,
}

/// Takes a request apart. The pieces are in order, and there is at least one.
#[must_use]
pub fn split(signal: Signal, request: &Chain, limits: Limits) -> Vec<Piece> {
    fill(signal, request, Filling::new(limits))
}

fn fill(signal: Signal, request: &Chain, mut filling: Filling) -> Vec<Piece> {
    let mut cursor = Cursor::new(request);
    loop {
        let before = cursor.clone();
        let Some(field) = cursor.header() else {
            return filling.finish();
        };
        let is_group = field.number == 1 && field.delimited;
        let items = if is_group { items_in_group(signal, cursor.clone(), field.end) } else { 0 };
        let len = field.end - field.start;
        if items > 0 && !filling.fits(items, len) {
            Levels::new(signal, &cursor.take_shared(field.end - field.content), &mut filling).take_apart();
        } else {
            filling.take_whole(before, field.end, items, len);
        }
        cursor.seek(field.end);
    }
}

/// Counts the items in a group that may lie in several slices.
fn items_in_group(signal: Signal, mut cursor: Cursor<'_>, end: usize) -> usize {
    let mut items = 0;
    while cursor.position() < end
        && let Some(field) = cursor.header()
    {
        if field.number == 2 && field.delimited {
            items += count::in_scope(signal, &cursor.clone().take(field.end - field.content));
        }
        cursor.seek(field.end);
    }
    items
}

/// Takes the first `items` of a request off; the rest, if there is one, is not taken apart any further.
#[must_use]
pub fn split_at(signal: Signal, request: &Chain, items: usize) -> (Piece, Option<Piece>) {
    let mut filling = Filling::new(Limits { max_items: Some(items), max_bytes: None });
    filling.cuts_once = true;
    let mut pieces = fill(signal, request, filling).into_iter();
    let nothing = || Piece { chain: Chain::new(), items: 0 };
    (pieces.next().unwrap_or_else(nothing), pieces.next())
}

/// The pieces that are done, and the one that is being filled.
struct Filling {
    max_items: usize,
    max_bytes: usize,
    /// What is behind the first cut stays together.
    cuts_once: bool,
    done: Vec<Piece>,
    piece: Assembly,
    items: usize,
    bytes: usize,
}

impl Filling {
    fn new(limits: Limits) -> Filling {
        Filling {
            max_items: limits.max_items.unwrap_or(usize::MAX).max(1),
            max_bytes: limits.max_bytes.unwrap_or(usize::MAX),
            cuts_once: false,
            done: Vec::new(),
            piece: Assembly::default(),
            items: 0,
            bytes: 0,
        }
    }

    /// Whether there is room for so much more in the piece at hand.
    fn fits(&self, items: usize, bytes: usize) -> bool {
        self.items + items <= self.max_items && self.bytes.saturating_add(bytes) <= self.max_bytes
    }

    /// Takes a field that fits, or that cannot be taken apart.
    fn take_whole(&mut self, mut from: Cursor<'_>, end: usize, items: usize, bytes: usize) {
        if !self.fits(items, bytes) && self.bytes > 0 {
            self.cut();
        }
        from.pour(end, &mut self.piece);
        self.items += items;
        self.bytes += bytes;
    }

    /// Ends the piece at hand.
    fn cut(&mut self) {
        let piece = std::mem::take(&mut self.piece);
        self.done.push(Piece { chain: piece.finish(), items: self.items });
        (self.items, self.bytes) = (0, 0);
        if self.cuts_once {
            self.max_items = usize::MAX;
        }
    }

    fn finish(mut self) -> Vec<Piece> {
        if self.bytes > 0 || self.done.is_empty() {
            self.cut();
        }
        self.done
    }
}

#[cfg(test)]
mod tests;
