//! What senders say differently: names, types, descriptions, and one series from two pods.

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
    let parsed = |line: &str| parse::text(&format!("{line}\n")).samples;
    assert_eq!(parsed(&shown[0]), parsed(expected), "{shown:?}");
}

#[test]
fn labels_that_the_format_adds_are_kept_free() {
    let table = table("without_scope_info: true");
    let point = HistogramDataPoint { attributes: attributes(&[("le", "mine")]), ..HistogramDataPoint::default() };
    take(&table, &[], vec![histogram("h", CUMULATIVE, vec![point])]);
    assert!(lines(&table)[0].contains("exported_le=\"mine\",le=\"+Inf\""), "{:?}", lines(&table));
}
