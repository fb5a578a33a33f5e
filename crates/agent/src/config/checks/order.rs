//! Processors stand in an order that works. A wrong order is a warning: the Collector runs it, and so do we.

use crate::config::checks::place_of;
use crate::config::written::Config;
use crate::settings::{ComponentId, Problems};

/// Checks the order of the processors in each pipeline.
pub(in crate::config) fn check(config: &Config, problems: &mut Problems) {
    for (id, pipeline) in &config.service.pipelines {
        let path = format!("service::pipelines::{id}");
        let mut warn = |index: usize, what: &str, remedy: &str| {
            let place = place_of(&config.tree, &format!("{path}::processors::{index}"));
            problems.warning(&path, place, what, remedy);
        };
        let position = |kinds: &[&str]| position(&pipeline.processors, kinds);
        if let Some(limiter) = position(&["memory_limiter"]).filter(|index| *index > 0) {
            let what = "`memory_limiter` is not the first processor, so data is already worked on when it refuses";
            warn(limiter, what, "put it first in the list");
        }
        let batch = position(&["batch"]);
        if let (Some(batch), Some(k8s)) = (batch, position(&["k8s_attributes", "k8sattributes"]))
            && batch < k8s
        {
            let what = "`batch` stands before `k8s_attributes`: a joined batch no longer knows which connection its \
                        parts came from, so pods are not found by their address";
            warn(batch, what, "put `batch` behind it");
        }
        if let (Some(batch), Some(filter)) = (batch, position(&["filter", "probabilistic_sampler", "tail_sampling"]))
            && batch < filter
        {
            let what = "`batch` stands before a processor that drops items, so batches leave small and uneven";
            warn(batch, what, "put `batch` last");
        }
    }
}

fn position(processors: &[ComponentId], kinds: &[&str]) -> Option<usize> {
    processors.iter().position(|id| kinds.contains(&id.kind.as_str()))
}
