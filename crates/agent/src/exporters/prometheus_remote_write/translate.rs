//! OTLP metrics as series of Prometheus, in the Collector's reading: what each data point becomes.

use wire::view::{
    Attributes, Data, Exemplar as OtlpExemplar, ExponentialHistogramPoint, HistogramPoint, Metric, NumberPoint,
    Request, ResourceGroup, ScopeGroup, SummaryPoint,
};

use super::native::Native;
use super::request::{Exemplar, Family, Requests, Time};
use crate::exporters::series::conversion::{Conversion, SERVICE_KEYS};
use crate::exporters::series::labels::{Label, LabelSet};
use crate::exporters::series::names::{BadName, Namer, unit_name};
use crate::exporters::series::points::{
    Kind, NO_RECORDED_VALUE, STALE_NAN, Shape, Temporality, exemplar_labels, to_f64,
};
use crate::exporters::series::resource::{self, Identity};

/// How to translate.
#[derive(Debug, Clone)]
pub(super) struct Translator {
    pub(super) namer: Namer,
    /// Labels of every series that does not have them, sorted by name.
    pub(super) external: Vec<Label>,
    pub(super) conversion: Conversion,
    pub(super) target_info: bool,
    pub(super) scope_info: bool,
}

/// Points that have no form in Prometheus.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Untranslated {
    /// Of sums and histograms that are not cumulative.
    pub(super) temporality: usize,
    /// For any other reason.
    pub(super) other: usize,
    /// The last of the other reasons.
    pub(super) why: String,
}

impl Untranslated {
    pub(super) fn points(&self) -> usize {
        self.temporality + self.other
    }

    fn note(&mut self, points: usize, why: &dyn ToString) {
        if points > 0 {
            self.other += points;
            self.why = why.to_string();
        }
    }
}

/// Translating one request.
struct Pass<'t, E> {
    translator: &'t Translator,
    out: &'t mut Requests<E>,
    untranslated: Untranslated,
}

/// Exemplars longer than this leave out all but trace and span, as OpenMetrics wants it.
const EXEMPLAR_CHARACTERS: usize = 128;
/// The label that a bucket and a quantile have.
const LE: &str = "le";
const QUANTILE: &str = "quantile";

impl Translator {
    /// Puts the series of a request into `out`; returns what cannot be one.
    pub(super) fn translate<E: FnMut(Vec<u8>)>(&self, request: &[u8], out: &mut Requests<E>) -> Untranslated {
        let mut pass = Pass { translator: self, out, untranslated: Untranslated::default() };
        for group in Request::new(request).resources() {
            pass.resource(&group);
        }
        pass.untranslated
    }

    /// The labels of a point, sorted. `own` is the name of a label that is still to come.
    fn labels(&self, base: &LabelSet, own: Option<&'static str>, point: Attributes<'_>) -> Result<Vec<Label>, BadName> {
        let mut labels = LabelSet::default();
        labels.reserve("__name__");
        own.into_iter().for_each(|name| labels.reserve(name));
        labels.attributes(&self.namer, point)?;
        labels.extend(base);
        let mut labels = labels.finish();
        self.add_external(&mut labels);
        Ok(labels)
    }

    fn add_external(&self, labels: &mut Vec<Label>) {
        for external in &self.external {
            if let Err(position) = labels.binary_search_by(|label| label.name.cmp(&external.name)) {
                labels.insert(position, external.clone());
            }
        }
    }
}

