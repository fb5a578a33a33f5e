//! The formats to the letter, for one of each kind.

use opentelemetry_proto::tonic::metrics::v1::exemplar::Value as ExemplarValue;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Summary, SummaryDataPoint};

use super::*;

fn exemplar(value: f64) -> Exemplar {
    Exemplar {
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        time_unix_nano: 1_700_000_000 * SECOND,
        value: Some(ExemplarValue::AsDouble(value)),
        ..Exemplar::default()
    }
}

/// One metric of each kind.
fn one_of_each(table: &Table) {
    let resource = [("service.name", "shop"), ("service.instance.id", "7"), ("k8s.pod.name", "shop-1")];
    let mut requests = point(&[("endpoint", "/items"), ("odd", "a\"b\\c\nd")], 10, 42.0);
    requests.exemplars = vec![exemplar(1.0)];
    requests.start_time_unix_nano = 5 * SECOND;
    let duration = HistogramDataPoint {
        time_unix_nano: 10 * SECOND,
        count: 6,
        sum: Some(3.5),
        bucket_counts: vec![1, 2, 3],
        explicit_bounds: vec![0.5, 1.0],
        exemplars: vec![exemplar(0.7), exemplar(9.0)],
        ..HistogramDataPoint::default()
    };
    let quantile = ValueAtQuantile { quantile: 0.99, value: 0.25 };
    let summary = SummaryDataPoint {
        time_unix_nano: 10 * SECOND,
        count: 3,
        sum: 0.5,
        quantile_values: vec![quantile],
        ..SummaryDataPoint::default()
    };
    let native = ExponentialHistogramDataPoint {
        time_unix_nano: 10 * SECOND,
        count: 10,
        sum: Some(20.0),
        scale: 9,
        zero_count: 1,
        positive: Some(Buckets { offset: -3, bucket_counts: vec![1, 0, 2, 3] }),
        negative: Some(Buckets { offset: 4, bucket_counts: vec![0, 3] }),
        ..ExponentialHistogramDataPoint::default()
    };
    let metrics = vec![
        Metric { unit: "1".to_owned(), ..sum("requests", CUMULATIVE, true, vec![requests]) },
        Metric {
            description: "Time.".to_owned(),
            unit: "s".to_owned(),
            ..histogram("duration", CUMULATIVE, vec![duration])
        },
        metric("wait", Data::Summary(Summary { data_points: vec![summary] })),
        exponential("size", CUMULATIVE, vec![native]),
        Metric { unit: "%".to_owned(), ..gauge("cpu.load", vec![point(&[], 10, 0.5)]) },
    ];
    assert_eq!(take(table, &resource, metrics), 0);
}

#[test]
fn the_text_format() {
    let table = table("");
    one_of_each(&table);
    insta::assert_snapshot!(String::from_utf8(scrape_in(&table, TEXT, Escaping::Underscores, false)).unwrap());
}

#[test]
fn open_metrics_with_exemplars_and_timestamps() {
    let table = table("const_labels: {cluster: eu}, namespace: my");
    one_of_each(&table);
    insta::assert_snapshot!(String::from_utf8(scrape_in(&table, OPEN, Escaping::Underscores, true)).unwrap());
}

#[test]
fn names_with_any_character() {
    let table = table("translation_strategy: NoTranslation, const_labels: {'a b': c}");
    one_of_each(&table);
    let in_quotes = String::from_utf8(scrape_in(&table, TEXT, Escaping::AllowUtf8, false)).unwrap();
    insta::assert_snapshot!(in_quotes);
    for escaping in [Escaping::Dots, Escaping::Values, Escaping::Underscores] {
        let text = String::from_utf8(scrape_in(&table, TEXT, escaping, false)).unwrap();
        assert!(!text.contains("{\""), "{text}");
        let parsed = parse::normal(parse::text(&text)).samples;
        assert_eq!(parse::protobuf(&scrape_in(&table, Format::Protobuf, escaping, false)).samples, parsed);
    }
}

#[test]
fn a_counter_whose_name_does_not_end_in_total_is_unknown_to_open_metrics() {
    let table = table("add_metric_suffixes: false, without_scope_info: true");
    take(&table, &[], vec![sum("a", CUMULATIVE, true, vec![point(&[], 1, 1.0)])]);
    let shown = |format| String::from_utf8(scrape_in(&table, format, Escaping::Underscores, false)).unwrap();
    assert_eq!(shown(OPEN), "# HELP a \n# TYPE a unknown\na 1.0\n# EOF\n");
    assert_eq!(shown(TEXT), "# HELP a \n# TYPE a counter\na 1\n");
}

