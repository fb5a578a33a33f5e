//! What each kind of metric becomes.

use opentelemetry_proto::tonic::metrics::v1::{Exemplar, exemplar};

use super::*;
use crate::exporters::series::points::STALE_NAN;

#[test]
fn a_counter_has_its_suffix_its_identity_and_its_scope() {
    let points = vec![point(&[("endpoint", "/items")], 1000, 42.0)];
    let resource = [("service.name", "shop"), ("service.instance.id", "7"), ("k8s.pod.name", "cart-1")];
    let request = request(&resource, vec![metric("fastapi.custom.requests", "", sum(CUMULATIVE, points))]);
    assert_eq!(
        lines(&config(""), &request),
        [
            r#"fastapi_custom_requests_total{endpoint="/items",instance="7",job="shop",otel_scope_name="meter"} 42 @1000"#,
            r#"target_info{instance="7",job="shop",k8s_pod_name="cart-1"} 1 @1000"#,
        ]
    );
    let more = "{target_info: {enabled: false}, disable_scope_info: true, namespace: my, add_metric_suffixes: false}";
    let plain: Config = read_text(&more.replace('{', "{endpoint: 'http://h/', ").replacen(
        "{endpoint: 'http://h/', enabled",
        "{enabled",
        1,
    ))
    .unwrap();
    let expected = r#"my_fastapi_custom_requests{endpoint="/items",instance="7",job="shop"} 42 @1000"#;
    assert_eq!(lines(&plain, &request), [expected]);
}

