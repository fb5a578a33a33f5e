//! From a request into the table, read in place.
//!
//! A data point of a series that is known is found by the bytes of its resource, scope, metric and attributes. Only when
//! these bytes are new are labels made, which may mean a series that is there all the same: attributes may stand in
//! another order, or another resource may give the same labels.

use std::sync::Arc;

use wire::fields::FieldValue;
use wire::view::{Attributes, Metric, Number, Point, Request, Scope};

use super::exponential::Exponential;
use super::key::{Key, Keys, Making};
use super::refusal::Refusal;
use super::reports::{Conflict, Report};
use super::rules::Rules;
use super::series::Series;
use super::slab::Place;
use super::source::Base;
use super::table::{KEY_SIZE, State, Table, size_of_series};
use super::value::{self, Exemplar, Exemplars, Histogram, Span, Step, Summary, Value};
use crate::exporters::series::points::{Kind, NO_RECORDED_VALUE, STALE_NAN, Shape, Temporality};

/// Data points that are taken under the lock in one go.
const GO: usize = 256;

const RESOURCE: u8 = 0;
const SCOPE: u8 = 1;
const STREAM: u8 = 2;
const POINT: u8 = 3;
const SERIES: u8 = 4;
const ORIGIN: u8 = 5;

/// A resource and a scope.
pub(super) struct Context<'a> {
    pub(super) resource: Attributes<'a>,
    pub(super) scope: Scope<'a>,
    pub(super) schema_url: &'a str,
    pub(super) resource_key: Key,
    pub(super) scope_key: Key,
}

/// A metric of theirs.
pub(super) struct Stream<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) metric: &'a Metric<'a>,
    pub(super) shape: Shape,
    pub(super) key: Key,
    /// From which OTLP name and unit.
    origin: u32,
    pub(super) now: u32,
}

/// What became of a metric's data points.
#[derive(Default)]
pub(super) struct Tally {
    refused: [u64; Refusal::ALL.len()],
    pub(super) reports: Vec<Report>,
}

/// A data point, its fields read once.
struct Reading<'a> {
    point: &'a Point<'a>,
    span: Span,
    flags: u32,
    number: Option<Number>,
    /// A number has exemplars, which are then looked for.
    has_exemplars: bool,
    key: Key,
}

impl Table {
    /// Takes a request. Returns how many of its data points are not kept.
    pub(super) fn take(&self, body: &[u8]) -> u64 {
        let now = self.now();
        let mut refused = 0;
        for group in Request::new(body).resources() {
            let resource = group.resource().attributes();
            let mut making = self.keys.begin(RESOURCE);
            resource.clone().for_each(|attribute| making.bytes(attribute.content()));
            let resource_key = making.end();
            for scoped in group.scopes() {
                let (scope, schema_url) = (scoped.scope(), scoped.schema_url());
                let scope_key = scope_key(&self.keys, resource_key, &scope, schema_url);
                let resource = resource.clone();
                let context = Context { resource, scope, schema_url, resource_key, scope_key };
                refused += scoped.metrics().map(|metric| self.take_metric(&context, &metric, now)).sum::<u64>();
            }
        }
        refused
    }

    fn take_metric(&self, context: &Context<'_>, metric: &Metric<'_>, now: u32) -> u64 {
        let data = metric.data();
        let Some(shape) = Shape::of(&data) else { return 0 };
        let stream = Stream::new(&self.keys, context, metric, shape, now);
        let mut tally = Tally::default();
        let mut points = data.points();
        if let Err(refusal) = stream.check() {
            tally.refused[refusal as usize] += points.count() as u64;
        } else {
            while self.state().take_some(self, &stream, &mut points, &mut tally) == GO {}
        }
        self.settle(&stream, &tally)
    }

    /// Counts and reports, without the lock.
    fn settle(&self, stream: &Stream<'_>, tally: &Tally) -> u64 {
        tally.reports.iter().for_each(|report| self.reports.conflict(report, stream.now));
        for (refusal, points) in Refusal::ALL.into_iter().zip(tally.refused).filter(|(_, points)| *points > 0) {
            let source = self.state().sources.get(&stream.context.resource_key).map(|source| source.name.clone());
            let pod = source.unwrap_or_else(|| "unknown".to_owned());
            self.reports.refuse(refusal, points, stream.metric.name(), &pod, stream.now);
        }
        tally.refused.iter().sum()
    }
}

