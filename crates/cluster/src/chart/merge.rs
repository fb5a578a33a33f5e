//! One tree out of many renderings of an object: what is always the same stands once, what depends on a choice stands
//! under the choice that it depends on.
//!
//! This is how the chart's templates come from the code that renders the manifests, and from nowhere else: the object is
//! rendered for the choices that a person has, and the places where the renderings differ become the conditions.

use std::collections::HashMap;

use serde_json::Value;

/// One choice for each of the options, by its index: a point at which the object was rendered.
pub(super) type Point = Vec<u8>;

/// The value of some place in one rendering; `None` where the place is not there.
#[derive(Clone, Copy)]
pub(super) struct Sample<'a> {
    /// What was chosen.
    pub(super) point: &'a Point,
    /// What came out.
    pub(super) value: Option<&'a Value>,
}

/// What stands at a place: always the same, or by choice.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Branch {
    /// Whatever is chosen.
    Always(Node),
    /// The arms of one option; an arm that is not there leaves the place out.
    When(Vec<Arm>),
}

/// What stands at a place for some of the alternatives of one option.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Arm {
    /// The option, by its index in a [`Point`].
    pub(super) option: usize,
    /// For which of its alternatives.
    pub(super) alternatives: Vec<u8>,
    /// What stands there; `None` leaves the place out.
    pub(super) then: Option<Branch>,
}

/// A piece of an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    /// The same in every rendering, however deep.
    Constant(Value),
    /// Keys, of which some are there by choice.
    Map(Vec<(String, Branch)>),
    /// Items, of which some are there by choice.
    List(Vec<Branch>),
    /// A string of several lines, of which some are there by choice.
    Text(Vec<Branch>),
}

