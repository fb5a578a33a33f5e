//! The components of one plan, put together: senders, pipelines, guards, and the receivers once they are opened.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use futures_util::future::join_all;
use tokio::time::Instant;
use wire::Signal;

use super::Identity;
use super::connections::Connections;
use super::storages::Storages;
use crate::config::{Pipeline, Plan};
use crate::exporters;
use crate::extensions::Authenticators;
use crate::net::server::Address;
use crate::pipeline::beside::{self, Beside};
use crate::pipeline::sizing::{CONNECTION, POD};
use crate::pipeline::{Door, Fair, Patience, PipelinePlan, Pipelines, Sender, Step};
use crate::processors::k8s_attributes::{Enricher, Miss};
use crate::processors::{self, Workshop};
use crate::receivers;
use crate::settings::ComponentId;
use crate::telemetry::{Health, Metrics, cgroup};

/// Everything of one plan.
pub(super) struct Assembly {
    pub(super) plan: Plan,
    pipelines: Pipelines,
    authenticators: Authenticators,
    storages: Storages,
    metrics: Metrics,
    /// Ends when the receivers close.
    patience: Patience,
    enrichers: Vec<Arc<Enricher>>,
    /// Watch the memory for as long as they live.
    _guards: Vec<processors::memory_limiter::Guard>,
    /// Looks at what grows beside payload.
    _watch: beside::Watch,
    /// What exporters that are fetched from have; the next plan may take it over.
    kept: exporters::Kept,
    fetched: Vec<(ComponentId, exporters::prometheus::Running)>,
    connections: Connections,
    receivers: Vec<(ComponentId, receivers::Running)>,
}

impl Assembly {
    /// Builds all but the receivers; no port is bound. What `before` still holds counts in the new memory budget, and
    /// exporters whose settings have not changed keep the series they show.
    pub(super) fn build(plan: Plan, identity: &Identity, before: Option<&Assembly>) -> Result<Assembly> {
        let extensions = plan.extensions.iter().map(|(id, config)| (id, config));
        let authenticators = Authenticators::open(extensions)?;
        let total = cgroup::memory_total(cgroup::Limits::of_this_process());
        let limiters: Vec<_> = plan.limiters().collect();
        let kept_before = before.map(|before| &before.kept);
        let storages = Storages::open(&plan, &identity.metrics, &identity.journals)?;
        let before = before.map(|before| before.pipelines.door().budget());
        let fair = Fair::new(limiters.iter().map(|limiter| &limiter.fair_share), &identity.parties);
        let budget = plan.marks(total).budget(before);
        let beside = Beside::default();
        let known = identity.directories.clone();
        beside.add("pods", move || known.pods() * POD);
        let connections = Connections::default();
        let open = connections.clone();
        beside.add("connections", move || open.open() * CONNECTION);
        let watch = beside.watch(&budget);
        let door = Door::new(budget).seen_by(&identity.who).shared_by(fair);
        let guards = limiters.iter().map(|limiter| limiter.guard(&door, total)).collect();
        // What is shown of these components ends with them, when another plan takes over.
        let metrics = identity.metrics.scoped();
        let kept = exporters::Kept::of(&plan.exporters, kept_before, &metrics);
        kept.weigh(&beside);
        beside.show_in(&metrics);
        let senders = senders(&plan, &authenticators, &storages, &kept, &metrics)?;
        let patience = Patience::default();
        let mut workshop = Workshop {
            door: &door,
            metrics: &metrics,
            directories: &identity.directories,
            patience: &patience,
            enrichers: HashMap::new(),
        };
        let replayed = Storages::replayed(&plan);
        let plans =
            plan.pipelines.iter().chain(&replayed).map(|pipeline| pipeline_plan(&plan, pipeline, &mut workshop));
        let plans = plans.collect::<Result<Vec<_>>>()?;
        let enrichers = workshop.enrichers.into_values().collect();
        let pipelines = Pipelines::build(plans, senders, door, identity.ledger.clone(), &metrics)?;
        Ok(Assembly {
            plan,
            pipelines,
            authenticators,
            storages,
            metrics,
            patience,
            enrichers,
            _guards: guards,
            _watch: watch,
            connections,
            kept,
            fetched: Vec::new(),
            receivers: Vec::new(),
        })
    }

    /// Waits for what has to be known before the first item is taken.
    pub(super) async fn ready(&self) -> Result<()> {
        for enricher in &self.enrichers {
            enricher.ready().await?;
        }
        Ok(())
    }

    /// Sees to it that `health` is told when the first pods are known, or when the time for that is over.
    pub(super) fn look_for_pods(&self, health: &Health) {
        let enrichers: Vec<_> = self.enrichers.iter().filter(|enricher| !enricher.is_informed()).cloned().collect();
        if enrichers.is_empty() {
            return;
        }
        health.set_looking(true);
        let health = health.clone();
        tokio::spawn(async move {
            join_all(enrichers.iter().map(|enricher| enricher.informed())).await;
            health.set_looking(false);
        });
    }

