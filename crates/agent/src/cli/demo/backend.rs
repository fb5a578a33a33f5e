//! A backend inside the process: takes OTLP over HTTP, counts the items and looks for the attributes that the agent adds.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use wire::Signal;
use wire::view;

use super::pods::Pod;
use super::tally::Tally;
use crate::net::body::{self, Full, Limits, Pace, Reserve};
use crate::net::compression::Encoding;
use crate::net::reply::Body;
use crate::net::server::{Address, Listener, Options, Peer, Server};
use crate::settings::Endpoint;

/// A running backend.
pub(super) struct Backend {
    server: Server,
    got: Arc<Got>,
}

/// What the backend got.
pub(super) struct Got {
    /// The attributes that every resource must have.
    expected: &'static [(&'static str, &'static str)],
    /// The pods: a resource must have the attributes of the one that it came from.
    pods: Vec<Pod>,
    /// Items.
    pub(super) items: Tally,
    /// Requests.
    pub(super) requests: AtomicU64,
    /// Resources that lacked one of the attributes.
    pub(super) without_attributes: AtomicU64,
    /// Requests that were not OTLP.
    pub(super) malformed: AtomicU64,
    /// The attributes of the resource that came last, in their order.
    pub(super) last_resource: Mutex<Vec<(String, String)>>,
}

/// Requests of the demo are far smaller.
const MOST_BYTES: usize = 16 << 20;

impl Backend {
    /// Starts on loopback, on a port that is free.
    ///
    /// # Errors
    ///
    /// There is no port.
    pub(super) fn start(expected: &'static [(&'static str, &'static str)], pods: Vec<Pod>) -> anyhow::Result<Self> {
        let listener = Listener::bind(&Address::Tcp(Endpoint::new("127.0.0.1", 0)))?;
        let got = Arc::new(Got {
            expected,
            pods,
            items: Tally::default(),
            requests: AtomicU64::new(0),
            without_attributes: AtomicU64::new(0),
            malformed: AtomicU64::new(0),
            last_resource: Mutex::default(),
        });
        let options = Options { name: "demo backend".to_owned(), ..Options::default() };
        let handler = {
            let got = Arc::clone(&got);
            move |request: Request<Incoming>, _: Peer| answer(Arc::clone(&got), request)
        };
        Ok(Self { server: Server::start(listener, options, handler), got })
    }

    /// Where it listens.
    #[must_use]
    pub(super) fn address(&self) -> &Address {
        self.server.address()
    }

    /// What it got so far.
    #[must_use]
    pub(super) fn got(&self) -> &Arc<Got> {
        &self.got
    }

    /// Stops.
    pub(super) async fn stop(self) {
        self.server.stop(Duration::from_secs(1)).await;
    }
}

async fn answer(got: Arc<Got>, request: Request<Incoming>) -> Response<Body> {
    let signal = Signal::ALL.into_iter().find(|signal| request.uri().path() == format!("/v1/{signal}"));
    let encoding = request.headers().get(CONTENT_ENCODING).and_then(|value| value.to_str().ok());
    let encoding = Encoding::from_http(encoding.unwrap_or("identity"));
    let (Some(signal), Some(encoding)) = (signal, encoding) else { return respond(StatusCode::NOT_FOUND) };
    let limits = Limits { bytes: MOST_BYTES, pace: Pace::default() };
    let read = body::read(&mut request.into_body(), &limits, encoding, &mut Unbounded).await;
    match read.ok().filter(|received| got.take(signal, &received.bytes)) {
        Some(_) => respond(StatusCode::OK),
        None => {
            got.malformed.fetch_add(1, Relaxed);
            respond(StatusCode::BAD_REQUEST)
        }
    }
}

/// An empty body is the success message of all three signals.
fn respond(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
    response
}

/// The demo's backend has no budget.
struct Unbounded;

impl Reserve for Unbounded {
    fn grow(&mut self, _: usize) -> Result<(), Full> {
        Ok(())
    }

    fn shrink_to(&mut self, _: usize) {}
}

impl Got {
    /// Counts a request. Whether it was one.
    fn take(&self, signal: Signal, request: &Bytes) -> bool {
        let Ok(skim) = wire::skim(signal, request) else { return false };
        self.items.add(signal, skim.items);
        self.requests.fetch_add(1, Relaxed);
        for group in view::Request::new(request).resources() {
            self.look_at(&group.resource());
        }
        true
    }

    fn look_at(&self, resource: &view::Resource<'_>) {
        let text = |key: &str| resource.attributes().get(key).and_then(|found| found.as_str());
        let has = |(key, value): &(&str, &str)| text(key) == Some(*value);
        // The application gives its pod's name as its instance; another application than ours may be no pod.
        let from = self.pods.iter().find(|pod| text("service.instance.id") == Some(pod.name.as_str()));
        let of_pod = |pod: &Pod| {
            let Pod { name, namespace, deployment, node, .. } = pod;
            [
                ("k8s.pod.name", name),
                ("k8s.namespace.name", namespace),
                ("k8s.deployment.name", deployment),
                ("k8s.node.name", node),
            ]
            .iter()
            .all(|(key, value)| text(key) == Some(value.as_str()))
        };
        if !self.expected.iter().all(has) || !from.is_none_or(of_pod) {
            self.without_attributes.fetch_add(1, Relaxed);
        }
        let attributes = resource.attributes();
        let attributes = attributes
            .filter_map(|attribute| Some((attribute.key().to_owned(), attribute.value().as_str()?.to_owned())));
        *self.last_resource.lock().unwrap_or_else(PoisonError::into_inner) = attributes.collect();
    }
}
