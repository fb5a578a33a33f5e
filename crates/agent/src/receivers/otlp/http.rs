//! OTLP over HTTP, as protobuf or JSON. A call over gRPC that comes to this port is served as well.

use std::borrow::Cow;

use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Version};
use hyper::body::Incoming;
use wire::Signal;

use super::answers::{self, Format, Refused};
use super::config;
use super::cors::Policy;
use super::door::{DISCARD_BYTES, DISCARD_TIME, Door, NotJson, NotTaken, Reason, transcode};
use super::grpc::Calls;
use crate::net::body::{self, BodyError, Limits, Pace};
use crate::net::code::Code;
use crate::net::compression::Encoding;
use crate::net::grpc::{Status, is_grpc};
use crate::net::reply::Body;
use crate::net::server::{Handle, Options, Peer};
use crate::pipeline::{Intake, Origin};
use crate::settings::ComponentId;

/// How the server of this protocol treats its peers.
pub(super) fn options(id: &ComponentId, config: &config::Http) -> Options {
    let defaults = Options::default();
    let waits = config.idle_timeout.positive().or(config.read_header_timeout.positive());
    Options {
        name: format!("{id} http"),
        max_connections: config.max_connections as usize,
        header_timeout: waits.unwrap_or(defaults.header_timeout),
        keep_alive: config.keep_alives_enabled,
        ..defaults
    }
}

/// Answers what comes to the HTTP port.
pub(super) struct Port {
    door: Door,
    limits: Limits,
    paths: [(Signal, String); Signal::ALL.len()],
    /// The encodings that are taken; none: bodies are taken as they are.
    encodings: Option<Vec<Encoding>>,
    cors: Option<Policy>,
    response_headers: Vec<(HeaderName, HeaderValue)>,
    calls: Calls,
}

impl Port {
    pub(super) fn new(door: Door, grpc_door: Door, config: &config::Http) -> Self {
        let pace = Pace { most: config.read_timeout.positive(), ..Pace::default() };
        let limits = Limits { bytes: config.body_limit(), pace };
        let encodings = config.compression_algorithms.iter().filter_map(|name| Encoding::from_http(name)).collect();
        let header = |(name, value): (&String, &String)| Some((name.parse().ok()?, value.parse().ok()?));
        Self {
            door,
            limits,
            paths: Signal::ALL.map(|signal| (signal, config.path(signal))),
            encodings: Some(encodings).filter(|encodings: &Vec<_>| !encodings.is_empty()),
            cors: config.cors.as_ref().and_then(Policy::of),
            response_headers: config.response_headers.iter().filter_map(header).collect(),
            calls: Calls { door: grpc_door, limits },
        }
    }

    /// Everything between the headers that go on every answer.
    async fn respond(&self, head: &Parts, body: &mut Incoming, peer: Peer) -> Result<Format, Refused> {
        let origin = self.door.authenticate(&head.headers, peer).map_err(Refused::Early)?;
        let found = self.find(head).inspect_err(|_| self.door.count(Reason::Malformed))?;
        self.export(&found, body, origin).await?;
        Ok(found.format)
    }

    /// Which signal, in which format and encoding. The order of these questions is the Collector's.
    fn find(&self, head: &Parts) -> Result<Found, Refused> {
        let encoding = self.encoding(&head.headers).map_err(Refused::Early)?;
        let path = without_doubled_slashes(head.uri.path());
        let known = self.paths.iter().find(|(_, known)| *known == path).map(|(signal, _)| *signal);
        match known.filter(|signal| self.door.intake(*signal).is_some()) {
            None => Err(Refused::NotFound),
            Some(_) if head.method != Method::POST => Err(Refused::WrongMethod),
            Some(signal) => match Format::of(&head.headers) {
                None => Err(Refused::WrongContentType),
                Some(format) => Ok(Found { signal, format, encoding }),
            },
        }
    }

