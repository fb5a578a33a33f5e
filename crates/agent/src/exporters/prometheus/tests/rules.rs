//! Which values a series has after which data points.

use std::time::Duration;

use super::super::refusal::Refusal;
use super::super::reports::Conflict;
use super::super::slab::Place;
use super::*;

const PLAIN: &str = "without_scope_info: true";

/// Sends the points one by one; what is shown at the end, and how many were refused.
fn check(points: Vec<Metric>, expected: &[&str], refused: u64) {
    let table = table(PLAIN);
    let sum: u64 = points.into_iter().map(|metric| take(&table, &[], vec![metric])).sum();
    assert_eq!(lines(&table), expected);
    assert_eq!(sum, refused);
}

fn delta(start: u64, time: u64, value: i64) -> Metric {
    let point = NumberDataPoint {
        start_time_unix_nano: start * SECOND,
        time_unix_nano: time * SECOND,
        value: Some(Number::AsInt(value)),
        ..NumberDataPoint::default()
    };
    sum("a", DELTA, true, vec![point])
}

fn at(start: u64, time: u64, counts: &[u64], bounds: &[f64]) -> HistogramDataPoint {
    HistogramDataPoint {
        start_time_unix_nano: start * SECOND,
        time_unix_nano: time * SECOND,
        count: counts.iter().sum(),
        sum: Some(counts.iter().sum::<u64>() as f64),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        ..HistogramDataPoint::default()
    }
}

#[test]
fn the_newest_value_is_shown_and_older_ones_are_refused() {
    let at = |time, value| gauge("a", vec![point(&[], time, value)]);
    check(vec![at(1, 1.0), at(2, 2.5)], &["a 2.5"], 0);
    check(vec![at(2, 2.0), at(1, 1.0)], &["a 2"], 1);
    check(vec![at(2, 2.0), at(2, 3.0)], &["a 3"], 0);
}

#[test]
fn deltas_are_added_up_while_each_begins_where_the_last_has_ended() {
    check(vec![delta(1, 2, 5), delta(2, 3, 7)], &["a_total 12"], 0);
    check(vec![delta(1, 2, 5), delta(4, 5, 7)], &["a_total 7"], 0);
    check(vec![delta(1, 3, 5), delta(2, 2, 7)], &["a_total 5"], 1);
    // Beyond 2^53 whole numbers are still added as whole numbers.
    let large = (1_i64 << 53) + 1;
    let table = table(PLAIN);
    take(&table, &[], vec![delta(1, 2, large)]);
    take(&table, &[], vec![delta(2, 3, -large)]);
    take(&table, &[], vec![delta(3, 4, 3)]);
    assert_eq!(lines(&table), ["a_total 3"]);
}

#[test]
fn what_has_no_form_in_prometheus_is_refused() {
    let points = || vec![point(&[], 1, 1.0), point(&[("k", "v")], 1, 1.0)];
    check(vec![sum("a", DELTA, false, points())], &[], 2);
    check(vec![sum("a", 0, true, points())], &[], 2);
    check(vec![histogram("a", 0, vec![at(0, 1, &[1], &[])])], &[], 1);
    check(vec![gauge("...", points())], &[], 2);
    check(vec![Metric { name: "a".to_owned(), ..Metric::default() }], &[], 0);
}

#[test]
fn sums_that_fall_are_gauges() {
    check(vec![sum("a", CUMULATIVE, false, vec![point(&[], 1, -1.0)])], &["a -1"], 0);
    let table = table(PLAIN);
    take(&table, &[], vec![sum("a", CUMULATIVE, false, vec![point(&[], 1, 1.0)])]);
    let text = String::from_utf8(scrape_in(&table, TEXT, Escaping::Underscores, false)).unwrap();
    assert!(text.contains("# TYPE a gauge\n"), "{text}");
}

