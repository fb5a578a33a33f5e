//! What senders are told over HTTP: the Collector's statuses and bodies.

use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};

use crate::net::code::Code;
use crate::net::grpc::Status;
use crate::net::reply::Body;

/// How a request is encoded, and so its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Protobuf,
    Json,
}

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain");

/// An export response whose partial success is there and empty: what the Collector writes.
pub(super) const TAKEN: &[u8] = &[0x0a, 0x00];

impl Format {
    /// By the content type, whose parameters and case do not matter.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let name = value.split_once(';').map_or(value, |(name, _)| name).trim();
        if name.eq_ignore_ascii_case("application/x-protobuf") {
            return Some(Self::Protobuf);
        }
        name.eq_ignore_ascii_case("application/json").then_some(Self::Json)
    }

    fn content_type(self) -> HeaderValue {
        match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        }
    }
}

/// All was taken.
pub(super) fn taken(format: Format) -> Response<Body> {
    let body: &'static [u8] = match format {
        Format::Protobuf => TAKEN,
        Format::Json => br#"{"partialSuccess":{}}"#,
    };
    respond(StatusCode::OK, format.content_type(), body)
}

/// Why a request is refused, as far as the answer differs.
#[derive(Debug)]
pub(super) enum Refused {
    /// Before anyone looked at what the request is.
    Early(Status),
    NotFound,
    WrongMethod,
    WrongContentType,
    /// With the HTTP status of the code.
    Status(Format, Status),
    TooSlow(Format, Status),
}

impl Refused {
    /// What the sender of a request with these headers is told.
    pub(super) fn answer(&self, headers: &HeaderMap) -> Response<Body> {
        match self {
            Self::Early(status) => refused_early(headers, status),
            Self::NotFound => not_found(),
            Self::WrongMethod => {
                respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "405 method not allowed, supported: [POST]")
            }
            Self::WrongContentType => {
                let text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
                respond(StatusCode::UNSUPPORTED_MEDIA_TYPE, TEXT, text)
            }
            Self::Status(format, status) => refused(*format, http_status(status), status),
            Self::TooSlow(format, status) => refused(*format, StatusCode::REQUEST_TIMEOUT, status),
        }
    }
}

fn http_status(status: &Status) -> StatusCode {
    StatusCode::from_u16(status.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// A `google.rpc.Status` in the encoding of the request. The time to try again goes with 429 and 503 only.
fn refused(format: Format, http: StatusCode, status: &Status) -> Response<Body> {
    let body = match format {
        Format::Protobuf => status.to_rpc().encode(),
        Format::Json => json(status).into_bytes(),
    };
    let mut response = respond(http, format.content_type(), body);
    let comes_back = matches!(http, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(delay) = status.retry_after.filter(|_| comes_back) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    response
}

/// The encoding is guessed by the content type as it is written; with one that is neither, the Collector answers 500.
fn refused_early(headers: &HeaderMap, status: &Status) -> Response<Body> {
    let format = match headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes) {
        b"application/x-protobuf" => Format::Protobuf,
        b"application/json" | b"" => Format::Json,
        _ => {
            let body: &'static [u8] = br#"{"code": 13, "message": "failed to marshal error message"}"#;
            return respond(StatusCode::INTERNAL_SERVER_ERROR, JSON, body);
        }
    };
    refused(format, http_status(status), status)
}

/// As Go's library says it.
fn not_found() -> Response<Body> {
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    let mut response = respond(StatusCode::NOT_FOUND, text, "404 page not found\n");
    response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// A few words for a person who reads the log of an exporter.
pub(super) fn told(http: StatusCode, text: String) -> Response<Body> {
    respond(http, TEXT, text)
}

/// The answer to a preflight request, whatever it allows.
pub(super) fn preflight() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

fn respond(http: StatusCode, content_type: HeaderValue, body: impl Into<bytes::Bytes>) -> Response<Body> {
    let mut response = Response::new(Body::from(body.into()));
    *response.status_mut() = http;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// `google.rpc.Status` in JSON.
fn json(status: &Status) -> String {
    let mut object = serde_json::json!({ "code": status.code.number(), "message": status.message });
    if let Some(delay) = status.retry_after {
        let delay = format!("{}s", delay.as_secs_f64());
        let details = serde_json::json!([{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }]);
        object["details"] = details;
    }
    object.to_string()
}

/// A refusal as a status.
pub(super) fn status_of(refusal: crate::pipeline::Refusal) -> Status {
    Status { code: refusal.code, message: refusal.message, retry_after: refusal.retry_after }
}

/// A status that says that the request itself is at fault.
pub(super) fn invalid(message: impl Into<String>) -> Status {
    Status::new(Code::InvalidArgument, message)
}
