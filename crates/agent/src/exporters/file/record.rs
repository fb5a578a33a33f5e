//! A request as it stands in the file.

use std::io;

use wire::{Chain, Signal};

use super::Format;

/// A line of JSON, or bytes behind their length.
pub(super) fn encode(signal: Signal, body: &Chain, format: Format, compression: Option<i32>) -> io::Result<Vec<u8>> {
    let mut content = match format {
        Format::Json => wire::json::from_protobuf(signal, body),
        Format::Proto => body.to_vec(),
    };
    if let Some(level) = compression {
        content = zstd::bulk::compress(&content, level)?;
    } else if format == Format::Json {
        content.push(b'\n');
        return Ok(content);
    }
    let length = u32::try_from(content.len());
    let length = length.map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "the request is longer than 4 GiB"))?;
    Ok([&length.to_be_bytes(), content.as_slice()].concat())
}
