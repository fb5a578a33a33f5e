//! The agent beside the old collector: the objects of `otel-agent manifests`, with the configuration that was carried over.

use anyhow::{Context as _, bail};
use cluster::manifests::{Object, render as objects};
use cluster::migration::Report;
use cluster::problem::Severity;
use cluster::values::Values;
use serde_json::{Value, json};

use super::{Arguments, support};
use crate::cli::workload::{self, Container};
use crate::config::Request;

/// The values that the arguments say.
pub(super) fn values(arguments: &Arguments) -> anyhow::Result<Values> {
    let mut values = Values::default();
    if let Some(file) = &arguments.values {
        let text = super::text_of(file)?;
        let written = support::read(&text).map_err(|error| anyhow::anyhow!("{file}: {error}"))?;
        read(&mut values, &written).with_context(|| file.clone())?;
    }
    if let Some(profile) = arguments.profile {
        values.profile = profile;
    }
    if let Some(image) = &arguments.image {
        values.set_image(image);
    }
    if let Some(namespace) = &arguments.agent_namespace {
        values.namespace.clone_from(namespace);
    }
    Ok(values)
}

fn read(values: &mut Values, written: &Value) -> anyhow::Result<()> {
    let mut problems = Vec::new();
    values.read(written, &mut problems);
    let errors: Vec<String> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect();
    if !errors.is_empty() {
        bail!("{}", errors.join("; "));
    }
    Ok(())
}

/// The objects.
pub(super) fn render(report: &Report, mut values: Values) -> anyhow::Result<Vec<Object>> {
    let carried = &report.configuration;
    if carried.text.is_empty() {
        bail!("nothing of the old configuration is left to run");
    }
    let own = serde_json::to_value(&values)?;
    let with = |key: &str, more: &[Value]| {
        let mut list = own.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        list.extend(more.iter().cloned());
        Value::from(list)
    };
    let more = json!({
        "config": carried.text,
        "extraEnvs": with("extraEnvs", &carried.variables),
        "extraEnvsFrom": with("extraEnvsFrom", &carried.variables_from),
        "extraVolumes": with("extraVolumes", &carried.volumes),
        "extraVolumeMounts": with("extraVolumeMounts", &carried.mounts),
    });
    read(&mut values, &more).context("the old pod")?;
    let request = Request { configs: vec![format!("yaml:{}", carried.text)], sets: Vec::new() };
    let mut known = carried.known_variables();
    known.extend(
        values.extra_envs.iter().map(|one| (one.name.clone(), one.value.clone().unwrap_or("stand-in".to_owned()))),
    );
    let variable = |name: &str| known.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    let container = Container { variable: &variable, memory_limit: values.memory_limit() };
    let (loaded, workload) = workload::load(&request, &carried.text, &container);
    let Some(workload) = workload else { bail!("{}", loaded.problems.lines()) };
    let problems = values.problems(&workload);
    let errors: Vec<String> =
        problems.iter().filter(|problem| problem.severity == Severity::Error).map(ToString::to_string).collect();
    if !errors.is_empty() {
        bail!("{}", errors.join("; "));
    }
    Ok(objects(&workload, &values))
}
