//! Metrics, down to the data point.

use super::Attributes;
use super::common::last_member;
use super::part::{Part, view};

view! {
    /// A metric: a name and its data points.
    Metric {
        /// Its name.
        name: text 1;
        /// What it means.
        description: text 2;
        /// Unit of its values, in UCUM.
        unit: text 3;
        /// What is known about the metric as a whole.
        metadata: attributes 12;
    }
}

/// The data of a metric, by kind.
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    /// No data, or a kind that we do not know.
    None,
    /// The value of something now.
    Gauge(Gauge<'a>),
    /// A sum over time.
    Sum(Sum<'a>),
    /// A distribution over buckets with given bounds.
    Histogram(Histogram<'a>),
    /// A distribution over exponential buckets.
    ExponentialHistogram(ExponentialHistogram<'a>),
    /// A distribution as quantiles.
    Summary(Summary<'a>),
}

/// A data point of any kind.
#[derive(Debug, Clone, Copy)]
pub enum Point<'a> {
    /// Of a gauge or a sum.
    Number(NumberPoint<'a>),
    /// Of a histogram.
    Histogram(HistogramPoint<'a>),
    /// Of an exponential histogram.
    ExponentialHistogram(ExponentialHistogramPoint<'a>),
    /// Of a summary.
    Summary(SummaryPoint<'a>),
}

impl<'a> Metric<'a> {
    /// The data.
    #[must_use]
    pub fn data(&self) -> Data<'a> {
        let content = self.0.slice();
        let Some((from, number)) = last_member(content, |number| matches!(number, 5 | 7 | 9 | 10 | 11)) else {
            return Data::None;
        };
        let part = Part::within(content.get(from..).unwrap_or_default(), number);
        match number {
            5 => Data::Gauge(Gauge(part)),
            7 => Data::Sum(Sum(part)),
            9 => Data::Histogram(Histogram(part)),
            10 => Data::ExponentialHistogram(ExponentialHistogram(part)),
            _ => Data::Summary(Summary(part)),
        }
    }
}

impl<'a> Data<'a> {
    /// The data points, whatever their kind.
    pub fn points(&self) -> impl Iterator<Item = Point<'a>> + Clone + use<'a> {
        let (part, wrap): (Part<'a>, fn(&'a [u8]) -> Point<'a>) = match self {
            Data::None => (Part::whole(&[]), |content| Point::Number(NumberPoint::new(content))),
            Data::Gauge(gauge) => (gauge.0, |content| Point::Number(NumberPoint::new(content))),
            Data::Sum(sum) => (sum.0, |content| Point::Number(NumberPoint::new(content))),
            Data::Histogram(data) => (data.0, |content| Point::Histogram(HistogramPoint::new(content))),
            Data::ExponentialHistogram(data) => {
                (data.0, |content| Point::ExponentialHistogram(ExponentialHistogramPoint::new(content)))
            }
            Data::Summary(data) => (data.0, |content| Point::Summary(SummaryPoint::new(content))),
        };
        part.messages(1).map(wrap)
    }
}

impl<'a> Point<'a> {
    /// Its attributes.
    #[must_use]
    pub fn attributes(&self) -> Attributes<'a> {
        match self {
            Point::Number(point) => point.attributes(),
            Point::Histogram(point) => point.attributes(),
            Point::ExponentialHistogram(point) => point.attributes(),
            Point::Summary(point) => point.attributes(),
        }
    }

    /// Start of what it covers, in nanoseconds since 1970; 0 if unknown.
    #[must_use]
    pub fn start_time_unix_nano(&self) -> u64 {
        match self {
            Point::Number(point) => point.start_time_unix_nano(),
            Point::Histogram(point) => point.start_time_unix_nano(),
            Point::ExponentialHistogram(point) => point.start_time_unix_nano(),
            Point::Summary(point) => point.start_time_unix_nano(),
        }
    }

    /// When it was taken, in nanoseconds since 1970.
    #[must_use]
    pub fn time_unix_nano(&self) -> u64 {
        match self {
            Point::Number(point) => point.time_unix_nano(),
            Point::Histogram(point) => point.time_unix_nano(),
            Point::ExponentialHistogram(point) => point.time_unix_nano(),
            Point::Summary(point) => point.time_unix_nano(),
        }
    }

    /// `DataPointFlags`; bit 0 says that there is no value.
    #[must_use]
    pub fn flags(&self) -> u32 {
        match self {
            Point::Number(point) => point.flags(),
            Point::Histogram(point) => point.flags(),
            Point::ExponentialHistogram(point) => point.flags(),
            Point::Summary(point) => point.flags(),
        }
    }
}

view! {
    /// The value of something now.
    Gauge {
        /// Its data points.
        points: list 1 as NumberPoint<'a>;
    }
}

view! {
    /// A sum over time.
    Sum {
        /// Its data points.
        points: list 1 as NumberPoint<'a>;
        /// `AggregationTemporality`: 1 delta, 2 cumulative.
        aggregation_temporality: varint 2 as i32;
        /// Whether it can only grow.
        is_monotonic: truth 3;
    }
}

view! {
    /// A distribution over buckets with given bounds.
    Histogram {
        /// Its data points.
        points: list 1 as HistogramPoint<'a>;
        /// `AggregationTemporality`: 1 delta, 2 cumulative.
        aggregation_temporality: varint 2 as i32;
    }
}

view! {
    /// A distribution over exponential buckets.
    ExponentialHistogram {
        /// Its data points.
        points: list 1 as ExponentialHistogramPoint<'a>;
        /// `AggregationTemporality`: 1 delta, 2 cumulative.
        aggregation_temporality: varint 2 as i32;
    }
}

view! {
    /// A distribution as quantiles.
    Summary {
        /// Its data points.
        points: list 1 as SummaryPoint<'a>;
    }
}

/// The value of a number point or an exemplar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Double(f64),
}

fn number(part: &Part<'_>, double: u32, int: u32) -> Option<Number> {
    let last = part.fields().filter(|field| field.number == double || field.number == int).last()?;
    let bits = last.fixed64()?;
    Some(if last.number == int { Number::Int(bits.cast_signed()) } else { Number::Double(f64::from_bits(bits)) })
}

view! {
    /// A data point of a gauge or a sum.
    NumberPoint {
        /// Start of what it covers, in nanoseconds since 1970; 0 if unknown.
        start_time_unix_nano: fixed64 2;
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: fixed64 3;
        /// Single measurements that went into it.
        exemplars: list 5 as Exemplar<'a>;
        /// Its attributes.
        attributes: attributes 7;
        /// `DataPointFlags`; bit 0 says that there is no value.
        flags: varint 8 as u32;
    }
}

impl NumberPoint<'_> {
    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<Number> {
        number(&self.0, 4, 6)
    }
}

view! {
    /// A data point of a histogram.
    HistogramPoint {
        /// Start of what it covers, in nanoseconds since 1970; 0 if unknown.
        start_time_unix_nano: fixed64 2;
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: fixed64 3;
        /// How many values were recorded.
        count: fixed64 4;
        /// Their sum.
        sum: optional_double 5;
        /// How many values fell into each bucket; one more than bounds, or none.
        bucket_counts: fixed64s 6;
        /// Upper bounds of the buckets but the last.
        explicit_bounds: doubles 7;
        /// Single measurements that went into it.
        exemplars: list 8 as Exemplar<'a>;
        /// Its attributes.
        attributes: attributes 9;
        /// `DataPointFlags`; bit 0 says that there is no value.
        flags: varint 10 as u32;
        /// The smallest value.
        min: optional_double 11;
        /// The largest value.
        max: optional_double 12;
    }
}

view! {
    /// A data point of an exponential histogram.
    ExponentialHistogramPoint {
        /// Its attributes.
        attributes: attributes 1;
        /// Start of what it covers, in nanoseconds since 1970; 0 if unknown.
        start_time_unix_nano: fixed64 2;
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: fixed64 3;
        /// How many values were recorded.
        count: fixed64 4;
        /// Their sum.
        sum: optional_double 5;
        /// The base of the buckets is 2^(2^-scale).
        scale: zigzag 6;
        /// How many values were so small that they count as zero.
        zero_count: fixed64 7;
        /// `DataPointFlags`; bit 0 says that there is no value.
        flags: varint 10 as u32;
        /// Single measurements that went into it.
        exemplars: list 11 as Exemplar<'a>;
        /// The smallest value.
        min: optional_double 12;
        /// The largest value.
        max: optional_double 13;
        /// Values up to this far from zero count as zero.
        zero_threshold: double 14;
    }
}

impl<'a> ExponentialHistogramPoint<'a> {
    /// Buckets of the values above zero.
    #[must_use]
    pub fn positive(&self) -> Buckets<'a> {
        Buckets(self.0.nested(8))
    }

    /// Buckets of the values below zero.
    #[must_use]
    pub fn negative(&self) -> Buckets<'a> {
        Buckets(self.0.nested(9))
    }
}

