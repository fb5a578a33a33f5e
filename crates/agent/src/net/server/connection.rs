//! One connection, from its first byte to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::listener::Stream;
use super::sniff::{Sniffed, Speaks};
use super::{Counts, Handle, Options, Peer};
use crate::net::reply::Body;

/// Memory that a peer may fill on a connection over HTTP/2 before anyone reads: per call, and for all of them.
const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 1024 * 1024;
/// The read buffer of a connection over HTTP/1.1 grows up to this.
const READ_BUFFER: usize = 64 * 1024;
const HEADERS: u32 = 64 * 1024;

/// What the connections of a listener have in common.
pub(super) struct Shared<H> {
    pub(super) options: Options,
    pub(super) handler: H,
    pub(super) counts: Arc<Counts>,
    pub(super) draining: CancellationToken,
    pub(super) killed: CancellationToken,
}

/// Serves a connection to its end.
pub(super) async fn serve<H: Handle>(stream: Stream, address: Option<SocketAddr>, shared: Arc<Shared<H>>) {
    let peer = Peer { address, tls: shared.options.tls.is_some() };
    let mut stream = Sniffed::new(stream);
    let Some(speaks) = first_bytes(&mut stream, &shared).await else { return };
    let Some(tls) = &shared.options.tls else {
        if speaks == Speaks::Tls {
            return tell_wrong_protocol(peer, &shared, "a client speaks TLS to this port, which is not set up for it");
        }
        return Box::pin(serve_http(stream, speaks, peer, shared)).await;
    };
    if speaks != Speaks::Tls {
        return tell_wrong_protocol(peer, &shared, "a client does not speak TLS to this port, which asks for it");
    }
    let handshake = Box::pin(tls.accept(stream));
    let stream = match timeout(shared.options.handshake_timeout, handshake).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            shared.counts.foreign.fetch_add(1, Ordering::Relaxed);
            return warn!(%error, %peer, "{}: no TLS with a client", shared.options.name);
        }
        Err(_) => return debug!(%peer, "a TLS handshake took too long"),
    };
    let mut stream = Box::new(Sniffed::new(stream));
    if let Some(speaks) = first_bytes(&mut stream, &shared).await {
        Box::pin(serve_http(stream, speaks, peer, shared)).await;
    }
}

/// Waits for the first bytes; `None`: there are none, in time or at all.
async fn first_bytes<S, H>(stream: &mut Sniffed<S>, shared: &Shared<H>) -> Option<Speaks>
where
    S: AsyncRead + Unpin,
{
    let waiting = timeout(shared.options.header_timeout, stream.speaks());
    shared.draining.run_until_cancelled(waiting).await?.ok()?.ok()?
}

/// A setting on one side or the other is wrong, and the client sees a broken connection only. So it stands in the log.
fn tell_wrong_protocol<H>(peer: Peer, shared: &Shared<H>, what: &str) {
    shared.counts.foreign.fetch_add(1, Ordering::Relaxed);
    let remedy = "set `tls` on both sides or on neither";
    warn!(%peer, remedy, "{}: {what}", shared.options.name);
}

/// Boxed where it is called, as is the connection inside: what is silent so far does not pay for what it may become.
async fn serve_http<S, H>(stream: S, speaks: Speaks, peer: Peer, shared: Arc<Shared<H>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Handle,
{
    let calls = Arc::new(Calls::new());
    let service = hyper::service::service_fn({
        let (shared, calls) = (shared.clone(), calls.clone());
        move |request| answer(request, peer, shared.clone(), calls.clone())
    });
    let io = TokioIo::new(stream);
    let ended = match speaks {
        Speaks::Http2 => {
            let connection = http2_settings(&shared.options).serve_connection(io, service);
            drive(Box::pin(connection), &shared, Some(&calls)).await
        }
        _ => {
            let connection = http1_settings(&shared.options).serve_connection(io, service);
            drive(Box::pin(connection), &shared, None).await
        }
    };
    if let Err(error) = ended {
        debug!(%error, %peer, "{}: a connection broke", shared.options.name);
    }
}

/// A fault in the handling of one request must not end the others on its connection.
async fn answer<H: Handle>(
    request: Request<Incoming>,
    peer: Peer,
    shared: Arc<Shared<H>>,
    calls: Arc<Calls>,
) -> Result<Response<Body>, Infallible> {
    let _call = calls.begin();
    let answer = AssertUnwindSafe(shared.handler.handle(request, peer)).catch_unwind().await;
    Ok(answer.unwrap_or_else(|_| {
        error!(%peer, "{}: a fault while handling a request", shared.options.name);
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response
    }))
}

fn http1_settings(options: &Options) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .keep_alive(options.keep_alive)
        .max_buf_size(READ_BUFFER);
    builder
}

fn http2_settings(options: &Options) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.max_concurrent_streams)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(HEADERS)
        .keep_alive_interval(options.keepalive.time)
        .keep_alive_timeout(options.keepalive.timeout)
        .auto_date_header(false);
    builder
}

/// Runs a connection, and asks it to end when the server stops, when it is old, or when it is idle.
async fn drive<C, H>(mut connection: Pin<Box<C>>, shared: &Shared<H>, calls: Option<&Calls>) -> Result<(), C::Error>
where
    C: GracefulConnection,
{
    let keepalive = shared.options.keepalive;
    let reason = tokio::select! {
        ended = connection.as_mut() => return ended,
        () = shared.draining.cancelled() => Ending::Stop,
        () = sleep_or_never(keepalive.max_age.map(jittered)) => Ending::Age,
        () = idle(calls, keepalive.max_idle) => Ending::Idle,
    };
    connection.as_mut().graceful_shutdown();
    let grace = if reason == Ending::Age { keepalive.max_age_grace } else { None };
    tokio::select! {
        ended = connection => ended,
        () = sleep_or_never(grace) => Ok(()),
    }
}

/// Why a connection is asked to end.
#[derive(PartialEq, Eq)]
enum Ending {
    Stop,
    Age,
    Idle,
}

async fn sleep_or_never(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// More or less a tenth, so that connections made at once do not end at once.
fn jittered(time: Duration) -> Duration {
    use std::hash::BuildHasher;
    let random = std::hash::RandomState::new().hash_one(0) % 2001;
    time.mul_f64(0.9 + random as f64 / 10_000.0)
}

/// The calls under way on a connection.
struct Calls {
    now: AtomicUsize,
    begun: AtomicUsize,
}

impl Calls {
    fn new() -> Self {
        Self { now: AtomicUsize::new(0), begun: AtomicUsize::new(0) }
    }

    fn begin(&self) -> Call<'_> {
        self.now.fetch_add(1, Ordering::Relaxed);
        self.begun.fetch_add(1, Ordering::Relaxed);
        Call(self)
    }
}

struct Call<'a>(&'a Calls);

impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends when no call was under way for this long: looked at once in that time, so it may take up to twice as long.
async fn idle(calls: Option<&Calls>, most: Option<Duration>) {
    let (Some(calls), Some(most)) = (calls, most) else { return std::future::pending().await };
    let mut seen = usize::MAX;
    let mut next = Instant::now();
    loop {
        next += most;
        tokio::time::sleep_until(next).await;
        let begun = calls.begun.load(Ordering::Relaxed);
        if calls.now.load(Ordering::Relaxed) == 0 && begun == seen {
            return;
        }
        seen = begun;
    }
}
