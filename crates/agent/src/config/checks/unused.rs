//! What is configured is used. What is not is a warning: the Collector allows it, and people forget.

use crate::component::Registry;
use crate::config::written::{Components, Config, PipelineConfig};
use crate::settings::{ComponentId, Problems};
use crate::{exporters, extensions, processors, receivers};

/// Warns of components that nothing names.
pub(in crate::config) fn check(config: &Config, problems: &mut Problems) {
    let named = |list: fn(&PipelineConfig) -> &Vec<ComponentId>| -> Vec<&ComponentId> {
        config.service.pipelines.iter().flat_map(|(_, pipeline)| list(pipeline)).collect()
    };
    warn(&receivers::Config::REGISTRY, &config.receivers, &named(|pipeline| &pipeline.receivers), problems);
    warn(&processors::Config::REGISTRY, &config.processors, &named(|pipeline| &pipeline.processors), problems);
    warn(&exporters::Config::REGISTRY, &config.exporters, &named(|pipeline| &pipeline.exporters), problems);
    let started: Vec<&ComponentId> = config.service.extensions.iter().collect();
    warn(&extensions::Config::REGISTRY, &config.extensions, &started, problems);
}

fn warn<C>(registry: &Registry<C>, written: &Components<C>, named: &[&ComponentId], problems: &mut Problems) {
    let noun = registry.noun;
    for (id, component) in written.iter().filter(|(id, _)| !named.contains(id)) {
        // One that does not exist has been reported; that it is not used either would only be noise.
        if registry.find(&id.kind).is_none() {
            continue;
        }
        let (what, remedy) = if noun == "extension" {
            let what = format!(
                "the extension `{id}` is configured but not listed in `service::extensions`, so it is not started"
            );
            (what, "add it to `service::extensions`, or remove it")
        } else {
            let what = format!("`{id}` is configured but no pipeline names it, so it is not started");
            (what, "add it to a pipeline, or remove it")
        };
        problems.warning(&format!("{noun}s::{id}"), component.place, what, remedy);
    }
}
