//! The encodings of bodies: which names mean which, inflating under a cap, and compressing what is sent.
//!
//! Inflating asks for memory before it is used and never believes what a body says about its own size beyond what its
//! length makes plausible.

mod inflate;

use std::fmt;
use std::io::{self, Write};

use bytes::Bytes;

pub use inflate::{InflateError, inflate};

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// As it is.
    Identity,
    /// RFC 1952.
    Gzip,
    /// RFC 1950: what both `deflate` and `zlib` mean.
    Zlib,
    /// RFC 8878.
    Zstd,
    /// Snappy, one block. Bodies may be framed as well: the stream header tells.
    Snappy,
    /// Snappy in frames.
    SnappyFramed,
    /// LZ4 in frames.
    Lz4,
}

impl Encoding {
    /// Every encoding that compresses.
    pub const ALL: [Self; 6] = [Self::Gzip, Self::Zstd, Self::Zlib, Self::Snappy, Self::SnappyFramed, Self::Lz4];

    /// What a gRPC peer is told that we take.
    pub const GRPC_ACCEPTED: &'static str = "identity,gzip,zstd,snappy,deflate";

    /// The encoding that a `Content-Encoding` header names.
    pub fn from_http(name: &str) -> Option<Self> {
        let name = name.trim();
        let known = |encoding: &Self| name.eq_ignore_ascii_case(encoding.http_name());
        match Self::ALL.into_iter().find(known) {
            Some(encoding) => Some(encoding),
            None if name.is_empty() || name.eq_ignore_ascii_case("identity") => Some(Self::Identity),
            None if name.eq_ignore_ascii_case("zlib") => Some(Self::Zlib),
            None => None,
        }
    }

    /// The encoding that a `grpc-encoding` header names. There `snappy` is the framed format.
    pub fn from_grpc(name: &str) -> Option<Self> {
        match Self::from_http(name)? {
            Self::Snappy | Self::SnappyFramed => Some(Self::SnappyFramed),
            Self::Lz4 => None,
            other => Some(other),
        }
    }

    /// Its name in `Content-Encoding`.
    pub fn http_name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Zlib => "deflate",
            Self::Zstd => "zstd",
            Self::Snappy => "snappy",
            Self::SnappyFramed => "x-snappy-framed",
            Self::Lz4 => "lz4",
        }
    }

    /// Its name in `grpc-encoding`.
    pub fn grpc_name(self) -> &'static str {
        match self {
            Self::SnappyFramed => "snappy",
            other => other.http_name(),
        }
    }
}

impl fmt::Display for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.http_name())
    }
}

/// Compresses the slices of one body, in order.
///
/// `level` is the encoding's own; without one, gzip and zlib take 6, zstd takes 3. Levels outside the range are brought
/// into it. The other encodings have no level.
///
/// # Errors
///
/// When an encoder fails, which it does not on input from memory.
pub fn compress<'a>(
    encoding: Encoding,
    level: Option<i32>,
    slices: impl IntoIterator<Item = &'a [u8]>,
) -> io::Result<Bytes> {
    let slices: Vec<&[u8]> = slices.into_iter().collect();
    let length = slices.iter().map(|slice| slice.len()).sum();
    compress_written(encoding, level, Some(length), &mut |to| slices.iter().try_for_each(|slice| to.write_all(slice)))
}

/// Compresses what `write` writes, of this length if it is known, without having it in memory as a whole; the format of
/// blocks of snappy cannot do without.
///
/// # Errors
///
/// Those of `write`, and when an encoder fails, which it does not on input from memory.
pub fn compress_written(
    encoding: Encoding,
    level: Option<i32>,
    length: Option<usize>,
    write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>,
) -> io::Result<Bytes> {
    let compressed = match encoding {
        Encoding::Identity => written_to(Vec::with_capacity(length.unwrap_or_default()), write)?,
        Encoding::Gzip => written_to(flate2::write::GzEncoder::new(Vec::new(), zlib_level(level)), write)?.finish()?,
        Encoding::Zlib => {
            written_to(flate2::write::ZlibEncoder::new(Vec::new(), zlib_level(level)), write)?.finish()?
        }
        Encoding::Zstd => written_to(zstd_encoder(level, length)?, write)?.finish()?,
        Encoding::Snappy => {
            let whole = written_to(Vec::with_capacity(length.unwrap_or_default()), write)?;
            snap::raw::Encoder::new().compress_vec(&whole)?
        }
        Encoding::SnappyFramed => written_to(snap::write::FrameEncoder::new(Vec::new()), write)?
            .into_inner()
            .map_err(snap::write::IntoInnerError::into_error)?,
        Encoding::Lz4 => {
            written_to(lz4_flex::frame::FrameEncoder::new(Vec::new()), write)?.finish().map_err(io::Error::other)?
        }
    };
    Ok(Bytes::from(compressed))
}

fn written_to<W: Write>(mut encoder: W, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<W> {
    write(&mut encoder)?;
    Ok(encoder)
}

fn zlib_level(level: Option<i32>) -> flate2::Compression {
    let level = level.unwrap_or(6).clamp(0, 9);
    flate2::Compression::new(level.unsigned_abs())
}

/// The size, where it is known, goes into the frame, so that the reader can make room once.
fn zstd_encoder(level: Option<i32>, length: Option<usize>) -> io::Result<zstd::Encoder<'static, Vec<u8>>> {
    let range = zstd::compression_level_range();
    let level = level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL).clamp(*range.start(), *range.end());
    let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
    encoder.set_pledged_src_size(length.map(|length| length as u64))?;
    Ok(encoder)
}

#[cfg(test)]
mod tests;
