//! OTLP over gRPC.

use http::{HeaderMap, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tracing::warn;
use wire::Signal;

use super::answers::{TAKEN, told};
use super::config::Grpc;
use super::door::{Door, NotTaken, Reason};
use crate::net::body::{Limits, Pace};
use crate::net::code::Code;
use crate::net::grpc::Status;
use crate::net::grpc::server::{
    NoMessage, answer, echo_content_type, encoding, not_here, read_message, refuse, refuse_foreign,
};
use crate::net::reply::Body;
use crate::net::server::{Address, Handle, Keepalive, Options, Peer};
use crate::settings::ComponentId;

/// How the server of this protocol treats its peers.
pub(super) fn options(id: &ComponentId, config: &Grpc) -> Options {
    let defaults = Options::default();
    let asked = &config.keepalive.server_parameters;
    Options {
        name: format!("{id} grpc"),
        max_connections: config.max_connections as usize,
        max_concurrent_streams: match config.max_concurrent_streams {
            0 => defaults.max_concurrent_streams,
            streams => streams,
        },
        keepalive: Keepalive {
            time: asked.time.positive().unwrap_or(defaults.keepalive.time),
            timeout: asked.timeout.positive().unwrap_or(defaults.keepalive.timeout),
            max_idle: asked.max_connection_idle.positive(),
            max_age: asked.max_connection_age.positive(),
            max_age_grace: asked.max_connection_age_grace.positive(),
        },
        ..defaults
    }
}

/// Answers what comes to the gRPC port.
pub(super) struct Port {
    calls: Calls,
    http_endpoint: Option<Address>,
}

impl Port {
    pub(super) fn new(door: Door, message_limit: usize, http_endpoint: Option<Address>) -> Self {
        Self { calls: Calls { door, limits: Limits { bytes: message_limit, pace: Pace::default() } }, http_endpoint }
    }

    /// The most common slip: an exporter that speaks HTTP with the endpoint of the other protocol.
    fn tell_http1(&self, peer: Peer) -> Response<Body> {
        let instead = match &self.http_endpoint {
            Some(endpoint) => format!("OTLP over HTTP is taken at {endpoint}"),
            None => "OTLP over HTTP is not taken here; protocols::http turns it on".to_owned(),
        };
        self.calls.door.count(Reason::Malformed);
        warn!(%peer, "refused a request over HTTP/1.1 on the gRPC port: {instead}");
        told(StatusCode::BAD_REQUEST, format!("this port speaks OTLP over gRPC; {instead}\n"))
    }
}

impl Handle for Port {
    async fn handle(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        if request.version() < Version::HTTP_2 {
            return self.tell_http1(peer);
        }
        self.calls.answer(request, peer).await
    }
}

/// Answers calls.
pub(super) struct Calls {
    pub(super) door: Door,
    pub(super) limits: Limits,
}

impl Calls {
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: Peer) -> Response<Body> {
        let (head, mut body) = request.into_parts();
        if let Some(refusal) = refuse_foreign(&head.method, &head.headers) {
            self.door.count(Reason::Malformed);
            return refusal;
        }
        let mut response = match self.export(head.uri.path(), &head.headers, &mut body, peer).await {
            Ok(()) => answer(TAKEN),
            Err(status) => refuse(&status),
        };
        echo_content_type(&head.headers, &mut response);
        response
    }

    async fn export(&self, path: &str, headers: &HeaderMap, body: &mut Incoming, peer: Peer) -> Result<(), Status> {
        let service = service(path);
        let intake = service.and_then(|signal| self.door.intake(signal)).ok_or_else(|| {
            self.door.count(Reason::Malformed);
            not_here(path, false)
        })?;
        let signal = intake.signal();
        if !path.ends_with("/Export") {
            self.door.count(Reason::Malformed);
            return Err(not_here(path, true));
        }
        let origin = self.door.authenticate(headers, peer)?;
        let encoding = encoding(headers).inspect_err(|_| self.door.count(Reason::Malformed))?;
        let mut hold = self.door.admit(intake, &origin)?;
        let message = match read_message(body, encoding, &self.limits, &mut hold).await {
            Ok(message) => message,
            Err(NoMessage::Full(full)) => return Err(self.door.no_room(intake, &origin, full)),
            Err(NoMessage::Status(status)) => {
                match status.code {
                    Code::ResourceExhausted => self.door.count(Reason::TooLarge),
                    Code::DeadlineExceeded => self.door.count(Reason::TooSlow),
                    Code::Cancelled => {}
                    _ => self.door.malformed(signal, peer.address, &status.message),
                }
                return Err(status);
            }
        };
        self.door.received(message.sent);
        self.door.take(intake, message.bytes, hold, origin).await.map_err(|error| match error {
            NotTaken::Malformed(error) => {
                Status::new(Code::Internal, format!("grpc: error unmarshalling request: {error}"))
            }
            NotTaken::Refused(status) => status,
        })
    }
}

/// The signal whose service this path names.
fn service(path: &str) -> Option<Signal> {
    let (service, _method) = path.strip_prefix('/')?.rsplit_once('/')?;
    match service {
        "opentelemetry.proto.collector.trace.v1.TraceService" => Some(Signal::Traces),
        "opentelemetry.proto.collector.metrics.v1.MetricsService" => Some(Signal::Metrics),
        "opentelemetry.proto.collector.logs.v1.LogsService" => Some(Signal::Logs),
        _ => None,
    }
}
