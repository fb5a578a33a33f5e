//! Inflating a body: under a cap, with memory asked for before it is used.

use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read};

use bytes::Bytes;
use zstd::zstd_safe::{self, DCtx};

use super::Encoding;
use crate::net::body::{Full, Reserve};

/// Why a body could not be inflated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InflateError {
    /// It inflates to more than the cap.
    TooLarge,
    /// There is no memory for it now.
    Full(Full),
    /// It is not what its encoding says.
    Broken(String),
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => f.write_str("it inflates to more than the limit"),
            Self::Full(full) => full.fmt(f),
            Self::Broken(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for InflateError {}

impl From<Full> for InflateError {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

/// Inflates `body` to at most `cap` bytes. What the result takes is added to `reserve`, beside what it holds already.
///
/// # Errors
///
/// When the result would pass the cap, when there is no memory for it, or when the body is broken.
pub fn inflate(encoding: Encoding, body: &Bytes, cap: usize, reserve: &mut dyn Reserve) -> Result<Bytes, InflateError> {
    if body.is_empty() {
        // What starts with a header is broken without one; the others are empty.
        return match encoding {
            Encoding::Gzip | Encoding::Zlib | Encoding::Snappy => Err(InflateError::Broken("EOF".to_owned())),
            _ => Ok(Bytes::new()),
        };
    }
    let output = Output { bytes: Vec::new(), cap, reserve };
    match encoding {
        Encoding::Identity if body.len() > cap => Err(InflateError::TooLarge),
        Encoding::Identity => Ok(body.clone()),
        Encoding::Gzip => {
            let said = body.last_chunk::<4>().map_or(0, |size| u32::from_le_bytes(*size) as usize);
            output.fill(flate2::bufread::MultiGzDecoder::new(&body[..]), plausible(said, body.len()))
        }
        Encoding::Zlib => output.fill(flate2::bufread::ZlibDecoder::new(&body[..]), plausible(0, body.len())),
        Encoding::Zstd => inflate_zstd(output, body),
        Encoding::Snappy if body.starts_with(SNAPPY_STREAM) => {
            output.fill(snap::read::FrameDecoder::new(&body[..]), plausible(0, body.len()))
        }
        Encoding::Snappy => inflate_snappy_block(output, body),
        Encoding::SnappyFramed => output.fill(snap::read::FrameDecoder::new(&body[..]), plausible(0, body.len())),
        Encoding::Lz4 => inflate_lz4(output, body),
    }
}

/// The Collector's words where a decoder of ours has others.
#[expect(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn broken(error: io::Error) -> InflateError {
    let text = error.to_string();
    InflateError::Broken(match text.as_str() {
        _ if error.kind() == io::ErrorKind::UnexpectedEof => "unexpected EOF".to_owned(),
        "invalid gzip header" => "gzip: invalid header".to_owned(),
        "corrupt gzip stream does not have a matching checksum" => "gzip: invalid checksum".to_owned(),
        _ => text,
    })
}

/// What a snappy stream in frames starts with; no block does.
const SNAPPY_STREAM: &[u8] = b"\xff\x06\x00\x00sNaPpY";

/// Telemetry inflates 5 to 20 times, so a body that says more than 32 times its length is given that much to begin
/// with and more when the bytes are really there.
const PLAUSIBLE_RATIO: usize = 32;

/// The first guess at the inflated size: what the body says (0: nothing), in the bounds of what its length makes likely.
fn plausible(said: usize, len: usize) -> usize {
    let most = len.saturating_mul(PLAUSIBLE_RATIO);
    if said == 0 || said > most { len.saturating_mul(4).max(1024) } else { said }
}

/// Bytes being inflated; grows in steps, each asked for first.
struct Output<'a> {
    bytes: Vec<u8>,
    cap: usize,
    reserve: &'a mut dyn Reserve,
}

