use super::*;
use crate::telemetry::table;
use wire::Signal;

#[test]
fn a_series_is_present_at_zero_once_it_is_asked_for() {
    let metrics = Metrics::new();
    let failed = table::EXPORTER_SEND_FAILED.of(Signal::Metrics);
    assert_eq!(metrics.value(failed, &[("exporter", "otlp")]), None);
    let _ = metrics.counter(failed, &[("exporter", "otlp")]);
    assert_eq!(metrics.value(failed, &[("exporter", "otlp")]), Some(0.0));
}

#[test]
fn the_same_labels_in_any_order_are_the_same_series() {
    let metrics = Metrics::new();
    let row = table::RECEIVER_ACCEPTED.of(Signal::Traces);
    metrics.counter(row, &[("receiver", "otlp"), ("transport", "grpc")]).add(2);
    metrics.counter(row, &[("transport", "grpc"), ("receiver", "otlp")]).add(3);
    assert_eq!(metrics.value(row, &[("receiver", "otlp"), ("transport", "grpc")]), Some(5.0));
}

#[test]
fn an_observation_on_a_bound_belongs_to_the_bucket_of_that_bound() {
    let histogram = Histogram::new(&[10, 25]);
    for value in [10, 11, 25, 26] {
        histogram.record(value);
    }
    assert_eq!(histogram.value(), Value::Buckets { counts: vec![1, 2, 1], sum: 72 });
    assert_eq!(histogram.count(), 4);
}

#[test]
fn values_of_collectors_are_read_at_each_collection_and_added_up() {
    let metrics = Metrics::new();
    let held = metrics.gauge(&table::EXPORTER_IN_FLIGHT, &[("exporter", "a"), ("data_type", "logs")]);
    let seen = held.clone();
    metrics.on_collect(move |sink| sink.set(&table::BUDGET_USED, &[], u64::try_from(seen.get()).unwrap()));
    metrics.on_collect(|sink| sink.set_float(&table::BUDGET_USED, &[], 0.5));
    held.add(7);
    assert_eq!(metrics.value(&table::BUDGET_USED, &[]), Some(7.5));
    held.set(1);
    assert_eq!(metrics.value(&table::BUDGET_USED, &[]), Some(1.5));
}

#[test]
fn a_scope_takes_its_collectors_along_and_leaves_what_was_counted() {
    let metrics = Metrics::new();
    let scope = metrics.scoped();
    let row = table::EXPORTER_SENT.of(Signal::Logs);
    scope.counter(row, &[("exporter", "otlp")]).add(3);
    scope.on_collect(|sink| sink.set(&table::BUDGET_USED, &[], 1));
    metrics.on_collect(|sink| sink.set(&table::BUDGET_USED, &[], 2));
    assert_eq!(metrics.value(&table::BUDGET_USED, &[]), Some(3.0));
    drop(scope);
    assert_eq!(metrics.value(&table::BUDGET_USED, &[]), Some(2.0));
    assert_eq!(metrics.value(row, &[("exporter", "otlp")]), Some(3.0));
}

#[test]
fn scopes_that_have_gone_are_forgotten_though_nobody_collects() {
    let metrics = Metrics::new();
    (0..100).for_each(|_| drop(metrics.scoped()));
    let known = lock(&metrics.shared.scopes).len();
    assert!(known <= 2, "{known}");
}

#[test]
fn a_level_shows_itself_and_the_levels_below() {
    let metrics = Metrics::new();
    let _ = metrics.counter(&table::BATCH_SIZE_TRIGGER, &[]);
    let _ = metrics.histogram(&table::BATCH_SEND_SIZE_BYTES, &[]);
    let _ = metrics.gauge(&table::BUDGET_LIMIT, &[]);
    let names = |level| metrics.collect(level).iter().map(|family| family.metric.name).collect::<Vec<_>>();
    assert_eq!(names(Level::Basic), [table::BUDGET_LIMIT.name]);
    assert_eq!(names(Level::Normal).len(), 2);
    assert_eq!(names(Level::Detailed).len(), 3);
}