/// The tree of one place; `None` when no rendering has it.
pub(super) fn merge(samples: &[Sample<'_>]) -> Option<Branch> {
    let first = samples.first()?.value;
    if samples.iter().all(|sample| sample.value == first) {
        return first.cloned().map(|value| Branch::Always(Node::Constant(value)));
    }
    match shape(samples) {
        Some(Shape::Map) => Some(Branch::Always(Node::Map(map(samples)))),
        Some(Shape::List(identities)) => Some(Branch::Always(Node::List(list(samples, &identities)))),
        Some(Shape::Text(identities)) => Some(Branch::Always(Node::Text(text(samples, &identities)))),
        None => split(samples),
    }
}

/// What all renderings have here, so that the place itself needs no condition. What is empty has no line to write one at.
enum Shape {
    Map,
    List(Vec<String>),
    Text(Vec<String>),
}

fn shape(samples: &[Sample<'_>]) -> Option<Shape> {
    let values: Vec<&Value> = samples.iter().map(|sample| sample.value).collect::<Option<_>>()?;
    let every = |test: fn(&Value) -> bool| values.iter().all(|value| test(value));
    // Maps without a common key are different things, of which one stands here or the other.
    let maps: Option<Vec<_>> = values.iter().map(|value| value.as_object()).collect();
    if let Some((first, others)) = maps.as_deref().and_then(<[_]>::split_first)
        && first.keys().any(|key| others.iter().all(|other| other.contains_key(key)))
    {
        return Some(Shape::Map);
    }
    if every(|value| value.as_array().is_some_and(|list| !list.is_empty())) {
        let orders = values.iter().filter_map(|value| value.as_array()).map(|list| list.iter().map(identity).collect());
        return common_order(&orders.collect::<Vec<_>>()).map(Shape::List);
    }
    if every(|value| value.as_str().is_some_and(|text| text.ends_with('\n') && !text.ends_with("\n\n"))) {
        let orders = values.iter().filter_map(|value| value.as_str()).map(line_identities);
        return common_order(&orders.collect::<Vec<_>>()).map(Shape::Text);
    }
    None
}

fn map(samples: &[Sample<'_>]) -> Vec<(String, Branch)> {
    let keys = samples.iter().filter_map(|s| s.value?.as_object()).map(|map| map.keys().collect());
    let keys = union(&keys.collect::<Vec<Vec<&String>>>());
    let at = |key: &String| {
        let below: Vec<Sample<'_>> = samples
            .iter()
            .map(|s| Sample { point: s.point, value: s.value.and_then(|value| value.get(key)) })
            .collect();
        merge(&below).map(|branch| (key.clone(), branch))
    };
    keys.into_iter().filter_map(at).collect()
}

fn list(samples: &[Sample<'_>], identities: &[String]) -> Vec<Branch> {
    let at = |wanted: &String| {
        let below: Vec<Sample<'_>> = samples
            .iter()
            .map(|s| {
                let items = s.value.and_then(Value::as_array);
                Sample {
                    point: s.point,
                    value: items.and_then(|items| items.iter().find(|item| identity(item) == *wanted)),
                }
            })
            .collect();
        merge(&below)
    };
    identities.iter().filter_map(at).collect()
}

fn text(samples: &[Sample<'_>], identities: &[String]) -> Vec<Branch> {
    let lines_of = |s: &Sample<'_>| -> Vec<(String, Value)> {
        let text = s.value.and_then(Value::as_str).unwrap_or_default();
        line_identities(text).into_iter().zip(text.lines().map(Value::from)).collect()
    };
    let lines: Vec<Vec<(String, Value)>> = samples.iter().map(lines_of).collect();
    let at = |wanted: &String| {
        let below: Vec<Sample<'_>> = samples
            .iter()
            .zip(&lines)
            .map(|(s, own)| Sample {
                point: s.point,
                value: own.iter().find(|(one, _)| one == wanted).map(|(_, line)| line),
            })
            .collect();
        merge(&below)
    };
    identities.iter().filter_map(at).collect()
}

/// An order of all items that every list keeps; `None` when there is no such order, or an item is twice in a list.
fn common_order(orders: &[Vec<String>]) -> Option<Vec<String>> {
    let borrowed: Vec<Vec<&String>> = orders.iter().map(|order| order.iter().collect()).collect();
    let all = union(&borrowed);
    let kept = |order: &Vec<&String>| all.iter().filter(|item| order.contains(item)).eq(order.iter());
    borrowed.iter().all(kept).then(|| all.into_iter().cloned().collect())
}

/// All of them once: a new one goes behind the one that it follows in its own order.
fn union<'a>(orders: &[Vec<&'a String>]) -> Vec<&'a String> {
    let mut all: Vec<&String> = Vec::new();
    for order in orders {
        let mut behind = 0;
        for item in order {
            if let Some(place) = all.iter().position(|known| known == item) {
                behind = place + 1;
            } else {
                all.insert(behind, item);
                behind += 1;
            }
        }
    }
    all
}

/// What makes an item of a list the same in two renderings: its name, or else all of it.
fn identity(item: &Value) -> String {
    let named = ["name", "mountPath", "containerPort", "type"].iter().find_map(|key| item.get(key));
    named.unwrap_or(item).to_string()
}

/// What makes a line of a configuration the same in two renderings: its key, and how often that key was there before.
fn line_identities(text: &str) -> Vec<String> {
    let mut seen: Vec<&str> = Vec::new();
    let identity = |line| {
        let key = str::split(line, ':').next().unwrap_or_default();
        seen.push(key);
        format!("{key}#{}", seen.iter().filter(|one| **one == key).count())
    };
    text.lines().map(identity).collect()
}

/// Makes the option that tells the renderings apart best a condition, and goes on within each of its arms.
fn split(samples: &[Sample<'_>]) -> Option<Branch> {
    let first = samples.first()?.point;
    let varies = |option: &usize| samples.iter().any(|sample| sample.point.get(*option) != first.get(*option));
    let open: Vec<usize> = (0..first.len()).filter(varies).collect();
    let candidates: Vec<usize> = open.iter().copied().filter(|option| matters(samples, *option)).collect();
    let candidates = if candidates.is_empty() { open } else { candidates };
    let option = match candidates.as_slice() {
        [one] => *one,
        several => {
            several.iter().copied().max_by_key(|option| (settled(samples, *option), std::cmp::Reverse(*option)))?
        }
    };
    let mut arms: Vec<Arm> = Vec::new();
    for (alternative, group) in groups(samples, option) {
        let then = merge(&group);
        match arms.iter_mut().find(|arm| arm.then == then) {
            Some(arm) => arm.alternatives.push(alternative),
            None => arms.push(Arm { option, alternatives: vec![alternative], then }),
        }
    }
    match arms.len() {
        1 => arms.pop()?.then,
        _ => Some(Branch::When(arms)),
    }
}

fn groups<'a>(samples: &[Sample<'a>], option: usize) -> Vec<(u8, Vec<Sample<'a>>)> {
    let mut groups: Vec<(u8, Vec<Sample<'a>>)> = Vec::new();
    for sample in samples {
        let Some(alternative) = sample.point.get(option).copied() else { continue };
        match groups.iter_mut().find(|(known, _)| *known == alternative) {
            Some((_, group)) => group.push(*sample),
            None => groups.push((alternative, vec![*sample])),
        }
    }
    groups.sort_by_key(|(alternative, _)| *alternative);
    groups
}

/// Whether two renderings that differ in this choice alone differ here.
fn matters(samples: &[Sample<'_>], option: usize) -> bool {
    let mut seen: HashMap<Point, Option<&Value>> = HashMap::new();
    samples.iter().any(|sample| {
        let mut others = sample.point.clone();
        others.remove(option);
        *seen.entry(others).or_insert(sample.value) != sample.value
    })
}

/// In how many of a hundred arms of this option nothing is left to choose, or only further inside.
fn settled(samples: &[Sample<'_>], option: usize) -> usize {
    let groups = groups(samples, option);
    let done = |group: &Vec<Sample<'_>>| {
        let first = group.first().and_then(|sample| sample.value);
        group.iter().all(|sample| sample.value == first) || shape(group).is_some()
    };
    groups.iter().filter(|(_, group)| done(group)).count() * 100 / groups.len().max(1)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