impl<E: FnMut(Vec<u8>)> Pass<'_, E> {
    fn resource(&mut self, group: &ResourceGroup<'_>) {
        let attributes = group.resource().attributes();
        let identity = Identity::of(&attributes);
        let mut latest = 0;
        for scope in group.scopes() {
            let base = self.base(&identity, attributes.clone(), &scope);
            for metric in scope.metrics() {
                let points = metric.data().points();
                latest = points.map(|point| point.time_unix_nano()).max().unwrap_or_default().max(latest);
                match &base {
                    Ok(base) => self.metric(&metric, base),
                    Err(error) => self.untranslated.note(metric.data().points().count(), &error),
                }
            }
        }
        if self.translator.target_info && latest > 0 {
            self.target_info(&identity, attributes, latest);
        }
    }

    /// The labels that all series of a scope share.
    fn base(
        &self,
        identity: &Identity,
        attributes: Attributes<'_>,
        group: &ScopeGroup<'_>,
    ) -> Result<LabelSet, BadName> {
        let translator = self.translator;
        let mut base = LabelSet::default();
        resource::convert(&mut base, &translator.namer, &translator.conversion, attributes)?;
        identity.set_in(&mut base);
        if translator.scope_info {
            // The schema is no label in the Collector's remote write.
            resource::scope(&mut base, &translator.namer, &group.scope(), "")?;
        }
        Ok(base)
    }

    fn metric(&mut self, metric: &Metric<'_>, base: &LabelSet) {
        let data = metric.data();
        let Some(shape) = Shape::of(&data) else { return };
        if shape.temporality != Temporality::Cumulative {
            self.untranslated.temporality += data.points().count();
            return;
        }
        let name = match self.translator.namer.metric(metric.name(), metric.unit(), shape.name_kind) {
            Ok(name) => name,
            Err(error) => return self.untranslated.note(data.points().count(), &error),
        };
        let unit = unit_name(metric.unit());
        let family = Family { name: &name, kind: shape.kind, help: metric.description(), unit: &unit };
        let note = |done: Result<(), String>, untranslated: &mut Untranslated| {
            if let Err(why) = done {
                untranslated.note(1, &why);
            }
        };
        match data {
            Data::None => {}
            Data::Gauge(gauge) => {
                for point in gauge.points() {
                    note(self.number(&family, base, &point), &mut self.untranslated);
                }
            }
            Data::Sum(sum) => {
                for point in sum.points() {
                    note(self.number(&family, base, &point), &mut self.untranslated);
                }
            }
            Data::Histogram(histogram) => {
                for point in histogram.points() {
                    note(self.histogram(&family, base, &point), &mut self.untranslated);
                }
            }
            Data::ExponentialHistogram(histogram) => {
                for point in histogram.points() {
                    note(self.exponential(&family, base, &point), &mut self.untranslated);
                }
            }
            Data::Summary(summary) => {
                for point in summary.points() {
                    note(self.summary(&family, base, &point), &mut self.untranslated);
                }
            }
        }
    }

    fn number(&mut self, family: &Family<'_>, base: &LabelSet, point: &NumberPoint<'_>) -> Result<(), String> {
        let labels = self.translator.labels(base, None, point.attributes()).map_err(|error| error.to_string())?;
        let time = time(point.start_time_unix_nano(), point.time_unix_nano());
        let value = unless_stale(point.flags(), to_f64(point.value()));
        // As in the Collector, those of gauges are left out: Prometheus has none.
        let of_counter = family.kind == Kind::Counter;
        let exemplars: Vec<_> = point.exemplars().filter(|_| of_counter).map(|each| exemplar(&each)).collect();
        self.out.sample(family, family.name, &labels, (time, value), &exemplars);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus itself keeps 64-bit floats")]
    fn histogram(&mut self, family: &Family<'_>, base: &LabelSet, point: &HistogramPoint<'_>) -> Result<(), String> {
        let mut labels =
            self.translator.labels(base, Some(LE), point.attributes()).map_err(|error| error.to_string())?;
        let time = time(point.start_time_unix_nano(), point.time_unix_nano());
        let flags = point.flags();
        if let Some(sum) = point.sum() {
            self.out.sample(family, &format!("{}_sum", family.name), &labels, (time, unless_stale(flags, sum)), &[]);
        }
        let count = unless_stale(flags, point.count() as f64);
        self.out.sample(family, &format!("{}_count", family.name), &labels, (time, count), &[]);
        let bounds: Vec<f64> = point.explicit_bounds().zip(point.bucket_counts()).map(|(bound, _)| bound).collect();
        let mut exemplars = by_bucket(&bounds, point.exemplars());
        let bucket = format!("{}_bucket", family.name);
        let le = insert(&mut labels, LE);
        let mut total = 0_u64;
        for ((bound, count), exemplars) in bounds.iter().zip(point.bucket_counts()).zip(&exemplars) {
            total = total.saturating_add(count);
            labels[le].value = number_text(*bound);
            self.out.sample(family, &bucket, &labels, (time, unless_stale(flags, total as f64)), exemplars);
        }
        "+Inf".clone_into(&mut labels[le].value);
        self.out.sample(family, &bucket, &labels, (time, count), &exemplars.pop().unwrap_or_default());
        Ok(())
    }

    fn exponential(
        &mut self,
        family: &Family<'_>,
        base: &LabelSet,
        point: &ExponentialHistogramPoint<'_>,
    ) -> Result<(), String> {
        let labels = self.translator.labels(base, None, point.attributes()).map_err(|error| error.to_string())?;
        let native = Native::of(point, time(point.start_time_unix_nano(), point.time_unix_nano()))?;
        let exemplars: Vec<_> = point.exemplars().map(|each| exemplar(&each)).collect();
        self.out.histogram(family, &labels, &native, &exemplars);
        Ok(())
    }

    #[expect(clippy::cast_precision_loss, reason = "Prometheus itself keeps 64-bit floats")]
    fn summary(&mut self, family: &Family<'_>, base: &LabelSet, point: &SummaryPoint<'_>) -> Result<(), String> {
        let labels = self.translator.labels(base, Some(QUANTILE), point.attributes());
        let mut labels = labels.map_err(|error| error.to_string())?;
        let time = time(point.start_time_unix_nano(), point.time_unix_nano());
        let flags = point.flags();
        for (suffix, value) in [("_sum", point.sum()), ("_count", point.count() as f64)] {
            let name = format!("{}{suffix}", family.name);
            self.out.sample(family, &name, &labels, (time, unless_stale(flags, value)), &[]);
        }
        let at = insert(&mut labels, QUANTILE);
        for quantile in point.quantiles() {
            labels[at].value = number_text(quantile.quantile());
            self.out.sample(family, family.name, &labels, (time, unless_stale(flags, quantile.value())), &[]);
        }
        Ok(())
    }

    /// What else is known of the resource, as a series of its own. Only where it says more than `job` and `instance` do.
    fn target_info(&mut self, identity: &Identity, attributes: Attributes<'_>, latest: u64) {
        let says_more = attributes.clone().any(|attribute| !SERVICE_KEYS.contains(&attribute.key()));
        let there = |part: &Option<String>| part.as_ref().is_some_and(|part| !part.is_empty());
        if !says_more || !(there(&identity.job) || there(&identity.instance)) {
            return;
        }
        let Ok(mut labels) = resource::target_info(&self.translator.namer, identity, attributes) else { return };
        self.translator.add_external(&mut labels);
        let name = self.translator.namer.target_info();
        let family = Family { name: &name, kind: Kind::Gauge, help: "Target metadata", unit: "" };
        self.out.sample(&family, &name, &labels, (time(0, latest), 1.0), &[]);
    }
}

