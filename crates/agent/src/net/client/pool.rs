//! The connections of a client: made when needed, shared (HTTP/2) or lent (HTTP/1), forgotten when they end.
//!
//! Several requests that need a connection wait for one dialling, which goes on when a request gives up. With `spread`
//! there is a connection to every address of the name; addresses that are missing are dialled again beside the requests,
//! never in their way.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use futures_util::future::Shared;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::body::Slices;
use super::dial::{Address, Connected, Dialer, Resolver};
use super::error::{self, Error};
use super::{Failure, Options, Protocol};

/// How often missing addresses are looked for.
const REFRESH: Duration = Duration::from_secs(10);

/// What a peer may send us before we read it. Answers are small.
const WINDOW: u32 = 64 * 1024;

pub(super) struct Pool {
    dialer: Dialer,
    options: Options,
    state: Mutex<State>,
}

type Dialling = Shared<Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>>;

#[derive(Default)]
struct State {
    shared: Vec<SharedConnection>,
    idle: Vec<IdleConnection>,
    /// Counts the connections that were made; names them.
    made: u64,
    /// Whose turn it is.
    turn: usize,
    dialling: Option<Dialling>,
    /// With `spread`: how many addresses the name had, and when that was looked up.
    addresses: usize,
    refreshed: Option<Instant>,
}

#[derive(Clone)]
struct SharedConnection {
    id: u64,
    address: Address,
    sender: http2::SendRequest<Slices>,
}

struct IdleConnection {
    address: Address,
    sender: http1::SendRequest<Slices>,
    since: Instant,
}

/// A connection for one request.
pub(super) struct Checkout {
    pool: Arc<Pool>,
    address: Address,
    reused: bool,
    sender: Option<Sender>,
    /// The answer came, so the connection is known to work.
    answered: bool,
}

enum Sender {
    Shared(u64, http2::SendRequest<Slices>),
    Lent(http1::SendRequest<Slices>),
}

impl Pool {
    pub(super) fn new(mut options: Options, resolver: Option<Resolver>) -> Arc<Self> {
        let dialer = Dialer {
            place: options.place.clone(),
            tls: options.tls.take(),
            timeout: options.connect_timeout,
            resolver,
        };
        Arc::new(Self { dialer, options, state: Mutex::default() })
    }

    /// What the place is called in errors.
    pub(super) fn place(&self) -> String {
        self.dialer.place.to_string()
    }

