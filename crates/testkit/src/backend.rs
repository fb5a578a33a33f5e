//! An OTLP backend for tests: gRPC and HTTP on one port, plain or TLS. It decodes what comes with `prost`, keeps and
//! counts it, and answers what it is told to.
//!
//! Only what is answered with success counts as received; everything that came is counted as a request. What an answer
//! can be stands in [`Answer`], what is kept in [`Received`].

mod answer;
mod received;
mod serve;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use answer::Answer;
pub use received::{Payload, Protocol, Received, SignalKind};
use serve::State;

/// A running backend. Dropping it closes the port and every connection.
pub struct Backend {
    address: SocketAddr,
    state: Arc<State>,
    tls: bool,
    accepting: JoinHandle<()>,
}

/// How a backend shall be; [`Builder::start`] makes it run.
pub struct Builder {
    listen: SocketAddr,
    tls: Option<Arc<rustls::ServerConfig>>,
    keep: bool,
}

impl Backend {
    /// A plain backend on a free port of 127.0.0.1 that accepts everything.
    ///
    /// # Errors
    /// No port could be bound.
    pub async fn start() -> anyhow::Result<Self> {
        Self::builder().start().await
    }

    /// A backend with other properties.
    #[must_use]
    pub fn builder() -> Builder {
        Builder { listen: SocketAddr::from(([127, 0, 0, 1], 0)), tls: None, keep: true }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http://127.0.0.1:port`, or `https://localhost:port` with TLS (certificates are for the name).
    #[must_use]
    pub fn url(&self) -> String {
        let port = self.address.port();
        if self.tls { format!("https://localhost:{port}") } else { format!("http://{}:{port}", self.address.ip()) }
    }

    /// The answer to every request from now on, but for those given to [`Backend::answer_next`].
    pub fn answer(&self, answer: Answer) {
        self.state.set_answer(answer);
    }

    /// The answer to one request; several calls queue up.
    pub fn answer_next(&self, answer: Answer) {
        self.state.queue_answer(answer);
    }

    /// What was received and answered with success, in order of arrival. Empty with `keep(false)`.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.state.received()
    }

    /// What came and was refused (or dropped), in order of arrival. Empty with `keep(false)`.
    #[must_use]
    pub fn refused(&self) -> Vec<Received> {
        self.state.refused()
    }

    /// Items of one signal that were answered with success.
    #[must_use]
    pub fn items(&self, signal: SignalKind) -> usize {
        self.state.items(signal)
    }

    /// Items of all signals that were answered with success.
    #[must_use]
    pub fn items_total(&self) -> usize {
        SignalKind::ALL.iter().map(|signal| self.items(*signal)).sum()
    }

    /// Requests that came, whatever the answer.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.state.requests()
    }

    /// Connections that were taken since the start.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.connections()
    }

    /// Bytes of request bodies as they came over the wire, compressed.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.state.wire_bytes()
    }

    /// Bodies that could not be decoded: a fault of the sender, so tests want this to be empty.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        self.state.complaints()
    }

    /// Waits until at least this many items were answered with success.
    ///
    /// # Errors
    /// The time is over; the text says what had come until then.
    pub async fn wait_for(&self, items: usize, timeout: Duration) -> anyhow::Result<()> {
        self.wait_until(timeout, |backend| backend.items_total() >= items)
            .await
            .with_context(|| format!("waiting for {items} items"))
    }

    /// Waits until at least this many requests came.
    ///
    /// # Errors
    /// The time is over; the text says what had come until then.
    pub async fn wait_for_requests(&self, requests: usize, timeout: Duration) -> anyhow::Result<()> {
        self.wait_until(timeout, |backend| backend.requests() >= requests)
            .await
            .with_context(|| format!("waiting for {requests} requests"))
    }

    async fn wait_until(&self, timeout: Duration, done: impl Fn(&Self) -> bool) -> anyhow::Result<()> {
        let mut progress = self.state.progress();
        let waiting = async {
            while !done(self) {
                if progress.changed().await.is_err() {
                    break;
                }
            }
        };
        tokio::time::timeout(timeout, waiting).await.with_context(|| {
            let (items, requests, complaints) = (self.items_total(), self.requests(), self.complaints());
            format!("after {timeout:?}: {items} items in {requests} requests; not decodable: {complaints:?}")
        })
    }

    /// Tells every open connection to come to an end: GOAWAY in HTTP/2, `connection: close` in HTTP/1.
    pub fn go_away(&self) {
        self.state.go_away();
    }

    /// Cuts every open connection without a word.
    pub fn cut_connections(&self) {
        self.state.cut_connections();
    }

    /// Stops, and gives back the address so that another one can be started there.
    pub async fn stop(mut self) -> SocketAddr {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        self.state.cut_connections();
        self.address
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
        self.state.cut_connections();
    }
}

impl Builder {
    /// Listens here instead of on a free port of 127.0.0.1.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Speaks TLS with this configuration (see [`crate::pki`]).
    #[must_use]
    pub fn tls(mut self, config: rustls::ServerConfig) -> Self {
        self.tls = Some(Arc::new(config));
        self
    }

    /// Whether requests are kept (the default) or only counted, as long runs want it.
    #[must_use]
    pub fn keep(mut self, keep: bool) -> Self {
        self.keep = keep;
        self
    }

    /// Binds the port and starts answering, on the current runtime.
    ///
    /// # Errors
    /// The port could not be bound.
    pub async fn start(self) -> anyhow::Result<Backend> {
        let listener = bind(self.listen).await?;
        let address = listener.local_addr().context("address of the listener")?;
        let state = Arc::new(State::new(self.keep));
        let tls = self.tls.is_some();
        let accepting = tokio::spawn(serve::accept(listener, self.tls, Arc::clone(&state)));
        Ok(Backend { address, state, tls, accepting })
    }
}

/// Binds, trying again for a moment: a backend that restarts on its old port may find it not yet free.
async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let mut tries = 0;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return Ok(listener),
            Err(error) if tries >= 50 => return Err(error).with_context(|| format!("binding {address}")),
            Err(_) => tries += 1,
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