#[test]
fn delta_histograms_are_added_up_start_anew_or_are_refused() {
    let send = |points: Vec<HistogramDataPoint>| -> Vec<Metric> {
        points.into_iter().map(|point| histogram("h", DELTA, vec![point])).collect()
    };
    let shown = |first: u64, second: u64| {
        let all = first + second;
        [
            format!("h_bucket{{le=\"+Inf\"}} {all}"),
            format!("h_bucket{{le=\"1\"}} {first}"),
            format!("h_count {all}"),
            format!("h_sum {all}"),
        ]
    };
    let check_h = |points: Vec<HistogramDataPoint>, expected: [String; 4], refused| {
        check(send(points), &expected.iter().map(String::as_str).collect::<Vec<_>>(), refused);
    };
    check_h(vec![at(1, 2, &[1, 2], &[1.0]), at(2, 3, &[10, 20], &[1.0])], shown(11, 22), 0);
    check_h(vec![at(1, 2, &[1, 2], &[1.0]), at(3, 4, &[10, 20], &[1.0])], shown(10, 20), 0);
    check_h(vec![at(1, 3, &[1, 2], &[1.0]), at(2, 4, &[10, 20], &[1.0])], shown(1, 2), 1);
    // Other bounds: only the new one counts.
    check_h(vec![at(1, 2, &[1, 2], &[5.0]), at(2, 3, &[10, 20], &[1.0])], shown(10, 20), 0);
}

#[test]
fn buckets_are_sorted_cumulative_and_each_bound_stands_once() {
    let expected =
        ["h_bucket{le=\"+Inf\"} 15", "h_bucket{le=\"1\"} 2", "h_bucket{le=\"1e+06\"} 7", "h_count 15", "h_sum 15"];
    check(vec![histogram("h", CUMULATIVE, vec![at(0, 1, &[5, 2, 0, 8], &[1e6, 1.0, 1.0])])], &expected, 0);
}

#[test]
fn a_point_without_a_value_or_a_stale_marker_ends_the_series() {
    let ended = NumberDataPoint { flags: 1, value: None, ..point(&[("k", "1")], 2, 0.0) };
    let before = || gauge("a", vec![point(&[("k", "1")], 1, 1.0), point(&[("k", "2")], 1, 2.0)]);
    check(vec![before(), gauge("a", vec![ended.clone()])], &["a{k=\"2\"} 2"], 0);
    // The points behind it still count.
    let behind = gauge("a", vec![ended, point(&[("k", "2")], 2, 5.0)]);
    check(vec![before(), behind], &["a{k=\"2\"} 5"], 0);
    let stale = point(&[("k", "1")], 2, f64::from_bits(0x7ff0_0000_0000_0002));
    check(vec![before(), gauge("a", vec![stale])], &["a{k=\"2\"} 2"], 0);
    // Attributes in another order, or a series that is not there.
    let ended = |pairs| gauge("a", vec![NumberDataPoint { flags: 1, ..point(pairs, 2, 0.0) }]);
    let two = gauge("a", vec![point(&[("x", "1"), ("y", "2")], 1, 1.0)]);
    check(vec![two, ended(&[("y", "2"), ("x", "1")])], &[], 0);
    check(vec![ended(&[("k", "none")])], &[], 0);
}

#[test]
fn nan_and_infinity_are_values() {
    let at = |value| gauge("a", vec![point(&[], 1, value)]);
    check(vec![at(f64::NAN)], &["a NaN"], 0);
    check(vec![at(f64::INFINITY)], &["a +Inf"], 0);
    check(vec![at(f64::NEG_INFINITY)], &["a -Inf"], 0);
}

#[tokio::test(start_paused = true)]
async fn a_series_that_is_not_written_is_not_shown_and_then_gone() {
    let table = table("without_scope_info: true, metric_expiration: 10s");
    take(&table, &[], vec![gauge("a", vec![point(&[("k", "1")], 1, 1.0), point(&[("k", "2")], 1, 2.0)])]);
    tokio::time::advance(Duration::from_secs(8)).await;
    take(&table, &[], vec![gauge("a", vec![point(&[("k", "2")], 2, 3.0)])]);
    assert_eq!(lines(&table).len(), 2);
    tokio::time::advance(Duration::from_secs(8)).await;
    assert_eq!(lines(&table), ["a{k=\"2\"} 3"], "not shown before it is removed");
    table.sweep();
    assert_eq!(table.state().slab.len(), 1);
    tokio::time::advance(Duration::from_secs(60)).await;
    table.sweep();
    let state = table.state();
    assert_eq!((state.slab.len(), state.by_labels.len(), state.by_bytes.len(), state.streams.len()), (0, 0, 0, 0));
    assert_eq!((state.families.len(), state.names.len()), (0, 0));
    assert_eq!((state.bases.len(), state.sources.len(), state.bytes()), (0, 0, 0));
}