    fn encoding(&self, headers: &HeaderMap) -> Result<Encoding, Status> {
        let Some(taken) = &self.encodings else { return Ok(Encoding::Identity) };
        let Some(name) = headers.get(CONTENT_ENCODING) else { return Ok(Encoding::Identity) };
        let name = String::from_utf8_lossy(name.as_bytes());
        match Encoding::from_http(&name) {
            Some(encoding) if encoding == Encoding::Identity || taken.contains(&encoding) => Ok(encoding),
            _ => Err(answers::invalid(format!("unsupported Content-Encoding: {name}"))),
        }
    }

    /// The way of a body into the pipelines.
    async fn export(&self, found: &Found, body: &mut Incoming, origin: Origin) -> Result<(), Refused> {
        let Found { signal, format, encoding } = *found;
        let refused = |status| Refused::Status(format, status);
        let intake = self.door.intake(signal).ok_or(Refused::NotFound)?;
        let mut hold = self.door.admit(intake, &origin).map_err(refused)?;
        let received = body::read(body, &self.limits, encoding, &mut hold).await;
        let received = received.map_err(|error| self.unread(found, intake, &origin, error))?;
        self.door.received(received.sent);
        let bytes = match format {
            Format::Protobuf => received.bytes,
            Format::Json => transcode(signal, &received.bytes, &mut hold).map_err(|error| match error {
                NotJson::Full(full) => refused(self.door.no_room(intake, &origin, full)),
                NotJson::Malformed(error) => {
                    self.door.malformed(signal, origin.peer, &error);
                    refused(answers::invalid(error.to_string()))
                }
            })?,
        };
        self.door.take(intake, bytes, hold, origin).await.map_err(|error| match error {
            NotTaken::Malformed(error) => refused(answers::invalid(error.to_string())),
            NotTaken::Refused(status) => refused(status),
        })
    }

    fn unread(&self, found: &Found, intake: &Intake, origin: &Origin, error: BodyError) -> Refused {
        let status = match error {
            BodyError::Full(full) => self.door.no_room(intake, origin, full),
            BodyError::TooLarge => {
                self.door.count(Reason::TooLarge);
                answers::invalid("http: request body too large")
            }
            BodyError::TooSlow => {
                self.door.count(Reason::TooSlow);
                return Refused::TooSlow(found.format, Status::new(Code::DeadlineExceeded, error.to_string()));
            }
            BodyError::Broken(what) => {
                self.door.malformed(found.signal, origin.peer, &what);
                answers::invalid(what)
            }
            BodyError::Aborted(_) => answers::invalid(error.to_string()),
        };
        Refused::Status(found.format, status)
    }
}

/// An endpoint that ends with a slash makes `//v1/traces`. The Collector redirects it, which not every client follows.
fn without_doubled_slashes(path: &str) -> Cow<'_, str> {
    let mut path = Cow::Borrowed(path);
    while path.contains("//") {
        path = Cow::Owned(path.replace("//", "/"));
    }
    path
}

/// What a request turned out to be.
struct Found {
    signal: Signal,
    format: Format,
    encoding: Encoding,
}

impl Handle for Port {
    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        if is_grpc(request.headers()) && request.version() == Version::HTTP_2 {
            return Box::pin(self.calls.answer(request, peer)).await;
        }
        let (head, mut body) = request.into_parts();
        let preflight = self.cors.as_ref().filter(|_| Policy::is_preflight(&head.method, &head.headers));
        let mut response = match preflight {
            Some(_) => answers::preflight(),
            None => match self.respond(&head, &mut body, peer).await {
                Ok(format) => answers::taken(format),
                Err(refused) => refused.answer(&head.headers),
            },
        };
        let headers = response.headers_mut();
        headers.extend(self.response_headers.iter().cloned());
        match (&self.cors, preflight) {
            (_, Some(policy)) => headers.extend(policy.preflight(&head.headers)),
            (Some(policy), None) => headers.extend(policy.actual(&head.method, &head.headers)),
            (None, None) => {}
        }
        if head.version < Version::HTTP_2 && !http_body::Body::is_end_stream(&body) {
            tokio::spawn(body::discard(body, DISCARD_BYTES, DISCARD_TIME));
        }
        response
    }
}
