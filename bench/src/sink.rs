//! The other end: an OTLP gRPC backend that counts items and the attribute that had to be added, and nothing more.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::{Buf, Bytes, BytesMut};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use wire::Signal;

/// What arrived.
#[derive(Default)]
pub(crate) struct Counts {
    pub(crate) items: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Requests that did not carry the attribute that the path adds.
    pub(crate) without_attribute: AtomicU64,
    /// Requests that carried the name of a pod.
    pub(crate) with_pod: AtomicU64,
}

/// A listening sink.
pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    pub(crate) counts: Arc<Counts>,
}

/// The attribute key that every program under test is told to add.
pub(crate) const ADDED: &str = "k8s.cluster.name";

impl Sink {
    /// Listens on a free port of loopback.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let shared = counts.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counts = shared.clone();
                let _best_effort = stream.set_nodelay(true);
                tokio::spawn(async move {
                    let service = hyper::service::service_fn(move |request| answer(request, counts.clone()));
                    let _closed = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .initial_stream_window_size(8 << 20)
                        .initial_connection_window_size(16 << 20)
                        .max_frame_size(1 << 20)
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self { address, counts })
    }

    /// Waits until `items` have arrived.
    pub(crate) async fn wait_for(&self, items: u64) -> Result<()> {
        for _ in 0..1500 {
            if self.counts.items.load(Ordering::Relaxed) >= items {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        bail!("only {} of {items} items arrived within 15 s", self.counts.items.load(Ordering::Relaxed));
    }
}

async fn answer(
    request: http::Request<Incoming>,
    counts: Arc<Counts>,
) -> Result<http::Response<BoxBody<Bytes, std::convert::Infallible>>, hyper::Error> {
    let signal = signal_of(request.uri().path());
    let mut body = BytesMut::new();
    let mut incoming = request.into_body();
    while let Some(frame) = incoming.frame().await {
        if let Ok(data) = frame?.into_data() {
            body.extend_from_slice(&data);
        }
    }
    body.advance(body.len().min(5));
    let items = wire::count(signal, &body) as u64;
    counts.items.fetch_add(items, Ordering::Relaxed);
    counts.requests.fetch_add(1, Ordering::Relaxed);
    counts.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
    let has = |key: &str| body.windows(key.len()).any(|window| window == key.as_bytes());
    if items > 0 && !has(ADDED) {
        counts.without_attribute.fetch_add(1, Ordering::Relaxed);
    }
    if has("k8s.pod.name") {
        counts.with_pod.fetch_add(1, Ordering::Relaxed);
    }
    Ok(success())
}

/// Which signal a gRPC path carries.
pub(crate) fn signal_of(path: &str) -> Signal {
    if path.contains("TraceService") {
        Signal::Traces
    } else if path.contains("LogsService") {
        Signal::Logs
    } else {
        Signal::Metrics
    }
}

/// A gRPC answer with an empty export response.
pub(crate) fn success() -> http::Response<BoxBody<Bytes, std::convert::Infallible>> {
    let mut trailers = http::HeaderMap::new();
    trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
    let frames = [Ok(Frame::data(Bytes::from_static(&[0, 0, 0, 0, 0]))), Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed();
    let mut response = http::Response::new(body);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/grpc"));
    response
}
