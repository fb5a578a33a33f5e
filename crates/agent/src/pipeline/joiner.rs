//! Puts batches one behind the other until they are sent.
//!
//! Requests of SDKs are small, and a chain of thousands of small slices is slow to send and spends more on its slices than on
//! its bytes. So what is small is copied into blocks, while it is still warm; what is large is only linked.

use std::collections::VecDeque;

use bytes::BytesMut;
use wire::{Chain, Limits, Signal};

use super::{Batch, Hold, Origin, Ticket, apart};

/// Up to this size a body is copied. An enriched request is two or three slices, and each slice goes out as a frame of
/// HTTP/2 of its own, with a header, a place in the queue of the connection and a vector entry of the system call, and
/// pins about 100 bytes beside its own. Copying 8 KiB that were just written costs less than that.
const COPIED: usize = 8 << 10;

/// Sizes of the blocks: each is twice as large as the one before, so that one of few bytes does not pin many.
const SMALLEST_BLOCK: usize = 8 << 10;
const LARGEST_BLOCK: usize = 64 << 10;

/// Batches that will be one.
#[derive(Debug, Default)]
pub struct Joiner {
    parts: VecDeque<Batch>,
    /// What is being copied into; it lies behind all parts.
    block: Option<Block>,
    items: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Block {
    signal: Signal,
    buffer: BytesMut,
    ticket: Ticket,
    origin: Origin,
    /// For the whole buffer, also the part that is not written yet.
    hold: Hold,
}

impl Joiner {
    /// Puts a batch behind the others.
    pub fn push(&mut self, batch: Batch) {
        self.items += batch.items();
        self.bytes += batch.body.len();
        if let Some(large) = self.copy(batch) {
            self.close_block();
            self.parts.push_back(large);
        }
    }

    /// How many items there are.
    #[must_use]
    pub fn items(&self) -> usize {
        self.items
    }

    /// How many bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// True if there is nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.block.is_none()
    }

    /// Takes out everything as one batch.
    pub fn take(&mut self) -> Option<Batch> {
        self.close_block();
        (self.items, self.bytes) = (0, 0);
        std::mem::take(&mut self.parts).into_iter().reduce(apart::join)
    }

    /// Takes out as much from the front as the limits allow, at least one item, as one batch. A batch of exactly
    /// `max_items` comes out if there are that many; bytes are counted in whole requests where that is possible.
    pub fn cut(&mut self, limits: Limits) -> Option<Batch> {
        self.close_block();
        let mut taken = self.parts.pop_front().map(|part| self.shorten(part, limits))?;
        while let Some(next) = self.parts.pop_front() {
            let room = limits.max_items.map_or(usize::MAX, |most| most.saturating_sub(taken.items()));
            let too_long = limits.max_bytes.is_some_and(|most| taken.body.len() + next.body.len() > most);
            if room == 0 || too_long {
                self.parts.push_front(next);
                break;
            }
            taken = apart::join(taken, self.shorten(next, Limits { max_items: Some(room), max_bytes: None }));
        }
        self.items -= taken.items();
        self.bytes = self.parts.iter().map(|part| part.body.len()).sum();
        Some(taken)
    }

    /// A part within the limits; what is left of it goes back to the front.
    fn shorten(&mut self, part: Batch, limits: Limits) -> Batch {
        let (part, rest) = match limits.max_items {
            Some(most) => apart::front(part, most),
            None => (part, None),
        };
        if let Some(rest) = rest {
            self.parts.push_front(rest);
        }
        if limits.max_bytes.is_none_or(|most| part.body.len() <= most) {
            return part;
        }
        let mut pieces = apart::divide(part, Limits { max_items: None, ..limits });
        let rest = pieces.split_off(1);
        rest.into_iter().rev().for_each(|piece| self.parts.push_front(piece));
        pieces.pop().expect("a batch has at least one piece")
    }

    /// Copies a small batch into the block. One that is not small comes back, as does one for whose block there is no
    /// memory.
    fn copy(&mut self, batch: Batch) -> Option<Batch> {
        let length = batch.body.len();
        if length > COPIED {
            return Some(batch);
        }
        if !self.block.as_ref().is_some_and(|block| block.has_room(length, &batch)) {
            let Some(block) = Block::open(&batch, self.next_capacity()) else { return Some(batch) };
            self.close_block();
            self.parts.reserve(1);
            self.block = Some(block.with(batch));
        } else if let Some(block) = self.block.take() {
            self.block = Some(block.with(batch));
        }
        None
    }

    fn next_capacity(&self) -> usize {
        let last = self.block.as_ref().map_or(0, |block| block.buffer.capacity());
        (2 * last).clamp(SMALLEST_BLOCK, LARGEST_BLOCK)
    }

    fn close_block(&mut self) {
        self.parts.extend(self.block.take().map(Block::close));
    }
}

impl Block {
    /// An empty block for batches like this one; `None` if there is no room for it in the budget.
    fn open(like: &Batch, capacity: usize) -> Option<Block> {
        let hold = like.hold.another(capacity).ok()?;
        let buffer = BytesMut::with_capacity(capacity);
        Some(Block { signal: like.signal, buffer, ticket: Ticket::none(), origin: like.origin.clone(), hold })
    }

    fn has_room(&self, length: usize, batch: &Batch) -> bool {
        self.buffer.len() + length <= self.buffer.capacity() && self.signal == batch.signal
    }

    /// Adds a copy. The batch's own memory is given back.
    fn with(mut self, mut batch: Batch) -> Block {
        self.hold.take_charges(&mut batch.hold);
        batch.body.iter().for_each(|slice| self.buffer.extend_from_slice(slice));
        self.ticket.merge(batch.ticket);
        self.origin = self.origin.common(&batch.origin);
        self
    }

    fn close(self) -> Batch {
        let body = Chain::from(self.buffer.freeze());
        Batch { signal: self.signal, body, ticket: self.ticket, origin: self.origin, hold: self.hold }
    }
}

#[cfg(test)]
mod tests;
