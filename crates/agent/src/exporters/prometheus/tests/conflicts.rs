//! What senders say differently: names, types, descriptions, one series from two pods; and what they say twice.

use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{Summary, SummaryDataPoint};

use super::super::refusal::Refusal;
use super::super::reports::Conflict;
use super::*;

#[test]
fn the_first_type_of_a_name_stays_as_long_as_it_has_series() {
    let table = table("without_scope_info: true");
    take(&table, &[], vec![gauge("a.b", vec![point(&[], 1, 1.0)])]);
    let other = || sum("a_b", CUMULATIVE, false, vec![point(&[("k", "v")], 1, 2.0)]);
    assert_eq!(take(&table, &[], vec![other()]), 0, "a sum that may fall is a gauge, too");
    let hist = || histogram("a_b", CUMULATIVE, vec![HistogramDataPoint::default()]);
    assert_eq!(take(&table, &[], vec![hist()]), 1);
    assert_eq!(take(&table, &[], vec![hist()]), 1);
    assert_eq!(table.reports.refused(Refusal::TypeConflict), 2);
    assert_eq!(table.reports.conflicts(Conflict::Type), 1, "reported once while it lasts");
    assert_eq!(lines(&table), ["a_b 1", "a_b{k=\"v\"} 2"]);
    let ended = |name: &str, pairs| gauge(name, vec![NumberDataPoint { flags: 1, ..point(pairs, 2, 0.0) }]);
    take(&table, &[], vec![ended("a.b", &[])]);
    take(
        &table,
        &[],
        vec![sum("a_b", CUMULATIVE, false, vec![NumberDataPoint { flags: 1, ..point(&[("k", "v")], 2, 0.0) }])],
    );
    table.sweep();
    assert_eq!(take(&table, &[], vec![hist()]), 0, "the name is free");
}

#[test]
fn two_metrics_with_one_name_share_it_until_their_labels_are_the_same() {
    let table = table("without_scope_info: true");
    take(&table, &[], vec![gauge("a.b", vec![point(&[("k", "1")], 1, 1.0)])]);
    assert_eq!(take(&table, &[], vec![gauge("a/b", vec![point(&[("k", "2")], 1, 2.0)])]), 0);
    assert_eq!(take(&table, &[], vec![gauge("a/b", vec![point(&[("k", "1")], 2, 3.0)])]), 1);
    assert_eq!(take(&table, &[], vec![gauge("a/b", vec![point(&[("k", "1")], 2, 3.0)])]), 1);
    assert_eq!(lines(&table), ["a_b{k=\"1\"} 1", "a_b{k=\"2\"} 2"]);
    assert_eq!(table.reports.conflicts(Conflict::Name), 1);
    assert_eq!(table.reports.refused(Refusal::NameConflict), 2);
}

#[test]
fn a_name_that_another_family_writes_is_refused() {
    let table = table("without_scope_info: true");
    take(&table, &[], vec![histogram("h", CUMULATIVE, vec![HistogramDataPoint::default()])]);
    for name in ["h.count", "h.sum", "h.bucket"] {
        assert_eq!(take(&table, &[], vec![gauge(name, vec![point(&[], 1, 1.0)])]), 1, "{name}");
    }
    take(&table, &[], vec![gauge("x.count", vec![point(&[], 1, 1.0)])]);
    assert_eq!(take(&table, &[], vec![histogram("x", CUMULATIVE, vec![HistogramDataPoint::default()])]), 1);
    assert_eq!(take(&table, &[], vec![gauge("target.info", vec![point(&[], 1, 1.0)])]), 1);
    assert_eq!(table.reports.refused(Refusal::NameConflict), 5);
}

#[test]
fn the_first_description_stays_and_the_other_is_reported() {
    let table = table("without_scope_info: true");
    let described = |text: &str, key: &str| Metric {
        description: text.to_owned(),
        ..gauge("a", vec![point(&[("k", key)], 1, 1.0)])
    };
    take(&table, &[("service.name", "x")], vec![described("One.", "1")]);
    take(&table, &[("service.name", "y")], vec![described("Two\\.\n", "2")]);
    let text = String::from_utf8(scrape_in(&table, TEXT, Escaping::Underscores, false)).unwrap();
    assert!(text.contains("# HELP a One.\n"), "{text}");
    assert_eq!(text.matches("# HELP a ").count(), 1);
    assert_eq!(table.reports.conflicts(Conflict::Help), 1);
}

