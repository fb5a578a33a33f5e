//! The sender: gRPC requests of one size over a few connections, at full speed or at a fixed rate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 4;
const PATH: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

/// What to send: how long, how fast.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Data points in a request.
    pub(crate) points: usize,
    /// How long to send.
    pub(crate) duration: Duration,
    /// Data points a second; `None` is as fast as the other end takes them.
    pub(crate) rate: Option<f64>,
}

/// What was sent and acknowledged.
pub(crate) struct Sent {
    pub(crate) items: u64,
    pub(crate) refused: u64,
    /// Time from send to acknowledgement, sorted.
    pub(crate) latencies: Vec<Duration>,
}

/// Framed requests of 20 resources, made before the clock starts.
pub(crate) fn requests(points: usize) -> Vec<Bytes> {
    (0..20).map(|resource| frame(&testkit::generate::sdk::metrics(resource, points).encode())).collect()
}

/// A message of gRPC: not compressed, its length, its bytes.
pub(crate) fn frame(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("a request of a benchmark is far below 4 GiB"));
    framed.put_slice(message);
    framed.freeze()
}

/// Sends to `address` until the time is over and every answer is in.
pub(crate) async fn send(address: SocketAddr, load: Load, requests: Arc<Vec<Bytes>>) -> Result<Sent> {
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut workers = Vec::new();
    for _ in 0..CONNECTIONS {
        let sender = connect(address).await?;
        for _ in 0..IN_FLIGHT {
            workers.push(tokio::spawn(work(sender.clone(), load, requests.clone(), next.clone(), start)));
        }
    }
    let mut total = Sent { items: 0, refused: 0, latencies: Vec::new() };
    for worker in workers {
        let part = worker.await??;
        total.items += part.items;
        total.refused += part.refused;
        total.latencies.extend(part.latencies);
    }
    total.latencies.sort_unstable();
    Ok(total)
}

type Sender = hyper::client::conn::http2::SendRequest<Full<Bytes>>;

async fn connect(address: SocketAddr) -> Result<Sender> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn work(
    mut sender: Sender,
    load: Load,
    requests: Arc<Vec<Bytes>>,
    next: Arc<AtomicUsize>,
    start: Instant,
) -> Result<Sent> {
    let mut sent = Sent { items: 0, refused: 0, latencies: Vec::new() };
    while start.elapsed() < load.duration {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if let Some(rate) = load.rate {
            let due = start + Duration::from_secs_f64(number as f64 * load.points as f64 / rate);
            tokio::time::sleep_until(due.into()).await;
        }
        let request = http::Request::post(format!("http://localhost{PATH}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(requests[number % requests.len()].clone()))?;
        let at = Instant::now();
        sender.ready().await?;
        if accepted(sender.send_request(request).await?).await? {
            sent.items += load.points as u64;
            sent.latencies.push(at.elapsed());
        } else {
            sent.refused += 1;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(sent)
}

async fn accepted(response: http::Response<hyper::body::Incoming>) -> Result<bool> {
    ensure!(response.status() == 200, "HTTP status {} from a gRPC server", response.status());
    let early = response.headers().get("grpc-status").cloned();
    let collected = response.into_body().collect().await?;
    let status = early.or_else(|| collected.trailers().and_then(|trailers| trailers.get("grpc-status").cloned()));
    Ok(status.is_some_and(|status| status == "0"))
}
