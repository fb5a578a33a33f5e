//! Reading bodies: the only place that does.
//!
//! Before a byte of a body is kept, a permit for it is asked for; a body that is too large, too slow or compressed into
//! something too large ends early. What a peer merely claims (a length, an inflated size) costs us nothing beyond one
//! small step.

mod gather;
mod pace;

use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http_body::Body;

pub use gather::Gather;
pub use pace::Pace;

use crate::net::compression::{self, Encoding, InflateError};

/// Memory that can be asked for. What reads a body holds one of these and hands it on with the bytes.
pub trait Reserve: Send {
    /// Asks for `bytes` more.
    ///
    /// # Errors
    ///
    /// When there are none: nothing has changed then.
    fn grow(&mut self, bytes: usize) -> Result<(), Full>;

    /// Gives back what is above `bytes` in all.
    fn shrink_to(&mut self, bytes: usize);
}

/// There is no memory for what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full {
    /// What was asked for.
    pub wanted: usize,
    /// What is in use.
    pub used: usize,
    /// The mark that would have been passed.
    pub limit: usize,
    /// True if it is the share of the one sender that is used up, and others may still have room.
    pub of_sender: bool,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no room for {} bytes: {} of {} bytes are in use", self.wanted, self.used, self.limit)
    }
}

impl std::error::Error for Full {}

/// What a body may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes at most, as sent and again when inflated.
    pub bytes: usize,
    /// How slow it may come.
    pub pace: Pace,
}

/// Why a body was not read.
#[derive(Debug)]
pub enum BodyError {
    /// Longer than allowed, as sent or inflated.
    TooLarge,
    /// There is no memory for it now; the peer may try again.
    Full(Full),
    /// It came slower than allowed.
    TooSlow,
    /// It is not what its encoding says.
    Broken(String),
    /// The connection ended, or the peer broke its protocol.
    Aborted(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("the body is too large"),
            Self::Full(full) => full.fmt(f),
            Self::TooSlow => f.write_str("the body came too slowly"),
            Self::Broken(what) => f.write_str(what),
            Self::Aborted(error) => write!(f, "the body ended early: {error}"),
        }
    }
}

impl std::error::Error for BodyError {}

impl From<Full> for BodyError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

impl From<InflateError> for BodyError {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::TooLarge => Self::TooLarge,
            InflateError::Full(full) => full.into(),
            InflateError::Broken(what) => Self::Broken(what),
        }
    }
}

/// A body that was read.
#[derive(Debug, PartialEq, Eq)]
pub struct Received {
    /// Inflated, in one piece.
    pub bytes: Bytes,
    /// How many bytes were sent for it.
    pub sent: usize,
}

/// Reads a whole body and inflates it. `reserve` holds nothing before, and exactly the returned bytes after.
///
/// # Errors
///
/// See [`BodyError`]. The body was not read to its end then.
pub async fn read<B>(
    body: &mut B,
    limits: &Limits,
    encoding: Encoding,
    reserve: &mut dyn Reserve,
) -> Result<Received, BodyError>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let claimed = body.size_hint().exact().map(|len| usize::try_from(len).unwrap_or(usize::MAX));
    if claimed.is_some_and(|len| len > limits.bytes) {
        return Err(BodyError::TooLarge);
    }
    let mut gather = Gather::expecting(claimed.unwrap_or(0), reserve)?;
    let mut frames = Frames::new(body, limits.pace);
    while let Some(data) = frames.next().await? {
        if data.len() > limits.bytes - gather.len() {
            return Err(BodyError::TooLarge);
        }
        gather.push(data, reserve)?;
    }
    let sent = gather.into_bytes();
    unpack(sent, limits.bytes, encoding, reserve)
}

/// Inflates what was read and leaves `reserve` with exactly the result.
pub(super) fn unpack(
    sent: Bytes,
    cap: usize,
    encoding: Encoding,
    reserve: &mut dyn Reserve,
) -> Result<Received, BodyError> {
    let len = sent.len();
    let bytes = match encoding {
        Encoding::Identity => sent,
        encoding => compression::inflate(encoding, &sent, cap, reserve)?,
    };
    reserve.shrink_to(bytes.len());
    Ok(Received { bytes, sent: len })
}

/// Reads and forgets what is left of a body, for a while: a peer over HTTP/1 reads our answer only when it has sent all.
pub async fn discard<B>(body: B, bytes: usize, time: Duration)
where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    let reading = async {
        let mut left = bytes;
        while let Some(Ok(frame)) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            left = match frame.data_ref().map_or(Some(left), |data| left.checked_sub(data.len())) {
                Some(left) => left,
                None => return,
            };
        }
    };
    // Whether it ended or was given up makes no difference: the connection closes if there is more.
    let _ = tokio::time::timeout(time, reading).await;
}

/// The DATA of a body, frame by frame, at a minimum pace.
pub(super) struct Frames<'a, B> {
    body: &'a mut B,
    clock: pace::Clock,
}

impl<'a, B> Frames<'a, B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    pub(super) fn new(body: &'a mut B, pace: Pace) -> Self {
        Self { body, clock: pace::Clock::start(pace) }
    }

    /// The next bytes; `None` at the end. Trailers are passed over.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = poll_fn(|cx| match Pin::new(&mut *self.body).poll_frame(cx) {
                Poll::Pending => self.clock.poll_expired(cx).map(|()| Err(BodyError::TooSlow)),
                ready => ready.map(|frame| frame.transpose().map_err(|error| BodyError::Aborted(error.into()))),
            });
            let Some(frame) = frame.await? else { return Ok(None) };
            if let Ok(data) = frame.into_data() {
                self.clock.received(data.len());
                return Ok(Some(data));
            }
        }
    }
}

#[cfg(test)]
mod tests;
