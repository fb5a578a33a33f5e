//! The pipelines of one agent: built from a plan, exporters first, and drained in the order in which data flows.

use std::sync::Arc;

use tokio::time::Instant;
use wire::Signal;

use super::journal::{Journal, Keeper, MOST_DESTINATIONS, Way};
use super::{Door, End, Entrance, Gather, Intake, Ledger, Line, Process, Route, Segment, Sender};
use crate::telemetry::{Metrics, table};

/// One pipeline as it was configured, with its processors built.
pub struct PipelinePlan {
    /// Its id: `metrics`, `traces/2`.
    pub id: String,
    /// What it carries.
    pub signal: Signal,
    /// Ids of its receivers.
    pub receivers: Vec<String>,
    /// Its processors in order.
    pub steps: Vec<Step>,
    /// Ids of its exporters in order.
    pub exporters: Vec<String>,
}

/// One processor of a pipeline.
pub enum Step {
    /// A plain call.
    Process(Arc<dyn Process>),
    /// One that holds, to be built with what follows it.
    Gather(Box<dyn FnOnce(Arc<Segment>) -> Arc<dyn Gather> + Send>),
}

/// All pipelines of an agent.
pub struct Pipelines {
    door: Door,
    ledger: Ledger,
    pipelines: Vec<Pipeline>,
    senders: Vec<Sender>,
}

struct Pipeline {
    signal: Signal,
    receivers: Vec<String>,
    route: Route,
    entrance: Arc<Segment>,
    exporters: Vec<Sender>,
    /// What holds, in the order of the flow.
    gathers: Vec<Arc<dyn Gather>>,
}

impl Pipelines {
    /// Builds the pipelines. `senders` has one for each exporter and signal that the plans name.
    ///
    /// # Errors
    /// A plan names an exporter for which there is no sender, which the checks of the configuration rule out.
    pub fn build(
        plans: Vec<PipelinePlan>,
        senders: Vec<Sender>,
        door: Door,
        ledger: Ledger,
        metrics: &Metrics,
    ) -> anyhow::Result<Pipelines> {
        let build = |plan| Pipeline::build(plan, &senders, &ledger);
        let pipelines = plans.into_iter().map(build).collect::<anyhow::Result<Vec<Pipeline>>>()?;
        show_budget(&door, metrics);
        Ok(Pipelines { door, ledger, pipelines, senders })
    }

    /// Where a receiver hands over one signal; `None` if no pipeline takes it from this receiver.
    #[must_use]
    pub fn intake(&self, receiver: &str, signal: Signal) -> Option<Intake> {
        let mine =
            |pipeline: &&Pipeline| pipeline.signal == signal && pipeline.receivers.iter().any(|id| id == receiver);
        let entrance =
            |pipeline: &Pipeline| Entrance { route: pipeline.route.clone(), segment: Arc::clone(&pipeline.entrance) };
        let entrances: Vec<Entrance> = self.pipelines.iter().filter(mine).map(entrance).collect();
        if entrances.is_empty() {
            return None;
        }
        let keepers = keepers(self.pipelines.iter().filter(mine));
        let exporters = self.pipelines.iter().filter(mine).flat_map(|pipeline| &pipeline.exporters);
        let crowds = exporters.filter_map(Sender::crowd).cloned().collect();
        Some(Intake::new(signal, self.door.clone(), entrances).kept_by(keepers).leading_to(crowds))
    }

    /// The ways by which what journals keep comes in again: pipelines with one exporter, which names a storage.
    #[must_use]
    pub fn ways(&self) -> Vec<Way> {
        let way = |pipeline: &Pipeline| match (pipeline.exporters.as_slice(), pipeline.route.lines()) {
            ([sender], [line]) => {
                let (line, segment) = (Arc::clone(line), Arc::clone(&pipeline.entrance));
                Some(Way { line, segment, journal: sender.journal()?.clone() })
            }
            _ => None,
        };
        self.pipelines.iter().filter_map(way).collect()
    }

    /// The ledger of these pipelines.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The door of these pipelines.
    #[must_use]
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// What holds passes on what it has, without waiting for more; the queues go on as they do.
    pub fn flush(&self) {
        self.pipelines.iter().flat_map(|pipeline| &pipeline.gathers).for_each(|gather| gather.flush());
    }

