//! Processors: what happens to a batch on its way. A closed enum; a component is one file and three lines here.

use std::collections::HashMap;
use std::sync::Arc;

use wire::Signal;

use crate::component::components;
use crate::kubernetes::Directories;
use crate::pipeline::{Door, Patience, Process, Step};
use crate::telemetry::Metrics;
use counted::Counted;

pub mod memory_limiter;

pub mod k8s_attributes;

pub mod actions;
pub mod attributes;
pub mod conversion;
pub mod matching;
pub mod resource;

pub mod batch;

mod counted;

#[cfg(test)]
mod tests;

components! {
    /// The settings of a processor.
    pub enum Config "processor" {
        MemoryLimiter(memory_limiter::Config),
        K8sAttributes(k8s_attributes::Config),
        Resource(resource::Config),
        Attributes(attributes::Config),
        Batch(batch::Config),
    }
    not_yet {
        "resource_detection" => "set the attributes with the `resource` processor, from `${env:…}`",
        "resourcedetection" => "set the attributes with the `resource` processor, from `${env:…}`",
        "filter" => BEHIND,
        "transform" => BEHIND,
        "cumulativetodelta" => BEHIND,
        "deltatocumulative" => BEHIND,
        "deltatorate" => BEHIND,
        "drain" => BEHIND,
        "groupbyattrs" => BEHIND,
        "groupbytrace" => BEHIND,
        "interval" => BEHIND,
        "logdedup" => BEHIND,
        "log_dedup" => BEHIND,
        "metricsgeneration" => BEHIND,
        "metricstransform" => BEHIND,
        "metrics_transform" => BEHIND,
        "probabilistic_sampler" => BEHIND,
        "redaction" => BEHIND,
        "remotetap" => BEHIND,
        "span" => BEHIND,
        "tail_sampling" => BEHIND,
        "queuebatch" => "use `batch`, or `sending_queue::batch` of the exporter",
    }
}

const BEHIND: &str = "do this in a Collector behind the agent, where the `otlp` exporter sends to";

/// What processors are built with.
pub struct Workshop<'a> {
    /// Lets data in while there is room.
    pub door: &'a Door,
    /// The agent's metrics.
    pub metrics: &'a Metrics,
    /// Where pods are known from.
    pub directories: &'a Directories,
    /// Whether batches may wait.
    pub patience: &'a Patience,
    /// What the pipelines of one processor share, by its id.
    pub enrichers: HashMap<String, Arc<k8s_attributes::Enricher>>,
}

impl Workshop<'_> {
    /// What the pipelines of this processor share: it is made for the first of them.
    fn enricher(&mut self, id: &str, config: &k8s_attributes::Config) -> anyhow::Result<Arc<k8s_attributes::Enricher>> {
        if let Some(enricher) = self.enrichers.get(id) {
            return Ok(Arc::clone(enricher));
        }
        let enricher = config.open(id, self.directories, self.patience, self.metrics)?;
        self.enrichers.insert(id.to_owned(), Arc::clone(&enricher));
        Ok(enricher)
    }
}

impl Config {
    /// The processor for one pipeline.
    ///
    /// # Errors
    ///
    /// Its settings do not fit the signal of the pipeline, or what it reads cannot be had.
    pub fn step(&self, id: &str, signal: Signal, workshop: &mut Workshop<'_>) -> anyhow::Result<Step> {
        let metrics = workshop.metrics;
        let step: Arc<dyn Process> = match self {
            Config::MemoryLimiter(config) => Arc::new(config.build(id, signal, workshop.door, metrics)),
            Config::K8sAttributes(config) => Arc::new(workshop.enricher(id, config)?.of_pipeline(signal)),
            Config::Resource(config) => Arc::new(resource::Resource::new(config).map_err(anyhow::Error::msg)?),
            Config::Attributes(config) => {
                Arc::new(attributes::Attributes::new(config, signal).map_err(anyhow::Error::msg)?)
            }
            Config::Batch(config) => {
                let (config, id, metrics) = (config.clone(), id.to_owned(), metrics.clone());
                return Ok(Step::Gather(Box::new(move |next| config.build(&id, next, &metrics))));
            }
        };
        Ok(Step::Process(Arc::new(Counted::new(step, id, signal, metrics))))
    }

    /// The settings of a memory limiter, if it is one: the budget of the agent is made from them.
    #[must_use]
    pub fn memory_limiter(&self) -> Option<&memory_limiter::Config> {
        match self {
            Config::MemoryLimiter(config) => Some(config),
            _ => None,
        }
    }
}