/// Adds a label whose name is free; returns where it is.
fn insert(labels: &mut Vec<Label>, name: &str) -> usize {
    let position = labels.partition_point(|label| label.name.as_str() < name);
    labels.insert(position, Label::new(name, ""));
    position
}

fn time(start: u64, at: u64) -> Time {
    let milliseconds = |nanoseconds: u64| i64::try_from(nanoseconds / 1_000_000).unwrap_or(i64::MAX);
    Time { at: milliseconds(at), start: milliseconds(start) }
}

/// The value, or the NaN that says that the series has ended.
fn unless_stale(flags: u32, value: f64) -> f64 {
    if flags & NO_RECORDED_VALUE == 0 { value } else { f64::from_bits(STALE_NAN) }
}

/// A bound as Go writes it: the shortest form without an exponent.
fn number_text(number: f64) -> String {
    match number {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        number => number.to_string(),
    }
}

/// The exemplars of each bucket and, last, of the one without a bound: an exemplar belongs to the first that holds it.
fn by_bucket<'a>(bounds: &[f64], exemplars: impl Iterator<Item = OtlpExemplar<'a>>) -> Vec<Vec<Exemplar>> {
    let mut buckets = vec![Vec::new(); bounds.len() + 1];
    let mut ascending: Vec<usize> = (0..bounds.len()).filter(|at| !bounds[*at].is_nan()).collect();
    ascending.sort_by(|a, b| bounds[*a].total_cmp(&bounds[*b]));
    for each in exemplars {
        let made = exemplar(&each);
        let holds = |at: &usize| made.value <= bounds[*at];
        let smallest = ascending.get(ascending.partition_point(|at| !holds(at)));
        let position = smallest.map_or(bounds.len(), |position| *position);
        if let Some(bucket) = buckets.get_mut(position) {
            bucket.push(made);
        }
    }
    buckets
}

fn exemplar(exemplar: &OtlpExemplar<'_>) -> Exemplar {
    let mut labels: Vec<Label> =
        exemplar_labels(exemplar).into_iter().map(|(name, value)| Label::new(name, value)).collect();
    let filtered = exemplar.filtered_attributes();
    let filtered: Vec<Label> = filtered.map(|each| Label::new(each.key(), each.value().to_string())).collect();
    let characters = |label: &Label| label.name.chars().count() + label.value.chars().count();
    if labels.iter().chain(&filtered).map(characters).sum::<usize>() <= EXEMPLAR_CHARACTERS {
        labels.extend(filtered);
    }
    Exemplar { labels, time: time(0, exemplar.time_unix_nano()).at, value: to_f64(exemplar.value()) }
}
