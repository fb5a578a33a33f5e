//! What the agent answers about itself: own metrics and health.

use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use tracing::warn;

use super::Identity;
use crate::config::Plan;
use crate::extensions::{self, health_check};
use crate::net::server::{Address, Listener, Options, Server};
use crate::settings::ComponentId;
use crate::telemetry::page::Page;
use crate::telemetry::settings::{MetricsConfig, ResourceConfig};

/// The servers of the pages.
pub(super) struct Pages {
    servers: Vec<(String, Server)>,
    source: Source,
}

/// What pages are made from.
#[derive(Clone, PartialEq)]
pub(super) struct Source {
    metrics: MetricsConfig,
    resource: ResourceConfig,
    health: Vec<(ComponentId, health_check::Config)>,
}

/// Pages are small: a request that is not over after this long is cut.
const GRACE: Duration = Duration::from_secs(1);
/// Enough for every scraper and prober of a node.
const CONNECTIONS: usize = 64;

impl Source {
    /// The pages that a plan names.
    pub(super) fn of(plan: &Plan) -> Source {
        let health = |(id, config): &(ComponentId, extensions::Config)| match config {
            extensions::Config::HealthCheck(config) => Some((id.clone(), (**config).clone())),
            _ => None,
        };
        Source {
            metrics: plan.telemetry.metrics.clone(),
            resource: plan.telemetry.resource.clone(),
            health: plan.extensions.iter().filter_map(health).collect(),
        }
    }
}

impl Pages {
    /// Opens them. On an error none is open.
    pub(super) async fn open(source: Source, identity: &Identity) -> Result<Pages> {
        let mut pages = Pages { servers: Vec::new(), source };
        if let Err(error) = pages.open_all(identity) {
            pages.close().await;
            return Err(error);
        }
        Ok(pages)
    }

    /// Changes over to other pages, if they are others. The ports may be the same ones, so the old pages end first.
    ///
    /// # Errors
    ///
    /// The new ones cannot be opened; the old ones are there again.
    pub(super) async fn change_to(&mut self, source: Source, identity: &Identity) -> Result<()> {
        if self.source == source {
            return Ok(());
        }
        self.close().await;
        let before = std::mem::replace(&mut self.source, source);
        let Err(error) = self.open_all(identity) else { return Ok(()) };
        self.close().await;
        self.source = before;
        if let Err(error) = self.open_all(identity) {
            warn!(error = format!("{error:#}"), "Own metrics and health could not be opened again.");
        }
        Err(error)
    }

    fn open_all(&mut self, identity: &Identity) -> Result<()> {
        self.open_metrics(identity)?;
        self.open_health(identity)
    }

    fn open_metrics(&mut self, identity: &Identity) -> Result<()> {
        let resource = self.source.resource.of_agent(&identity.instance);
        for reader in self.source.metrics.endpoints() {
            let page = Page {
                metrics: identity.metrics.clone(),
                level: self.source.metrics.level,
                naming: reader.naming(&resource),
                resource: resource.clone(),
                who: identity.who.clone(),
            };
            let listener = Listener::bind(&Address::Tcp(reader.endpoint()))
                .context("binding address for the own metrics (service::telemetry::metrics)")?;
            self.servers.push(("metrics".to_owned(), Server::start(listener, options("own metrics"), page)));
        }
        Ok(())
    }

    fn open_health(&mut self, identity: &Identity) -> Result<()> {
        for (id, config) in &self.source.health {
            let listener = Listener::bind(&Address::Tcp(config.endpoint.clone()))
                .with_context(|| format!("failed to start extensions: `{id}`"))?;
            let handler =
                health_check::HealthCheck::new(config.clone(), identity.health.clone(), identity.ledger.clone());
            self.servers.push((id.to_string(), Server::start(listener, options("health"), handler)));
        }
        Ok(())
    }

    /// Ends all of them.
    pub(super) async fn close(&mut self) {
        let servers = std::mem::take(&mut self.servers);
        join_all(servers.into_iter().map(|(_, server)| server.stop(GRACE))).await;
    }

    /// Where they are.
    pub(super) fn addresses(&self) -> Vec<(String, Address)> {
        self.servers.iter().map(|(name, server)| (name.clone(), server.address().clone())).collect()
    }
}

fn options(name: &str) -> Options {
    Options { name: name.to_owned(), max_connections: CONNECTIONS, ..Options::default() }
}