    /// Opens the exporters that are fetched from, then the receivers. On an error none is open.
    pub(super) async fn open(&mut self) -> Result<()> {
        self.patience.begin();
        let opened = self.open_each();
        if opened.is_err() {
            // Nobody was told of these, so that nothing is under way.
            self.close(Duration::ZERO).await;
            self.close_fetched(Duration::ZERO).await;
        } else {
            self.storages.replay(&self.plan, &self.pipelines).await;
        }
        opened
    }

    fn open_each(&mut self) -> Result<()> {
        self.kept.open(&|id| self.authenticators.server(id), &mut self.fetched)?;
        for (id, config) in &self.plan.receivers {
            let intakes = Signal::ALL.map(|signal| self.pipelines.intake(&id.to_string(), signal));
            let authenticator = |id: &ComponentId| self.authenticators.server(id);
            let inputs = receivers::Inputs { intakes, authenticator: &authenticator, metrics: &self.metrics };
            let running = config.start(id, inputs).with_context(|| format!("cannot start receiver `{id}`"))?;
            running.counts().for_each(|port| self.connections.add(port));
            self.receivers.push((id.clone(), running));
        }
        Ok(())
    }

    /// Closes the receivers: requests under way have `grace` to end.
    pub(super) async fn close(&mut self, grace: Duration) {
        self.patience.end();
        self.storages.stop();
        let stopping = std::mem::take(&mut self.receivers).into_iter().map(|(_, receiver)| receiver.stop(grace));
        join_all(stopping).await;
    }

    /// Closes the exporters that are fetched from.
    pub(super) async fn close_fetched(&mut self, grace: Duration) {
        let stopping = std::mem::take(&mut self.fetched).into_iter().map(|(_, exporter)| exporter.stop(grace));
        join_all(stopping).await;
    }

    /// Sends what waits for more to come.
    pub(super) fn flush(&self) {
        self.pipelines.flush();
    }

    /// Sends what is held until the deadline; returns the items that were left.
    pub(super) async fn drain(&self, deadline: Instant) -> u64 {
        let (left, ()) = tokio::join!(self.pipelines.drain(deadline), self.storages.stopped());
        self.storages.flush().await;
        left
    }

    /// Whether any payload is held: its permits are out until it is delivered or dropped.
    pub(super) fn holds_data(&self) -> bool {
        self.pipelines.door().budget().usage() > 0
    }

    /// Where exporters can be fetched from.
    pub(super) fn fetched_addresses(&self) -> Vec<(String, Address)> {
        self.fetched.iter().map(|(id, exporter)| (id.to_string(), exporter.address().clone())).collect()
    }

    /// The last resources that each `k8s_attributes` found no pod for, by its id.
    pub(super) fn last_misses(&self) -> Vec<(String, Miss)> {
        let of = |enricher: &Arc<Enricher>| {
            let misses = enricher.last_misses().into_iter();
            misses.map(|miss| (enricher.id().to_owned(), miss)).collect::<Vec<_>>()
        };
        self.enrichers.iter().flat_map(of).collect()
    }

    /// Where the receivers listen.
    pub(super) fn addresses(&self) -> Vec<(String, Address)> {
        let of = |(id, receiver): &(ComponentId, receivers::Running)| {
            receiver.addresses().map(|address| (id.to_string(), address.clone())).collect::<Vec<_>>()
        };
        self.receivers.iter().flat_map(of).collect()
    }
}

/// One sender for each exporter and signal that pipelines name.
fn senders(
    plan: &Plan,
    authenticators: &Authenticators,
    storages: &Storages,
    kept: &exporters::Kept,
    metrics: &Metrics,
) -> Result<Vec<Sender>> {
    let mut senders: HashMap<(&ComponentId, Signal), Sender> = HashMap::new();
    for pipeline in &plan.pipelines {
        for id in &pipeline.exporters {
            if senders.contains_key(&(id, pipeline.signal)) {
                continue;
            }
            let config = plan.exporters.get(id).with_context(|| format!("exporter `{id}` is not in the plan"))?;
            let credentials = |id: &ComponentId| authenticators.client(id);
            let sender = config
                .sender(id, pipeline.signal, &credentials, kept, metrics)
                .with_context(|| format!("cannot build exporter `{id}`"))?;
            senders.insert((id, pipeline.signal), sender.kept_in(storages.of(config)));
        }
    }
    Ok(senders.into_values().collect())
}

fn pipeline_plan(plan: &Plan, pipeline: &Pipeline, workshop: &mut Workshop<'_>) -> Result<PipelinePlan> {
    let step = |id: &ComponentId| -> Result<Step> {
        let config = plan.processors.get(id).with_context(|| format!("processor `{id}` is not in the plan"))?;
        config
            .step(&id.to_string(), pipeline.signal, workshop)
            .with_context(|| format!("cannot build processor `{id}`"))
    };
    let texts = |ids: &[ComponentId]| ids.iter().map(ToString::to_string).collect();
    Ok(PipelinePlan {
        id: pipeline.id.to_string(),
        signal: pipeline.signal,
        receivers: texts(&pipeline.receivers),
        steps: pipeline.processors.iter().map(step).collect::<Result<_>>()?,
        exporters: texts(&pipeline.exporters),
    })
}