fn scope_key(keys: &Keys, resource: Key, scope: &Scope<'_>, schema_url: &str) -> Key {
    let mut making = keys.begin(SCOPE);
    making.key(resource);
    [scope.name(), scope.version(), schema_url].iter().for_each(|text| making.bytes(text.as_bytes()));
    scope.attributes().for_each(|attribute| making.bytes(attribute.content()));
    making.end()
}

impl<'a> Stream<'a> {
    fn new(keys: &Keys, context: &'a Context<'a>, metric: &'a Metric<'a>, shape: Shape, now: u32) -> Stream<'a> {
        let mut making = keys.begin(ORIGIN);
        making.bytes(metric.name().as_bytes());
        making.bytes(metric.unit().as_bytes());
        let origin = making.end();
        let mut making = keys.begin(STREAM);
        making.key(origin);
        making.key(context.scope_key);
        making.number(shape.kind as u64);
        making.number(shape.name_kind as u64);
        Stream { context, metric, shape, key: making.end(), origin: origin.short(), now }
    }

    /// Whether Prometheus has anything for a metric that covers what it covers.
    fn check(&self) -> Result<(), Refusal> {
        let goes_both_ways = self.shape.kind == Kind::Gauge;
        match self.shape.temporality {
            Temporality::Cumulative => Ok(()),
            Temporality::Delta if !goes_both_ways => Ok(()),
            Temporality::Delta | Temporality::Unspecified => Err(Refusal::Temporality),
        }
    }

    /// The label that the format adds to series of this type.
    fn reserved(&self) -> Option<&'static str> {
        match self.shape.kind {
            Kind::Histogram => Some("le"),
            Kind::Summary => Some("quantile"),
            Kind::Counter | Kind::Gauge => None,
        }
    }
}

impl<'a> Reading<'a> {
    fn of(point: &'a Point<'a>, mut making: Making) -> Reading<'a> {
        let (fields, attributes, flag) = match point {
            Point::Number(point) => (point.fields(), 7, 8),
            Point::Histogram(point) => (point.fields(), 9, 10),
            Point::ExponentialHistogram(point) => (point.fields(), 1, 10),
            Point::Summary(point) => (point.fields(), 7, 8),
        };
        let is_number = matches!(point, Point::Number(_));
        let (mut span, mut flags, mut number, mut has_exemplars) = (Span { start: 0, time: 0 }, 0, None, false);
        for field in fields {
            match (field.number, field.value) {
                (2, FieldValue::Fixed64(start)) => span.start = start,
                (3, FieldValue::Fixed64(time)) => span.time = time,
                (4, FieldValue::Fixed64(bits)) if is_number => number = Some(Number::Double(f64::from_bits(bits))),
                (6, FieldValue::Fixed64(bits)) if is_number => number = Some(Number::Int(bits.cast_signed())),
                (5, FieldValue::Bytes(_)) if is_number => has_exemplars = true,
                (at, FieldValue::Varint(bits)) if at == flag => flags = bits as u32,
                (at, FieldValue::Bytes(attribute)) if at == attributes => making.bytes(attribute),
                _ => {}
            }
        }
        Reading { point, span, flags, number, has_exemplars, key: making.end() }
    }

    /// Whether it says that its series has ended.
    fn is_end(&self) -> bool {
        let is_stale = |number| matches!(number, Number::Double(value) if value.to_bits() == STALE_NAN);
        self.flags & NO_RECORDED_VALUE != 0 || self.number.is_some_and(is_stale)
    }
}

