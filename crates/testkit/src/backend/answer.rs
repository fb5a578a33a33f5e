//! What a backend can be told to answer, and how it is written in gRPC and HTTP.

use std::time::Duration;

use base64::Engine as _;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use prost::Message as _;

/// What the backend does with a request.
#[derive(Debug, Clone)]
pub enum Answer {
    /// Success.
    Accept,
    /// Success, after this time.
    Slow(Duration),
    /// A gRPC status; over HTTP, the status that the Collector maps it to, with a `google.rpc.Status` as the body.
    Code {
        /// Number of the gRPC code.
        code: u32,
        /// Message for people.
        message: String,
        /// `RetryInfo` in gRPC, `Retry-After` (whole seconds) in HTTP.
        retry_after: Option<Duration>,
    },
    /// A plain HTTP answer, also to a gRPC request: a proxy, or no OTLP backend at all.
    Http {
        /// Status.
        status: u16,
        /// Headers, e.g. `retry-after`.
        headers: Vec<(&'static str, String)>,
        /// Body.
        body: Vec<u8>,
    },
    /// Success with a partial success: the items count as received nevertheless.
    Partial {
        /// Items that were refused.
        rejected: i64,
        /// Why.
        message: String,
    },
    /// Success up to this many bytes of body (inflated); above: RESOURCE_EXHAUSTED as grpc-go says it, or 413.
    TooLargeOver(usize),
    /// Refuses (INVALID_ARGUMENT, 400) a request in which this text stands anywhere; takes all others.
    RefuseIfContains(&'static str),
    /// Never answers.
    Stall,
    /// Cuts the connection when the request has been read.
    Cut,
    /// Cuts the connection at the head of the request, before its body is read.
    CutEarly,
}

impl Answer {
    /// A gRPC status without a delay.
    #[must_use]
    pub fn code(code: u32, message: &str) -> Self {
        Self::Code { code, message: message.to_owned(), retry_after: None }
    }

    /// A gRPC status with a delay.
    #[must_use]
    pub fn code_after(code: u32, message: &str, retry_after: Duration) -> Self {
        Self::Code { code, message: message.to_owned(), retry_after: Some(retry_after) }
    }

    /// An HTTP status without a body.
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Http { status, headers: Vec::new(), body: Vec::new() }
    }

    /// An HTTP status with `Retry-After` as given: seconds or a date.
    #[must_use]
    pub fn status_after(status: u16, retry_after: &str) -> Self {
        Self::Http { status, headers: vec![("retry-after", retry_after.to_owned())], body: Vec::new() }
    }
}

/// An answer made concrete for one request.
pub(super) enum Verdict {
    Accepted { rejected: i64, message: String },
    Status { code: u32, message: String, retry_after: Option<Duration>, http: u16 },
    Http { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
}

impl Verdict {
    pub(super) fn accepted() -> Self {
        Self::Accepted { rejected: 0, message: String::new() }
    }

    fn status(code: u32, message: String) -> Self {
        Self::Status { code, message, retry_after: None, http: http_status(code) }
    }

    /// What the answer means for a body of these bytes.
    pub(super) fn of(answer: Answer, body: &[u8]) -> Self {
        match answer {
            Answer::Accept | Answer::Slow(_) | Answer::Stall | Answer::Cut | Answer::CutEarly => Self::accepted(),
            Answer::Code { code, message, retry_after } => {
                Self::Status { code, message, retry_after, http: http_status(code) }
            }
            Answer::Http { status, headers, body } => Self::Http { status, headers, body },
            Answer::Partial { rejected, message } => Self::Accepted { rejected, message },
            Answer::TooLargeOver(limit) if body.len() > limit => Self::Status {
                code: 8,
                message: format!("grpc: received message larger than max ({} vs. {limit})", body.len()),
                retry_after: None,
                http: 413,
            },
            Answer::RefuseIfContains(text) if contains(body, text.as_bytes()) => {
                Self::status(3, format!("refused because it contains {text:?}"))
            }
            Answer::TooLargeOver(_) | Answer::RefuseIfContains(_) => Self::accepted(),
        }
    }

