//! The sender: gRPC requests of one size over a few connections, at full speed or at a fixed rate.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpSocket, TcpStream};

/// What a few busy senders have open, and have under way on each.
const CONNECTIONS: u16 = 4;
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
    /// Who sends.
    pub(crate) senders: Senders,
}

/// Who sends.
#[derive(Clone, Copy)]
pub(crate) enum Senders {
    /// A few, with several requests under way each.
    Few,
    /// So many pods, each over one connection from its own address, with one request under way.
    Pods(u16),
}

impl Senders {
    fn connections(self) -> u16 {
        match self {
            Senders::Few => CONNECTIONS,
            Senders::Pods(pods) => pods,
        }
    }

    fn in_flight(self) -> usize {
        match self {
            Senders::Few => IN_FLIGHT,
            Senders::Pods(_) => 1,
        }
    }

    fn source(self, index: u16) -> Option<IpAddr> {
        match self {
            Senders::Few => None,
            Senders::Pods(_) => Some(pod_address(index)),
        }
    }
}

/// The address of a pod: 127.1.0.1 and so on.
pub(crate) fn pod_address(index: u16) -> IpAddr {
    let [high, low] = (index + 1).to_be_bytes();
    Ipv4Addr::new(127, 1, high, low).into()
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
    for index in 0..load.senders.connections() {
        let sender = connect(address, load.senders.source(index)).await?;
        for _ in 0..load.senders.in_flight() {
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

async fn connect(address: SocketAddr, source: Option<IpAddr>) -> Result<Sender> {
    let connecting = async {
        let Some(source) = source else { return TcpStream::connect(address).await };
        let socket = TcpSocket::new_v4()?;
        socket.bind((source, 0).into())?;
        socket.connect(address).await
    };
    let stream = connecting.await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// One request from each of so many pods.
pub(crate) async fn send_once(address: SocketAddr, pods: u16, requests: &[Bytes]) -> Result<()> {
    for index in 0..pods {
        let mut sender = connect(address, Some(pod_address(index))).await?;
        let body = requests[usize::from(index) % requests.len()].clone();
        ensure!(accepted(sender.send_request(request(body)?).await?).await?, "refused");
    }
    Ok(())
}

fn request(body: Bytes) -> Result<http::Request<Full<Bytes>>> {
    let request = http::Request::post(format!("http://localhost{PATH}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    Ok(request.body(Full::new(body))?)
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
        let request = request(requests[number % requests.len()].clone())?;
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
