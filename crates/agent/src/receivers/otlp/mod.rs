//! The receiver `otlp`: OTLP over gRPC and over HTTP, as protobuf or JSON.
//!
//! One set of servers per configured id, shared by all signals. A request is let in (is there room, who sends it), read
//! and inflated under its permit, checked by [`wire::skim`], and handed to the pipelines of its signal; what they say goes
//! back as the answer, in the Collector's words.

mod answers;
mod config;
mod cors;
mod door;
mod grpc;
mod http;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use wire::Signal;

use crate::net::auth::Authenticate;
use crate::net::server::{Address, Counts, Handle, Listener, Options, Server};
use crate::net::tls::server::{Acceptor, ServerTls};
use crate::pipeline::Intake;
use crate::settings::{ComponentId, Toggle};
use crate::telemetry::{Metrics, table};

pub use config::Config;
use door::Door;

/// What a receiver is given to work with.
pub struct Inputs<'a> {
    /// The pipelines of each signal; none: the signal is not taken.
    pub intakes: [Option<Intake>; Signal::ALL.len()],
    /// Finds authenticators by id.
    pub authenticator: &'a dyn Fn(&ComponentId) -> Option<Arc<dyn Authenticate>>,
    /// Where it counts.
    pub metrics: &'a Metrics,
}

/// A receiver at work.
#[derive(Debug)]
pub struct Running {
    servers: Vec<Server>,
    /// What is shown of them ends with them: they may be opened again with the same metrics.
    _shown: Metrics,
}

/// Binds the ports and starts to take requests.
///
/// # Errors
///
/// When a port cannot be bound, a certificate cannot be used, or an authenticator is missing. Nothing stays bound then.
pub fn start(id: &ComponentId, config: &Config, inputs: Inputs<'_>) -> anyhow::Result<Running> {
    let Inputs { intakes, authenticator, metrics } = inputs;
    let intakes = Arc::new(intakes);
    let door = |transport, auth: Option<&ComponentId>, metadata| -> anyhow::Result<Door> {
        let auth = auth.map(|id| authenticator(id).with_context(|| format!("there is no authenticator `{id}`")));
        Ok(Door::new(id, transport, intakes.clone(), auth.transpose()?, metadata, metrics))
    };
    // Everything that may fail comes before the first server starts.
    let mut bound: Vec<Box<dyn FnOnce() -> Server>> = Vec::new();
    if let Some(grpc) = config.protocols.grpc.on() {
        let auth = grpc.auth.as_ref().map(|auth| &auth.authenticator);
        let http_endpoint = config.protocols.http.on().map(|http| http.endpoint.clone());
        let handler = grpc::Port::new(door("grpc", auth, grpc.include_metadata)?, grpc.message_limit(), http_endpoint);
        let options = grpc::options(id, grpc);
        bound.push(
            bind(&grpc.endpoint, &grpc.tls, options, handler, "grpc").with_context(|| format!("receiver `{id}`"))?,
        );
    }
    if let Some(http) = config.protocols.http.on() {
        let auth = http.auth.as_ref().map(|auth| &auth.authenticator);
        let handler = http::Port::new(
            door("http", auth, http.include_metadata)?,
            door("grpc", auth, http.include_metadata)?,
            http,
        );
        let options = http::options(id, http);
        bound.push(
            bind(&http.endpoint, &http.tls, options, handler, "http").with_context(|| format!("receiver `{id}`"))?,
        );
    }
    let servers: Vec<Server> = bound.into_iter().map(|start| start()).collect();
    let shown = metrics.scoped();
    for (server, transport) in servers.iter().zip(transports(config)) {
        count_connections(id, transport, server.counts(), &shown);
    }
    Ok(Running { servers, _shown: shown })
}

/// A port that is bound; calling it starts the server.
fn bind(
    address: &Address,
    tls: &Toggle<ServerTls>,
    mut options: Options,
    handler: impl Handle,
    protocol: &str,
) -> anyhow::Result<Box<dyn FnOnce() -> Server>> {
    // Both by ALPN on both ports: what is wrong with a request is then told in its answer.
    let acceptor = tls.on().map(|tls| Acceptor::new(tls, &["h2", "http/1.1"]));
    options.tls =
        acceptor.transpose().with_context(|| format!("failed to load TLS config of protocols::{protocol}"))?;
    let listener = Listener::bind(address).with_context(|| format!("protocols::{protocol}::endpoint"))?;
    Ok(Box::new(move || Server::start(listener, options, handler)))
}

fn transports(config: &Config) -> impl Iterator<Item = &'static str> {
    let grpc = config.protocols.grpc.is_on().then_some("grpc");
    let http = config.protocols.http.is_on().then_some("http");
    [grpc, http].into_iter().flatten()
}

fn count_connections(id: &ComponentId, transport: &'static str, counts: &Arc<Counts>, metrics: &Metrics) {
    let (id, counts) = (id.to_string(), counts.clone());
    metrics.on_collect(move |sink| {
        let of = |count: &AtomicUsize| count.load(Ordering::Relaxed) as u64;
        let labels = [("receiver", id.as_str()), ("transport", transport)];
        sink.set(&table::CONNECTIONS, &labels, of(&counts.open));
        sink.set(&table::CONNECTIONS_OPENED, &labels, of(&counts.opened));
        for (reason, count) in [("too_many", &counts.too_many), ("tls", &counts.foreign)] {
            let labels = [labels[0], labels[1], ("reason", reason)];
            sink.set(&table::CONNECTIONS_REFUSED, &labels, of(count));
        }
    });
}

impl Running {
    /// Where it listens: gRPC first, then HTTP, as far as they are on.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.servers.iter().map(Server::address)
    }

    /// What its ports have seen.
    pub fn counts(&self) -> impl Iterator<Item = &Arc<Counts>> {
        self.servers.iter().map(Server::counts)
    }

    /// Takes no new requests, answers those under way, and ends. The result says whether none had to be cut.
    pub async fn stop(self, grace: Duration) -> bool {
        let stopping = self.servers.into_iter().map(|server| server.stop(grace));
        futures_util::future::join_all(stopping).await.into_iter().all(|in_time| in_time)
    }
}

#[cfg(test)]
mod tests;