view! {
    /// A run of exponential buckets.
    Buckets {
        /// Index of the first bucket.
        offset: zigzag 1;
        /// How many values fell into each.
        bucket_counts: varints 2;
    }
}

view! {
    /// A data point of a summary.
    SummaryPoint {
        /// Start of what it covers, in nanoseconds since 1970; 0 if unknown.
        start_time_unix_nano: fixed64 2;
        /// When it was taken, in nanoseconds since 1970.
        time_unix_nano: fixed64 3;
        /// How many values were recorded.
        count: fixed64 4;
        /// Their sum.
        sum: double 5;
        /// The quantiles.
        quantiles: list 6 as Quantile<'a>;
        /// Its attributes.
        attributes: attributes 7;
        /// `DataPointFlags`; bit 0 says that there is no value.
        flags: varint 8 as u32;
    }
}

view! {
    /// A quantile of a summary.
    Quantile {
        /// Which, from 0 to 1.
        quantile: double 1;
        /// Its value.
        value: double 2;
    }
}

view! {
    /// A single measurement, with the trace that it was taken in.
    Exemplar {
        /// When, in nanoseconds since 1970.
        time_unix_nano: fixed64 2;
        /// 8 bytes, or none.
        span_id: bytes 4;
        /// 16 bytes, or none.
        trace_id: bytes 5;
        /// Attributes that the data point does not have.
        filtered_attributes: attributes 7;
    }
}

impl Exemplar<'_> {
    /// The value, if there is one.
    #[must_use]
    pub fn value(&self) -> Option<Number> {
        number(&self.0, 3, 6)
    }
}
