//! The bodies that a server answers with: bytes, and perhaps trailers behind them; or parts that are still being made.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Frame, SizeHint};
use tokio::sync::mpsc;

/// A body.
#[derive(Debug, Default)]
pub struct Body {
    data: Bytes,
    trailers: Option<Box<HeaderMap>>,
    parts: Option<mpsc::Receiver<Part>>,
}

/// A part of a body that is being made.
#[derive(Debug)]
pub enum Part {
    /// Some bytes.
    Data(Bytes),
    /// There are no more. Without it, the connection is cut, so that nobody takes what is there for the whole.
    End,
}

/// A body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aborted;

impl fmt::Display for Aborted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer could not be completed")
    }
}

impl std::error::Error for Aborted {}

impl Body {
    /// Nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// What comes out of `parts`, until [`Part::End`].
    pub fn of_parts(parts: mpsc::Receiver<Part>) -> Self {
        Self { parts: Some(parts), ..Self::default() }
    }

    /// The same body with trailers behind it.
    pub fn with_trailers(self, trailers: HeaderMap) -> Self {
        Self { trailers: Some(Box::new(trailers)), ..self }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self { data: bytes.into(), ..Self::default() }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        if let Some(parts) = &mut self.parts {
            return parts.poll_recv(cx).map(|part| match part {
                Some(Part::Data(data)) => Some(Ok(Frame::data(data))),
                Some(Part::End) => {
                    self.parts = None;
                    None
                }
                None => {
                    self.parts = None;
                    Some(Err(Aborted))
                }
            });
        }
        if !self.data.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.data)))));
        }
        Poll::Ready(self.trailers.take().map(|trailers| Ok(Frame::trailers(*trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none() && self.parts.is_none()
    }

    /// Exact, but not when trailers follow: gRPC answers carry no `content-length`. Nor while it is being made.
    fn size_hint(&self) -> SizeHint {
        match (&self.trailers, &self.parts) {
            (None, None) => SizeHint::with_exact(self.data.len() as u64),
            _ => SizeHint::default(),
        }
    }
}
