//! Random metrics, shown in each format and read back, are what a simple model says.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{Summary, SummaryDataPoint};
use proptest::prelude::*;

use super::parse::{Labels, Native, canonical};
use super::*;

/// Keys with the labels that they become.
const KEYS: [(&str, &str); 6] =
    [("a", "a"), ("http.method", "http_method"), ("größe", "gr_e"), ("2x", "key_2x"), ("_y", "key_y"), ("z:z", "z_z")];

type Pairs = BTreeMap<usize, String>;

/// A data point without its attributes.
#[derive(Debug, Clone)]
enum Said {
    Gauge(f64),
    Counter(f64),
    Histogram { bounds: Vec<f64>, counts: Vec<u64>, sum: f64 },
    Summary { quantiles: Vec<(u32, f64)>, count: u64, sum: f64 },
    Exponential { scale: i32, offset: i32, counts: Vec<u64>, negative: Vec<u64>, zero: u64, sum: f64 },
}

/// What is expected to be shown.
#[derive(Debug, Default, PartialEq)]
struct Model {
    samples: BTreeMap<(String, Labels), u64>,
    natives: BTreeMap<(String, Labels), Native>,
    kinds: BTreeMap<String, String>,
}

fn value() -> impl Strategy<Value = f64> {
    prop_oneof![
        8 => proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL,
        4 => (-2_000_000_i32..2_000_000).prop_map(f64::from),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(f64::NEG_INFINITY),
    ]
}

fn finite() -> impl Strategy<Value = f64> {
    (-1_000_000_i32..1_000_000).prop_map(|value| f64::from(value) / 8.0)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}", "[\\\\\"\n{}=, a]{1,8}", "\\PC{1,6}"]
}

fn said() -> impl Strategy<Value = Said> {
    let counts = || proptest::collection::vec(0_u64..1000, 0..6);
    let histogram = (proptest::collection::btree_set(-500_i32..500, 0..6), finite()).prop_flat_map(|(bounds, sum)| {
        let bounds: Vec<f64> = bounds.into_iter().map(|bound| f64::from(bound) / 4.0).collect();
        let buckets = bounds.len() + 1;
        let counts = proptest::collection::vec(0_u64..1_000_000, buckets);
        counts.prop_map(move |counts| Said::Histogram { bounds: bounds.clone(), counts, sum })
    });
    let quantiles = proptest::collection::btree_map(0_u32..=100, value(), 0..5);
    let exponential = (-4_i32..=8, -40_i32..40, counts(), counts(), 0_u64..9, finite());
    prop_oneof![
        4 => value().prop_map(Said::Gauge),
        4 => value().prop_map(Said::Counter),
        2 => histogram,
        1 => (quantiles, 0_u64..1 << 50, finite())
            .prop_map(|(quantiles, count, sum)| Said::Summary { quantiles: quantiles.into_iter().collect(), count, sum }),
        2 => exponential.prop_map(|(scale, offset, counts, negative, zero, sum)| {
            Said::Exponential { scale, offset, counts, negative, zero, sum }
        }),
    ]
}

fn points() -> impl Strategy<Value = Vec<(usize, Pairs, Said)>> {
    let pairs = proptest::collection::btree_map(0..KEYS.len(), text(), 0..4);
    proptest::collection::vec((0_usize..4, pairs, said()), 0..30)
}

impl Said {
    /// The name of the metric with this number, in OTLP and in Prometheus: each kind has its own.
    fn names(&self, number: usize) -> (String, String) {
        match self {
            Said::Gauge(_) => (format!("gäuge.{number}"), format!("g_uge_{number}")),
            Said::Counter(_) => (format!("counter/{number}"), format!("counter_{number}_total")),
            Said::Histogram { .. } => (format!("hist.{number}.x"), format!("hist_{number}_x")),
            Said::Summary { .. } => (format!("s{number}"), format!("s{number}")),
            Said::Exponential { .. } => (format!("exp..{number}"), format!("exp_{number}")),
        }
    }

    fn metric(&self, number: usize, pairs: &Pairs) -> Metric {
        let attributes: Vec<_> = pairs.iter().map(|(key, value)| (KEYS[*key].0, value.as_str())).collect();
        let (name, _) = self.names(number);
        match self {
            Said::Gauge(value) => gauge(&name, vec![point(&attributes, 1, *value)]),
            Said::Counter(value) => sum(&name, CUMULATIVE, true, vec![point(&attributes, 1, *value)]),
            Said::Histogram { bounds, counts, sum } => {
                let point = HistogramDataPoint {
                    attributes: super::attributes(&attributes),
                    count: counts.iter().sum(),
                    sum: Some(*sum),
                    bucket_counts: counts.clone(),
                    explicit_bounds: bounds.clone(),
                    ..HistogramDataPoint::default()
                };
                histogram(&name, CUMULATIVE, vec![point])
            }
            Said::Summary { quantiles, count, sum } => {
                let quantile = |(percent, value): &(u32, f64)| ValueAtQuantile {
                    quantile: f64::from(*percent) / 100.0,
                    value: *value,
                };
                let point = SummaryDataPoint {
                    attributes: super::attributes(&attributes),
                    count: *count,
                    sum: *sum,
                    quantile_values: quantiles.iter().map(quantile).collect(),
                    ..SummaryDataPoint::default()
                };
                metric(&name, Data::Summary(Summary { data_points: vec![point] }))
            }
            Said::Exponential { scale, offset, counts, negative, zero, sum } => {
                let run = |counts: &[u64]| Some(Buckets { offset: *offset, bucket_counts: counts.to_vec() });
                let point = ExponentialHistogramDataPoint {
                    attributes: super::attributes(&attributes),
                    count: counts.iter().chain(negative).sum::<u64>() + zero,
                    sum: Some(*sum),
                    scale: *scale,
                    zero_count: *zero,
                    positive: run(counts),
                    negative: run(negative),
                    ..ExponentialHistogramDataPoint::default()
                };
                exponential(&name, CUMULATIVE, vec![point])
            }
        }
    }

