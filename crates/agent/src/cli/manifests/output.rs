//! `--output helm` and `--output kustomize`: a folder of files instead of one text.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use cluster::folder::{self, File};
use cluster::manifests::configuration;
use cluster::values::Values;
use cluster::workload::Workload;

use super::stand_in;
use crate::cli::workload::{self, Container};
use crate::config::{Request, render};

/// How the objects are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Output {
    /// One text on standard output.
    #[default]
    Yaml,
    /// A folder with a base and overlays.
    Kustomize,
    /// A folder with a chart.
    Helm,
}

/// Writes the folder, and says on standard error how to use it.
pub(super) fn write(output: Output, directory: &Path, values: &Values, request: Option<&Request>) -> ExitCode {
    match files(output, values, request).and_then(|files| folder::write(directory, &files)) {
        Ok(others) => {
            eprintln!("{}", told(output, directory, &others));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The files of the folder.
pub(crate) fn files(output: Output, values: &Values, request: Option<&Request>) -> Result<Vec<File>> {
    // Most choices do not change the configuration, and reading one takes longer than rendering it.
    let known: RefCell<HashMap<String, Workload>> = RefCell::default();
    let workload = |chosen: &Values| {
        let chosen = Values { config: values.config.clone(), ..chosen.clone() };
        let text = configuration::text(&chosen);
        if let Some(workload) = known.borrow().get(&text) {
            return Ok(workload.clone());
        }
        let workload = load(&chosen, &text, request)?;
        known.borrow_mut().insert(text, workload.clone());
        Ok(workload)
    };
    match output {
        Output::Yaml => bail!("YAML is no folder"),
        Output::Kustomize => cluster::kustomize::files(values, &workload),
        Output::Helm => cluster::chart::files(values, &workload),
    }
}

fn load(values: &Values, text: &str, request: Option<&Request>) -> Result<Workload> {
    let default = Request { configs: vec![format!("yaml:{text}")], sets: Vec::new() };
    let variable = |name: &str| stand_in(values, name);
    let container = Container { variable: &variable, memory_limit: values.memory_limit() };
    let (loaded, workload) = workload::load(request.unwrap_or(&default), text, &container);
    match workload {
        Some(workload) if !loaded.problems.any_errors() => Ok(workload),
        _ => bail!("the configuration is not taken:\n{}", render::render(&loaded.problems, &loaded.sources, false)),
    }
}

fn told(output: Output, directory: &Path, others: &[String]) -> String {
    let place = directory.display();
    let mut out = match output {
        Output::Helm => format!(
            "The chart is in {place}. Install it with\n\n    helm install otel-agent {place} --namespace open-telemetry --create-namespace\n"
        ),
        _ => format!(
            "The base and its overlays are in {place}. Apply one with\n\n    kubectl apply -k {place}/base\n    kubectl apply -k \
             {place}/overlays/high\n"
        ),
    };
    if !others.is_empty() {
        out.push_str(&format!(
            "\nThese files were there before and are not part of it; remove them: {}\n",
            others.join(", ")
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes what is made when it is to be updated, and compares.
    fn check(output: Output, folder: &str) {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
        let files = files(output, &Values::default(), None).unwrap();
        if std::env::var_os("UPDATE_DOCS").is_some() {
            let left = folder::write(&root, &files).unwrap();
            left.iter().for_each(|path| std::fs::remove_file(root.join(path)).unwrap());
        }
        let read = |file: &File| std::fs::read_to_string(root.join(&file.path)).unwrap_or_default();
        let stale: Vec<&str> =
            files.iter().filter(|file| read(file) != file.text).map(|file| file.path.as_str()).collect();
        assert!(stale.is_empty(), "{folder} is out of date, run `make docs`: {stale:?}");
    }

    #[test]
    fn the_reference_chart_in_deploy_is_the_one_that_the_program_makes() {
        check(Output::Helm, "deploy/chart/otel-agent");
    }

    #[test]
    fn the_reference_folder_for_kustomize_in_deploy_is_the_one_that_the_program_makes() {
        check(Output::Kustomize, "deploy/kustomize");
    }
}
