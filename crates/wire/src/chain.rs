//! A request as a chain of shared byte slices.

use bytes::{Bytes, BytesMut};
use smallvec::SmallVec;

/// One valid OTLP export request, as the bytes that would be sent, in one or more slices.
///
/// Where one slice ends and the next begins means nothing: it may be inside a field. A clone shares the bytes. Two
/// requests put one behind the other are one request with the items of both, because protobuf merges repeated fields
/// by appending; that is how batches are joined.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    // Never holds an empty slice.
    slices: SmallVec<[Bytes; 2]>,
    len: usize,
}

impl Chain {
    /// A request without items.
    #[must_use]
    pub fn new() -> Chain {
        Chain::default()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// True if there is not a single byte (which is a valid request without items).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slices, none of them empty.
    #[must_use]
    pub fn slices(&self) -> &[Bytes] {
        &self.slices
    }

    /// The slices in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Bytes> {
        self.slices.iter()
    }

    /// Puts `bytes` at the end.
    pub fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.len += bytes.len();
            self.slices.push(bytes);
        }
    }

    /// Joins: puts another request behind this one.
    pub fn append(&mut self, other: Chain) {
        self.len += other.len;
        self.slices.extend(other.slices);
    }

    /// The whole request in one piece; copies only if there is more than one slice.
    #[must_use]
    pub fn contiguous(&self) -> Bytes {
        match self.slices.as_slice() {
            [] => Bytes::new(),
            [one] => one.clone(),
            many => {
                let mut whole = BytesMut::with_capacity(self.len);
                many.iter().for_each(|slice| whole.extend_from_slice(slice));
                whole.freeze()
            }
        }
    }

    /// A copy of the whole request.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        let mut whole = Vec::with_capacity(self.len);
        self.iter().for_each(|slice| whole.extend_from_slice(slice));
        whole
    }
}

impl From<Bytes> for Chain {
    fn from(bytes: Bytes) -> Chain {
        let mut chain = Chain::new();
        chain.push(bytes);
        chain
    }
}

impl From<Vec<u8>> for Chain {
    fn from(bytes: Vec<u8>) -> Chain {
        Chain::from(Bytes::from(bytes))
    }
}

impl FromIterator<Bytes> for Chain {
    fn from_iter<I: IntoIterator<Item = Bytes>>(slices: I) -> Chain {
        let mut chain = Chain::new();
        slices.into_iter().for_each(|slice| chain.push(slice));
        chain
    }
}

impl IntoIterator for Chain {
    type Item = Bytes;
    type IntoIter = smallvec::IntoIter<[Bytes; 2]>;

    fn into_iter(self) -> Self::IntoIter {
        self.slices.into_iter()
    }
}

impl<'a> IntoIterator for &'a Chain {
    type Item = &'a Bytes;
    type IntoIter = std::slice::Iter<'a, Bytes>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_slices_are_left_out() {
        let chain: Chain = [Bytes::new(), Bytes::from_static(b"a"), Bytes::new()].into_iter().collect();
        assert_eq!((chain.slices().len(), chain.len(), chain.is_empty()), (1, 1, false));
    }

    #[test]
    fn one_slice_is_contiguous_without_a_copy() {
        let bytes = Bytes::from(vec![1, 2, 3]);
        assert_eq!(Chain::from(bytes.clone()).contiguous().as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn joining_puts_one_request_behind_the_other() {
        let mut chain = Chain::from(vec![1, 2]);
        chain.append(Chain::from(vec![3]));
        chain.append(Chain::new());
        assert_eq!(chain.len(), 3);
        assert_eq!(&chain.contiguous()[..], [1, 2, 3]);
        assert_eq!(chain.to_vec(), [1, 2, 3]);
    }
}
