//! `prometheus`: shows metrics to Prometheus, which fetches them.
//!
//! Requests are read in place into a table of series (`table`); what is fetched is written from it, part by part
//! (`encode`). The table outlives a reload that leaves the exporter's settings as they are.

mod belonging;
mod by_key;
mod config;
mod encode;
mod escape;
mod exponential;
mod intake;
mod key;
mod labels;
mod negotiate;
mod page;
mod refusal;
mod reports;
mod rules;
mod series;
mod slab;
mod source;
mod table;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use anyhow::Context as _;

use crate::net::auth::Authenticate;
use crate::net::server::{Address, Listener, Options, Server};
use crate::net::tls::server::Acceptor;
use crate::pipeline::{Deliver, Outcome, Parcel};
use crate::settings::ComponentId;
use crate::telemetry::Metrics;
pub use config::Config;
use page::Page;
use rules::Rules;
use table::Table;

/// The exporter: a table of series. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Exporter {
    table: Arc<Table>,
    /// The registries that know the table, in the order in which they came.
    known_to: Arc<Mutex<Vec<Weak<Turn>>>>,
}

/// A registry has one for as long as it lives.
#[derive(Debug)]
struct Turn;

/// The server of an exporter.
#[derive(Debug)]
pub struct Running {
    server: Server,
    sweeping: tokio::task::JoinHandle<()>,
}

/// Finds who checks those who fetch, by the id of an extension.
pub type FindAuthenticator<'a> = &'a dyn Fn(&ComponentId) -> Option<Arc<dyn Authenticate>>;

/// Expired series are looked for at least this often.
const SLOWEST_SWEEP: Duration = Duration::from_secs(30);
/// And no more often than this.
const FASTEST_SWEEP: Duration = Duration::from_millis(200);

impl Exporter {
    /// Bytes of its series, and of the room that they leave.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.table.state().bytes_held()
    }

    /// An exporter without series.
    #[must_use]
    pub fn new(id: &ComponentId, config: &Config) -> Exporter {
        let table = Arc::new(Table::new(&id.to_string(), Rules::of(config)));
        Exporter { table, known_to: Arc::default() }
    }

    /// Shows how many series there are, and what was not kept. Of several registries, the last one that lives shows it:
    /// a plan may be built and given up.
    pub fn show_in(&self, metrics: &Metrics) {
        let turn = Arc::new(Turn);
        let mut known_to = lock(&self.known_to);
        known_to.retain(|turn| turn.strong_count() > 0);
        known_to.push(Arc::downgrade(&turn));
        drop(known_to);
        let (table, known_to) = (Arc::downgrade(&self.table), Arc::clone(&self.known_to));
        metrics.on_collect(move |sink| {
            let last = lock(&known_to).iter().rev().find_map(Weak::upgrade);
            let is_ours = last.is_some_and(|last| Arc::ptr_eq(&last, &turn));
            if let Some(table) = table.upgrade().filter(|_| is_ours) {
                table.show(sink);
            }
        });
    }

    /// Opens the page.
    ///
    /// # Errors
    ///
    /// The port is taken, a certificate cannot be used, or the authenticator is missing.
    pub fn open(&self, id: &ComponentId, config: &Config, find: FindAuthenticator<'_>) -> anyhow::Result<Running> {
        let authenticator = config.auth.as_ref().map(|auth| {
            let id = &auth.authenticator;
            find(id).with_context(|| format!("there is no authenticator `{id}` in service::extensions"))
        });
        let page = Page::new(Arc::clone(&self.table), config, authenticator.transpose()?);
        let acceptor = config.tls.on().map(|tls| Acceptor::new(tls, &["h2", "http/1.1"]));
        let defaults = Options::default();
        let waits = config.idle_timeout.positive().or(config.read_header_timeout.positive());
        let options = Options {
            name: format!("{id}"),
            max_connections: config.max_connections as usize,
            header_timeout: waits.unwrap_or(defaults.header_timeout),
            keep_alive: config.keep_alives_enabled,
            tls: acceptor.transpose().context("failed to load TLS config")?,
            ..defaults
        };
        let listener = Listener::bind(&Address::Tcp(config.endpoint.clone())).context("endpoint")?;
        let server = Server::start(listener, options, page);
        Ok(Running { server, sweeping: tokio::spawn(sweep(Arc::clone(&self.table))) })
    }
}

impl Running {
    /// Where it listens.
    pub fn address(&self) -> &Address {
        self.server.address()
    }

    /// Ends it. Requests under way have `grace` to end.
    pub async fn stop(self, grace: Duration) {
        self.sweeping.abort();
        self.server.stop(grace).await;
    }
}

/// What is guarded is whole whatever happened to the holder of the lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn sweep(table: Arc<Table>) {
    let period = (table.rules.expiration / 4).clamp(FASTEST_SWEEP, SLOWEST_SWEEP);
    loop {
        tokio::time::sleep(period).await;
        table.sweep();
    }
}

impl Deliver for Exporter {
    /// Takes a request into the table. What is not kept is counted and logged there.
    async fn deliver(&self, parcel: Parcel<'_>) -> Outcome {
        let rejected = self.table.take(&parcel.in_one_piece().await);
        match usize::try_from(rejected).unwrap_or(usize::MAX) {
            0 => Outcome::Sent,
            rejected => Outcome::Partial { rejected, message: String::new() },
        }
    }
}