    fn expect(&self, model: &mut Model, number: usize, pairs: &Pairs) {
        let mut labels: Labels = pairs.iter().map(|(key, value)| (KEYS[*key].1.to_owned(), value.clone())).collect();
        labels.insert("job".to_owned(), "shop".to_owned());
        labels.insert("otel_scope_name".to_owned(), "meter".to_owned());
        let (_, name) = self.names(number);
        // What the series said before is gone with all its buckets.
        let is_same = |key: &(String, Labels)| {
            let mut known = key.1.clone();
            known.remove("le");
            known.remove("quantile");
            let base =
                [&name, &format!("{name}_sum"), &format!("{name}_count"), &format!("{name}_bucket")].contains(&&key.0);
            base && known == labels
        };
        model.samples.retain(|key, _| !is_same(key));
        let mut put = |suffix: &str, extra: Option<(&str, f64)>, value: f64| {
            let mut labels = labels.clone();
            labels.extend(extra.map(|(label, bound)| (label.to_owned(), canonical(bound))));
            model.samples.insert((format!("{name}{suffix}"), labels), (value + 0.0).to_bits());
        };
        let kind = match self {
            Said::Gauge(value) => {
                put("", None, *value);
                "gauge"
            }
            Said::Counter(value) => {
                put("", None, *value);
                "counter"
            }
            Said::Histogram { bounds, counts, sum } => {
                for (at, bound) in bounds.iter().chain([&f64::INFINITY]).enumerate() {
                    put("_bucket", Some(("le", *bound)), counts[..=at].iter().sum::<u64>() as f64);
                }
                put("_sum", None, *sum);
                put("_count", None, counts.iter().sum::<u64>() as f64);
                "histogram"
            }
            Said::Summary { quantiles, count, sum } => {
                for (percent, value) in quantiles {
                    put("", Some(("quantile", f64::from(*percent) / 100.0)), *value);
                }
                put("_sum", None, *sum);
                put("_count", None, *count as f64);
                "summary"
            }
            Said::Exponential { scale, offset, counts, negative, zero, sum } => {
                let count = counts.iter().chain(negative).sum::<u64>() + zero;
                put("_bucket", Some(("le", f64::INFINITY)), count as f64);
                put("_sum", None, *sum);
                put("_count", None, count as f64);
                let side = |counts: &[u64]| {
                    let buckets = (i64::from(*offset) + 1..).zip(counts).filter(|(_, count)| **count > 0);
                    buckets.map(|(index, count)| (index, *count as i64)).collect()
                };
                let zero = (*zero, 1e-128_f64.to_bits());
                let native = Native { schema: *scale, zero, positive: side(counts), negative: side(negative) };
                model.natives.insert((name.clone(), labels.clone()), native);
                "histogram"
            }
        };
        model.kinds.insert(name, kind.to_owned());
    }
}

fn samples_of(parsed: parse::Parsed) -> BTreeMap<(String, Labels), u64> {
    let samples = parse::normal(parsed).samples;
    let samples = samples.into_iter().map(|(key, (bits, _))| {
        let value = f64::from_bits(bits);
        (key, (if value.is_nan() { f64::NAN } else { value + 0.0 }).to_bits())
    });
    samples.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn what_is_shown_is_what_was_sent(points in points(), split in 0_usize..30) {
        let table = table("");
        let mut expected = Model::default();
        let metrics: Vec<Metric> = points.iter().map(|(number, pairs, said)| said.metric(*number, pairs)).collect();
        let (first, second) = metrics.split_at(split.min(metrics.len()));
        for part in [first, second] {
            prop_assert_eq!(take(&table, &[("service.name", "shop")], part.to_vec()), 0);
        }
        points.iter().for_each(|(number, pairs, said)| said.expect(&mut expected, *number, pairs));
        for format in [TEXT, OPEN, Format::Protobuf] {
            let bytes = scrape_in(&table, format, Escaping::Underscores, false);
            let parsed = match format {
                Format::Protobuf => parse::protobuf(&bytes),
                _ => parse::text(std::str::from_utf8(&bytes).unwrap()),
            };
            let kinds = parsed.kinds.clone();
            if format == OPEN {
                prop_assert!(bytes.ends_with(b"# EOF\n"));
                let total = |(name, kind): (String, String)| {
                    (if kind == "counter" { format!("{name}_total") } else { name }, kind)
                };
                prop_assert_eq!(kinds.into_iter().map(total).collect::<BTreeMap<_, _>>(), expected.kinds.clone());
            } else {
                prop_assert_eq!(&kinds, &expected.kinds);
            }
            if format == Format::Protobuf {
                prop_assert_eq!(&parsed.natives, &expected.natives);
            }
            prop_assert_eq!(&samples_of(parsed), &expected.samples);
        }
    }
}