    pub(super) fn is_success(&self) -> bool {
        match self {
            Self::Accepted { .. } => true,
            Self::Status { code, .. } => *code == 0,
            Self::Http { status, .. } => (200..300).contains(status),
        }
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}

/// The Collector's mapping of gRPC codes to HTTP.
fn http_status(code: u32) -> u16 {
    match code {
        0 => 200,
        1 | 4 | 10 | 11 | 14 | 15 => 503,
        8 => 429,
        3 => 400,
        16 => 401,
        7 => 403,
        12 => 404,
        _ => 500,
    }
}

// === the messages, as far as an answer needs them ===

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(uint32, tag = "1")]
    code: u32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<prost_types::Duration>,
}

/// `ExportXServiceResponse`; the three are alike.
#[derive(Clone, PartialEq, prost::Message)]
struct ExportResponse {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    message: String,
}

fn rpc_status(code: u32, message: &str, retry_after: Option<Duration>) -> Vec<u8> {
    let details = retry_after.map(|delay| {
        let delay = prost_types::Duration {
            seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(delay.subsec_nanos()).unwrap_or(0),
        };
        prost_types::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
            value: RetryInfo { retry_delay: Some(delay) }.encode_to_vec(),
        }
    });
    RpcStatus { code, message: message.to_owned(), details: details.into_iter().collect() }.encode_to_vec()
}

fn export_response(rejected: i64, message: &str) -> Vec<u8> {
    let partial = PartialSuccess { rejected, message: message.to_owned() };
    ExportResponse { partial_success: Some(partial) }.encode_to_vec()
}

// === how a verdict is written ===

/// Status, headers, body and trailers of an answer.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) trailers: Option<HeaderMap>,
}

impl Reply {
    /// As a gRPC server writes it: 200, the message, the status in the trailers (a refusal is trailers only).
    pub(super) fn grpc(verdict: Verdict) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/grpc"));
        match verdict {
            Verdict::Accepted { rejected, message } => {
                let message = export_response(rejected, &message);
                let mut body = vec![0];
                body.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
                body.extend_from_slice(&message);
                let mut trailers = HeaderMap::new();
                trailers.insert("grpc-status", HeaderValue::from_static("0"));
                Self { status: StatusCode::OK, headers, body: body.into(), trailers: Some(trailers) }
            }
            Verdict::Status { code, message, retry_after, .. } => {
                headers.insert("grpc-status", HeaderValue::from(code));
                headers.insert("grpc-message", header(&percent_encode(&message)));
                if retry_after.is_some() {
                    let details = rpc_status(code, &message, retry_after);
                    let details = base64::engine::general_purpose::STANDARD_NO_PAD.encode(details);
                    headers.insert("grpc-status-details-bin", header(&details));
                }
                Self { status: StatusCode::OK, headers, body: Bytes::new(), trailers: None }
            }
            Verdict::Http { status, headers, body } => Self::plain(status, headers, body),
        }
    }

    /// As an OTLP/HTTP server writes it, in the encoding of the request.
    pub(super) fn http(verdict: Verdict, json: bool) -> Self {
        let mut headers = HeaderMap::new();
        let content_type = if json { "application/json" } else { "application/x-protobuf" };
        headers.insert("content-type", HeaderValue::from_static(content_type));
        let (status, body) = match verdict {
            Verdict::Accepted { rejected, message } if json => (200, partial_json(rejected, &message)),
            Verdict::Accepted { rejected, message } => (200, export_response(rejected, &message)),
            Verdict::Status { code, message, retry_after, http } => {
                if let Some(delay) = retry_after {
                    headers.insert("retry-after", HeaderValue::from(delay.as_secs()));
                }
                let body = if json {
                    serde_json::json!({ "code": code, "message": message }).to_string().into_bytes()
                } else {
                    rpc_status(code, &message, retry_after)
                };
                (http, body)
            }
            Verdict::Http { status, headers, body } => return Self::plain(status, headers, body),
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, headers, body: body.into(), trailers: None }
    }

    fn plain(status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8>) -> Self {
        let headers = headers.into_iter().map(|(name, value)| (http::HeaderName::from_static(name), header(&value)));
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            headers: headers.collect(),
            body: body.into(),
            trailers: None,
        }
    }
}

fn partial_json(rejected: i64, message: &str) -> Vec<u8> {
    let mut partial = serde_json::Map::new();
    if rejected != 0 {
        // One message serves three signals, so each name of the count is written; readers skip the two they do not know.
        for name in ["rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"] {
            partial.insert(name.to_owned(), rejected.to_string().into());
        }
    }
    if !message.is_empty() {
        partial.insert("errorMessage".to_owned(), message.into());
    }
    serde_json::json!({ "partialSuccess": partial }).to_string().into_bytes()
}

fn header(value: &str) -> HeaderValue {
    HeaderValue::from_str(value).unwrap_or_else(|_| HeaderValue::from_static("?"))
}

/// `grpc-message` encoding: what is not printable ASCII, and `%`, as `%XX`.
fn percent_encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'%' => "%25".to_owned(),
            b' '..=b'~' => char::from(byte).to_string(),
            _ => format!("%{byte:02X}"),
        })
        .collect()
}
