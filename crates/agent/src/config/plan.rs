//! What will be run: the configuration, resolved and checked. Only what the pipelines and `service::extensions` name
//! is in it.

use std::collections::BTreeMap;

use wire::Signal;

use crate::component::Needs;
use crate::config::written::{Components, Config};
use crate::config::{World, checks};
use crate::pipeline::sizing::Marks;
use crate::settings::{ComponentId, Problems};
use crate::telemetry::settings::TelemetryConfig;
use crate::{exporters, extensions, processors, receivers};

/// A configuration without errors, resolved.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The receivers that pipelines name. A receiver is one instance for all its signals.
    pub receivers: BTreeMap<ComponentId, receivers::Config>,
    /// The settings of the processors that pipelines name. A processor is one instance per pipeline.
    pub processors: BTreeMap<ComponentId, processors::Config>,
    /// The exporters that pipelines name. An exporter is one instance per signal.
    pub exporters: BTreeMap<ComponentId, exporters::Config>,
    /// The extensions to start, in this order.
    pub extensions: Vec<(ComponentId, extensions::Config)>,
    /// The pipelines, in the order written.
    pub pipelines: Vec<Pipeline>,
    /// The agent's own telemetry.
    pub telemetry: TelemetryConfig,
}

/// One pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct Pipeline {
    /// Its id: `metrics`, `traces/2`.
    pub id: ComponentId,
    /// What flows in it.
    pub signal: Signal,
    /// Where items come from.
    pub receivers: Vec<ComponentId>,
    /// What happens to them, in this order.
    pub processors: Vec<ComponentId>,
    /// Where they go; each gets every item.
    pub exporters: Vec<ComponentId>,
}

impl Plan {
    /// What every component of the plan needs, with the component's path: `receivers::otlp`.
    #[must_use]
    pub fn needs(&self) -> Vec<(String, Needs)> {
        let receivers = self.receivers.iter().map(|(id, config)| (format!("receivers::{id}"), config.needs()));
        let processors = self.processors.iter().map(|(id, config)| (format!("processors::{id}"), config.needs()));
        let exporters = self.exporters.iter().map(|(id, config)| (format!("exporters::{id}"), config.needs()));
        let extensions = self.extensions.iter().map(|(id, config)| (format!("extensions::{id}"), config.needs()));
        receivers.chain(processors).chain(exporters).chain(extensions).collect()
    }

    /// The memory limiters that pipelines name.
    pub fn limiters(&self) -> impl Iterator<Item = &processors::memory_limiter::Config> + Clone {
        self.processors.values().filter_map(processors::Config::memory_limiter)
    }

    /// The marks on the memory of the process, of which `total` is there: the strictest limiter's, as memory is one.
    #[must_use]
    pub fn marks(&self, total: Option<u64>) -> Marks {
        let marks = self.limiters().map(|limiter| limiter.marks(total)).min_by_key(|marks| marks.soft);
        marks.unwrap_or_else(|| Marks::by_default(total))
    }

    /// Whether senders over their share are refused first.
    #[must_use]
    pub fn shares_are_on(&self) -> bool {
        self.limiters().all(|limiter| limiter.fair_share.enabled)
    }

    /// The pipelines of one signal that take from a receiver, in the order written.
    pub fn pipelines_from<'a>(
        &'a self,
        receiver: &'a ComponentId,
        signal: Signal,
    ) -> impl Iterator<Item = &'a Pipeline> {
        self.pipelines.iter().filter(move |pipeline| pipeline.signal == signal && pipeline.receivers.contains(receiver))
    }
}

/// Resolves what was written. Every problem across components is reported here; the plan is only of use without any.
pub(super) fn resolve(config: &Config, world: &World<'_>, problems: &mut Problems) -> Option<Plan> {
    checks::references::check(config, problems);
    let pipelines: Vec<Pipeline> = config
        .service
        .pipelines
        .iter()
        .filter_map(|(id, pipeline)| {
            Some(Pipeline {
                id: id.clone(),
                signal: signal_of(&id.kind)?,
                receivers: once_each(&pipeline.receivers),
                processors: pipeline.processors.clone(),
                exporters: once_each(&pipeline.exporters),
            })
        })
        .collect();
    let plan = Plan {
        receivers: named(&config.receivers, pipelines.iter().flat_map(|pipeline| &pipeline.receivers)),
        processors: named(&config.processors, pipelines.iter().flat_map(|pipeline| &pipeline.processors)),
        exporters: named(&config.exporters, pipelines.iter().flat_map(|pipeline| &pipeline.exporters)),
        extensions: extensions_of(config),
        pipelines,
        telemetry: config.service.telemetry.clone(),
    };
    checks::environment::check(config, world, problems);
    checks::order::check(config, problems);
    checks::needs::check(config, &plan, world, problems);
    checks::limits::check(config, &plan, problems);
    checks::unused::check(config, problems);
    (!problems.any_errors()).then_some(plan)
}

/// The signal that a pipeline's type names.
pub(super) fn signal_of(kind: &str) -> Option<Signal> {
    Signal::ALL.into_iter().find(|signal| signal.name() == kind)
}

fn named<'a, C: Clone>(
    written: &Components<C>,
    ids: impl Iterator<Item = &'a ComponentId>,
) -> BTreeMap<ComponentId, C> {
    ids.filter_map(|id| Some((id.clone(), written.get(id)?.config.clone()?))).collect()
}

fn extensions_of(config: &Config) -> Vec<(ComponentId, extensions::Config)> {
    let ids = once_each(&config.service.extensions);
    let settings = |id: ComponentId| {
        let written = config.extensions.get(&id)?.config.clone()?;
        Some((id, written))
    };
    ids.into_iter().filter_map(settings).collect()
}

fn once_each(ids: &[ComponentId]) -> Vec<ComponentId> {
    let mut once: Vec<ComponentId> = Vec::with_capacity(ids.len());
    for id in ids {
        if !once.contains(id) {
            once.push(id.clone());
        }
    }
    once
}
