//! From text to a checked plan: sources, merging, expansion, and every problem at once.
//!
//! The order is the Collector's: each `--config` and `--set` is read as YAML and merged over the ones before; then
//! `${…}` is expanded; then every component's settings are read; then the whole is checked. Only a configuration
//! without errors becomes a [`Plan`].

/// Where configuration text comes from.
pub mod source;

/// Several sources become one tree.
pub mod merge;

/// `${env:X}`, `${file:path}` and `$$`.
pub mod expand;

/// Everything that was written, read into types.
pub mod written;

/// What will be run.
pub mod plan;

/// What is checked across components.
mod checks;

/// Problems as people see them.
pub mod render;

/// The effective configuration, with the origin of each value.
pub mod effective;

/// Trees as YAML and JSON text.
pub mod output;

/// The reference page of all settings.
pub mod reference;

pub use plan::{Pipeline, Plan};
pub use source::Sources;
pub use written::Config;

use crate::settings::{Node, Problems};

/// What is to be loaded: the arguments of the command line.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Each `--config`, in order: a path, or `file:`, `env:`, `yaml:` and what follows.
    pub configs: Vec<String>,
    /// Each `--set`, in order: `key.key=value`.
    pub sets: Vec<String>,
}

/// What loading takes from the world around the program.
pub struct World<'a> {
    /// The value of an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// The memory limit of the container, in bytes.
    pub memory_limit: Option<u64>,
}

/// What loading came to.
#[derive(Debug)]
pub struct Loaded {
    /// What will be run; `None` when there are errors.
    pub plan: Option<Plan>,
    /// Everything that was written, as far as it could be read.
    pub config: Config,
    /// Everything found, in the order of the text.
    pub problems: Problems,
    /// The texts that problems point into.
    pub sources: Sources,
}

/// Loads a configuration in the environment of this process.
#[must_use]
pub fn load(request: &Request) -> Loaded {
    let variable = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let memory_limit = crate::telemetry::cgroup::Limits::of_this_process().memory;
    load_in(request, &World { variable: &variable, memory_limit })
}

/// Loads a configuration in a given environment.
#[must_use]
pub fn load_in(request: &Request, world: &World<'_>) -> Loaded {
    let mut sources = Sources::default();
    let mut problems = Problems::default();
    let tree = read_tree(request, world, &mut sources, &mut problems);
    let config = tree.as_ref().map(|tree| Config::read(tree, &mut problems));
    let plan = config.as_ref().and_then(|config| plan::resolve(config, world, &mut problems));
    problems.sort();
    let plan = plan.filter(|_| !problems.any_errors());
    Loaded { plan, config: config.unwrap_or_default(), problems, sources }
}

fn read_tree(request: &Request, world: &World<'_>, sources: &mut Sources, problems: &mut Problems) -> Option<Node> {
    let nowhere = crate::settings::Place::NONE;
    if request.configs.is_empty() {
        let remedy = "write `otel-agent --config FILE`, or try `otel-agent demo`";
        problems.error("", nowhere, "at least one config flag must be provided", remedy);
        return None;
    }
    let configs = request.configs.iter().map(|config| source::read_config(config, world, sources, problems));
    let mut trees: Vec<Option<Node>> = configs.collect();
    trees.extend(request.sets.iter().map(|set| source::read_set(set, sources, problems)));
    // With a source missing, what the others say would be judged by half; those problems would only mislead.
    let trees: Vec<Node> = trees.into_iter().collect::<Option<_>>()?;
    let mut tree = trees.into_iter().reduce(merge::merge)?;
    if tree.entries().is_empty() {
        let remedy = "a configuration has at least `receivers`, `exporters` and `service`";
        problems.error("", tree.place, "empty configuration file", remedy);
        return None;
    }
    expand::expand(&mut tree, world.variable, sources, problems).then_some(tree)
}

#[cfg(test)]
mod tests;