    /// A connection that stands, or a new one.
    pub(super) async fn checkout(self: &Arc<Self>) -> Result<Checkout, Error> {
        let mut reused = true;
        loop {
            let dialling = {
                let mut state = self.lock();
                if let Some(checkout) = self.take(&mut state, reused) {
                    return Ok(checkout);
                }
                self.dial(&mut state)
            };
            reused = false;
            dialling.await?;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(self: &Arc<Self>, state: &mut State, reused: bool) -> Option<Checkout> {
        state.shared.retain(|connection| !connection.sender.is_closed());
        if !state.shared.is_empty() {
            self.refresh_if_missing(state);
            state.turn = state.turn.wrapping_add(1);
            let SharedConnection { id, address, sender } = state.shared[state.turn % state.shared.len()].clone();
            return Some(self.lend(address, reused, Sender::Shared(id, sender)));
        }
        let timeout = self.options.idle_timeout;
        state.idle.retain(|idle| !idle.sender.is_closed() && idle.since.elapsed() < timeout);
        // The one that was used last is the least likely to be closed by the other side just now.
        let IdleConnection { address, sender, .. } = state.idle.pop()?;
        Some(self.lend(address, reused, Sender::Lent(sender)))
    }

    fn lend(self: &Arc<Self>, address: Address, reused: bool, sender: Sender) -> Checkout {
        Checkout { pool: Arc::clone(self), address, reused, sender: Some(sender), answered: false }
    }

    /// The dialling that is under way, or a new one.
    fn dial(self: &Arc<Self>, state: &mut State) -> Dialling {
        match &state.dialling {
            Some(dialling) if dialling.peek().is_none() => dialling.clone(),
            _ => {
                let pool = Arc::clone(self);
                let task = tokio::spawn(async move { pool.connect_first().await });
                let place = self.place();
                let dialling = async move { task.await.unwrap_or_else(|_| Err(Error::task(&place))) };
                state.dialling.insert(dialling.boxed().shared()).clone()
            }
        }
    }

    async fn connect_first(self: &Arc<Self>) -> Result<(), Error> {
        let addresses = self.dialer.resolve().await?;
        let connected = self.dialer.connect_any(&addresses).await?;
        self.take_in(connected).await?;
        let mut state = self.lock();
        state.addresses = addresses.len();
        state.refreshed = None;
        Ok(())
    }

    /// Speaks HTTP on a new connection and makes it available.
    async fn take_in(&self, connected: Connected) -> Result<(), Error> {
        let Connected { address, io, agreed_http2 } = connected;
        let label = self.dialer.label(&address);
        if agreed_http2 || self.options.protocol == Protocol::Http2 {
            let (sender, connection) =
                self.http2().handshake(io).await.map_err(|error| Error::handshake(&label, &error))?;
            tokio::spawn(connection);
            let mut state = self.lock();
            state.made += 1;
            let id = state.made;
            state.shared.push(SharedConnection { id, address, sender });
        } else {
            let (sender, connection) =
                http1::handshake(io).await.map_err(|error| Error::lost(&label, &error, false, true))?;
            tokio::spawn(connection);
            self.lock().idle.push(IdleConnection { address, sender, since: Instant::now() });
        }
        Ok(())
    }

    fn http2(&self) -> http2::Builder<TokioExecutor> {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.initial_stream_window_size(WINDOW).initial_connection_window_size(WINDOW);
        if let Some(keepalive) = self.options.keepalive {
            builder.keep_alive_interval(keepalive.interval);
            builder.keep_alive_timeout(keepalive.timeout);
            builder.keep_alive_while_idle(keepalive.while_idle);
        }
        builder
    }

    // === spread ===

    /// Dials the addresses that have no connection, now and then.
    fn refresh_if_missing(self: &Arc<Self>, state: &mut State) {
        let recently = state.refreshed.is_some_and(|refreshed| refreshed.elapsed() < REFRESH);
        if !self.options.spread || recently || state.shared.len() >= state.addresses {
            return;
        }
        state.refreshed = Some(Instant::now());
        let pool = Arc::clone(self);
        tokio::spawn(async move { pool.refresh().await });
    }

    /// Looks the name up again, drops the connections to addresses that it no longer has (their requests finish), and
    /// connects to those that are missing. What fails is left to the next time.
    async fn refresh(self: &Arc<Self>) {
        let Ok(addresses) = self.dialer.resolve().await else { return };
        let connected: Vec<Address> = {
            let mut state = self.lock();
            state.addresses = addresses.len();
            state.shared.retain(|connection| addresses.contains(&connection.address));
            state.shared.iter().map(|connection| connection.address.clone()).collect()
        };
        for address in addresses.iter().filter(|address| !connected.contains(address)) {
            let (pool, address) = (Arc::clone(self), address.clone());
            tokio::spawn(async move {
                if let Ok(connected) = pool.dialer.connect(&address).await {
                    let _ = pool.take_in(connected).await;
                }
            });
        }
    }

    /// Uses a connection for nothing further.
    fn retire(&self, id: u64) {
        self.lock().shared.retain(|connection| connection.id != id);
    }
}

impl Checkout {
    pub(super) fn is_http2(&self) -> bool {
        matches!(self.sender, Some(Sender::Shared(..)))
    }

    pub(super) async fn send(&mut self, request: Request<Slices>) -> Result<Response<Incoming>, Failure> {
        let sent = match self.sender.as_mut().expect("the sender leaves only when the checkout ends") {
            Sender::Shared(_, sender) => sender.try_send_request(request).await,
            Sender::Lent(sender) => {
                // The connection's task may still be busy with the end of the answer before.
                sender.ready().await.map_err(|error| Failure { error, unsent: true })?;
                sender.try_send_request(request).await
            }
        };
        sent.map_err(|mut error| Failure { unsent: error.take_message().is_some(), error: error.into_error() })
    }

    /// Whether the request can be sent again without the risk that it is taken twice, or with no more of it than waiting
    /// and sending it again would have.
    pub(super) fn may_repeat(&self, failure: &Failure) -> bool {
        let refused_stream = error::h2_error(&failure.error).is_some_and(|error| {
            let graceful = error.is_go_away() && error.is_remote() && error.reason() == Some(h2::Reason::NO_ERROR);
            graceful || error.reason() == Some(h2::Reason::REFUSED_STREAM)
        });
        // A server that closes an idle connection may do so while our request is on its way.
        let closed_when_idle = self.reused && !self.is_http2() && failure.error.is_incomplete_message();
        failure.unsent || refused_stream || closed_when_idle
    }

    pub(super) fn explain(&self, error: &hyper::Error) -> Error {
        Error::lost(&self.pool.dialer.label(&self.address), error, self.is_http2(), !self.reused)
    }

    /// After an answer: an HTTP/1 connection can serve the next request, if the answer was read to its end.
    pub(super) fn give_back(mut self, whole: bool) {
        self.answered = true;
        let Some(Sender::Lent(sender)) = self.sender.take() else { return };
        let mut state = self.pool.lock();
        if whole && !sender.is_closed() && state.idle.len() < self.pool.options.max_idle {
            state.idle.push(IdleConnection { address: self.address.clone(), sender, since: Instant::now() });
        }
    }
}

impl Drop for Checkout {
    /// A request without an answer: nobody knows whether the connection still works, so others get a new one. (The
    /// kernel notices a dead peer; a dead process behind a living proxy is noticed here.)
    fn drop(&mut self) {
        if let (false, Some(Sender::Shared(id, _))) = (self.answered, &self.sender) {
            self.pool.retire(*id);
        }
    }
}