/// An agent lives for months, and its pods for hours: what they leave behind goes though others write the same metrics.
#[tokio::test(start_paused = true)]
async fn nothing_stays_of_pods_that_have_gone() {
    let of_pods = "without_scope_info: true, metric_expiration: 10s, resource_constant_labels: {included: ['k8s.*']}";
    let of_all = "without_scope_info: true, metric_expiration: 10s";
    for settings in [of_pods, of_all] {
        let table = table(settings);
        let mut after = Vec::new();
        for pod in 0..1000 {
            let metrics = (0..5).map(|i| gauge(&format!("m{i}"), vec![point(&[], 1, 1.0)])).collect();
            take(&table, &[("k8s.pod.name", &format!("shop-{pod}"))], metrics);
            tokio::time::advance(Duration::from_secs(2)).await;
            table.sweep();
            let state = table.state();
            after.push((
                state.streams.len(),
                state.by_labels.len(),
                state.by_bytes.len(),
                state.bases.len(),
                state.bytes(),
            ));
        }
        let most = |range: std::ops::Range<usize>| after[range].iter().copied().max().unwrap();
        assert!(most(900..1000) <= most(10..500), "{settings}: {:?}, before that {:?}", most(900..1000), most(10..500));
        let (streams, by_labels, by_bytes, bases, _) = after[999];
        assert!(streams <= 35 && by_labels <= 35 && by_bytes <= 1100 && bases <= 7, "{settings}: {:?}", after[999]);
    }
}

