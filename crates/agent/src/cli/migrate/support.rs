//! What the agent knows of configurations, as a migration asks for it: its own parser, registries and loader.

use cluster::migration::{Standing, Support, Wrong};
use serde_json::Value;

use crate::component::Registry;
use crate::config::{Request, World, load_in, output};
use crate::settings::{FileId, Problems, Severity, parse};
use crate::{exporters, extensions, processors, receivers};

/// All of it.
pub(super) const SUPPORT: Support<'static> = Support { read: &read, component: &component, errors: &errors };

/// The memory limit of a container that configurations are checked in; the manifests check it in the one that is rendered.
const MEMORY: u64 = 512 << 20;

/// Reads one document of YAML; `${…}` stays as it is.
pub(super) fn read(text: &str) -> Result<Value, String> {
    let mut problems = Problems::default();
    let node = parse(FileId(0), text, &mut problems);
    match node.filter(|_| !problems.any_errors()) {
        Some(node) => Ok(output::json_value(&node)),
        None => Err(problems
            .iter()
            .next()
            .map(|problem| format!("line {}: {problem}", problem.place.line))
            .unwrap_or_default()),
    }
}

fn component(noun: &str, kind: &str) -> Standing {
    match noun {
        "receiver" => standing(&receivers::Config::REGISTRY, kind),
        "processor" => standing(&processors::Config::REGISTRY, kind),
        "exporter" => standing(&exporters::Config::REGISTRY, kind),
        "extension" => standing(&extensions::Config::REGISTRY, kind),
        "connector" => Standing::NotYet("do this in a Collector behind the agent".to_owned()),
        _ => Standing::Unknown,
    }
}

fn standing<C>(registry: &Registry<C>, kind: &str) -> Standing {
    if registry.find(kind).is_some() {
        return Standing::Runs;
    }
    match registry.not_yet.iter().find(|(known, _)| *known == kind) {
        Some((_, instead)) => Standing::NotYet((*instead).to_owned()),
        None => Standing::Unknown,
    }
}

/// Every error that the loader finds.
fn errors(text: &str, variables: &[(String, String)]) -> Vec<Wrong> {
    let request = Request { configs: vec![format!("yaml:{text}")], sets: Vec::new() };
    let variable = |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let loaded = load_in(&request, &World { variable: &variable, memory_limit: Some(MEMORY) });
    let wrong = loaded.problems.iter().filter(|problem| problem.severity == Severity::Error);
    wrong
        .map(|problem| Wrong { path: problem.path.clone(), what: problem.what.clone(), remedy: problem.remedy.clone() })
        .collect()
}