#[test]
fn a_counter_beside_a_gauge_of_its_name_is_unknown_to_open_metrics() {
    let table = table("without_scope_info: true");
    take(&table, &[], vec![sum("a", CUMULATIVE, true, vec![point(&[], 1, 1.0)])]);
    take(&table, &[], vec![gauge("a", vec![point(&[], 1, 2.0)])]);
    let shown = |format| String::from_utf8(scrape_in(&table, format, Escaping::Underscores, false)).unwrap();
    assert_eq!(
        shown(OPEN),
        "# HELP a \n# TYPE a gauge\na 2.0\n# HELP a_total \n# TYPE a_total unknown\na_total 1.0\n# EOF\n"
    );
    assert_eq!(shown(TEXT), "# HELP a \n# TYPE a gauge\na 2\n# HELP a_total \n# TYPE a_total counter\na_total 1\n");
}

#[test]
fn native_histograms_are_whole_in_protobuf() {
    let table = table("");
    one_of_each(&table);
    let parsed = parse::protobuf(&scrape_in(&table, Format::Protobuf, Escaping::Underscores, true));
    let ((name, _), native) = parsed.natives.iter().next().unwrap();
    assert_eq!((name.as_str(), native.schema, native.zero.0), ("size", 8, 1));
    // Scale 9 has two buckets where 8 has one: -3 | -2 -1 | 0 become -2 | -1 | 0, and one more is the index here.
    assert_eq!(native.positive, [(-1, 1), (0, 2), (1, 3)].into());
    assert_eq!(native.negative, [(3, 3)].into());
    assert_eq!(f64::from_bits(native.zero.1), 1e-128);
    let trace = "ab".repeat(16);
    let exemplars: Vec<_> = parsed.exemplars.into_values().collect();
    assert_eq!(exemplars, [9.0, 0.7, 1.0].map(|value: f64| (trace.clone(), value.to_bits())));
    assert!(parsed.samples.iter().all(|((name, _), (_, time))| *time == Some(10_000) || name == "target_info"));
}

#[test]
fn deltas_of_exponential_histograms_are_added_at_the_lower_scale() {
    let at = |start: u64, scale, offset, counts: &[u64], zero_threshold, zero_count| ExponentialHistogramDataPoint {
        start_time_unix_nano: start * SECOND,
        time_unix_nano: (start + 1) * SECOND,
        count: counts.iter().sum::<u64>() + zero_count,
        sum: Some(1.0),
        scale,
        zero_threshold,
        zero_count,
        positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
        ..ExponentialHistogramDataPoint::default()
    };
    let table = table("without_scope_info: true");
    // At scale 1 from 2^0.5, at scale 0 from 1: (1,2] (2,4].
    take(&table, &[], vec![exponential("e", DELTA, vec![at(1, 1, 1, &[1, 2, 4], 0.0, 0)])]);
    take(&table, &[], vec![exponential("e", DELTA, vec![at(2, 0, 0, &[10, 20], 0.0, 0)])]);
    let native = |table: &Arc<Table>| {
        let parsed = parse::protobuf(&scrape_in(table, Format::Protobuf, Escaping::Underscores, false));
        parsed.natives.into_values().next().unwrap()
    };
    assert_eq!(native(&table).positive, [(1, 11), (2, 26)].into());
    // A wider zero bucket takes (1,2] in.
    take(&table, &[], vec![exponential("e", DELTA, vec![at(3, 0, 1, &[100], 2.0, 5)])]);
    let native = native(&table);
    assert_eq!((native.positive, native.zero.0), ([(2, 126)].into(), 16));
    let wrong = ExponentialHistogramDataPoint { count: 99, ..at(4, 0, 0, &[1], 0.0, 0) };
    assert_eq!(take(&table, &[], vec![exponential("e", DELTA, vec![wrong])]), 1, "the buckets do not add up");
    assert_eq!(take(&table, &[], vec![exponential("e", DELTA, vec![at(4, -5, 0, &[1], 0.0, 0)])]), 1);
}

#[test]
fn an_answer_is_the_same_compressed_and_part_by_part() {
    let table = table("");
    let points = (0..5000).map(|i: u32| point(&[("i", &i.to_string())], 1, f64::from(i))).collect();
    take(&table, &[], vec![gauge("a", points)]);
    let style = Style { format: TEXT, escaping: Escaping::Underscores, timestamps: false };
    let whole = |encoding| {
        let mut answer = Answer::new(&table, &[], style, encoding).unwrap();
        let mut parts = Vec::new();
        while let Some(part) = answer.next_part().unwrap() {
            parts.push(part);
        }
        (parts.len(), parts.concat())
    };
    let (parts, plain) = whole(Encoding::Identity);
    assert!(parts > 2, "{parts}");
    assert_eq!(parse::text(std::str::from_utf8(&plain).unwrap()).samples.len(), 5000);
    let mut inflated = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&*whole(Encoding::Gzip).1), &mut inflated).unwrap();
    assert_eq!(inflated, plain);
    assert_eq!(zstd::decode_all(&*whole(Encoding::Zstd).1).unwrap(), plain);
}