    /// Empties the pipelines, once the receivers have stopped: what holds passes on what it has, in the order of the
    /// flow, then the queues empty. Nothing is tried again, and what is left at the deadline is given up. Returns how
    /// many items that were.
    pub async fn drain(&self, deadline: Instant) -> u64 {
        // First of all retrying ends: a queue full of batches that wait for their next attempt takes nothing in.
        self.senders.iter().for_each(|sender| sender.stop(deadline));
        let of_pipelines = self.pipelines.iter().map(|pipeline| pipeline.drain(deadline));
        let in_pipelines: u64 = futures_util::future::join_all(of_pipelines).await.into_iter().sum();
        let of_senders = self.senders.iter().map(Sender::drain);
        let in_queues: u64 = futures_util::future::join_all(of_senders).await.into_iter().sum();
        in_pipelines + in_queues
    }
}

impl Pipeline {
    fn build(plan: PipelinePlan, senders: &[Sender], ledger: &Ledger) -> anyhow::Result<Pipeline> {
        let sender = |id: &String| {
            let found = senders.iter().find(|sender| sender.exporter() == id && sender.signal() == plan.signal);
            found.cloned().ok_or_else(|| anyhow::anyhow!("pipeline {}: exporter {id} was not built", plan.id))
        };
        let exporters = plan.exporters.iter().map(sender).collect::<anyhow::Result<Vec<Sender>>>()?;
        let line = |id: &String| ledger.line(&plan.id, id, plan.signal);
        let route = Route::new(plan.exporters.iter().map(line).collect());
        for (sender, line) in exporters.iter().zip(route.lines()) {
            line.is_sent_by(sender.progress());
        }
        let (entrance, gathers) = chain(plan.steps, End::Exporters(exporters.clone()));
        Ok(Pipeline { signal: plan.signal, receivers: plan.receivers, route, entrance, exporters, gathers })
    }

    async fn drain(&self, deadline: Instant) -> u64 {
        let mut left = 0;
        for gather in &self.gathers {
            left += gather.drain(deadline).await;
        }
        left
    }
}

/// Who keeps what these pipelines take: one keeper for each journal that their exporters name, so that an arrival is in it
/// once.
fn keepers<'a>(pipelines: impl Iterator<Item = &'a Pipeline>) -> Vec<Keeper> {
    let mut journals: Vec<(Journal, Vec<Arc<Line>>)> = Vec::new();
    for pipeline in pipelines {
        for (sender, line) in pipeline.exporters.iter().zip(pipeline.route.lines()) {
            let Some(journal) = sender.journal() else { continue };
            match journals.iter_mut().find(|(known, _)| known.is(journal)) {
                Some((_, lines)) => lines.push(Arc::clone(line)),
                None => journals.push((journal.clone(), vec![Arc::clone(line)])),
            }
        }
    }
    let in_records = |(journal, lines): (Journal, Vec<Arc<Line>>)| {
        let of = |lines: &[Arc<Line>]| Keeper::new(journal.clone(), lines.to_vec());
        lines.chunks(MOST_DESTINATIONS).map(of).collect::<Vec<Keeper>>()
    };
    journals.into_iter().flat_map(in_records).collect()
}

/// The segments of a pipeline, built from its end.
fn chain(steps: Vec<Step>, end: End) -> (Arc<Segment>, Vec<Arc<dyn Gather>>) {
    let (mut end, mut processors, mut gathers) = (end, Vec::new(), Vec::new());
    for step in steps.into_iter().rev() {
        match step {
            Step::Process(processor) => processors.insert(0, processor),
            Step::Gather(build) => {
                let behind = Arc::new(Segment::new(std::mem::take(&mut processors), end));
                let gather = build(behind);
                gathers.insert(0, Arc::clone(&gather));
                end = End::Gather(gather);
            }
        }
    }
    (Arc::new(Segment::new(processors, end)), gathers)
}

fn show_budget(door: &Door, metrics: &Metrics) {
    let budget = door.budget().downgrade();
    metrics.on_collect(move |sink| {
        let Some(budget) = budget.upgrade() else { return };
        sink.set(&table::BUDGET_USED, &[], budget.usage() as u64);
        sink.set(&table::BUDGET_LIMIT, &[], budget.limit() as u64);
    });
}

#[cfg(test)]
mod tests;
