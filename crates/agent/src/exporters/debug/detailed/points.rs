//! Metrics in the format `detailed`.

use wire::schema::AGGREGATION_TEMPORALITY;
use wire::view::{
    Attributes, Data, Exemplar, ExponentialHistogramPoint, HistogramPoint, Metric, Number, NumberPoint, Point,
    SummaryPoint,
};

use super::super::text::{Fixed, id, name, time};
use super::Page;

impl Page<'_> {
    pub(super) fn metric(&mut self, index: usize, metric: Metric<'_>) {
        let data = metric.data();
        self.line(format_args!("Metric #{index}"));
        self.line("Descriptor:");
        self.line(format_args!("     -> Name: {}", metric.name()));
        self.line(format_args!("     -> Description: {}", metric.description()));
        self.line(format_args!("     -> Unit: {}", metric.unit()));
        self.line(format_args!("     -> DataType: {}", kind(&data)));
        self.attributes("     -> Metadata", metric.metadata());
        if let Data::Sum(sum) = data {
            self.line(format_args!("     -> IsMonotonic: {}", sum.is_monotonic()));
        }
        if let Some(number) = temporality(&data) {
            let name = name(&AGGREGATION_TEMPORALITY, number, "AGGREGATION_TEMPORALITY_");
            self.line(format_args!("     -> AggregationTemporality: {name}"));
        }
        for (index, point) in data.points().enumerate() {
            self.point(index, point);
        }
    }

    fn point(&mut self, index: usize, point: Point<'_>) {
        let word = match point {
            Point::Number(_) => "NumberDataPoints",
            Point::Histogram(_) => "HistogramDataPoints",
            Point::ExponentialHistogram(_) => "ExponentialHistogramDataPoints",
            Point::Summary(_) => "SummaryDataPoints",
        };
        self.line(format_args!("{word} #{index}"));
        self.attributes("Data point attributes", point.attributes());
        self.line(format_args!("StartTimestamp: {}", time(point.start_time_unix_nano())));
        self.line(format_args!("Timestamp: {}", time(point.time_unix_nano())));
        match point {
            Point::Number(point) => self.number(point),
            Point::Histogram(point) => self.histogram(point),
            Point::ExponentialHistogram(point) => self.exponential_histogram(point),
            Point::Summary(point) => self.summary(point),
        }
    }

    fn number(&mut self, point: NumberPoint<'_>) {
        self.value("Value", point.value());
        self.exemplars(point.exemplars());
    }

    fn value(&mut self, name: &str, value: Option<Number>) {
        match value {
            Some(Number::Int(value)) => self.line(format_args!("{name}: {value}")),
            Some(Number::Double(value)) => self.line(format_args!("{name}: {}", Fixed(value))),
            None => {}
        }
    }

    fn totals(&mut self, count: u64, sum: Option<f64>, min: Option<f64>, max: Option<f64>) {
        self.line(format_args!("Count: {count}"));
        for (name, value) in [("Sum", sum), ("Min", min), ("Max", max)] {
            self.value(name, value.map(Number::Double));
        }
    }

    fn histogram(&mut self, point: HistogramPoint<'_>) {
        self.totals(point.count(), point.sum(), point.min(), point.max());
        for (index, bound) in point.explicit_bounds().enumerate() {
            self.line(format_args!("ExplicitBounds #{index}: {}", Fixed(bound)));
        }
        for (index, count) in point.bucket_counts().enumerate() {
            self.line(format_args!("Buckets #{index}, Count: {count}"));
        }
        self.exemplars(point.exemplars());
    }

    fn exponential_histogram(&mut self, point: ExponentialHistogramPoint<'_>) {
        self.totals(point.count(), point.sum(), point.min(), point.max());
        let factor = std::f64::consts::LN_2 * (-f64::from(point.scale())).exp2();
        let bounds = |offset: i32, index: usize| {
            let index = f64::from(offset) + index as f64;
            ((index * factor).exp(), ((index + 1.0) * factor).exp())
        };
        let negative: Vec<u64> = point.negative().bucket_counts().collect();
        for (index, count) in negative.iter().enumerate().rev() {
            let (lower, upper) = bounds(point.negative().offset(), index);
            self.line(format_args!("Bucket [{}, {}), Count: {count}", Fixed(-upper), Fixed(-lower)));
        }
        if point.zero_count() != 0 {
            self.line(format_args!("Bucket [0, 0], Count: {}", point.zero_count()));
        }
        for (index, count) in point.positive().bucket_counts().enumerate() {
            let (lower, upper) = bounds(point.positive().offset(), index);
            self.line(format_args!("Bucket ({}, {}], Count: {count}", Fixed(lower), Fixed(upper)));
        }
        self.exemplars(point.exemplars());
    }

    fn summary(&mut self, point: SummaryPoint<'_>) {
        self.line(format_args!("Count: {}", point.count()));
        self.line(format_args!("Sum: {}", Fixed(point.sum())));
        for (index, quantile) in point.quantiles().enumerate() {
            let (quantile, value) = (Fixed(quantile.quantile()), Fixed(quantile.value()));
            self.line(format_args!("QuantileValue #{index}: Quantile {quantile}, Value {value}"));
        }
    }

    fn exemplars<'a>(&mut self, exemplars: impl Iterator<Item = Exemplar<'a>>) {
        for (index, exemplar) in exemplars.enumerate() {
            if index == 0 {
                self.line("Exemplars:");
            }
            self.line(format_args!("Exemplar #{index}"));
            self.line(format_args!("     -> Trace ID: {}", id(exemplar.trace_id())));
            self.line(format_args!("     -> Span ID: {}", id(exemplar.span_id())));
            self.line(format_args!("     -> Timestamp: {}", time(exemplar.time_unix_nano())));
            self.value("     -> Value", exemplar.value());
            let attributes: Attributes<'_> = exemplar.filtered_attributes();
            self.attributes("     -> FilteredAttributes", attributes);
        }
    }
}

fn kind(data: &Data<'_>) -> &'static str {
    match data {
        Data::None => "Empty",
        Data::Gauge(_) => "Gauge",
        Data::Sum(_) => "Sum",
        Data::Histogram(_) => "Histogram",
        Data::ExponentialHistogram(_) => "ExponentialHistogram",
        Data::Summary(_) => "Summary",
    }
}

fn temporality(data: &Data<'_>) -> Option<i32> {
    match data {
        Data::Sum(data) => Some(data.aggregation_temporality()),
        Data::Histogram(data) => Some(data.aggregation_temporality()),
        Data::ExponentialHistogram(data) => Some(data.aggregation_temporality()),
        _ => None,
    }
}
