//! Making calls: the frame around the message, and what the answer means.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::{Code, PREFIX, Status, is_grpc};
use crate::net::body::{Full, Reserve};
use crate::net::client::{ANSWER_CAP, Answer};
use crate::net::compression::{Encoding, inflate};

/// What stands before a message of this length.
///
/// # Errors
/// The message is longer than gRPC can say (4 GiB).
pub fn prefix(compressed: bool, len: u64) -> Result<Bytes, Status> {
    let len =
        u32::try_from(len).map_err(|_| Status::new(Code::ResourceExhausted, "the message is larger than 4 GiB"))?;
    let mut prefix = [0; PREFIX];
    prefix[0] = u8::from(compressed);
    prefix[1..].copy_from_slice(&len.to_be_bytes());
    Ok(Bytes::copy_from_slice(&prefix))
}

/// The message of an answer; `Err` if the call did not succeed.
///
/// # Errors
/// The status that the server gave, or the one that its HTTP answer stands for when it is no gRPC server.
pub fn message(answer: &Answer) -> Result<Bytes, Status> {
    let Some(status) = status(&answer.trailers).or_else(|| status(&answer.headers)) else {
        return Err(without_status(answer));
    };
    if status.code != Code::Ok {
        return Err(status);
    }
    // The server took the request. A message that cannot be read changes nothing about that.
    Ok(unframe(answer).unwrap_or_default())
}

/// The status in trailers, or in the headers of an answer that has nothing else.
fn status(headers: &HeaderMap) -> Option<Status> {
    let number = headers.get("grpc-status")?;
    let code = number.to_str().ok().and_then(|number| number.parse().ok()).map_or(Code::Unknown, Code::from_number);
    let message = headers.get("grpc-message").map(percent_decode).unwrap_or_default();
    let retry_after = headers.get("grpc-status-details-bin").and_then(details).and_then(|status| status.retry_delay);
    Some(Status { code, message, retry_after })
}

/// `grpc-status-details-bin`: base64 with or without padding. What is broken is left out.
fn details(value: &HeaderValue) -> Option<wire::rpc::Status> {
    let text = value.to_str().ok()?.trim_end_matches('=');
    STANDARD_NO_PAD.decode(text).ok().map(|bytes| wire::rpc::Status::decode(&bytes))
}

/// An answer without a gRPC status, as the gRPC specification reads it.
fn without_status(answer: &Answer) -> Status {
    let Answer { status, headers, body, .. } = answer;
    if *status == StatusCode::OK && is_grpc(headers) {
        return Status::new(Code::Internal, "the server closed the stream without a status");
    }
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    let content_type = headers.get(CONTENT_TYPE).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let content_type = content_type.as_deref().unwrap_or("none");
    let mut message = format!("no gRPC answer, but HTTP status {status} with content type {content_type}");
    let excerpt = excerpt(body);
    if !excerpt.is_empty() {
        message = format!("{message}: {excerpt}");
    }
    Status::new(code, message)
}

/// The first line of a body, for people.
pub fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// The first message of the body.
fn unframe(answer: &Answer) -> Option<Bytes> {
    let body = &answer.body;
    let (prefix, rest) = body.split_first_chunk::<PREFIX>()?;
    let [compressed, len @ ..] = *prefix;
    let len = u32::from_be_bytes(len) as usize;
    rest.get(..len)?;
    let message = body.slice(PREFIX..PREFIX + len);
    if compressed == 0 {
        return Some(message);
    }
    // grpc-go compresses its answer like the request.
    let encoding =
        answer.headers.get("grpc-encoding").and_then(|name| name.to_str().ok()).and_then(Encoding::from_grpc)?;
    inflate(encoding, &message, ANSWER_CAP, &mut Unreserved).ok()
}

/// Answers are small and capped, so they are not entered into the budget.
struct Unreserved;

impl Reserve for Unreserved {
    fn grow(&mut self, _: usize) -> Result<(), Full> {
        Ok(())
    }

    fn shrink_to(&mut self, _: usize) {}
}

