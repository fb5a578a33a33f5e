//! gRPC on hyper's HTTP/2: unary calls only, which is all that OTLP has.
//!
//! A call is one message each way, behind five bytes: whether it is compressed, and its length. What came of it stands in
//! the trailers.

/// Making calls.
pub mod client;

/// Taking calls.
pub mod server;

use std::time::Duration;

use http::{HeaderMap, HeaderValue};

pub use super::code::Code;

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The code.
    pub code: Code,
    /// For people.
    pub message: String,
    /// When to try again (`RetryInfo`).
    pub retry_after: Option<Duration>,
}

impl Status {
    /// A status without a time to try again.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }

    /// As `google.rpc.Status`.
    pub fn to_rpc(&self) -> wire::rpc::Status {
        let code = i32::from(self.code as u8);
        wire::rpc::Status { code, message: self.message.clone(), retry_delay: self.retry_after }
    }
}

/// The length of what stands before a message.
pub const PREFIX: usize = 5;

/// Whether these headers are those of a gRPC request: `application/grpc`, with or without a sub-type.
pub fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(http::header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    match content_type.split_at_checked(b"application/grpc".len()) {
        Some((name, rest)) => {
            name.eq_ignore_ascii_case(b"application/grpc") && matches!(rest.first(), None | Some(b'+' | b';'))
        }
        None => false,
    }
}

/// A message as `grpc-message` carries it: printable ASCII but for the percent sign, which escapes the rest.
pub fn percent_encode(message: &str) -> HeaderValue {
    let mut encoded = String::with_capacity(message.len());
    for byte in message.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderValue::from_str(&encoded).expect("printable ASCII is a header value")
}

#[cfg(test)]
mod tests;