impl Output<'_> {
    /// Makes room for `more` bytes, or for as many as the cap still allows.
    fn make_room(&mut self, more: usize) -> Result<usize, Full> {
        let more = more.min(self.cap - self.bytes.len());
        self.reserve.grow(more)?;
        self.bytes.reserve_exact(more);
        Ok(more)
    }

    /// Reads a decoder to its end.
    fn fill(mut self, mut decoder: impl Read, first: usize) -> Result<Bytes, InflateError> {
        let mut room = self.make_room(first)?;
        loop {
            let read = decoder.by_ref().take(room as u64).read_to_end(&mut self.bytes).map_err(broken)?;
            if read < room {
                return Ok(self.done());
            }
            // Full to the last byte: at the end of the input, or there is more.
            let mut next = [0; 1];
            if decoder.read(&mut next).map_err(broken)? == 0 {
                return Ok(self.done());
            }
            if self.bytes.len() == self.cap {
                return Err(InflateError::TooLarge);
            }
            room = self.make_room(self.bytes.len().max(1024))? - 1;
            self.bytes.push(next[0]);
        }
    }

    fn done(mut self) -> Bytes {
        self.bytes.shrink_to_fit();
        Bytes::from(self.bytes)
    }
}

thread_local! {
    /// 160 KiB each, made by the first zstd body that a thread sees.
    static ZSTD: RefCell<DCtx<'static>> = RefCell::new(DCtx::create());
}

/// Inflates in one pass into memory that is large enough; then zstd needs no window of its own (a stream decoder takes up
/// to 8 MiB when a tiny frame asks for it). A frame that does not say its size, or lies, is tried again with more room.
fn inflate_zstd(mut output: Output<'_>, body: &[u8]) -> Result<Bytes, InflateError> {
    let said = zstd_safe::get_frame_content_size(body).ok().flatten().and_then(|said| usize::try_from(said).ok());
    let mut room = output.make_room(plausible(said.unwrap_or(0), body.len()))?;
    loop {
        let read = ZSTD.with_borrow_mut(|context| context.decompress(&mut output.bytes, body));
        match read.map_err(zstd_safe::get_error_name) {
            Ok(_) => return Ok(output.done()),
            Err("Destination buffer is too small") if room >= output.cap => return Err(InflateError::TooLarge),
            Err("Destination buffer is too small") => {
                let more = room.min(output.cap - room);
                output.reserve.grow(more)?;
                room += more;
                output.bytes = Vec::with_capacity(room);
            }
            Err(what) => return Err(InflateError::Broken(format!("zstd: {what}"))),
        }
    }
}

/// A block says its size first. No copy is longer than 64 bytes for its 3, so a block that says more than 22 times its
/// length lies.
fn inflate_snappy_block(mut output: Output<'_>, body: &[u8]) -> Result<Bytes, InflateError> {
    let broken = |error: snap::Error| InflateError::Broken(error.to_string());
    let len = snap::raw::decompress_len(body).map_err(broken)?;
    if len > output.cap {
        return Err(InflateError::TooLarge);
    }
    if len > body.len().saturating_mul(22) {
        return Err(InflateError::Broken("snappy: the block says a size that it cannot have".to_owned()));
    }
    output.make_room(len)?;
    output.bytes.resize(len, 0);
    snap::raw::Decoder::new().decompress(body, &mut output.bytes).map_err(broken)?;
    Ok(output.done())
}

/// The decoder keeps up to three blocks of the size that the frame's header names (4 MiB at most).
fn inflate_lz4(output: Output<'_>, body: &[u8]) -> Result<Bytes, InflateError> {
    let block = match body.get(5).map_or(0, |descriptor| (descriptor >> 4) & 7) {
        code @ 4..=7 => 1_usize << (8 + 2 * code),
        _ => return Err(InflateError::Broken("lz4: not a frame".to_owned())),
    };
    output.reserve.grow(3 * block)?;
    output.fill(lz4_flex::frame::FrameDecoder::new(body), plausible(0, body.len()))
}
