//! Changes to a request, kept as a list of places until all are known, and then made in one pass.
//!
//! A change inside a message changes the message's length, and with it that of every message around it. So the walk
//! that looks for changes opens a message, notes what is inside, and closes it; what is written between the changes is
//! the request's own bytes, shared.

use smallvec::SmallVec;

use crate::Chain;
use crate::assemble::{Assembly, is_shared};
use crate::cursor::Cursor;
use crate::write;

/// Changes to a request, in the order of their places.
#[derive(Default)]
pub(crate) struct Patches {
    list: SmallVec<[Patch; 12]>,
    // What is put in, one replacement behind the other.
    fill: Vec<u8>,
    // How much longer the request becomes.
    grown: isize,
}

/// The bytes from `start` to `end` give way to a piece of the fill.
struct Patch {
    start: usize,
    end: usize,
    fill: (usize, usize),
}

/// A message that was opened and has to be closed.
#[must_use]
pub(crate) struct Open {
    patch: usize,
    content: usize,
    grown: isize,
}

impl Patches {
    /// Replaces the bytes from `start` to `end` by what `fill` writes.
    pub(crate) fn replace(&mut self, start: usize, end: usize, fill: impl FnOnce(&mut Vec<u8>)) {
        let from = self.fill.len();
        fill(&mut self.fill);
        let to = self.fill.len();
        self.grown += (to - from).cast_signed() - (end - start).cast_signed();
        match self.list.last_mut() {
            // Goes on where the last one ended.
            Some(last) if last.end == start && last.fill.1 == from && last.fill.0 < from => {
                (last.end, last.fill.1) = (end, to);
            }
            _ => self.list.push(Patch { start, end, fill: (from, to) }),
        }
    }

    /// Makes room for so many bytes to put in, and the lengths around them.
    pub(crate) fn reserve(&mut self, bytes: usize) {
        self.fill.reserve(bytes + 32);
    }

    /// Opens a message: its length stands from `length` to `content`, and it ends at `end`.
    pub(crate) fn open(&mut self, length: usize, content: usize, end: usize) -> Open {
        let open = Open { patch: self.list.len(), content: end - content, grown: self.grown };
        // Stands for the new length, which is known when the message is closed.
        self.list.push(Patch { start: length, end: content, fill: (0, 0) });
        open
    }

    /// Closes a message: writes its new length, if it has one.
    pub(crate) fn close(&mut self, open: &Open) {
        if self.list.len() == open.patch + 1 {
            self.list.pop();
            return;
        }
        let len = open.content.saturating_add_signed(self.grown - open.grown);
        let from = self.fill.len();
        write::varint(&mut self.fill, len as u64);
        let to = self.fill.len();
        if let Some(patch) = self.list.get_mut(open.patch) {
            patch.fill = (from, to);
            self.grown += (to - from).cast_signed() - (patch.end - patch.start).cast_signed();
        }
    }

    /// Makes the changes. What they do not touch is shared with `request`.
    pub(crate) fn apply(&self, request: &Chain) -> Chain {
        if self.list.is_empty() {
            return request.clone();
        }
        let mut out = Assembly::with_capacity(self.copied(request.len()));
        let mut cursor = Cursor::new(request);
        for patch in &self.list {
            cursor.pour(patch.start, &mut out);
            cursor.seek(patch.end);
            out.copy(self.fill.get(patch.fill.0..patch.fill.1).unwrap_or_default());
        }
        cursor.pour(request.len(), &mut out);
        out.finish()
    }

    /// How many bytes will be copied: the fill, and runs too short to share.
    fn copied(&self, len: usize) -> usize {
        let mut at = 0;
        let mut copied = self.fill.len();
        for end in self.list.iter().map(|patch| (patch.start, patch.end)).chain([(len, len)]) {
            let run = end.0.saturating_sub(at);
            copied += if is_shared(run) { 0 } else { run };
            at = end.1;
        }
        copied
    }
}
