//! Bodies: requests go out slice by slice as they are held, answers come in up to a cap.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

/// A request body: slices that are written one after another, never copied together. A clone shares the bytes, so a
/// request can be sent again.
#[derive(Debug, Clone, Default)]
pub struct Slices {
    rest: VecDeque<Bytes>,
    len: u64,
}

impl FromIterator<Bytes> for Slices {
    fn from_iter<I: IntoIterator<Item = Bytes>>(slices: I) -> Self {
        let rest: VecDeque<Bytes> = slices.into_iter().filter(|slice| !slice.is_empty()).collect();
        let len = rest.iter().map(|slice| slice.len() as u64).sum();
        Self { rest, len }
    }
}

impl Slices {
    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing to send.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

impl Body for Slices {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = self.get_mut();
        let Some(slice) = this.rest.pop_front() else { return Poll::Ready(None) };
        this.len -= slice.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(slice))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len)
    }
}

/// The body of an answer, read.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) body: Bytes,
    pub(super) trailers: HeaderMap,
    /// There was more than the cap; the rest was left unread.
    pub(super) cut: bool,
}

/// Reads an answer up to `cap` bytes. What is longer is cut there: an answer to an export is a few bytes, and nobody
/// shall fill our memory with one.
pub(super) async fn read(mut incoming: Incoming, cap: usize) -> Result<Read, hyper::Error> {
    let mut body = BytesMut::new();
    let mut trailers = HeaderMap::new();
    while let Some(frame) = incoming.frame().await {
        match frame?.into_data() {
            Ok(data) => {
                let room = cap - body.len();
                body.extend_from_slice(&data[..data.len().min(room)]);
                if data.len() > room {
                    return Ok(Read { body: body.freeze(), trailers, cut: true });
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    Ok(Read { body: body.freeze(), trailers, cut: false })
}
