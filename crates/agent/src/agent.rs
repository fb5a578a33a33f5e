//! A running plan: builds the components, starts and stops them in order, and changes over to another plan.
//!
//! Starting follows the data backwards, so that nothing is taken in before there is a place for it: exporters, pipelines,
//! health and own metrics, and the receivers last. Stopping follows the data: not ready, receivers, pipelines, queues.

mod assembly;
mod connections;
mod pages;
mod retired;
mod storages;

use std::time::Duration;

use anyhow::Result;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::config::Plan;
use crate::kubernetes::Directories;
use crate::net::server::Address;
use crate::pipeline::Ledger;
use crate::pipeline::fair::{Parties, PodName};
use crate::processors::k8s_attributes::Miss;
use crate::telemetry::logs::Logs;
use crate::telemetry::{Health, Metrics, Who, process, table};
use assembly::Assembly;
use pages::{Pages, Source};
use retired::Retired;
use storages::Journals;

/// What outlives a change of the plan: the figures of the process and who it is.
#[derive(Clone)]
pub struct Identity {
    /// The own metrics.
    pub metrics: Metrics,
    /// Where every item went.
    pub ledger: Ledger,
    /// Whether data is taken.
    pub health: Health,
    /// Who sends what.
    pub who: Who,
    /// What each sender holds.
    pub parties: Parties,
    /// Where pods are known from; shared by all plans that read them from the same place.
    pub directories: Directories,
    /// The own log, if the program has started one.
    pub logs: Option<Logs>,
    /// `service.instance.id`: random for each process.
    pub instance: String,
    journals: Journals,
}

impl Identity {
    /// A new process.
    #[must_use]
    pub fn new(logs: Option<Logs>) -> Identity {
        let metrics = Metrics::new();
        process::Process::start().register(&metrics);
        if let Some(logs) = &logs {
            logs.register(&metrics);
        }
        let ledger = Ledger::new();
        ledger.register(&metrics);
        let who = Who::new();
        who.register(&metrics);
        for outcome in ["applied", "refused"] {
            let _present_at_zero = metrics.counter(&table::CONFIG_RELOADS, &[("outcome", outcome)]);
        }
        let directories = Directories::default();
        let known = directories.clone();
        who.name_pods(move |address| {
            let pod = known.by_address(address)?;
            Some(format!("{}/{}", pod.namespace, pod.name))
        });
        let known = directories.clone();
        let parties = Parties::new(move |address| {
            let pod = known.by_address(address).filter(|pod| !pod.host_network)?;
            Some(PodName { uid: pod.uid.clone(), namespace: pod.namespace.clone(), name: pod.name.clone() })
        });
        let (health, instance) = (Health::starting(), process::instance_id());
        health.register(&metrics);
        let journals = Journals::default();
        Identity { metrics, ledger, health, who, parties, directories, logs, instance, journals }
    }
}

impl Identity {
    /// Counts a new configuration, whether it is in force now or was refused.
    pub fn count_reload(&self, applied: bool) {
        let outcome = if applied { "applied" } else { "refused" };
        self.metrics.counter(&table::CONFIG_RELOADS, &[("outcome", outcome)]).add(1);
    }

    /// Shows which texts are in force from now on, so that they can be compared with a ConfigMap from outside.
    pub fn show_config(&self, checksums: &[(String, u32)]) {
        for (source, checksum) in checksums {
            self.metrics.gauge(&table::CONFIG_CHECKSUM, &[("source", source)]).set(i64::from(*checksum));
        }
        #[expect(clippy::cast_possible_truncation, reason = "seconds since 1970 are far from the end of 64 bits")]
        self.metrics.gauge(&table::CONFIG_APPLIED, &[]).set(process::clock() as i64);
    }
}

/// A running agent.
pub struct Agent {
    identity: Identity,
    assembly: Assembly,
    pages: Pages,
    retired: Retired,
}

/// Connections have this long to end their requests when a new plan takes over.
const HANDOVER: Duration = Duration::from_secs(5);

/// Whoever is fetching series has this long to end when the agent stops.
const FETCHING: Duration = Duration::from_secs(1);

