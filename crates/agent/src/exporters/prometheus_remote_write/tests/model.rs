//! Random metrics against a plain model, in both messages and with requests of any size.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

/// A series in the model: name and labels as a text, and what it says at which time.
type Model = BTreeMap<String, Vec<(i64, String)>>;

fn pairs() -> impl Strategy<Value = Vec<KeyValue>> {
    btree_map("[a-d]", "[a-c]{1,3}", 0..3).prop_map(|pairs| {
        let pairs: Vec<(&str, &str)> = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        attributes(&pairs)
    })
}

fn number() -> impl Strategy<Value = NumberDataPoint> {
    (pairs(), 1..5_u64, prop_oneof![any::<i32>().prop_map(f64::from), Just(f64::INFINITY), Just(-0.25)])
        .prop_map(|(attributes, time, value)| NumberDataPoint { attributes, ..point(&[], time, value) })
}

fn histogram() -> impl Strategy<Value = HistogramDataPoint> {
    (pairs(), 1..5_u64, vec(0..9_u64, 3), any::<bool>()).prop_map(|(attributes, time, counts, has_sum)| {
        HistogramDataPoint {
            attributes,
            time_unix_nano: time * 1_000_000,
            count: counts.iter().sum(),
            sum: has_sum.then_some(1.5),
            explicit_bounds: vec![1.0, 2.5],
            bucket_counts: counts,
            ..HistogramDataPoint::default()
        }
    })
}

fn exponential() -> impl Strategy<Value = ExponentialHistogramDataPoint> {
    let buckets =
        || (-20..20_i32, vec(0..4_u64, 0..20)).prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts });
    (pairs(), 1..5_u64, -4..12_i32, buckets(), buckets()).prop_map(|(attributes, time, scale, positive, negative)| {
        ExponentialHistogramDataPoint {
            attributes,
            time_unix_nano: time * 1_000_000,
            scale,
            positive: Some(positive),
            negative: Some(negative),
            ..ExponentialHistogramDataPoint::default()
        }
    })
}

fn data() -> impl Strategy<Value = Data> {
    let temporality = || prop_oneof![4 => Just(CUMULATIVE), 1 => Just(DELTA)];
    prop_oneof![
        vec(number(), 0..6).prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (vec(number(), 0..6), temporality()).prop_map(|(points, temporality)| sum(temporality, points)),
        (vec(histogram(), 0..4), temporality()).prop_map(|(data_points, aggregation_temporality)| {
            Data::Histogram(Histogram { data_points, aggregation_temporality })
        }),
        vec(exponential(), 0..4).prop_map(|data_points| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: CUMULATIVE })
        }),
    ]
}

fn metrics() -> impl Strategy<Value = Vec<Metric>> {
    vec(("[m-p]{1,2}", data()), 0..8).prop_map(|all| {
        // One kind for a name, so that the model need not know what happens when they differ.
        let named: BTreeMap<String, Data> = all.into_iter().collect();
        named.into_iter().map(|(name, data)| metric(&format!("{name}{}", kind(&data)), "", data)).collect()
    })
}

fn kind(data: &Data) -> &'static str {
    match data {
        Data::Gauge(_) => "_g",
        Data::Sum(_) => "_c",
        Data::Histogram(_) => "_h",
        Data::ExponentialHistogram(_) => "_e",
        Data::Summary(_) => "_s",
    }
}

fn key(name: &str, attributes: &[KeyValue], more: &[(&str, &str)]) -> String {
    let text = |pair: &KeyValue| match &pair.value.as_ref().unwrap().value {
        Some(any_value::Value::StringValue(text)) => (pair.key.clone(), text.clone()),
        _ => unreachable!(),
    };
    let mut all: Vec<(String, String)> = attributes.iter().map(text).collect();
    all.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    all.sort();
    let all: Vec<String> = all.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!("{name}{{{}}}", all.join(","))
}

/// The buckets that are not empty, by the index of Prometheus, at a scale of at most 8.
fn buckets(buckets: &Buckets, scale: i32) -> BTreeMap<i32, u64> {
    let mut counts = BTreeMap::new();
    for (index, count) in (buckets.offset..).zip(&buckets.bucket_counts).filter(|(_, count)| **count > 0) {
        *counts.entry((index >> (scale - scale.min(8))) + 1).or_default() += count;
    }
    counts
}

