//! Putting a request together from new bytes and from bytes of another request.

use bytes::{Bytes, BytesMut};

use crate::Chain;

/// Runs shorter than this are copied instead of shared. Another slice costs an allocation's worth here, and in HTTP/2 a
/// frame of its own behind; copying so few bytes costs less than either.
const SHARE_FROM: usize = 4096;

/// A request under construction.
#[derive(Default)]
pub(crate) struct Assembly {
    done: Chain,
    // What was copied since the last shared run.
    copied: BytesMut,
}

impl Assembly {
    /// With room for this many copied bytes.
    pub(crate) fn with_capacity(copied: usize) -> Assembly {
        Assembly { done: Chain::new(), copied: BytesMut::with_capacity(copied) }
    }

    /// Copies bytes to the end.
    pub(crate) fn copy(&mut self, bytes: &[u8]) {
        self.copied.extend_from_slice(bytes);
    }

    /// Puts a part of `source` at the end: a long one is shared, a short one copied.
    pub(crate) fn run(&mut self, source: &Bytes, start: usize, end: usize) {
        if is_shared(end.saturating_sub(start)) {
            self.share(part(source, start, end));
        } else {
            self.copy(source.get(start..end).unwrap_or_default());
        }
    }

    fn share(&mut self, bytes: Bytes) {
        if !self.copied.is_empty() {
            self.done.push(self.copied.split().freeze());
        }
        self.done.push(bytes);
    }

    /// The request.
    pub(crate) fn finish(mut self) -> Chain {
        self.done.push(self.copied.freeze());
        self.done
    }
}

/// Whether a run of this length is shared.
pub(crate) fn is_shared(len: usize) -> bool {
    len >= SHARE_FROM
}

/// A part of `source`, shared; empty if it is not inside.
pub(crate) fn part(source: &Bytes, start: usize, end: usize) -> Bytes {
    if start <= end && end <= source.len() { source.slice(start..end) } else { Bytes::new() }
}
