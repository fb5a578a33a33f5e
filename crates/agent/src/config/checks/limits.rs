//! Limits for namespaces and pods need somebody who knows the pods. Without, they limit nobody: a warning.

use crate::config::checks::place_of;
use crate::config::plan::Plan;
use crate::config::written::Config;
use crate::processors;
use crate::settings::Problems;

/// Checks the limits of the memory limiters.
pub(in crate::config) fn check(config: &Config, plan: &Plan, problems: &mut Problems) {
    if plan.processors.values().any(|processor| matches!(processor, processors::Config::K8sAttributes(_))) {
        return;
    }
    for (id, processor) in &plan.processors {
        let Some(limiter) = processor.memory_limiter() else { continue };
        let limits = limiter.fair_share.limits.iter().enumerate();
        for (index, limit) in limits.filter(|(_, limit)| limit.names_somebody() && limit.needs_pods()) {
            let path = format!("processors::{id}::fair_share::limits::{index}");
            let whose = if limit.pod.is_empty() { &limit.namespace } else { &limit.pod };
            let what =
                format!("the limit for `{whose}` limits nobody: no `k8s_attributes` processor says which pod sends");
            let remedy = "add a `k8s_attributes` processor, or limit every sender with `pod: \"*\"` alone";
            problems.warning(&path, place_of(&config.tree, &path), what, remedy);
        }
    }
}
