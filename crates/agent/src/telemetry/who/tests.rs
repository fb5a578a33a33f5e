use std::net::{Ipv4Addr, SocketAddr};

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;

use super::*;
use crate::telemetry::Level;

fn peer(last: u8) -> Option<SocketAddr> {
    Some((Ipv4Addr::new(10, 1, 2, last), 40_000).into())
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// One resource with a gauge, whose points have these attributes.
fn group(resource: &[(&str, &str)], name: &str, points: impl IntoIterator<Item = Vec<KeyValue>>) -> ResourceMetrics {
    let of_point = |attributes| NumberDataPoint { attributes, ..NumberDataPoint::default() };
    let gauge = Gauge { data_points: points.into_iter().map(of_point).collect() };
    let metric = Metric { name: name.to_owned(), data: Some(metric::Data::Gauge(gauge)), ..Metric::default() };
    let attributes = resource.iter().map(|(key, value)| attribute(key, value)).collect();
    ResourceMetrics {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_metrics: vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    }
}

fn users(range: std::ops::Range<usize>) -> impl Iterator<Item = Vec<KeyValue>> {
    range.map(|user| vec![attribute("endpoint", "/items"), attribute("user_id", &user.to_string())])
}

/// Looks into a request, whatever was looked at before, and counts it.
fn pass(who: &Who, peer: Option<SocketAddr>, groups: Vec<ResourceMetrics>, taken: bool) {
    let points = |group: &ResourceMetrics| match &group.scope_metrics[0].metrics[0].data {
        Some(metric::Data::Gauge(gauge)) => gauge.data_points.len(),
        _ => 0,
    };
    let items = groups.iter().map(points).sum();
    let request = ExportMetricsServiceRequest { resource_metrics: groups }.encode_to_vec();
    who.0.next_look.store(0, Relaxed);
    who.look(peer, Signal::Metrics, items, &request);
    who.count(Passed { peer, signal: Signal::Metrics, items, bytes: request.len(), taken });
}

fn names(who: &Who) -> Vec<names::Row> {
    lock(&who.0.names).largest(Instant::now())
}

#[test]
fn the_pod_and_the_attribute_behind_too_many_series_are_named() {
    let who = Who::new();
    let shop = [("k8s.namespace.name", "shop"), ("k8s.pod.name", "cart-1"), ("service.name", "cart")];
    for pod in 2..20 {
        pass(&who, peer(pod), vec![group(&[("service.name", "fine")], "calm", users(0..3))], true);
    }
    for export in 0..10 {
        let users = users(export * 1000..(export + 1) * 1000);
        pass(&who, peer(1), vec![group(&shop, "http_requests", users)], true);
    }
    let worst = &names(&who)[0];
    assert_eq!((worst.name.as_str(), worst.points), ("http_requests", 10_000));
    assert!((8_000..12_000).contains(&worst.series), "{}", worst.series);
    assert_eq!(worst.widest.as_ref().map(|(key, _)| key.as_str()), Some("user_id"));
    assert_eq!(worst.most_from, Some(IpAddr::from([10, 1, 2, 1])));
    let sender = &who.0.senders()[0];
    assert_eq!((sender.name.as_str(), sender.service.as_str()), ("shop/cart-1", "cart"));
    assert!((8_000..12_000).contains(&sender.series), "{}", sender.series);
    let page = who.page();
    let row = page.lines().find(|line| line.contains("http_requests")).unwrap();
    assert!(row.contains("user_id (") && row.ends_with("shop/cart-1"), "{page}");
}

#[test]
fn the_same_series_again_and_its_attributes_in_another_order_are_one_series() {
    let who = Who::new();
    let point = || vec![attribute("a", "1"), attribute("b", "2")];
    let turned = || point().into_iter().rev().collect();
    for _ in 0..3 {
        pass(&who, peer(1), vec![group(&[("service.name", "one")], "m", [point(), turned()])], true);
    }
    assert_eq!(names(&who)[0].series, 1);
    pass(&who, peer(1), vec![group(&[("service.name", "other")], "m", [point()])], true);
    assert_eq!(names(&who)[0].series, 2, "another resource is another series");
}

#[test]
fn what_was_taken_and_what_was_refused_is_counted_by_sender() {
    let who = Who::new();
    let metrics = Metrics::new();
    who.register(&metrics);
    who.name_pods(|address| (address == IpAddr::from([10, 1, 2, 1])).then(|| "shop/cart-1".to_owned()));
    let one = || vec![group(&[], "m", users(0..7))];
    pass(&who, peer(1), one(), true);
    pass(&who, peer(1), one(), true);
    pass(&who, peer(1), one(), false);
    pass(&who, peer(2), one(), true);
    pass(&who, None, one(), true);
    let value = |metric, sender| metrics.value(metric, &[("sender", sender), ("otel_signal", "metrics")]);
    assert_eq!(value(&table::SENDER_ITEMS, "shop/cart-1"), Some(14.0));
    assert_eq!(value(&table::SENDER_REFUSED, "shop/cart-1"), Some(7.0));
    assert_eq!(value(&table::SENDER_ITEMS, "10.1.2.2"), Some(7.0));
    assert_eq!(value(&table::SENDER_ITEMS, "unix"), Some(7.0));
    assert_eq!(metrics.value(&table::SENDER_SERIES, &[("sender", "shop/cart-1")]), Some(7.0));
    assert_eq!(metrics.value(&table::METRIC_SERIES, &[("metric_name", "m")]), Some(7.0));
    assert_eq!(metrics.value(&table::METRIC_POINTS, &[("metric_name", "m")]), Some(35.0));
}

#[test]
fn an_address_that_another_pod_has_got_counts_anew() {
    let who = Who::new();
    let holder = Arc::new(Mutex::new(Some("shop/cart-1")));
    let asked = Arc::clone(&holder);
    who.name_pods(move |_| lock(&asked).map(str::to_owned));
    let gets = |pod: Option<&'static str>| *lock(&holder) = pod;
    let send = |items| pass(&who, peer(1), vec![group(&[("service.name", "cart")], "m", users(0..items))], true);
    let shown = || who.0.senders().iter().map(|row| (row.name.clone(), row.items[1], row.series)).collect::<Vec<_>>();
    send(7);
    gets(None);
    assert_eq!(shown(), [("shop/cart-1".to_owned(), 7, 7)], "a pod that has gone keeps its name");
    gets(Some("shop/cart-2"));
    send(2);
    assert_eq!(shown(), [("shop/cart-2".to_owned(), 2, 2)]);
    gets(Some("shop/cart-3"));
    assert_eq!(shown(), [("shop/cart-3".to_owned(), 0, 0)], "nobody sent since");
    send(1);
    assert_eq!(shown(), [("shop/cart-3".to_owned(), 1, 1)]);
}

#[test]
fn what_was_turned_away_for_the_sake_of_others_is_counted_by_sender() {
    let who = Who::new();
    let metrics = Metrics::new();
    who.register(&metrics);
    for _ in 0..3 {
        who.turn_away(peer(1), Away::Share);
    }
    who.turn_away(peer(1), Away::Limit);
    let value = |reason| metrics.value(&table::SENDER_REFUSED_REQUESTS, &[("sender", "10.1.2.1"), ("reason", reason)]);
    assert_eq!((value("share"), value("limit"), value("memory")), (Some(3.0), Some(1.0), None));
    let page = who.page();
    let row = page.lines().find(|line| line.contains("10.1.2.1")).unwrap();
    assert_eq!(row.split_whitespace().nth(5), Some("4"), "{page}");
}

#[test]
fn a_sender_for_several_pods_keeps_its_address() {
    let who = Who::new();
    let of = |pod| group(&[("k8s.pod.name", pod)], "m", users(0..1));
    pass(&who, peer(1), vec![of("a"), of("b")], true);
    assert_eq!(who.0.senders()[0].name, "10.1.2.1");
    pass(&who, peer(1), vec![of("a"), of("a")], true);
    assert_eq!(who.0.senders()[0].name, "a");
}

#[test]
fn only_the_largest_are_own_metrics_and_none_at_0() {
    let check = |settings: SendersConfig, expected: usize| {
        let who = Who::new();
        let metrics = Metrics::new();
        who.register(&metrics);
        who.configure(&settings);
        for number in 1..=20 {
            let name = format!("metric_{number:02}");
            pass(&who, peer(number), vec![group(&[], &name, users(0..usize::from(number)))], true);
        }
        let families = metrics.collect(Level::Detailed);
        let labels = |name: &str| {
            let family = families.iter().find(|family| family.metric.name == name);
            family.map_or_else(Vec::new, |family| family.series.keys().map(|labels| labels[0].1.clone()).collect())
        };
        let senders = labels(table::SENDER_SERIES.name);
        assert_eq!(senders.len(), expected);
        assert_eq!(labels(table::METRIC_SERIES.name).len(), expected);
        if expected > 0 {
            assert!(senders.contains(&"10.1.2.20".to_owned()), "{senders:?}");
        }
    };
    check(SendersConfig::default(), 5);
    check(SendersConfig { top: 2, ..SendersConfig::default() }, 2);
    check(SendersConfig { top: 0, ..SendersConfig::default() }, 0);
    check(SendersConfig { enabled: false, ..SendersConfig::default() }, 0);
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let who = Who::new();
    for number in 0..2_000_u32 {
        let address = Some((Ipv4Addr::from(number), 1).into());
        let long = format!("{number}_{}", "x".repeat(10_000));
        pass(&who, address, vec![group(&[("k8s.pod.name", &long)], &long, users(0..1))], true);
    }
    let attributes = (0..100).map(|key| attribute(&key.to_string(), "x")).collect();
    pass(&who, peer(1), vec![group(&[], "wide", [attributes])], true);
    assert!(who.0.senders().len() <= 256);
    let names = names(&who);
    assert!(names.len() <= 256 && names.iter().all(|row| row.name.len() <= 128));
    assert!(who.0.senders().iter().all(|row| row.name.len() <= 128));
}

#[test]
fn a_look_is_followed_by_a_rest_that_is_a_hundred_times_as_long() {
    let who = Who::new();
    pass(&who, peer(1), vec![group(&[], "first", users(0..4096))], true);
    let took = who.0.looked.nanoseconds.load(Relaxed);
    let next = who.0.next_look.load(Relaxed);
    assert!(took > 0 && next >= took * 100, "{next} after {took}");
    who.0.next_look.store(u64::MAX - 1, Relaxed);
    let request = ExportMetricsServiceRequest { resource_metrics: vec![group(&[], "second", users(0..5))] };
    who.look(peer(1), Signal::Metrics, 5, &request.encode_to_vec());
    assert_eq!(names(&who).len(), 1, "it is not time to look yet");
    assert!(who.page().contains("(4096 of 4101)"), "{}", who.page());
}

#[test]
fn of_a_huge_request_a_part_is_looked_at_that_changes() {
    let who = Who::new();
    for _ in 0..40 {
        pass(&who, peer(1), vec![group(&[], "huge", users(0..20_000))], true);
    }
    let row = &names(&who)[0];
    assert_eq!(row.points, 40 * 4096);
    assert!((15_000..25_000).contains(&row.series), "{}", row.series);
}

#[test]
fn what_comes_from_outside_does_not_reach_a_terminal_as_control_codes() {
    let who = Who::new();
    pass(&who, peer(1), vec![group(&[("k8s.pod.name", "\u{1b}[31mred")], "line\nbreak", users(0..1))], true);
    let page = who.page();
    assert!(!page.contains('\u{1b}') && page.contains("line\u{fffd}break"), "{page}");
}
