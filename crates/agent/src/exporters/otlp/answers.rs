//! What an answer means for the batch: taken, to be tried again, or refused, and what is to blame. The tables are those of
//! the Collector's exporters.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderValue};

use crate::net::client::Answer;
use crate::net::grpc::client::excerpt;
use crate::net::grpc::{Code, Status};
use crate::pipeline::{Fault, Outcome};

/// The outcome of a gRPC call that was answered.
pub(in crate::exporters) fn grpc(destination: &str, answer: Result<Bytes, Status>) -> Outcome {
    let Status { code, message, retry_after } = match answer {
        Ok(response) => return taken(wire::rpc::read_response(&response)),
        Err(status) => status,
    };
    let error = format!("{destination} answered {code:?}: {}", or_nothing(&message));
    // tonic says "too large" with OutOfRange, which OTLP takes for a reason to try again; it would never end.
    let size = matches!(code, Code::ResourceExhausted | Code::OutOfRange | Code::InvalidArgument);
    if size && retry_after.is_none() && speaks_of_size(&message) {
        return Outcome::Refused { error, fault: Fault::Size };
    }
    if code.is_retryable(retry_after.is_some()) {
        return Outcome::Retry { error, after: retry_after };
    }
    let fault = match code {
        Code::InvalidArgument | Code::FailedPrecondition | Code::Internal | Code::Unknown => Fault::Data,
        _ => Fault::Elsewhere,
    };
    Outcome::Refused { error, fault }
}

/// The outcome of an HTTP request that was answered.
pub(in crate::exporters) fn http(url: &str, answer: &Answer) -> Outcome {
    let status = answer.status;
    if status.is_success() {
        return match response(answer) {
            Ok(partial) => taken(partial),
            Err(what) => {
                let error = format!("{url} answered {status}, but {what}; is it an OTLP backend?");
                Outcome::Refused { error, fault: Fault::Elsewhere }
            }
        };
    }
    if status.is_redirection() {
        let to = answer.headers.get(LOCATION).map(|to| String::from_utf8_lossy(to.as_bytes()).into_owned());
        let to = to.unwrap_or_else(|| "elsewhere".to_owned());
        let error = format!("{url} answered {status}: it redirects to {to}; set the endpoint to where it shall go");
        return Outcome::Refused { error, fault: Fault::Elsewhere };
    }
    let message = message(answer);
    let error = format!("{url} answered {status}: {}", or_nothing(&message));
    match status.as_u16() {
        429 | 503 => Outcome::Retry { error, after: retry_after(&answer.headers, SystemTime::now()) },
        502 | 504 => Outcome::Retry { error, after: None },
        413 => Outcome::Refused { error, fault: Fault::Size },
        // The Collector says 400 for a body that is larger than its limit.
        400 if speaks_of_size(&message) => Outcome::Refused { error, fault: Fault::Size },
        400 | 422 | 500 => Outcome::Refused { error, fault: Fault::Data },
        _ => Outcome::Refused { error, fault: Fault::Elsewhere },
    }
}

fn taken(partial: Option<wire::rpc::PartialSuccess>) -> Outcome {
    match partial {
        None => Outcome::Sent,
        Some(partial) => {
            let rejected = usize::try_from(partial.rejected).unwrap_or(0);
            Outcome::Partial { rejected, message: partial.message }
        }
    }
}

/// Whether a refusal says that the request was too long. There is no code for it in gRPC; these are the words of grpc-go
/// and grpc-java ("larger than max"), tonic ("message length too large"), grpcio and the Collector ("too large").
pub(in crate::exporters) fn speaks_of_size(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["larger than max", "too large", "exceeds maximum size", "exceeds the maximum", "message size"]
        .iter()
        .any(|words| message.contains(words))
}

pub(in crate::exporters) fn or_nothing(message: &str) -> &str {
    if message.is_empty() { "no message" } else { message }
}