/// After a burst, what stays is near to what is needed, and no place of then is taken for one of later.
#[tokio::test(start_paused = true)]
async fn a_burst_of_series_gives_its_memory_back() {
    let table = table("without_scope_info: true, metric_expiration: 10s");
    let points = |range: std::ops::Range<u64>| range.map(|i| point(&[("i", &i.to_string())], 1, 1.0)).collect();
    let mut gone: Vec<Place> = Vec::new();
    for round in 0..3 {
        take(&table, &[], vec![gauge("a", points(0..5000))]);
        let places: Vec<Place> = table.state().by_labels.values().copied().collect();
        let all = table.state().bytes_held();
        assert!(gone.iter().all(|place| !table.state().slab.holds(*place)), "round {round}");
        tokio::time::advance(Duration::from_secs(8)).await;
        take(&table, &[], vec![gauge("a", points(3000..3001))]);
        tokio::time::advance(Duration::from_secs(8)).await;
        table.state().remove(4999);
        assert!(table.state().bytes_held() > all - 1024, "what is not given back is counted");
        table.sweep();
        let held = table.state().bytes_held();
        assert!(table.state().slab.len() == 1 && held < all / 3, "{held} of {all}");
        assert_eq!(lines(&table), ["a{i=\"3000\"} 1"]);
        gone.extend(places.into_iter().filter(|place| !table.state().slab.holds(*place)));
        assert!(gone.len() >= 4999 * (round + 1));
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    table.sweep();
    let state = table.state();
    assert_eq!((state.slab.end(), state.bytes_held()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_restarted_pod_takes_over_without_leaving_a_ghost() {
    let table =
        table("without_scope_info: true, metric_expiration: 10s, resource_constant_labels: {included: ['k8s.*']}");
    take(&table, &[("k8s.pod.name", "shop-1")], vec![gauge("a", vec![point(&[], 1, 1.0)])]);
    tokio::time::advance(Duration::from_secs(8)).await;
    take(&table, &[("k8s.pod.name", "shop-2")], vec![gauge("a", vec![point(&[], 2, 2.0)])]);
    assert_eq!(lines(&table), ["a{k8s_pod_name=\"shop-1\"} 1", "a{k8s_pod_name=\"shop-2\"} 2"]);
    tokio::time::advance(Duration::from_secs(8)).await;
    assert_eq!(lines(&table), ["a{k8s_pod_name=\"shop-2\"} 2"]);
}

#[test]
fn series_above_the_limit_are_refused_and_counted_by_metric_and_pod() {
    let table = table("max_series: 3");
    let points = |range: std::ops::Range<u64>| range.map(|i| point(&[("i", &i.to_string())], 1, 1.0)).collect();
    let pod = [("k8s.namespace.name", "eu"), ("k8s.pod.name", "shop-1")];
    assert_eq!(take(&table, &pod, vec![gauge("a", points(0..5))]), 2);
    assert_eq!(take(&table, &pod, vec![gauge("a", points(0..3))]), 0, "what is there goes on");
    assert_eq!(table.reports.refused(Refusal::Limit), 2);
    let metrics = crate::telemetry::Metrics::new();
    let weak = Arc::downgrade(&table);
    metrics.on_collect(move |sink| weak.upgrade().unwrap().show(sink));
    let labels = [("exporter", "prometheus"), ("metric", "a"), ("pod", "eu/shop-1")];
    assert_eq!(metrics.value(&crate::telemetry::table::PROMETHEUS_REFUSED, &labels), Some(2.0));
    let labels = [("exporter", "prometheus"), ("pod", "eu/shop-1")];
    assert_eq!(metrics.value(&crate::telemetry::table::PROMETHEUS_POD_SERIES, &labels), Some(3.0));
    assert_eq!(metrics.value(&crate::telemetry::table::PROMETHEUS_SERIES, &labels[..1]), Some(3.0));
}

#[test]
fn a_name_of_a_megabyte_is_cut_where_it_is_told() {
    let table = table("max_series: 2");
    let long = |first: char| first.to_string() + &"x".repeat(1 << 20);
    let three = |name: &str| gauge(name, ["1", "2", "3"].map(|k| point(&[("k", k)], 1, 1.0)).to_vec());
    let log = crate::telemetry::logs::capture::start();
    assert_eq!(take(&table, &[], vec![three(&long('a')), three(&long('b'))]), 4);
    let described = Metric { description: "other".to_owned(), ..three(&long('a')) };
    take(&table, &[("service.name", "y")], vec![described]);
    assert_eq!(table.reports.conflicts(Conflict::Help), 1);
    assert!(log.text().contains("max_series") && log.text().contains("description"), "both are logged");
    assert!(log.text().len() < 16 << 10, "{} bytes", log.text().len());
    let metrics = crate::telemetry::Metrics::new();
    let shown = Arc::clone(&table);
    metrics.on_collect(move |sink| shown.show(sink));
    let families = metrics.collect(crate::telemetry::Level::Detailed);
    let labels = families.iter().flat_map(|family| family.series.keys().flatten());
    let names: Vec<_> = labels.filter(|(label, _)| *label == "metric").map(|(_, name)| name).collect();
    assert!(names.len() == 4 && names.iter().all(|name| name.len() == 253), "{names:?}");
}

#[test]
fn the_bytes_of_series_are_bounded_too() {
    let table = table("max_series_bytes: 1MiB");
    let large = "x".repeat(400_000);
    let points = (0..4).map(|i| point(&[("i", &i.to_string()), ("large", &large)], 1, 1.0)).collect();
    assert_eq!(take(&table, &[], vec![gauge("a", points)]), 2);
    assert!(table.state().bytes() <= 1 << 20);
    let wide = at(0, 1, &vec![1; 100_000], &[]);
    assert_eq!(take(&table, &[], vec![histogram("h", CUMULATIVE, vec![wide])]), 1);
}

#[test]
fn a_label_of_a_megabyte_comes_through() {
    let table = table(PLAIN);
    let large = "\"\\\n".repeat(1 << 18) + "end";
    take(&table, &[], vec![gauge("a", vec![point(&[("large", &large)], 1, 1.0)])]);
    let text = scrape_in(&table, TEXT, Escaping::Underscores, false);
    let parsed = parse::text(std::str::from_utf8(&text).unwrap());
    let (_, labels) = parsed.samples.keys().next().unwrap();
    assert_eq!(labels["large"], large);
}

#[test]
fn attributes_in_another_order_are_the_same_series() {
    let table = table(PLAIN);
    for (pairs, value) in [([("x", "1"), ("y", "2")], 1.0), ([("y", "2"), ("x", "1")], 2.0)] {
        take(&table, &[], vec![gauge("a", vec![point(&pairs, value as u64, value)])]);
    }
    assert_eq!(lines(&table), ["a{x=\"1\",y=\"2\"} 2"]);
    assert_eq!(table.state().slab.len(), 1);
}

#[test]
fn memory_is_counted_up_and_down() {
    let table = table(PLAIN);
    let points = |flags| {
        let point = |i: u64| NumberDataPoint { flags, ..point(&[("i", &i.to_string())], 1, 1.0) };
        vec![gauge("a", (0..1000).map(point).collect())]
    };
    take(&table, &[], points(0));
    let with = table.state().bytes();
    assert!(with > 1000 * 100, "{with}");
    take(&table, &[], points(1));
    table.sweep();
    assert!(table.state().bytes() < 4096, "{}", table.state().bytes());
    take(&table, &[], points(0));
    assert_eq!(table.state().bytes(), with);
}