impl State {
    /// Takes the next data points of a metric. Returns how many there were.
    fn take_some<'p>(
        &mut self,
        table: &Table,
        stream: &Stream<'_>,
        points: &mut impl Iterator<Item = Point<'p>>,
        tally: &mut Tally,
    ) -> usize {
        let found = self.base(table, stream.context, stream.now).and_then(|base| {
            let family = self.family(table, stream, &base, tally)?;
            Ok((base, family))
        });
        let mut prefix = table.keys.begin(POINT);
        prefix.key(stream.key);
        let mut taken = 0;
        for point in points.take(GO) {
            taken += 1;
            let result = match &found {
                Ok((base, family)) => {
                    let reading = Reading::of(&point, prefix.clone());
                    self.take_point(table, stream, (base, *family), &reading, tally)
                }
                Err(refusal) => Err(*refusal),
            };
            if let Err(refusal) = result {
                tally.refused[refusal as usize] += 1;
            }
        }
        taken
    }

    fn take_point(
        &mut self,
        table: &Table,
        stream: &Stream<'_>,
        (base, family): (&Arc<Base>, u32),
        reading: &Reading<'_>,
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let known = self.by_bytes.get(&reading.key).copied();
        if known.is_some_and(Place::is_refused) {
            return Err(Refusal::NameConflict);
        }
        let place = match known.filter(|place| self.slab.holds(*place)) {
            Some(place) => place,
            None => match self.find_or_add(table, stream, (base, family), reading)? {
                Some(place) => place,
                None => return Ok(()),
            },
        };
        if reading.is_end() {
            self.remove(place.index);
            return Ok(());
        }
        self.update(table, stream, base, (place, reading), tally)
    }

    /// The series of a data point whose bytes are not known. `None` if it was added with the point's value, or if the
    /// point ends a series that is not there.
    fn find_or_add(
        &mut self,
        table: &Table,
        stream: &Stream<'_>,
        (base, family): (&Arc<Base>, u32),
        reading: &Reading<'_>,
    ) -> Result<Option<Place>, Refusal> {
        let labelled = base.label(&table.rules, reading.point.attributes(), stream.reserved());
        let labelled = labelled.map_err(|_| Refusal::Invalid)?;
        let mut making = table.keys.begin(SERIES);
        making.number(u64::from(family));
        for label in &labelled.all {
            making.bytes(label.name.as_bytes());
            making.bytes(label.value.as_bytes());
        }
        let key = making.end();
        if let Some(place) = self.by_labels.get(&key).copied().filter(|place| self.slab.holds(*place)) {
            let theirs = self.slab.get(place.index).is_some_and(|series| series.origin != stream.origin);
            self.remember(&table.rules, reading.key, if theirs { Place::refused() } else { place });
            return if theirs { Err(Refusal::NameConflict) } else { Ok(Some(place)) };
        }
        if reading.is_end() {
            return Ok(None);
        }
        if self.slab.len() >= table.rules.max_series {
            return Err(Refusal::Limit);
        }
        let bounds = self.families.get(&family).and_then(|family| family.bounds.clone());
        let (value, exemplars) = read(reading, stream.shape, bounds.as_ref())?;
        let series = Series {
            base: Arc::clone(base),
            own: labelled.own,
            value,
            exemplars,
            span: reading.span,
            seen: stream.now,
            born: 0,
            family,
            member: 0,
            origin: stream.origin,
            writer: base.id,
            writer_before: base.id,
            whole: labelled.whole,
            odd: labelled.odd,
        };
        if !self.has_room(&table.rules, size_of_series(&series) + 2 * KEY_SIZE) {
            return Err(Refusal::Limit);
        }
        self.keep_bounds(family, &series.value);
        let place = self.insert(series);
        self.by_labels.insert(key, place);
        self.remember(&table.rules, reading.key, place);
        Ok(None)
    }

    fn remember(&mut self, rules: &Rules, key: Key, place: Place) {
        if self.has_room_for_key(rules, &self.by_bytes) {
            self.by_bytes.insert(key, place);
        }
    }

    fn keep_bounds(&mut self, family: u32, value: &Value) {
        if let (Value::Histogram(histogram), Some(family)) = (value, self.families.get_mut(&family))
            && family.bounds.as_ref().is_none_or(|bounds| !Arc::ptr_eq(bounds, &histogram.bounds))
        {
            family.bounds = Some(Arc::clone(&histogram.bounds));
        }
    }

    fn update(
        &mut self,
        table: &Table,
        stream: &Stream<'_>,
        base: &Base,
        (place, reading): (Place, &Reading<'_>),
        tally: &mut Tally,
    ) -> Result<(), Refusal> {
        let bytes = self.bytes();
        let Some(series) = self.slab.get_mut(place.index) else { return Ok(()) };
        let temporality = stream.shape.temporality;
        let step = match stream.shape.kind {
            Kind::Histogram => Step::of_histogram(series.span, reading.span, temporality)?,
            Kind::Counter | Kind::Gauge | Kind::Summary => Step::of_sum(series.span, reading.span, temporality)?,
        };
        let before = size_of_series(series);
        let bounds = match &series.value {
            Value::Histogram(histogram) => Some(Arc::clone(&histogram.bounds)),
            _ => None,
        };
        let (mut value, exemplars) = read(reading, stream.shape, bounds.as_ref())?;
        let mut span = reading.span;
        if step == Step::Add {
            add(&mut value, &series.value);
            span.start = series.span.start;
        } else if stream.shape.kind == Kind::Counter
            && temporality == Temporality::Cumulative
            && is_less(&value, &series.value)
            && (span.start, base.id) == (series.span.start, series.writer)
        {
            let family = || format!("{} from {}", stream.metric.name(), base.source.name);
            tally.report(Conflict::Decrease, family, || (format!("{:?}", series.value), format!("{value:?}")));
        }
        let grown = value.size().saturating_sub(series.value.size());
        if grown > 0 && bytes.saturating_add(grown) > table.rules.max_bytes {
            return Err(Refusal::Limit);
        }
        (series.value, series.exemplars, series.span) = (value, exemplars, span);
        self.own_bytes = (self.own_bytes + size_of_series(series)).saturating_sub(before);
        series.seen = stream.now;
        if series.writer != base.id {
            let in_turns = series.writer_before == base.id;
            let other = std::mem::replace(&mut series.writer, base.id);
            series.writer_before = other;
            if in_turns {
                let family = || stream.metric.name().to_owned();
                tally.report(Conflict::Duplicate, family, || (self.writer(other), base.source.name.clone()));
            }
        }
        Ok(())
    }
}