impl Agent {
    /// Starts everything that the plan names. When it returns, every listener is open.
    ///
    /// # Errors
    ///
    /// A port is taken, a certificate cannot be used, a file cannot be read. Nothing is left running.
    pub async fn start(plan: Plan, identity: Identity) -> Result<Agent> {
        info!(version = env!("CARGO_PKG_VERSION"), "Starting otel-agent...");
        let mut assembly = Assembly::build(plan, &identity, None)?;
        let mut pages = Pages::open(Source::of(&assembly.plan), &identity).await?;
        let opened = match assembly.ready().await {
            Ok(()) => assembly.open().await,
            not_ready => not_ready,
        };
        if let Err(error) = opened {
            pages.close().await;
            return Err(error);
        }
        identity.who.configure(&assembly.plan.telemetry.senders);
        assembly.look_for_pods(&identity.health);
        identity.health.set_ready();
        info!("Everything is ready. Begin running and processing data.");
        Ok(Agent { identity, assembly, pages, retired: Retired::none() })
    }

    /// Changes over to another plan. The pipelines of the old one send what they hold while the new ones already work.
    ///
    /// # Errors
    ///
    /// The new plan cannot be started; the old one goes on.
    pub async fn reload(&mut self, plan: Plan) -> Result<()> {
        let mut next = Assembly::build(plan, &self.identity, Some(&self.assembly))?;
        next.ready().await?;
        self.pages.change_to(Source::of(&next.plan), &self.identity).await?;
        self.assembly.close(HANDOVER).await;
        // The next one may be fetched from at the same address.
        self.assembly.close_fetched(HANDOVER).await;
        if let Err(error) = next.open().await {
            self.go_back().await;
            return Err(error);
        }
        if let Some(logs) = &self.identity.logs
            && let Err(error) = logs.apply(&next.plan.telemetry.logs.options())
        {
            warn!(error = format!("{error:#}"), "The log goes on with its old settings.");
        }
        self.identity.who.configure(&next.plan.telemetry.senders);
        self.retired.add(std::mem::replace(&mut self.assembly, next));
        info!("Config updated");
        Ok(())
    }

    /// Opens again what a reload has closed that then failed.
    async fn go_back(&mut self) {
        if let Err(error) = self.assembly.open().await {
            error!(error = format!("{error:#}"), "The receivers of the old configuration could not be opened again.");
        }
        if let Err(error) = self.pages.change_to(Source::of(&self.assembly.plan), &self.identity).await {
            warn!(error = format!("{error:#}"), "The pages of the old configuration could not be opened again.");
        }
    }

    /// Stops in the order of the data, everything before `deadline`: not ready, receivers, pipelines, queues, pages.
    /// Returns how many items could not be delivered; they are in the ledger, too.
    pub async fn stop(mut self, deadline: Instant) -> u64 {
        info!("Starting shutdown...");
        self.identity.health.set_stopping();
        // The larger part of the time is for what is held; requests under way need little.
        let grace = deadline.saturating_duration_since(Instant::now()) / 3;
        self.assembly.close(grace).await;
        let (left, ()) = tokio::join!(self.assembly.drain(deadline), self.retired.drain(deadline));
        report_left(left);
        report_kept(&self.identity.ledger);
        self.assembly.close_fetched(FETCHING).await;
        self.pages.close().await;
        info!("Shutdown complete.");
        left
    }

    /// Where the receivers listen, by id: gRPC before HTTP.
    pub fn receiver_addresses(&self) -> Vec<(String, Address)> {
        self.assembly.addresses()
    }

    /// Where exporters can be fetched from, by id.
    pub fn exporter_addresses(&self) -> Vec<(String, Address)> {
        self.assembly.fetched_addresses()
    }

    /// The last resources that no pod was found for, with the id of the processor that looked, for diagnosis.
    #[must_use]
    pub fn last_misses(&self) -> Vec<(String, Miss)> {
        self.assembly.last_misses()
    }

    /// Where own metrics and health are served.
    pub fn page_addresses(&self) -> Vec<(String, Address)> {
        self.pages.addresses()
    }

    /// What survives a reload.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The plan in force.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.assembly.plan
    }
}

fn report_kept(ledger: &Ledger) {
    let kept: u64 = ledger.entries().iter().map(|line| line.kept).sum();
    if kept > 0 {
        info!(items = kept, "What could not be delivered stays in the journal. The next start sends it.");
    }
}

fn report_left(left: u64) {
    if left > 0 {
        error!(
            items = left,
            "Stopped before everything was delivered. These items are lost here; the ledger counts them as dropped with reason shutdown."
        );
    }
}
