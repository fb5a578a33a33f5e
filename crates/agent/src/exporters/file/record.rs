//! A request as it stands in the file.

use std::io::{self, Write};

use wire::{Chain, Signal};

use super::Format;

/// What is written for a request.
pub(super) enum Record {
    /// A line of JSON. It is made while it is written, piece by piece: it is several times as long as the request.
    Line(Signal, Chain),
    /// Bytes behind their length.
    Framed([u8; 4], Chain),
}

impl Record {
    /// `compression` is the level of zstd.
    ///
    /// # Errors
    /// There is no room for its length, or it cannot be compressed.
    pub(super) fn new(signal: Signal, body: &Chain, format: Format, compression: Option<i32>) -> io::Result<Record> {
        let content = match (format, compression) {
            (Format::Json, None) => return Ok(Record::Line(signal, body.clone())),
            (Format::Proto, None) => body.clone(),
            (format, Some(level)) => compressed(signal, body, format, level)?.into(),
        };
        let length = u32::try_from(content.len());
        let length =
            length.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the request is longer than 4 GiB"))?;
        Ok(Record::Framed(length.to_be_bytes(), content))
    }

    pub(super) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        match self {
            Record::Line(signal, body) => {
                wire::json::write(*signal, body, to)?;
                to.write_all(b"\n")
            }
            Record::Framed(length, content) => {
                to.write_all(length)?;
                content.iter().try_for_each(|slice| to.write_all(slice))
            }
        }
    }
}

/// The request in its format, compressed as it is made.
fn compressed(signal: Signal, body: &Chain, format: Format, level: i32) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), level)?;
    match format {
        Format::Json => wire::json::write(signal, body, &mut encoder)?,
        Format::Proto => {
            // The size goes into the frame, so that the reader can make room once.
            encoder.set_pledged_src_size(Some(body.len() as u64))?;
            body.iter().try_for_each(|slice| encoder.write_all(slice))?;
        }
    }
    encoder.finish()
}
