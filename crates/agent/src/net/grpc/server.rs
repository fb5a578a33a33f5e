//! Taking calls: the one message of a request, and the answer with its trailers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};

use super::{Code, PREFIX, Status, percent_encode};
use crate::net::body::{self, BodyError, Frames, Full, Gather, Limits, Received, Reserve};
use crate::net::compression::Encoding;
use crate::net::reply::Body;

const APPLICATION_GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");

/// Why there is no message.
#[derive(Debug)]
pub enum NoMessage {
    /// There is no memory for it now: what to say is for the caller to decide.
    Full(Full),
    /// What to answer.
    Status(Status),
}

impl From<Status> for NoMessage {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl From<Full> for NoMessage {
    fn from(full: Full) -> Self {
        Self::Full(full)
    }
}

/// How the messages of a request are compressed.
///
/// # Errors
///
/// `Unimplemented` for an encoding that we do not have.
pub fn encoding(headers: &HeaderMap) -> Result<Encoding, Status> {
    let Some(name) = headers.get(GRPC_ENCODING) else { return Ok(Encoding::Identity) };
    let name = String::from_utf8_lossy(name.as_bytes());
    Encoding::from_grpc(&name).ok_or_else(|| {
        let what = format!("grpc: Decompressor is not installed for grpc-encoding \"{name}\"");
        Status::new(Code::Unimplemented, what)
    })
}

/// Reads the one message of a unary request and inflates it. `reserve` holds nothing before, and exactly the returned
/// bytes after.
///
/// # Errors
///
/// When there is no memory for it, or what to answer instead. The codes are those of grpc-go; too large is
/// `ResourceExhausted` without a time to try again, which tells clients to let it be.
pub async fn read_message<B>(
    body: &mut B,
    encoding: Encoding,
    limits: &Limits,
    reserve: &mut dyn Reserve,
) -> Result<Received, NoMessage>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut frames = Frames::new(body, limits.pace);
    let (prefix, first) = read_prefix(&mut frames).await?;
    let encoding = prefix.check(encoding, limits.bytes)?;
    let mut gather = Gather::expecting(prefix.len, reserve)?;
    let mut data = first;
    loop {
        if data.len() > prefix.len - gather.len() {
            let what = "cardinality violation: received multiple request messages for a unary call";
            return Err(Status::new(Code::Internal, what).into());
        }
        gather.push(data, reserve)?;
        data = match frames.next().await.map_err(unread)? {
            Some(data) => data,
            None => break,
        };
    }
    if gather.len() < prefix.len {
        return Err(truncated().into());
    }
    body::unpack(gather.into_bytes(), limits.bytes, encoding, reserve).map_err(|error| match error {
        BodyError::TooLarge => {
            let what = format!("grpc: received message after decompression larger than max {}", limits.bytes);
            Status::new(Code::ResourceExhausted, what).into()
        }
        other => unread(other),
    })
}

/// What stands before a message.
struct Prefix {
    compressed: u8,
    len: usize,
}

impl Prefix {
    /// How the message that follows is really compressed.
    fn check(&self, encoding: Encoding, most: usize) -> Result<Encoding, Status> {
        let len = self.len;
        if len > most {
            let what = format!("grpc: received message larger than max ({len} vs. {most})");
            return Err(Status::new(Code::ResourceExhausted, what));
        }
        match (self.compressed, encoding) {
            (0, _) => Ok(Encoding::Identity),
            (1, Encoding::Identity) => {
                Err(Status::new(Code::Internal, "grpc: compressed flag set with identity or empty encoding"))
            }
            (1, encoding) => Ok(encoding),
            (flag, _) => {
                let what = format!("grpc: received unexpected payload format {flag}");
                Err(Status::new(Code::Internal, what))
            }
        }
    }
}

/// Reads up to the message; the bytes returned are its first ones. The length is believed by nobody yet.
async fn read_prefix<B>(frames: &mut Frames<'_, B>) -> Result<(Prefix, Bytes), NoMessage>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut head = Bytes::new();
    while head.len() < PREFIX {
        let Some(data) = frames.next().await.map_err(unread)? else {
            return Err(if head.is_empty() { no_message() } else { truncated() }.into());
        };
        head = if head.is_empty() { data } else { [head, data].concat().into() };
    }
    let compressed = head.get_u8();
    let len = usize::try_from(head.get_u32()).unwrap_or(usize::MAX);
    Ok((Prefix { compressed, len }, head))
}

