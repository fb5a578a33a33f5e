//! What an OTLP server answers: the export response with its partial success, `google.rpc.Status`, `RetryInfo`.
//!
//! The response looks the same for all signals: field 1 is the partial success, in it 1 is the number of rejected items
//! and 2 the message.

use std::time::Duration;

use crate::fields::Fields;
use crate::write;

const RETRY_INFO_URL: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// A backend took the request but not all of its items.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartialSuccess {
    /// How many items it did not take; 0 with a message is a warning.
    pub rejected: i64,
    /// Why.
    pub message: String,
}

/// `google.rpc.Status`: the body of an OTLP/HTTP error and the details of a gRPC one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Status {
    /// gRPC code.
    pub code: i32,
    /// For people.
    pub message: String,
    /// When to try again, from `RetryInfo`.
    pub retry_delay: Option<Duration>,
}

/// Encodes an export response. `None` means that all was taken; as in the Collector an empty partial success is written
/// then, the two bytes `0a 00`.
#[must_use]
pub fn write_response(partial: Option<&PartialSuccess>) -> Vec<u8> {
    let mut out = Vec::new();
    write::message_field(&mut out, 1, |out| {
        let Some(partial) = partial else {
            return;
        };
        if partial.rejected != 0 {
            write::varint_field(out, 1, partial.rejected.cast_unsigned());
        }
        if !partial.message.is_empty() {
            write::bytes_field(out, 2, partial.message.as_bytes());
        }
    });
    out
}

/// Reads the partial success of an export response. An empty one means full success and is `None`.
#[must_use]
pub fn read_response(response: &[u8]) -> Option<PartialSuccess> {
    let mut partial = PartialSuccess::default();
    for field in Fields::new(response).messages(1).flat_map(Fields::new) {
        match field.number {
            1 => partial.rejected = field.varint().unwrap_or_default().cast_signed(),
            2 => partial.message = lossy(field.bytes()),
            _ => {}
        }
    }
    (partial != PartialSuccess::default()).then_some(partial)
}

impl Status {
    /// Encodes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if self.code != 0 {
            write::varint_field(&mut out, 1, i64::from(self.code).cast_unsigned());
        }
        if !self.message.is_empty() {
            write::bytes_field(&mut out, 2, self.message.as_bytes());
        }
        if let Some(delay) = self.retry_delay {
            write::message_field(&mut out, 3, |out| {
                write::bytes_field(out, 1, RETRY_INFO_URL.as_bytes());
                write::message_field(out, 2, |out| retry_info(out, delay));
            });
        }
        out
    }

    /// Reads one from a stranger's bytes: what is not understood is left out.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Status {
        let mut status = Status::default();
        for field in Fields::new(bytes) {
            match field.number {
                1 => status.code = field.varint().unwrap_or_default() as i32,
                2 => status.message = lossy(field.bytes()),
                3 => status.retry_delay = field.bytes().and_then(read_retry_info).or(status.retry_delay),
                _ => {}
            }
        }
        status
    }
}

/// Appends the content of a `google.rpc.RetryInfo`.
pub fn retry_info(out: &mut Vec<u8>, delay: Duration) {
    write::message_field(out, 1, |out| {
        if delay.as_secs() != 0 {
            write::varint_field(out, 1, delay.as_secs());
        }
        if delay.subsec_nanos() != 0 {
            write::varint_field(out, 2, u64::from(delay.subsec_nanos()));
        }
    });
}

fn read_retry_info(any: &[u8]) -> Option<Duration> {
    let mut is_retry_info = false;
    let mut value: &[u8] = &[];
    for field in Fields::new(any) {
        match field.number {
            1 => is_retry_info = field.bytes().is_some_and(|url| url.ends_with(b"/google.rpc.RetryInfo")),
            2 => value = field.bytes()?,
            _ => {}
        }
    }
    let (mut seconds, mut nanos) = (0i64, 0i32);
    for field in Fields::new(value).messages(1).flat_map(Fields::new) {
        match field.number {
            1 => seconds = field.varint()?.cast_signed(),
            2 => nanos = field.varint()? as i32,
            _ => {}
        }
    }
    // A negative delay, or one with a billion nanoseconds, is nobody's intention.
    let delay = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanos).ok()?.min(999_999_999));
    is_retry_info.then_some(delay)
}

fn lossy(bytes: Option<&[u8]>) -> String {
    String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_success_is_an_empty_partial_success() {
        assert_eq!(write_response(None), [0x0a, 0x00]);
        assert_eq!(read_response(&[]), None);
        assert_eq!(read_response(&[0x0a, 0x00]), None);
    }

    #[test]
    fn a_partial_success_comes_back_as_it_was_written() {
        let partial = PartialSuccess { rejected: 3, message: "too old".into() };
        assert_eq!(read_response(&write_response(Some(&partial))), Some(partial));
    }

    #[test]
    fn a_status_comes_back_as_it_was_written() {
        let status = Status { code: 14, message: "full".into(), retry_delay: Some(Duration::from_millis(1500)) };
        assert_eq!(Status::decode(&status.encode()), status);
    }

    #[test]
    fn a_strange_status_is_read_as_far_as_it_goes() {
        assert_eq!(Status::decode(b"\x08\x0e\x12\x04fu").code, 14);
        assert_eq!(Status::decode(&[0xff; 40]), Status::default());
    }
}