#[test]
fn resource_attributes_and_external_labels_are_added_where_they_are_asked_for() {
    let points = vec![point(&[("zone", "mine")], 1000, 1.0)];
    let request =
        request(&[("k8s.pod.name", "cart-1")], vec![metric("g", "", Data::Gauge(Gauge { data_points: points }))]);
    let check = |more: &str, expected: &str| {
        let config = config(&format!("disable_scope_info: true\n{more}"));
        assert_eq!(lines(&config, &request), [expected], "{more}");
    };
    check("", r#"g{zone="mine"} 1 @1000"#);
    check("resource_to_telemetry_conversion: {enabled: true}", r#"g{k8s_pod_name="cart-1",zone="mine"} 1 @1000"#);
    check("resource_constant_labels: {included: ['k8s.*']}", r#"g{k8s_pod_name="cart-1",zone="mine"} 1 @1000"#);
    check("external_labels: {cluster.name: c1, zone: theirs}", r#"g{cluster_name="c1",zone="mine"} 1 @1000"#);
    let utf8 = "translation_strategy: NoTranslation\nprotobuf_message: io.prometheus.write.v2.Request\n\
                resource_to_telemetry_conversion: {enabled: true}";
    check(utf8, r#"g{k8s.pod.name="cart-1",zone="mine"} 1 @1000"#);
}

#[test]
fn a_histogram_is_cumulative_buckets_with_count_and_sum() {
    let point = HistogramDataPoint {
        time_unix_nano: 5_000_000,
        count: 6,
        sum: Some(12.5),
        explicit_bounds: vec![0.5, 10.0, 1e21],
        bucket_counts: vec![1, 2, 0, 3],
        attributes: attributes(&[("le", "mine")]),
        ..HistogramDataPoint::default()
    };
    let data = Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: CUMULATIVE });
    let config = config("disable_scope_info: true");
    assert_eq!(
        lines(&config, &request(&[], vec![metric("h", "s", data)])),
        [
            r#"h_seconds_bucket{exported_le="mine",le="+Inf"} 6 @5"#,
            r#"h_seconds_bucket{exported_le="mine",le="0.5"} 1 @5"#,
            r#"h_seconds_bucket{exported_le="mine",le="10"} 3 @5"#,
            r#"h_seconds_bucket{exported_le="mine",le="1000000000000000000000"} 3 @5"#,
            r#"h_seconds_count{exported_le="mine"} 6 @5"#,
            r#"h_seconds_sum{exported_le="mine"} 12.5 @5"#,
        ]
    );
}

#[test]
fn a_summary_is_quantiles_with_count_and_sum() {
    let quantile = |quantile, value| ValueAtQuantile { quantile, value };
    let point = SummaryDataPoint {
        time_unix_nano: 5_000_000,
        count: 2,
        sum: 3.0,
        quantile_values: vec![quantile(0.5, 1.0), quantile(0.99, 2.0)],
        ..SummaryDataPoint::default()
    };
    let request = request(&[], vec![metric("s", "", Data::Summary(Summary { data_points: vec![point] }))]);
    let expected = ["s_count{} 2 @5", "s_sum{} 3 @5", "s{quantile=\"0.5\"} 1 @5", "s{quantile=\"0.99\"} 2 @5"];
    assert_eq!(lines(&config("disable_scope_info: true"), &request), expected);
}

#[test]
fn the_end_of_a_series_is_told_with_the_nan_of_prometheus() {
    let ended = NumberDataPoint { flags: 1, ..point(&[], 1000, 3.0) };
    let request = request(&[], vec![metric("g", "", Data::Gauge(Gauge { data_points: vec![ended] }))]);
    let series = by_labels(translate(&config("disable_scope_info: true"), &request).0);
    assert_eq!(series["g{}"].samples[0].value.to_bits(), STALE_NAN);
}

#[test]
fn an_exponential_histogram_is_a_native_one() {
    let check = |scale: i32, offset: i32, counts: &[u64], schema: i32, spans: &[(i32, u32)], deltas: &[i64]| {
        let point = ExponentialHistogramDataPoint {
            time_unix_nano: 5_000_000,
            scale,
            count: counts.iter().sum::<u64>() + 1,
            zero_count: 1,
            sum: Some(7.0),
            positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
            ..ExponentialHistogramDataPoint::default()
        };
        let data = ExponentialHistogram { data_points: vec![point], aggregation_temporality: CUMULATIVE };
        let request = request(&[], vec![metric("e", "", Data::ExponentialHistogram(data))]);
        let series = by_labels(translate(&config("disable_scope_info: true"), &request).0);
        let native = &series["e{}"].histograms[0];
        let found: Vec<_> = native.positive_spans.iter().map(|span| (span.offset, span.length)).collect();
        assert_eq!((native.schema, found.as_slice(), native.positive_deltas.as_slice()), (schema, spans, deltas));
        assert_eq!((native.timestamp, native.zero_count_int, native.sum), (5, 1, 7.0));
        assert!(native.zero_threshold > 0.0);
    };
    check(0, 0, &[3, 5], 0, &[(1, 2)], &[3, 2]);
    check(0, -3, &[1, 0, 0, 4], 0, &[(-2, 4)], &[1, -1, 0, 4]);
    check(0, 2, &[1, 0, 0, 0, 4], 0, &[(3, 1), (3, 1)], &[1, 3]);
    check(0, 2, &[0, 0, 0, 0], 0, &[], &[]);
    // Two buckets of scale 9 are one of scale 8; an odd start belongs to the bucket before.
    check(9, -1, &[1, 2, 3, 4], 8, &[(0, 3)], &[1, 4, -1]);
    check(20, 0, &[1; 4096], 8, &[(1, 1)], &[4096]);
}

#[test]
fn exemplars_go_to_counters_and_to_the_bucket_that_holds_them() {
    let exemplar = |value| Exemplar {
        time_unix_nano: 4_000_000,
        value: Some(exemplar::Value::AsDouble(value)),
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        filtered_attributes: attributes(&[("user", "x")]),
    };
    let point = HistogramDataPoint {
        explicit_bounds: vec![1.0, 2.0],
        bucket_counts: vec![1, 1, 1],
        exemplars: vec![exemplar(1.0), exemplar(1.5), exemplar(9.0)],
        ..HistogramDataPoint::default()
    };
    let histogram = Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: CUMULATIVE });
    let counted = NumberDataPoint { exemplars: vec![exemplar(1.0)], ..super::point(&[], 1000, 3.0) };
    let gauge = Data::Gauge(Gauge { data_points: vec![counted.clone()] });
    let metrics =
        vec![metric("h", "", histogram), metric("c", "", sum(CUMULATIVE, vec![counted])), metric("g", "", gauge)];
    let series = by_labels(translate(&config("disable_scope_info: true"), &request(&[], metrics)).0);
    let found = |key: &str| series[key].exemplars.iter().map(|exemplar| exemplar.value).collect::<Vec<_>>();
    assert_eq!(found("h_bucket{le=\"1\"}"), [1.0]);
    assert_eq!(found("h_bucket{le=\"2\"}"), [1.5]);
    assert_eq!(found("h_bucket{le=\"+Inf\"}"), [9.0]);
    assert_eq!(found("c_total{}"), [1.0]);
    assert!(found("g{}").is_empty() && found("h_count{}").is_empty());
    let labels = &series["c_total{}"].exemplars[0].labels;
    let names: Vec<_> = labels.iter().map(|label| (label.name.as_str(), label.value.len())).collect();
    assert_eq!(names, [("trace_id", 32), ("span_id", 16), ("user", 1)]);
}

#[test]
fn what_has_no_form_in_prometheus_is_counted_and_the_rest_goes_on() {
    let points = || vec![point(&[], 1000, 1.0), point(&[("a", "b")], 1000, 1.0)];
    let coarse = ExponentialHistogramDataPoint { scale: -5, ..ExponentialHistogramDataPoint::default() };
    let coarse = ExponentialHistogram { data_points: vec![coarse], aggregation_temporality: CUMULATIVE };
    let metrics = vec![
        metric("delta", "", sum(DELTA, points())),
        metric("unspecified", "", sum(0, points())),
        metric("coarse", "", Data::ExponentialHistogram(coarse)),
        metric("...", "", Data::Gauge(Gauge { data_points: points() })),
        metric("good", "", sum(CUMULATIVE, points())),
    ];
    let (requests, untranslated) = translate(&config("disable_scope_info: true"), &request(&[], metrics));
    assert_eq!(by_labels(requests).into_keys().collect::<Vec<_>>(), ["good_total{a=\"b\"}", "good_total{}"]);
    assert_eq!((untranslated.temporality, untranslated.other, untranslated.points()), (4, 3, 7));
    assert!(untranslated.why.contains("..."), "{}", untranslated.why);
}

#[test]
fn samples_of_a_series_are_in_the_order_of_their_times() {
    let points = vec![point(&[], 3000, 3.0), point(&[], 1000, 1.0), point(&[], 2000, 2.0)];
    let request = request(&[], vec![metric("c", "", sum(CUMULATIVE, points))]);
    let expected = ["c_total{} 1 @1000", "c_total{} 2 @2000", "c_total{} 3 @3000"];
    assert_eq!(lines(&config("disable_scope_info: true"), &request), expected);
}

#[test]
fn metadata_are_sent_when_asked_for_and_always_in_2_0() {
    let mut described = metric("io", "By/s", sum(CUMULATIVE, vec![point(&[], 1000, 1.0)]));
    described.description = "Bytes.".to_owned();
    let request = request(&[], vec![described]);
    let metadata = |more: &str| translate(&config(more), &request).0[0].0.metadata.clone();
    assert!(metadata("").is_empty());
    let expected = messages::MetricMetadata {
        kind: 1,
        family: "io_bytes_per_second_total".to_owned(),
        help: "Bytes.".to_owned(),
        unit: "bytes_per_second".to_owned(),
    };
    assert_eq!(metadata("send_metadata: true"), std::slice::from_ref(&expected));
    let config = config("protobuf_message: io.prometheus.write.v2.Request");
    let mut bodies = Vec::new();
    let mut requests = Requests::new(Message::V2, 1000, false, |body: Vec<u8>| bodies.push(body));
    let _all = config.translator().unwrap().translate(&request.encode_to_vec(), &mut requests);
    requests.finish();
    let (_, metadata) = Request2::decode(&*bodies[0]).unwrap().resolved();
    assert_eq!(metadata["io_bytes_per_second_total"], expected);
}
