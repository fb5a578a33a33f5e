//! The backend's sockets: accepts, reads a request, asks for the answer and writes it.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use http_body_util::combinators::BoxBody;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, Reply, Verdict};
use super::received::{Received, SignalKind};

/// What the connections share with the [`super::Backend`].
pub(super) struct State {
    inner: Mutex<Inner>,
    progress: watch::Sender<u64>,
    ends: watch::Sender<Ends>,
}

struct Inner {
    keep: bool,
    answer: Answer,
    queued: VecDeque<Answer>,
    received: Vec<Received>,
    refused: Vec<Received>,
    complaints: Vec<String>,
    items: [usize; 3],
    requests: usize,
    connections: usize,
    wire_bytes: usize,
}

/// How many times connections were told to end, softly and at once.
#[derive(Clone, Copy, Default)]
struct Ends {
    go_away: u64,
    cut: u64,
}

impl State {
    pub(super) fn new(keep: bool) -> Self {
        let inner = Inner {
            keep,
            answer: Answer::Accept,
            queued: VecDeque::new(),
            received: Vec::new(),
            refused: Vec::new(),
            complaints: Vec::new(),
            items: [0; 3],
            requests: 0,
            connections: 0,
            wire_bytes: 0,
        };
        Self { inner: Mutex::new(inner), progress: watch::Sender::new(0), ends: watch::Sender::new(Ends::default()) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_answer(&self, answer: Answer) {
        self.lock().answer = answer;
    }

    pub(super) fn queue_answer(&self, answer: Answer) {
        self.lock().queued.push_back(answer);
    }

    pub(super) fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    pub(super) fn refused(&self) -> Vec<Received> {
        self.lock().refused.clone()
    }

    pub(super) fn complaints(&self) -> Vec<String> {
        self.lock().complaints.clone()
    }

    pub(super) fn items(&self, signal: SignalKind) -> usize {
        self.lock().items[signal as usize]
    }

    pub(super) fn requests(&self) -> usize {
        self.lock().requests
    }

    pub(super) fn connections(&self) -> usize {
        self.lock().connections
    }

    pub(super) fn wire_bytes(&self) -> usize {
        self.lock().wire_bytes
    }

    pub(super) fn progress(&self) -> watch::Receiver<u64> {
        self.progress.subscribe()
    }

    pub(super) fn go_away(&self) {
        self.ends.send_modify(|ends| ends.go_away += 1);
    }

    pub(super) fn cut_connections(&self) {
        self.ends.send_modify(|ends| ends.cut += 1);
    }

    fn next_answer(&self) -> Answer {
        let mut inner = self.lock();
        inner.requests += 1;
        let queued = inner.queued.pop_front();
        queued.unwrap_or_else(|| inner.answer.clone())
    }

    fn changed(&self) {
        self.progress.send_modify(|count| *count += 1);
    }

    fn keep(&self, request: Received, success: bool) {
        let mut inner = self.lock();
        inner.wire_bytes += request.wire_bytes;
        if success {
            inner.items[request.signal as usize] += request.items;
        }
        match (inner.keep, success) {
            (true, true) => inner.received.push(request),
            (true, false) => inner.refused.push(request),
            (false, _) => {}
        }
    }

    fn complain(&self, complaint: String) {
        self.lock().complaints.push(complaint);
    }
}

/// Takes connections until the task is ended.
pub(super) async fn accept(listener: TcpListener, tls: Option<Arc<rustls::ServerConfig>>, state: Arc<State>) {
    let tls = tls.map(TlsAcceptor::from);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        state.lock().connections += 1;
        let (tls, state) = (tls.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            match tls {
                None => serve(stream, state).await,
                Some(acceptor) => {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, state).await;
                    }
                }
            }
        });
    }
}

/// One connection, HTTP/1 or HTTP/2 by its first bytes.
async fn serve(stream: impl AsyncRead + AsyncWrite + Send + 'static, state: Arc<State>) {
    let mut ends = state.ends.subscribe();
    let cut = Arc::new(Notify::new());
    let service = service_fn(|request| handle(request, Arc::clone(&state), Arc::clone(&cut)));
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http2().initial_connection_window_size(8 << 20).initial_stream_window_size(4 << 20);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(Box::pin(stream)), service));
    let before = *ends.borrow();
    loop {
        tokio::select! {
            _ = connection.as_mut() => return,
            () = cut.notified() => return,
            changed = ends.changed() => {
                if changed.is_err() || ends.borrow_and_update().cut > before.cut {
                    return;
                }
                connection.as_mut().graceful_shutdown();
            }
        }
    }
}

type Body = BoxBody<Bytes, Infallible>;

async fn handle(request: Request<Incoming>, state: Arc<State>, cut: Arc<Notify>) -> Result<Response<Body>, Infallible> {
    let answer = state.next_answer();
    let (head, body) = request.into_parts();
    if matches!(answer, Answer::CutEarly) {
        return end(&state, &cut).await;
    }
    let body = match body.collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            state.complain(format!("reading the body: {error}"));
            Bytes::new()
        }
    };
    if let Answer::Slow(delay) = answer {
        tokio::time::sleep(delay).await;
    }
    let json = head.headers.get("content-type").is_some_and(|value| value == "application/json");
    let request = Received::read(head.uri.path(), head.headers.clone(), &body);
    let silent = matches!(answer, Answer::Stall | Answer::Cut);
    let verdict = match &request {
        Ok(request) => Verdict::of(answer.clone(), &request.body),
        Err(error) => Verdict::Status { code: 3, message: format!("{error:#}"), retry_after: None, http: 400 },
    };
    match request {
        Ok(request) => state.keep(request, verdict.is_success() && !silent),
        Err(error) => state.complain(format!("{error:#}")),
    }
    match answer {
        Answer::Cut => return end(&state, &cut).await,
        Answer::Stall => {
            state.changed();
            return std::future::pending().await;
        }
        _ => {}
    }
    state.changed();
    Ok(respond(if is_grpc(&head.headers) { Reply::grpc(verdict) } else { Reply::http(verdict, json) }))
}

/// Ends the connection; the request gets no answer.
async fn end(state: &State, cut: &Notify) -> Result<Response<Body>, Infallible> {
    state.changed();
    cut.notify_one();
    std::future::pending().await
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get("content-type").is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn respond(reply: Reply) -> Response<Body> {
    let body = http_body_util::Full::new(reply.body);
    let body = match reply.trailers {
        None => body.boxed(),
        Some(trailers) => body.with_trailers(async move { Some(Ok(trailers)) }).boxed(),
    };
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    response
}