fn no_message() -> Status {
    Status::new(Code::Internal, "cardinality violation: received no request message for a unary call")
}

fn truncated() -> Status {
    Status::new(Code::Unknown, "unexpected EOF")
}

fn unread(error: BodyError) -> NoMessage {
    let status = match error {
        BodyError::Full(full) => return NoMessage::Full(full),
        BodyError::TooLarge => Status::new(Code::ResourceExhausted, error.to_string()),
        BodyError::TooSlow => Status::new(Code::DeadlineExceeded, error.to_string()),
        BodyError::Aborted(_) => Status::new(Code::Cancelled, error.to_string()),
        BodyError::Broken(what) => {
            Status::new(Code::Internal, format!("grpc: failed to decompress the received message: {what}"))
        }
    };
    NoMessage::Status(status)
}

/// The answer to a call that went well.
pub fn answer(message: &[u8]) -> Response<Body> {
    let mut framed = BytesMut::with_capacity(PREFIX + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("our answers are small"));
    framed.put_slice(message);
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    respond(Body::from(framed.freeze()).with_trailers(trailers))
}

/// The answer to a call that did not: a status and nothing else, in the headers, as gRPC wants it.
pub fn refuse(status: &Status) -> Response<Body> {
    let mut response = respond(Body::empty());
    let headers = response.headers_mut();
    headers.insert(GRPC_STATUS, HeaderValue::from(status.code.number()));
    headers.insert(GRPC_MESSAGE, percent_encode(&status.message));
    if status.retry_after.is_some() {
        let details = STANDARD_NO_PAD.encode(status.to_rpc().encode());
        headers.insert(GRPC_STATUS_DETAILS, HeaderValue::from_str(&details).expect("base64 is a header value"));
    }
    if status.code == Code::Unimplemented {
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static(Encoding::GRPC_ACCEPTED));
    }
    response
}

/// The answer to what is not a gRPC request at all, if it is not: by its HTTP status, and in gRPC's terms as well.
pub fn refuse_foreign(method: &Method, headers: &HeaderMap) -> Option<Response<Body>> {
    let (http, status) = if method != Method::POST {
        let what = format!("Received a HEADERS frame with :method \"{method}\" which should be POST");
        (StatusCode::METHOD_NOT_ALLOWED, Status::new(Code::Internal, what))
    } else if !super::is_grpc(headers) {
        let content_type = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
        let what = format!("invalid gRPC request content-type \"{}\"", content_type.escape_ascii());
        (StatusCode::UNSUPPORTED_MEDIA_TYPE, Status::new(Code::InvalidArgument, what))
    } else if let Some(timeout) = headers.get(GRPC_TIMEOUT).filter(|timeout| !is_timeout(timeout.as_bytes())) {
        let what = format!("malformed grpc-timeout: {}", timeout.as_bytes().escape_ascii());
        (StatusCode::BAD_REQUEST, Status::new(Code::Internal, what))
    } else {
        return None;
    };
    let mut response = refuse(&status);
    *response.status_mut() = http;
    Some(response)
}

/// Up to eight digits and a unit. The deadline itself is kept by the client, which resets its call when it has passed.
fn is_timeout(timeout: &[u8]) -> bool {
    match timeout.split_last() {
        Some((unit, digits)) => {
            matches!(unit, b'H' | b'M' | b'S' | b'm' | b'u' | b'n')
                && (1..=8).contains(&digits.len())
                && digits.iter().all(u8::is_ascii_digit)
        }
        None => false,
    }
}

/// A call with a sub-type (`application/grpc+proto`) is answered with it.
pub fn echo_content_type(request: &HeaderMap, response: &mut Response<Body>) {
    let asked = request.get(CONTENT_TYPE).filter(|asked| asked.as_bytes().starts_with(b"application/grpc+"));
    if let Some(asked) = asked {
        response.headers_mut().insert(CONTENT_TYPE, asked.clone());
    }
}

/// What a call to something that is not here is told, in grpc-go's words.
pub fn not_here(path: &str, service_is_here: bool) -> Status {
    let what = match path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) {
        None => format!("malformed method name: \"{path}\""),
        Some((service, method)) if service_is_here => format!("unknown method {method} for service {service}"),
        Some((service, _)) => format!("unknown service {service}"),
    };
    Status::new(Code::Unimplemented, what)
}

fn respond(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, APPLICATION_GRPC);
    response
}
