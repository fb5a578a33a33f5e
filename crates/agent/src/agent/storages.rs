//! The journals of one plan: opened for the exporters that name a storage, handed on to the plan that takes over.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use tracing::warn;

use crate::component::Role;
use crate::config::{Pipeline, Plan};
use crate::exporters;
use crate::extensions::{self, file_storage};
use crate::pipeline::Pipelines;
use crate::pipeline::journal::{Journal, Replay, WeakJournal};
use crate::settings::ComponentId;
use crate::telemetry::Metrics;

/// The journals that are open in this process, also those that nothing but a replaced plan still uses: it drains, and a
/// plan that names the directory again meanwhile uses the same one. Clones are the same list.
#[derive(Clone, Default)]
pub(super) struct Journals(Arc<Mutex<Vec<WeakJournal>>>);

impl Journals {
    fn find(&self, directory: &Path) -> Option<Journal> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|journal| journal.upgrade().is_some());
        open.iter().filter_map(WeakJournal::upgrade).find(|journal| journal.is_in(directory))
    }

    fn add(&self, journal: &Journal) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(journal.downgrade());
    }
}

/// The journals by the extension that names them, and what sends what they keep.
#[derive(Default)]
pub(super) struct Storages {
    journals: HashMap<ComponentId, Journal>,
    replay: Replay,
}

impl Storages {
    /// Opens the journals that exporters of the plan name. One that is open already is used on.
    pub(super) fn open(plan: &Plan, metrics: &Metrics, open: &Journals) -> Result<Storages> {
        let mut journals = HashMap::new();
        for (id, config) in configured(plan) {
            if !plan.exporters.values().any(|exporter| storage(exporter).as_ref() == Some(id)) {
                continue;
            }
            let directory = config.options().directory;
            let journal = match open.find(&directory) {
                Some(journal) => journal,
                None => {
                    let opened = config.open(&id.to_string(), metrics).with_context(|| format!("extension {id}"))?;
                    open.add(&opened);
                    opened
                }
            };
            journals.insert(id.clone(), journal);
        }
        Ok(Storages { journals, replay: Replay::default() })
    }

    /// The journal that an exporter names.
    pub(super) fn of(&self, exporter: &exporters::Config) -> Option<Journal> {
        self.journals.get(&storage(exporter)?).cloned()
    }

    /// Pipelines beside those of the plan, by which what is kept for one of several exporters reaches that one alone.
    pub(super) fn replayed(plan: &Plan) -> Vec<Pipeline> {
        let several = plan.pipelines.iter().filter(|pipeline| pipeline.exporters.len() > 1);
        let of = |pipeline: &Pipeline| {
            let keeps = |id: &&ComponentId| plan.exporters.get(*id).is_some_and(|config| storage(config).is_some());
            let alone =
                |id: &ComponentId| Pipeline { receivers: Vec::new(), exporters: vec![id.clone()], ..pipeline.clone() };
            pipeline.exporters.iter().filter(keeps).map(alone).collect::<Vec<Pipeline>>()
        };
        several.flat_map(of).collect()
    }

    /// Begins to send what is kept, with the settings of the plan.
    pub(super) async fn replay(&mut self, plan: &Plan, pipelines: &Pipelines) {
        for (id, config) in configured(plan) {
            if let Some(journal) = self.journals.get(id) {
                journal.change(config.options());
            }
        }
        let ways = pipelines.ways();
        for (id, journal) in &self.journals {
            for (destination, records) in journal.waiting().await {
                if !ways.iter().any(|way| way.is(journal, &destination)) {
                    warn!(storage = %id, pipeline = destination.pipeline, exporter = destination.exporter, records,
                        "The journal has data for an exporter that the configuration does not name any more. It stays there \
                         and takes room until the exporter is named again in that pipeline, or the directory is removed.");
                }
            }
        }
        self.replay = Replay::start(ways, pipelines.door().budget());
    }

    /// No more of what is kept is sent.
    pub(super) fn stop(&self) {
        self.replay.stop();
    }

    /// Waits until none of it is on its way into the pipelines.
    pub(super) async fn stopped(&self) {
        self.replay.stopped().await;
    }

    /// Writes down what is done.
    pub(super) async fn flush(&self) {
        for journal in self.journals.values() {
            journal.flush().await;
        }
    }
}

fn configured(plan: &Plan) -> impl Iterator<Item = (&ComponentId, &file_storage::Config)> {
    plan.extensions.iter().filter_map(|(id, config)| match config {
        extensions::Config::FileStorage(config) => Some((id, config.as_ref())),
        _ => None,
    })
}

/// The extension that an exporter's queue names.
fn storage(exporter: &exporters::Config) -> Option<ComponentId> {
    exporter.needs().extensions.into_iter().find(|need| need.role == Role::Storage).map(|need| need.id)
}