#[test]
fn two_pods_that_write_one_series_in_turns_are_reported() {
    let pods = [[("service.name", "shop"), ("host.name", "a")], [("service.name", "shop"), ("host.name", "b")]];
    let table = table("");
    for turn in 0..6 {
        take(&table, &pods[turn % 2], vec![sum("a", CUMULATIVE, true, vec![point(&[], 1 + turn as u64, 1.0)])]);
        assert_eq!(table.reports.conflicts(Conflict::Duplicate), (turn as u64).saturating_sub(1));
    }
    assert_eq!(table.state().slab.len(), 1);
}

#[test]
fn pods_with_labels_of_their_own_are_no_conflict() {
    let table = table("resource_to_telemetry_conversion: {enabled: true}");
    for turn in 0..6 {
        let pod = if turn % 2 == 0 { "shop-1" } else { "shop-2" };
        take(&table, &[("k8s.pod.name", pod)], vec![gauge("a", vec![point(&[], turn, 1.0)])]);
    }
    assert_eq!(table.reports.conflicts(Conflict::Duplicate), 0);
    assert_eq!(table.state().slab.len(), 2);
}

#[test]
fn a_new_pod_that_takes_over_is_no_conflict() {
    let table = table("");
    for pod in ["a", "a", "b", "b", "c"] {
        take(&table, &[("service.name", "shop"), ("host.name", pod)], vec![gauge("a", vec![point(&[], 1, 1.0)])]);
    }
    assert_eq!(table.reports.conflicts(Conflict::Duplicate), 0);
}

#[test]
fn a_counter_that_falls_is_shown_and_reported_unless_it_has_a_new_start() {
    let table = table("without_scope_info: true");
    let at = |start, time, value| {
        let point = NumberDataPoint { start_time_unix_nano: start * SECOND, ..point(&[], time, value) };
        sum("a", CUMULATIVE, true, vec![point])
    };
    take(&table, &[], vec![at(1, 2, 10.0)]);
    take(&table, &[], vec![at(2, 3, 1.0)]);
    assert_eq!(table.reports.conflicts(Conflict::Decrease), 0);
    take(&table, &[], vec![at(2, 4, 0.5)]);
    assert_eq!(table.reports.conflicts(Conflict::Decrease), 1);
    assert_eq!(lines(&table), ["a_total 0.5"]);
}

#[test]
fn attributes_that_collapse_to_one_label_are_joined_and_taken_names_are_kept_apart() {
    let table = table("const_labels: {cluster: eu}");
    let pairs = [("a.b", "1"), ("a_b", "2"), ("job", "mine"), ("cluster", "us"), ("otel.scope.name", "x")];
    take(&table, &[("service.name", "shop")], vec![gauge("a", vec![point(&pairs, 1, 1.0)])]);
    let expected = "a{a_b=\"1;2\",cluster=\"eu\",exported_cluster=\"us\",exported_job=\"mine\",\
                    exported_otel_scope_name=\"x\",job=\"shop\",otel_scope_name=\"meter\"} 1";
    let shown = lines(&table);
    let parsed = |line: &str| parse::text(&format!("# HELP a \n# TYPE a gauge\n{line}\n")).samples;
    assert_eq!(parsed(&shown[0]), parsed(expected), "{shown:?}");
}

#[test]
fn labels_that_the_format_adds_are_kept_free() {
    let table = table("without_scope_info: true");
    let point = HistogramDataPoint { attributes: attributes(&[("le", "mine")]), ..HistogramDataPoint::default() };
    take(&table, &[], vec![histogram("h", CUMULATIVE, vec![point])]);
    assert!(lines(&table)[0].contains("exported_le=\"mine\",le=\"+Inf\""), "{:?}", lines(&table));
}