/// The text of `grpc-message`. An escape that is none stays as it is.
fn percent_decode(value: &HeaderValue) -> String {
    let mut decoded = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let escaped = after.first_chunk::<2>().filter(|_| byte == b'%').and_then(hex);
        decoded.push(escaped.unwrap_or(byte));
        rest = if escaped.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], trailers: &[(&'static str, &str)], body: &[u8]) -> Answer {
        let map = |pairs: &[(&'static str, &str)]| {
            pairs.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
        };
        let status = StatusCode::from_u16(status).unwrap();
        Answer {
            status,
            headers: map(headers),
            trailers: map(trailers),
            body: Bytes::copy_from_slice(body),
            cut: false,
        }
    }

    const GRPC: (&str, &str) = ("content-type", "application/grpc");

    #[test]
    fn a_message_is_taken_out_of_its_frame() {
        let check = |body: &[u8], encoding: &str, expected: &[u8]| {
            let answer = answer(200, &[GRPC, ("grpc-encoding", encoding)], &[("grpc-status", "0")], body);
            assert_eq!(message(&answer).unwrap(), expected);
        };
        check(b"\0\0\0\0\x02\x0a\0", "identity", b"\x0a\0");
        check(b"\0\0\0\0\0", "gzip", b"");
        check(b"\0\0\0\0\x09\x0a\0", "identity", b"");
        check(b"", "identity", b"");
        let gzipped = crate::net::compression::compress(Encoding::Gzip, None, [&b"\x0a\0"[..]]).unwrap();
        let framed = [&prefix(true, gzipped.len() as u64).unwrap()[..], &gzipped].concat();
        check(&framed, "gzip", b"\x0a\0");
        check(&framed, "br", b"");
    }

    #[test]
    fn the_status_is_read_from_trailers_or_headers_alone() {
        let check = |headers: &[(&'static str, &str)], trailers: &[(&'static str, &str)], expected: Status| {
            assert_eq!(message(&answer(200, headers, trailers, b"")).unwrap_err(), expected);
        };
        let unavailable = Status::new(Code::Unavailable, "bäck soon: 100%");
        let pairs = [("grpc-status", "14"), ("grpc-message", "b%C3%A4ck soon: 100%")];
        check(&[GRPC], &pairs, unavailable.clone());
        check(&[GRPC, pairs[0], pairs[1]], &[], unavailable);
        check(&[GRPC, ("grpc-status", "99")], &[], Status::new(Code::Unknown, ""));
        check(&[GRPC, ("grpc-status", "x")], &[], Status::new(Code::Unknown, ""));
        check(&[GRPC], &[], Status::new(Code::Internal, "the server closed the stream without a status"));
    }

    #[test]
    fn the_delay_is_read_from_the_details_with_or_without_padding() {
        let delay = Duration::from_millis(1500);
        let details = wire::rpc::Status { code: 14, message: String::new(), retry_delay: Some(delay) }.encode();
        let plain = STANDARD_NO_PAD.encode(&details);
        let padded = base64::engine::general_purpose::STANDARD.encode(&details);
        for (text, expected) in [(plain.as_str(), Some(delay)), (&padded, Some(delay)), ("!", None)] {
            let answer = answer(200, &[GRPC, ("grpc-status", "14"), ("grpc-status-details-bin", text)], &[], b"");
            assert_eq!(message(&answer).unwrap_err().retry_after, expected, "{text}");
        }
    }

    #[test]
    fn an_answer_of_something_else_than_a_grpc_server_is_read_as_the_specification_says() {
        let check = |status: u16, expected: Code| {
            let told =
                message(&answer(status, &[("content-type", "text/html")], &[], b"\n <h1>No</h1>\nx")).unwrap_err();
            assert_eq!(told.code, expected, "{status}");
            assert!(told.message.ends_with("with content type text/html: <h1>No</h1>"), "{}", told.message);
        };
        check(200, Code::Unknown);
        check(400, Code::Internal);
        check(401, Code::Unauthenticated);
        check(403, Code::PermissionDenied);
        check(404, Code::Unimplemented);
        check(429, Code::Unavailable);
        check(502, Code::Unavailable);
        check(503, Code::Unavailable);
        check(504, Code::Unavailable);
        check(500, Code::Unknown);
        check(302, Code::Unknown);
    }
}
