//! Processors: what happens to a batch on its way. A closed enum; a component is one file and three lines here.

use std::sync::Arc;

use wire::Signal;

use crate::component::components;
use crate::pipeline::{Door, Process, Step};
use crate::telemetry::Metrics;
use counted::Counted;

pub mod memory_limiter;

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
        Resource(resource::Config),
        Attributes(attributes::Config),
        Batch(batch::Config),
    }
    not_yet {
        "k8s_attributes" => SOON,
        "k8sattributes" => SOON,
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

const SOON: &str = "remove it from the pipelines, or keep the Collector for this pipeline until the agent has it";
const BEHIND: &str = "do this in a Collector behind the agent, where the `otlp` exporter sends to";

impl Config {
    /// The processor for one pipeline.
    ///
    /// # Errors
    ///
    /// Its settings do not fit the signal of the pipeline.
    pub fn step(&self, id: &str, signal: Signal, door: &Door, metrics: &Metrics) -> anyhow::Result<Step> {
        let step: Arc<dyn Process> = match self {
            Config::MemoryLimiter(config) => Arc::new(config.build(id, signal, door, metrics)),
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
