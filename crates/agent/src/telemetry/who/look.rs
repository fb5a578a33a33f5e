//! A look into one request: names, attributes, and who says that it is where.

use std::net::IpAddr;

use wire::view::{Attributes, Metric, Request};

use super::hash;
use super::names::Names;
use super::sketch::Sketch;
use crate::telemetry::cut;

/// Of a larger request, so many points in a row are looked at, from a place that changes: some milliseconds at most.
const POINTS: usize = 4096;
/// Longer names of pods and services are cut.
const NAME_BYTES: usize = 128;

/// What a look has shown.
#[derive(Default)]
pub(super) struct Seen {
    /// `namespace/pod`, when all resources of the request are of one pod that they name.
    pub(super) pod: Option<String>,
    /// `service.name`, on the same condition.
    pub(super) service: Option<String>,
    pub(super) points: u64,
    pub(super) series: Option<Box<Sketch<256>>>,
}

/// Whose telemetry it is.
pub(super) fn at_resources(request: &[u8]) -> Seen {
    let of_each = |of: fn(&Attributes<'_>) -> Option<String>| {
        let mut found = Request::new(request).resources().map(|group| of(&group.resource().attributes()));
        let first = found.next()?;
        found.all(|other| other == first).then_some(first)?
    };
    Seen { pod: of_each(pod), service: of_each(service), ..Seen::default() }
}

/// Whose telemetry it is, and which series. `seed` decides where in a large request to look.
pub(super) fn at_metrics(request: &[u8], items: usize, seed: u64, names: &mut Names, peer: Option<IpAddr>) -> Seen {
    let mut range = Range::of(items, seed);
    let mut series = Box::new(Sketch::new());
    let mut points = 0;
    for group in Request::new(request).resources() {
        let resource = sum(group.resource().attributes());
        for metric in group.scopes().flat_map(|scope| scope.metrics()) {
            points += at_metric(&metric, resource, &mut range, names, peer, &mut series);
            if range.left == 0 {
                return Seen { points, series: Some(series), ..at_resources(request) };
            }
        }
    }
    Seen { points, series: Some(series), ..at_resources(request) }
}

fn at_metric(
    metric: &Metric<'_>,
    resource: u64,
    range: &mut Range,
    names: &mut Names,
    peer: Option<IpAddr>,
    series: &mut Sketch<256>,
) -> u64 {
    let data = metric.data();
    let count = data.points().count();
    let skipped = count.min(range.before);
    range.before -= skipped;
    let taken = (count - skipped).min(range.left);
    range.left -= taken;
    if taken == 0 {
        return 0;
    }
    let own = hash::bytes(metric.name().as_bytes()).wrapping_add(resource);
    let name = names.name(metric.name(), taken as u64, peer);
    for point in data.points().skip(skipped).take(taken) {
        let mut of_point = own;
        for attribute in point.attributes() {
            let hash = hash::bytes(attribute.content());
            of_point = of_point.wrapping_add(hash);
            name.attribute(attribute.key(), hash);
        }
        let of_point = hash::mix(of_point);
        name.series(of_point);
        series.add(of_point);
    }
    taken as u64
}

/// Which points of a request are looked at.
struct Range {
    before: usize,
    left: usize,
}

impl Range {
    fn of(items: usize, seed: u64) -> Range {
        let spare = items.saturating_sub(POINTS) as u64;
        let before = hash::mix(seed) % (spare + 1);
        Range { before: usize::try_from(before).unwrap_or_default(), left: POINTS }
    }
}

/// Attributes in any order give the same sum.
fn sum(attributes: Attributes<'_>) -> u64 {
    attributes.fold(0, |sum, attribute| sum.wrapping_add(hash::bytes(attribute.content())))
}

fn pod(resource: &Attributes<'_>) -> Option<String> {
    let pod = text(resource, "k8s.pod.name")?;
    Some(text(resource, "k8s.namespace.name").map_or_else(|| pod.clone(), |namespace| format!("{namespace}/{pod}")))
}

fn service(resource: &Attributes<'_>) -> Option<String> {
    text(resource, "service.name")
}

fn text(attributes: &Attributes<'_>, key: &str) -> Option<String> {
    let value = attributes.get(key)?;
    value.as_str().filter(|text| !text.is_empty()).map(|text| cut(text, NAME_BYTES).to_owned())
}