// === HTTP bodies ===

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The content type without its parameters.
fn content_type(headers: &HeaderMap) -> &str {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let content_type = std::str::from_utf8(content_type).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim()
}

/// The partial success in the body of a success. A body of another type is not looked at.
fn response(answer: &Answer) -> Result<Option<wire::rpc::PartialSuccess>, &'static str> {
    match content_type(&answer.headers) {
        _ if answer.body.is_empty() => Ok(None),
        PROTOBUF if is_protobuf(&answer.body) => Ok(wire::rpc::read_response(&answer.body)),
        PROTOBUF => Err("its body is no protobuf"),
        JSON => json_response(&answer.body).ok_or("its body is no JSON"),
        _ => Ok(None),
    }
}

/// Whether the bytes are a protobuf message: fields that end where the bytes end.
fn is_protobuf(mut bytes: &[u8]) -> bool {
    let varint = |bytes: &mut &[u8]| {
        let (value, len) = wire::fields::varint(bytes, 0)?;
        *bytes = bytes.get(len..)?;
        Some(value)
    };
    while !bytes.is_empty() {
        let Some(tag) = varint(&mut bytes).filter(|tag| tag >> 3 != 0) else { return false };
        let skip = match tag & 7 {
            0 => varint(&mut bytes).map(|_| 0),
            1 => Some(8),
            2 => varint(&mut bytes).and_then(|len| usize::try_from(len).ok()),
            5 => Some(4),
            _ => None,
        };
        let Some(rest) = skip.and_then(|skip| bytes.get(skip..)) else { return false };
        bytes = rest;
    }
    true
}

/// The partial success of an answer in JSON, in which a count is a number or a string.
fn json_response(body: &[u8]) -> Option<Option<wire::rpc::PartialSuccess>> {
    let response: serde_json::Value = serde_json::from_slice(body).ok()?;
    let partial = &response["partialSuccess"];
    let rejected = ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"]
        .iter()
        .find_map(|name| {
            let count = &partial[*name];
            count.as_i64().or_else(|| count.as_str()?.parse().ok())
        })
        .unwrap_or_default();
    let message = partial["errorMessage"].as_str().unwrap_or_default().to_owned();
    let partial = wire::rpc::PartialSuccess { rejected, message };
    Some((partial != wire::rpc::PartialSuccess::default()).then_some(partial))
}

/// What a refusal says: the message of a `google.rpc.Status`, or the first line of whatever else it is.
pub(in crate::exporters) fn message(answer: &Answer) -> String {
    let said = match content_type(&answer.headers) {
        PROTOBUF => Some(wire::rpc::Status::decode(&answer.body).message),
        JSON => serde_json::from_slice::<serde_json::Value>(&answer.body)
            .ok()
            .and_then(|status| status["message"].as_str().map(str::to_owned)),
        _ => None,
    };
    said.filter(|message| !message.is_empty()).unwrap_or_else(|| excerpt(&answer.body))
}

/// `Retry-After`: seconds, or a date.
pub(in crate::exporters) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    Some(SystemTime::from(date).duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_a_number_of_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_445_412_480);
        let check = |text: &str, expected: Option<u64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_str(text).unwrap())]);
            assert_eq!(retry_after(&headers, now), expected.map(Duration::from_secs), "{text}");
        };
        check("0", Some(0));
        check(" 30 ", Some(30));
        check("Wed, 21 Oct 2015 07:28:30 GMT", Some(30));
        check("Wed, 21 Oct 2015 07:27:00 GMT", Some(0));
        check("soon", None);
        check("-1", None);
    }

    #[test]
    fn a_protobuf_message_ends_where_its_fields_end() {
        assert!(is_protobuf(b"\x0a\x00"));
        assert!(is_protobuf(b"\x0a\x04\x08\x03\x12\x00\x10\x96\x01"));
        assert!(!is_protobuf(b"\x0a\x05\x08"));
        assert!(!is_protobuf(b"<html>"));
        assert!(!is_protobuf(b"\xff"));
    }
}