fn unpacked(spans: &[messages::Span], deltas: &[i64]) -> BTreeMap<i32, u64> {
    let mut counts = BTreeMap::new();
    let (mut index, mut count, mut deltas) = (0, 0, deltas.iter());
    for span in spans {
        index += span.offset;
        for _ in 0..span.length {
            count += deltas.next().unwrap();
            if count > 0 {
                counts.insert(index, u64::try_from(count).unwrap());
            }
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None);
    counts
}

#[expect(clippy::cast_precision_loss, reason = "small numbers")]
fn expected(metrics: &[Metric]) -> (Model, usize) {
    let (mut model, mut dropped) = (Model::new(), 0);
    let mut put = |key: String, time: u64, text: String| {
        model.entry(key).or_default().push((i64::try_from(time / 1_000_000).unwrap(), text));
    };
    let numbers = |name: &str, points: &[NumberDataPoint], put: &mut dyn FnMut(String, u64, String)| {
        for point in points {
            let Some(number_data_point::Value::AsDouble(value)) = point.value else { unreachable!() };
            put(key(name, &point.attributes, &[]), point.time_unix_nano, value.to_string());
        }
    };
    for Metric { name, data, .. } in metrics {
        match data.as_ref().unwrap() {
            Data::Gauge(gauge) => numbers(name, &gauge.data_points, &mut put),
            Data::Sum(sum) if sum.aggregation_temporality == CUMULATIVE => {
                numbers(&format!("{name}_total"), &sum.data_points, &mut put);
            }
            Data::Sum(sum) => dropped += sum.data_points.len(),
            Data::Histogram(data) if data.aggregation_temporality != CUMULATIVE => dropped += data.data_points.len(),
            Data::Histogram(data) => {
                for point in &data.data_points {
                    let (of, time) = (&point.attributes, point.time_unix_nano);
                    if let Some(sum) = point.sum {
                        put(key(&format!("{name}_sum"), of, &[]), time, sum.to_string());
                    }
                    put(key(&format!("{name}_count"), of, &[]), time, (point.count as f64).to_string());
                    let mut total = 0;
                    for (le, count) in ["1", "2.5", "+Inf"].iter().zip(&point.bucket_counts) {
                        total += count;
                        put(key(&format!("{name}_bucket"), of, &[("le", le)]), time, (total as f64).to_string());
                    }
                }
            }
            Data::ExponentialHistogram(data) => {
                for point in &data.data_points {
                    let of = |side: &Option<Buckets>| buckets(side.as_ref().unwrap(), point.scale);
                    let text = format!("{:?} {:?}", of(&point.positive), of(&point.negative));
                    put(key(name, &point.attributes, &[]), point.time_unix_nano, text);
                }
            }
            Data::Summary(_) => unreachable!(),
        }
    }
    (model, dropped)
}

proptest! {
    #[test]
    fn every_point_arrives_in_requests_that_are_not_too_large(
        metrics in metrics(), most in 300..4000_usize, second in any::<bool>()
    ) {
        let message = if second { "io.prometheus.write.v2.Request" } else { "prometheus.WriteRequest" };
        let more = format!("disable_scope_info: true\nmax_batch_size_bytes: {most}\nprotobuf_message: {message}");
        let (mut model, dropped) = expected(&metrics);
        let (requests, untranslated) = translate(&config(&more), &request(&[], metrics));
        prop_assert_eq!(untranslated.points(), dropped);
        for (request, size) in &requests {
            prop_assert!(*size <= most || request.timeseries.len() == 1, "{} of {most}", size);
        }
        let mut found = Model::new();
        for (key, series) in by_labels(requests) {
            let samples = series.samples.iter().map(|sample| (sample.timestamp, sample.value.to_string()));
            let text = |native: &messages::Histogram| {
                let positive = unpacked(&native.positive_spans, &native.positive_deltas);
                let negative = unpacked(&native.negative_spans, &native.negative_deltas);
                (native.timestamp, format!("{positive:?} {negative:?}"))
            };
            let mut all: Vec<_> = samples.chain(series.histograms.iter().map(text)).collect();
            all.sort();
            found.insert(key, all);
        }
        model.values_mut().for_each(|samples| samples.sort());
        prop_assert_eq!(found, model);
    }
}
