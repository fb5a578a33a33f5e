//! `otel-agent manifests`: the objects of a deployment on standard output, what is wrong or worth knowing on standard error.

mod arguments;

/// A folder of files instead of one text.
pub(crate) mod output;

/// The reference page of the options and values.
pub mod reference;

use std::io::Write as _;
use std::process::ExitCode;

use cluster::manifests::{Object, configuration, pod, render, yaml};
use cluster::problem as chosen;
use cluster::values::Values;
use cluster::workload::Workload;

use super::workload::{self, Container};
use crate::config::{self, Request, Sources};
use crate::settings::{self, Node, Place, Problem, Problems, Severity};

pub(crate) use arguments::Arguments;

/// Renders. Exit code 1 if something is wrong: nothing is printed to standard output then.
#[must_use]
pub(crate) fn main(arguments: &Arguments) -> ExitCode {
    let mut told = Told::default();
    let rendered = rendered(arguments, &mut told);
    let folder = arguments.folder(&mut told);
    let text = told.text(true);
    // The stream takes the colours out again where they are not wanted: no terminal, NO_COLOR.
    let _closed = anstream::stderr().write_all(text.as_bytes());
    let (Some((_, values, objects)), Some(folder)) = (rendered, folder) else { return ExitCode::FAILURE };
    match folder {
        Some((output, directory)) => output::write(output, directory, &values, arguments.request().as_ref()),
        None => match std::io::stdout().write_all(yaml(&objects).as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        },
    }
}

/// A deployment: what its configuration asks for, what was chosen, and the objects.
pub(crate) type Rendered = (Workload, Values, Vec<Object>);

/// Renders what the arguments say; none if something is wrong, which is in `told` then.
pub(crate) fn rendered(arguments: &Arguments, told: &mut Told) -> Option<Rendered> {
    let (values, request) = arguments.values(told)?;
    let (workload, values) = checked(values, request, told)?;
    let objects = render(&workload, &values);
    Some((workload, values, objects))
}

/// Loads the configuration as the container will, and checks the choices against it.
fn checked(values: Values, request: Option<Request>, told: &mut Told) -> Option<(Workload, Values)> {
    let text = configuration::text(&values);
    let request = request.unwrap_or_else(|| Request { configs: vec![format!("yaml:{text}")], sets: Vec::new() });
    let variable = |name: &str| stand_in(&values, name);
    let container = Container { variable: &variable, memory_limit: values.memory_limit() };
    let (loaded, workload) = workload::load(&request, &text, &container);
    told.configuration = (loaded.problems, loaded.sources);
    let workload = workload?;
    for problem in values.problems(&workload) {
        told.choice(&problem);
    }
    (!told.any_errors()).then_some((workload, values))
}

/// What a variable may be in the container. Only the cluster knows it exactly; what is checked here is that the configuration
/// works with something like it.
fn stand_in(values: &Values, name: &str) -> Option<String> {
    if let Some(variable) = values.extra_envs.iter().find(|variable| variable.name == name) {
        return Some(variable.value.clone().unwrap_or_else(|| "placeholder".to_owned()));
    }
    Some(match pod::downward_field(name)? {
        "status.podIP" | "status.hostIP" => "10.0.0.1".to_owned(),
        _ => "placeholder".to_owned(),
    })
}

/// What there is to tell, each with the text that it is about.
#[derive(Default)]
pub(crate) struct Told {
    /// The values file, and what is wrong in it or in the choices.
    choices: (Problems, Sources),
    tree: Node,
    /// The configuration, and what is wrong in it.
    configuration: (Problems, Sources),
}

impl Told {
    /// Something about a choice, shown where it stands in the values file.
    fn choice(&mut self, problem: &chosen::Problem) {
        let path = problem.path.replace('.', "::");
        let first = path.split("::").next().unwrap_or_default();
        let place = match self.tree.entry(first) {
            Some(_) => settings::setting::place_below(&self.tree, self.tree.place, &path),
            None => Place::NONE,
        };
        let severity = match problem.severity {
            chosen::Severity::Error => Severity::Error,
            chosen::Severity::Warning => Severity::Warning,
            chosen::Severity::Note => Severity::Note,
        };
        let (path, what, remedy) = (problem.path.clone(), problem.what.clone(), problem.remedy.clone());
        self.choices.0.push(Problem { severity, path, place, what, remedy });
    }

    /// Something about an argument.
    fn argument(&mut self, what: impl Into<String>, remedy: impl Into<String>) {
        self.choices.0.error("", Place::NONE, what, remedy);
    }

    /// Reads a values file. None after a problem has been told.
    fn read(&mut self, name: &str, text: &str) -> Option<serde_json::Value> {
        let file = self.choices.1.add(name, text);
        self.tree = settings::parse(file, text, &mut self.choices.0)?;
        Some(config::output::json_value(&self.tree))
    }

    fn any_errors(&self) -> bool {
        self.choices.0.any_errors() || self.configuration.0.any_errors()
    }

    /// All of it for people.
    pub(crate) fn text(&self, styled: bool) -> String {
        let of = |(problems, sources): &(Problems, Sources)| config::render::render(problems, sources, styled);
        of(&self.configuration) + &of(&self.choices)
    }
}

#[cfg(test)]
mod tests;
