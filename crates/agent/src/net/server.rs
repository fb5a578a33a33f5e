//! Listening: connections in bounds, HTTP/1.1 and HTTP/2 told apart by their first bytes, TLS, and an orderly end.
//!
//! What a request means is the handler's business. A connection costs a small task until its first bytes are there; every
//! wait for a peer has an end.

mod connection;
mod listener;
mod owner;
mod places;
mod sniff;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

pub use listener::{Address, BindError, Listener};

use super::reply::Body;
use super::tls::server::Acceptor;
use connection::Shared;
use listener::Stream;
use places::{NoPlace, Places};

/// How a listener treats its peers.
#[derive(Debug, Clone)]
pub struct Options {
    /// What it is, in logs: `otlp grpc`.
    pub name: String,
    /// Connections at once; those above are closed as they come. Once half of them are there, one address holds a
    /// sixteenth (but 64 at least), so that one client's flood leaves room for the others.
    pub max_connections: usize,
    /// For TLS to be agreed on.
    pub handshake_timeout: Duration,
    /// For the first bytes of a connection, for the headers of a request over HTTP/1.1, and for the next request: must be
    /// longer than the 60 s between two exports, or every SDK connects anew for each and races with the close.
    pub header_timeout: Duration,
    /// Whether a connection over HTTP/1.1 serves more than one request.
    pub keep_alive: bool,
    /// Calls at once on a connection over HTTP/2.
    pub max_concurrent_streams: u32,
    /// Ages, pings and idleness of connections.
    pub keepalive: Keepalive,
    /// TLS, if any.
    pub tls: Option<Acceptor>,
}

/// When a connection is asked whether it still lives, and when it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keepalive {
    /// A quiet connection over HTTP/2 is pinged this often.
    pub time: Duration,
    /// An answer to a ping takes this long at most.
    pub timeout: Duration,
    /// Without a call for this long, a connection over HTTP/2 is asked to end.
    pub max_idle: Option<Duration>,
    /// After this long, more or less a tenth, a connection is asked to end, so that clients find new servers.
    pub max_age: Option<Duration>,
    /// What was asked to end for its age has this long for the calls under way.
    pub max_age_grace: Option<Duration>,
}

impl Default for Keepalive {
    /// Dead peers are found within minutes; nothing else ends a connection.
    fn default() -> Self {
        Self {
            time: Duration::from_secs(120),
            timeout: Duration::from_secs(20),
            max_idle: None,
            max_age: None,
            max_age_grace: None,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "server".to_owned(),
            max_connections: 4096,
            handshake_timeout: Duration::from_secs(10),
            header_timeout: Duration::from_secs(120),
            keep_alive: true,
            max_concurrent_streams: 256,
            keepalive: Keepalive::default(),
            tls: None,
        }
    }
}

/// What is known of the connection that a request came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address; none over a unix socket.
    pub address: Option<SocketAddr>,
    /// Whether it speaks TLS.
    pub tls: bool,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => address.fmt(f),
            None => f.write_str("unix"),
        }
    }
}

/// What a listener has seen.
#[derive(Debug, Default)]
pub struct Counts {
    /// Connections now.
    pub open: AtomicUsize,
    /// Connections taken.
    pub opened: AtomicUsize,
    /// Connections closed at once, as there were too many.
    pub too_many: AtomicUsize,
    /// Connections closed because TLS was missing, was not expected, or did not come about.
    pub foreign: AtomicUsize,
}

/// A connection is counted as open for as long as it has this, also when it ends by a fault.
struct Open(Arc<Counts>);

impl Open {
    fn new(counts: &Arc<Counts>) -> Open {
        counts.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(counts))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers requests. Functions of this shape are handlers.
pub trait Handle: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Request<Incoming>, peer: Peer) -> impl Future<Output = Response<Body>> + Send;
}

impl<F, Answer> Handle for F
where
    F: Fn(Request<Incoming>, Peer) -> Answer + Send + Sync + 'static,
    Answer: Future<Output = Response<Body>> + Send,
{
    fn handle(&self, request: Request<Incoming>, peer: Peer) -> impl Future<Output = Response<Body>> + Send {
        self(request, peer)
    }
}

/// A listener at work. Dropping it leaves it at work; end it with [`Server::stop`].
#[derive(Debug)]
pub struct Server {
    address: Address,
    counts: Arc<Counts>,
    tasks: TaskTracker,
    /// Asks the connections to end.
    draining: CancellationToken,
    /// Ends them.
    killed: CancellationToken,
}

impl Server {
    /// Starts to accept connections.
    pub fn start(listener: Listener, options: Options, handler: impl Handle) -> Self {
        let tasks = TaskTracker::new();
        let draining = CancellationToken::new();
        let killed = CancellationToken::new();
        let address = listener.address().clone();
        let counts = Arc::new(Counts::default());
        info!(server = options.name, endpoint = %address, "Listening");
        let shared =
            Shared { options, handler, counts: counts.clone(), draining: draining.clone(), killed: killed.clone() };
        tasks.spawn(accept(listener, Arc::new(shared), tasks.clone()));
        Self { address, counts, tasks, draining, killed }
    }

    /// Where it listens, with the port that the system chose if it was left to it.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// What it has seen.
    pub fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    /// Stops to accept, asks all connections to end after the requests under way, and waits for that. What is still there
    /// after `grace` is cut; the result says whether nothing had to be.
    pub async fn stop(self, grace: Duration) -> bool {
        self.draining.cancel();
        self.tasks.close();
        let in_time = tokio::time::timeout(grace, self.tasks.wait()).await.is_ok();
        if !in_time {
            warn!(address = %self.address, "connections were cut: their requests took longer than the time for stopping");
            self.killed.cancel();
            self.tasks.wait().await;
        }
        in_time
    }
}

/// Accepts until the end. A connection without a place is closed at once, so that its client sees it and tries again.
async fn accept<H: Handle>(mut listener: Listener, shared: Arc<Shared<H>>, tasks: TaskTracker) {
    let places = Places::new(shared.options.max_connections);
    while let Some(accepted) = shared.draining.run_until_cancelled(listener.accept()).await {
        let (stream, address): (Stream, _) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most often: it passes when connections end.
                warn!(%error, "{}: could not accept a connection", shared.options.name);
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let place = match places.take(address.map(|address| address.ip().to_canonical())) {
            Ok(place) => place,
            Err(reason) => {
                shared.counts.too_many.fetch_add(1, Ordering::Relaxed);
                tell_no_place(reason, &shared.options, address, places.share());
                continue;
            }
        };
        let shared = shared.clone();
        shared.counts.opened.fetch_add(1, Ordering::Relaxed);
        let open = Open::new(&shared.counts);
        tasks.spawn(async move {
            let killed = shared.killed.clone();
            killed.run_until_cancelled(connection::serve(stream, address, shared)).await;
            drop((open, place));
        });
    }
}

fn tell_no_place(reason: NoPlace, options: &Options, address: Option<SocketAddr>, share: usize) {
    let most = options.max_connections;
    match reason {
        NoPlace::Full => warn!(most, "{}: closed a connection, as there are max_connections already", options.name),
        NoPlace::Share => {
            let peer = address.map(|address| address.ip().to_string()).unwrap_or_default();
            warn!(most, share, peer, "{}: closed a connection of a client that has too many of them", options.name);
        }
    }
}

#[cfg(test)]
mod tests;