impl Tally {
    /// Counts a conflict. The texts are made once for a metric: there may be very many of its data points.
    fn report(&mut self, conflict: Conflict, family: impl Fn() -> String, said: impl Fn() -> (String, String)) {
        if let Some(report) = self.reports.iter_mut().find(|report| report.conflict == conflict) {
            report.times += 1;
            return;
        }
        let (existing, new) = said();
        self.reports.push(Report { conflict, family: family(), existing, new, times: 1 });
    }
}

/// The value and the exemplars of a data point.
fn read(reading: &Reading<'_>, shape: Shape, bounds: Option<&Arc<[f64]>>) -> Result<(Value, Exemplars), Refusal> {
    Ok(match reading.point {
        Point::Number(point) => {
            let shown = reading.has_exemplars && shape.kind == Kind::Counter;
            let exemplars = shown.then(|| Exemplar::of_counter(point)).flatten();
            (Value::Number(reading.number.unwrap_or(Number::Double(0.0))), exemplars)
        }
        Point::Histogram(point) => {
            let exemplars = Exemplar::of_histogram(point.exemplars());
            (Value::Histogram(Arc::new(Histogram::read(point, bounds))), exemplars)
        }
        Point::ExponentialHistogram(point) => {
            let exemplars = Exemplar::of_histogram(point.exemplars());
            (Value::Exponential(Arc::new(Exponential::read(point)?)), exemplars)
        }
        Point::Summary(point) => (Value::Summary(Arc::new(Summary::read(point))), None),
    })
}

/// Adds what came before to a new value.
fn add(value: &mut Value, before: &Value) {
    match (value, before) {
        (Value::Number(value), Value::Number(before)) => *value = value::add(*value, *before),
        (Value::Histogram(value), Value::Histogram(before)) => Arc::make_mut(value).add(before),
        (Value::Exponential(value), Value::Exponential(before)) => Arc::make_mut(value).add(before),
        _ => {}
    }
}

fn is_less(value: &Value, before: &Value) -> bool {
    match (value, before) {
        (Value::Number(value), Value::Number(before)) => value::is_less(*value, *before),
        _ => false,
    }
}
