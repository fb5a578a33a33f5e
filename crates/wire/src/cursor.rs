//! Reading a chain from front to back, across the ends of its slices.

use std::borrow::Cow;

use bytes::Bytes;

use crate::Chain;
use crate::assemble::Assembly;
use crate::fields::varint;

/// A place in a chain that only moves forward.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    // The slice at hand and those behind it.
    slices: &'a [Bytes],
    // Place in the first of them.
    at: usize,
    // Place in the chain.
    position: usize,
}

/// A field at the level that the cursor reads, without its content.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) number: u32,
    /// Whether it is of wire type 2.
    pub(crate) delimited: bool,
    /// Where the field starts.
    pub(crate) start: usize,
    /// Where its length starts.
    pub(crate) length: usize,
    /// Where its content starts.
    pub(crate) content: usize,
    /// Where it ends.
    pub(crate) end: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(chain: &'a Chain) -> Cursor<'a> {
        Cursor { slices: chain.slices(), at: 0, position: 0 }
    }

    pub(crate) fn position(&self) -> usize {
        self.position
    }

    /// The bytes from here to the end of the slice at hand.
    fn here(&mut self) -> &'a [u8] {
        while let [first, rest @ ..] = self.slices {
            if self.at < first.len() {
                return first.get(self.at..).unwrap_or_default();
            }
            self.at -= first.len();
            self.slices = rest;
        }
        &[]
    }

    fn advance(&mut self, by: usize) {
        self.at += by;
        self.position += by;
    }

    fn varint(&mut self) -> Option<u64> {
        if let Some((value, len)) = varint(self.here(), 0) {
            self.advance(len);
            return Some(value);
        }
        // Cut by the end of a slice.
        let next = self.clone().take(10);
        let (value, len) = varint(&next, 0)?;
        self.advance(len);
        Some(value)
    }

    /// Reads the next field's header and stands before its content. `None` at the end.
    pub(crate) fn header(&mut self) -> Option<Header> {
        let start = self.position;
        let tag = self.varint()?;
        let length = self.position;
        let len = match tag & 7 {
            0 => {
                self.varint()?;
                0
            }
            1 => 8,
            2 => usize::try_from(self.varint()?).ok()?,
            5 => 4,
            _ => return None,
        };
        let content = self.position;
        let (number, delimited) = (u32::try_from(tag >> 3).ok()?, tag & 7 == 2);
        Some(Header { number, delimited, start, length, content, end: content.checked_add(len)? })
    }

    /// Moves to a place further on.
    pub(crate) fn seek(&mut self, to: usize) {
        self.advance(to.saturating_sub(self.position));
    }

    /// Reads `len` bytes, or as many as there are; copies only if they are not in one slice.
    pub(crate) fn take(&mut self, len: usize) -> Cow<'a, [u8]> {
        let here = self.here();
        if let Some(whole) = here.get(..len) {
            self.advance(len);
            return Cow::Borrowed(whole);
        }
        let mut gathered = Vec::new();
        self.each(len, |slice, start, end| gathered.extend_from_slice(slice.get(start..end).unwrap_or_default()));
        Cow::Owned(gathered)
    }

    /// Reads `len` bytes as a shared slice; copies only if they are not in one.
    pub(crate) fn take_shared(&mut self, len: usize) -> Bytes {
        let here = self.here();
        match self.slices.first() {
            Some(first) if len <= here.len() => {
                let shared = crate::assemble::part(first, self.at, self.at + len);
                self.advance(len);
                shared
            }
            _ => Bytes::from(self.take(len).into_owned()),
        }
    }

    /// Puts everything up to `to` at the end of `out`.
    pub(crate) fn pour(&mut self, to: usize, out: &mut Assembly) {
        self.each(to.saturating_sub(self.position), |slice, start, end| out.run(slice, start, end));
    }

    /// Goes through the next `len` bytes, slice by slice.
    fn each(&mut self, len: usize, mut f: impl FnMut(&Bytes, usize, usize)) {
        let mut left = len;
        while left > 0 {
            let here = self.here().len().min(left);
            let Some(slice) = self.slices.first().filter(|_| here > 0) else {
                return;
            };
            f(slice, self.at, self.at + here);
            self.advance(here);
            left -= here;
        }
    }
}
