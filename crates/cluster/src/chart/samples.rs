//! The renderings that the templates are made from: every object, for choices that are enough to see what depends on what.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::merge::Point;
use super::options::{Choice, Group, NAMESPACE, always};
use crate::manifests::{NAME, Object, render};
use crate::problem::Severity;
use crate::values::Values;
use crate::workload::Workload;

/// What a configuration asks of its pod, for choices that the default configuration depends on.
pub type WorkloadOf<'a> = dyn Fn(&Values) -> Result<Workload> + 'a;

/// All renderings.
pub(super) struct Samples {
    /// At which points.
    pub(super) points: Vec<Point>,
    /// Each object by kind and name, with its rendering at each of the points; in an order in which they can be applied.
    pub(super) objects: Vec<(Named, Vec<Option<Object>>)>,
    /// Choices that do not go together: which, and what to tell.
    pub(super) refused: Vec<(Vec<(usize, u8)>, String)>,
}

/// Kind and name.
pub(super) type Named = (String, String);

/// Renders everything that the templates are made from.
///
/// # Errors
///
/// When the configuration is not one that the agent takes.
pub(super) fn samples(choices: &[Choice], workload: &WorkloadOf<'_>) -> Result<Samples> {
    let mut samples = Samples { points: Vec::new(), objects: Vec::new(), refused: Vec::new() };
    let mut rendered: Vec<BTreeMap<Named, Object>> = Vec::new();
    let mut order: Vec<Named> = Vec::new();
    for point in points(choices) {
        let values = values_at(choices, &point)?;
        let workload = workload(&values)?;
        if let Some(problem) = problem(choices, &values, &workload) {
            samples.refused.push((chosen(&point), problem));
            continue;
        }
        let objects: Vec<(Named, Object)> = render(&workload, &values).into_iter().map(marked).collect();
        let mut behind = 0;
        for (named, _) in &objects {
            match order.iter().position(|known| known == named) {
                Some(place) => behind = place + 1,
                None => order.insert(behind, named.clone()),
            }
        }
        samples.points.push(point);
        rendered.push(objects.into_iter().collect());
    }
    for named in order {
        let renderings = rendered.iter_mut().map(|objects| objects.remove(&named)).collect();
        samples.objects.push((named, renderings));
    }
    least(&mut samples.refused);
    Ok(samples)
}

/// The values at a point; every key that is not a choice has its default or its marker.
pub(super) fn values_at(choices: &[Choice], point: &[u8]) -> Result<Values> {
    let mut written = serde_json::to_value(Values::default())?;
    for (key, value) in always() {
        set(&mut written, key, value);
    }
    for (choice, index) in choices.iter().zip(point) {
        let alternative = choice.alternatives.get(usize::from(*index)).context("no such alternative")?;
        set(&mut written, choice.key, alternative.value.clone());
    }
    serde_json::from_value(written).context("the values that the chart is made with cannot be read")
}

/// Sets a key, dots between its parts.
pub(super) fn set(written: &mut Value, key: &str, value: Value) {
    let place = key.split('.').fold(written, |below, part| &mut below[part]);
    *place = value;
}

/// Enough points to see what depends on what: all combinations of what touches the same, and everything else beside what
/// changes the most. That it is enough is held by drawing choices at random and comparing (`e2e/run.sh 'chart/drawn'`).
fn points(choices: &[Choice]) -> BTreeSet<Point> {
    let base: Point = vec![0; choices.len()];
    let product = |members: &dyn Fn(&Choice) -> bool| -> Vec<Point> {
        choices.iter().enumerate().filter(|(_, choice)| members(choice)).fold(
            vec![base.clone()],
            |points, (index, choice)| {
                points.iter().flat_map(|point| alternatives(choice).map(|one| with(point, index, one))).collect()
            },
        )
    };
    let mut points = BTreeSet::new();
    points.extend(product(&|choice| matches!(choice.group, Group::Text | Group::Both)));
    points.extend(product(&|choice| matches!(choice.group, Group::Placement | Group::Both)));
    let core = product(&|choice| matches!(choice.key, "mode" | "metricsTo"));
    let alone: Vec<(usize, &Choice)> =
        choices.iter().enumerate().filter(|(_, choice)| choice.group == Group::Alone).collect();
    for (number, (index, choice)) in alone.iter().enumerate() {
        for one in alternatives(choice) {
            let others = || alone.iter().skip(number + 1).filter(|(_, other)| related(choice.key, other.key));
            for point in core.iter().map(|point| with(point, *index, one)) {
                let beside = |(other, choice): &(usize, &Choice)| {
                    let other = *other;
                    alternatives(choice).map(|two| with(&point, other, two)).collect::<Vec<_>>()
                };
                points.extend(others().flat_map(beside));
                points.insert(point);
            }
        }
    }
    points
}

/// Keys of one section, or of one that is called alike.
fn related(key: &str, other: &str) -> bool {
    let section = |key: &str| key.split('.').next().unwrap_or_default().trim_end_matches("Name").to_owned();
    section(key) == section(other)
}

fn alternatives(choice: &Choice) -> impl Iterator<Item = u8> + use<> {
    0..u8::try_from(choice.alternatives.len()).unwrap_or(u8::MAX)
}

fn with(point: &Point, index: usize, alternative: u8) -> Point {
    let mut point = point.clone();
    if let Some(place) = point.get_mut(index) {
        *place = alternative;
    }
    point
}

/// What the values are refused for; a marker is no mistake.
fn problem(choices: &[Choice], values: &Values, workload: &Workload) -> Option<String> {
    let words = |key: &str| {
        choices.iter().any(|choice| choice.key == key && matches!(choice.group, Group::Placement | Group::Both))
    };
    let problems = values.problems(workload);
    let found = problems.into_iter().find(|problem| problem.severity == Severity::Error && words(&problem.path));
    found.map(|problem| problem.to_string())
}

/// The namespace is the release's in every alternative; only what is named after it differs.
fn marked(mut object: Object) -> (Named, Object) {
    fn mark(value: &mut Value) {
        match value {
            Value::String(text) if text == "open-telemetry" => NAMESPACE.clone_into(text),
            Value::Array(items) => items.iter_mut().for_each(mark),
            Value::Object(keys) => keys.values_mut().for_each(mark),
            _ => {}
        }
    }
    mark(&mut object.value);
    // What is named after a choice is one object all the same.
    let name = object.name.replace(NAMESPACE, "").replace("open-telemetry", "").trim_end_matches('-').to_owned();
    let name = if ["PriorityClass", "ServiceAccount"].contains(&object.kind.as_str()) { NAME.to_owned() } else { name };
    ((object.kind.clone(), name), object)
}

fn chosen(point: &[u8]) -> Vec<(usize, u8)> {
    point.iter().copied().enumerate().filter(|(_, alternative)| *alternative != 0).collect()
}

/// Keeps what is refused already for fewer choices.
fn least(refused: &mut Vec<(Vec<(usize, u8)>, String)>) {
    refused.sort_by_key(|(chosen, _)| chosen.len());
    let mut kept: Vec<(Vec<(usize, u8)>, String)> = Vec::new();
    for (chosen, what) in refused.drain(..) {
        if !kept.iter().any(|(fewer, _)| fewer.iter().all(|one| chosen.contains(one))) {
            kept.push((chosen, what));
        }
    }
    *refused = kept;
}