#[test]
fn a_constant_label_gives_way_to_one_that_the_format_adds() {
    let table = table("without_scope_info: true, const_labels: {le: ours, quantile: ours}");
    let histogram_point =
        HistogramDataPoint { attributes: attributes(&[("le", "mine")]), ..HistogramDataPoint::default() };
    let metrics = vec![histogram("h", CUMULATIVE, vec![histogram_point]), gauge("g", vec![point(&[], 1, 1.0)])];
    take(&table, &[], metrics);
    let bucket = "h_bucket{exported_exported_le=\"mine\",exported_le=\"ours\",quantile=\"ours\",le=\"+Inf\"} 0";
    assert_eq!((&*lines(&table)[0], &*lines(&table)[1]), ("g{le=\"ours\",quantile=\"ours\"} 1", bucket));
}

/// Whatever is looked up by comparing each with each would take minutes here.
#[test]
fn a_point_with_very_many_bounds_quantiles_or_attributes_is_taken_and_shown_at_once() {
    const MANY: usize = 200_000;
    let table = table("without_scope_info: true, translation_strategy: NoTranslation, max_series_bytes: 1GiB");
    let keys: Vec<String> = (0..MANY).map(|key| format!("__{key}.a")).collect();
    let pairs: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "x")).collect();
    let wide = HistogramDataPoint {
        explicit_bounds: (0..MANY).map(|bound| bound as f64).collect(),
        bucket_counts: vec![1; MANY + 1],
        ..HistogramDataPoint::default()
    };
    let quantile = |at: usize| ValueAtQuantile { quantile: at as f64 / MANY as f64, value: 1.0 };
    let summary =
        SummaryDataPoint { quantile_values: (0..MANY).map(quantile).collect(), ..SummaryDataPoint::default() };
    let metrics = vec![
        gauge("g", vec![point(&pairs, 1, 1.0)]),
        histogram("h", CUMULATIVE, vec![wide]),
        metric("s", Data::Summary(Summary { data_points: vec![summary] })),
    ];
    assert_eq!(take(&table, &[], metrics), 0);
    let shown = scrape_in(&table, TEXT, Escaping::Underscores, false);
    let text = String::from_utf8(shown).unwrap();
    assert_eq!(text.matches("h_bucket{").count(), MANY + 1);
    assert_eq!(text.matches("s{").count(), MANY);
    assert_eq!(text.matches("exported__").count(), MANY);
}

#[test]
fn bounds_and_quantiles_that_are_written_the_same_are_shown_once() {
    let table = table("without_scope_info: true");
    let odd = HistogramDataPoint {
        explicit_bounds: vec![f64::INFINITY, f64::NAN, -f64::NAN, 0.0, -0.0, 1.0],
        bucket_counts: vec![32, 1, 2, 4, 8, 16, 64],
        ..HistogramDataPoint::default()
    };
    let quantiles = [(f64::NAN, 1.0), (-f64::NAN, 2.0), (0.5, 3.0)];
    let quantiles = quantiles.map(|(quantile, value)| ValueAtQuantile { quantile, value });
    let summary = SummaryDataPoint { quantile_values: quantiles.to_vec(), ..SummaryDataPoint::default() };
    let metrics =
        vec![histogram("h", CUMULATIVE, vec![odd]), metric("s", Data::Summary(Summary { data_points: vec![summary] }))];
    take(&table, &[], metrics);
    let parsed = parse::text(std::str::from_utf8(&scrape_in(&table, TEXT, Escaping::Underscores, false)).unwrap());
    let value = |name: &str, label: &str, at: &str| {
        let labels = parse::Labels::from([(label.to_owned(), at.to_owned())]);
        parsed.samples.get(&(name.to_owned(), labels)).map(|(bits, _)| f64::from_bits(*bits))
    };
    assert_eq!(value("h_bucket", "le", "NaN"), Some(1.0), "of each bound the first one counts");
    assert_eq!(value("h_bucket", "le", "0"), Some(5.0));
    assert_eq!(value("h_bucket", "le", "1"), Some(21.0));
    assert_eq!(value("h_bucket", "le", "+Inf"), Some(53.0));
    assert_eq!(value("s", "quantile", "NaN"), Some(2.0), "the last one counts");
}
