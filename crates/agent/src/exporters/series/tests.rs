//! Names, labels, identity. The expected names were made with `github.com/prometheus/otlptranslator` 1.0.0.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use wire::view;

use super::conversion::Conversion;
use super::labels::{Label, LabelSet};
use super::names::{NameKind, Namer, Strategy};
use super::resource::{self, Identity};
use crate::settings::read_text;

fn namer(strategy: Strategy) -> Namer {
    Namer { strategy, namespace: String::new() }
}

#[test]
fn names_have_unit_and_type_in_classic_characters() {
    let check = |name: &str, unit: &str, kind: NameKind, expected: &str| {
        let made = namer(Strategy::UnderscoreEscapingWithSuffixes).metric(name, unit, kind);
        assert_eq!(made.as_deref(), Ok(expected), "{name} {unit}");
    };
    let (sum, gauge, other) = (NameKind::MonotonicSum, NameKind::Gauge, NameKind::Other);
    check("http.server.request.duration", "s", other, "http_server_request_duration_seconds");
    check("fastapi.custom.requests", "", sum, "fastapi_custom_requests_total");
    check("requests.total.count", "1", sum, "requests_count_total");
    check("(lambda).function.executions(#)", "1", sum, "lambda_function_executions_total");
    check("(lambda).function.executions(#)", "1", other, "lambda_function_executions");
    check("system.network.dropped", "{packets}", sum, "system_network_dropped_total");
    check("system.network.dropped", "{packets}", gauge, "system_network_dropped");
    check("system.filesystem.utilization", "1", gauge, "system_filesystem_utilization_ratio");
    check("a.ratio.b", "1", gauge, "a_b_ratio");
    check("system.io", "By/s", gauge, "system_io_bytes_per_second");
    check("broken", "By/{op}", gauge, "broken_bytes");
    check("already_bytes", "By", gauge, "already_bytes");
    check("bytes.used", "By", gauge, "bytes_used");
    check("speed", "m/s", gauge, "speed_meters_per_second");
    check("rate", "/min", gauge, "rate_per_min");
    check("odd", "foo%bar", gauge, "odd_foo_bar");
    check("odd", "%", gauge, "odd_percent");
    check("odd", "_", gauge, "odd");
    check("2xx", "", other, "_2xx");
    check("a::b", "", other, "a::b");
    check("___a___b___", "", other, "a_b");
    check("größe", "", other, "gr_e");
    check("x", " ms ", other, "x_milliseconds");
}

#[test]
fn other_strategies_keep_what_they_promise() {
    let check = |strategy: Strategy, name: &str, unit: &str, kind: NameKind, expected: &str| {
        assert_eq!(namer(strategy).metric(name, unit, kind).as_deref(), Ok(expected), "{strategy:?} {name}");
    };
    let (sum, gauge) = (NameKind::MonotonicSum, NameKind::Gauge);
    check(Strategy::UnderscoreEscapingWithoutSuffixes, "http.requests", "By", sum, "http_requests");
    check(Strategy::UnderscoreEscapingWithoutSuffixes, "a__b..c", "", sum, "a__b_c");
    check(Strategy::UnderscoreEscapingWithoutSuffixes, "2.x", "", sum, "_2_x");
    check(Strategy::NoUtf8EscapingWithSuffixes, "http.requests", "", sum, "http.requests_total");
    check(Strategy::NoUtf8EscapingWithSuffixes, "http.requests_total", "By", sum, "http.requests_bytes_total");
    check(Strategy::NoUtf8EscapingWithSuffixes, "io", "By/s", gauge, "io_bytes_per_second");
    check(Strategy::NoUtf8EscapingWithSuffixes, "io_bytes", "By", gauge, "io_bytes");
    check(Strategy::NoUtf8EscapingWithSuffixes, "größe", "1", gauge, "größe_ratio");
    check(Strategy::NoTranslation, "http.requests größe", "By", sum, "http.requests größe");
}

#[test]
fn a_namespace_stands_in_front() {
    let check = |strategy: Strategy, namespace: &str, expected: &str, target_info: &str| {
        let namer = Namer { strategy, namespace: namespace.to_owned() };
        assert_eq!(namer.metric("a.b", "s", NameKind::Other).as_deref(), Ok(expected));
        assert_eq!(namer.target_info(), target_info);
    };
    check(Strategy::UnderscoreEscapingWithSuffixes, "shop", "shop_a_b_seconds", "shop_target_info");
    check(Strategy::UnderscoreEscapingWithSuffixes, "my-shop", "my-shop_a_b_seconds", "my_shop_target_info");
    check(Strategy::UnderscoreEscapingWithoutSuffixes, "my-shop", "my_shop_a_b", "my_shop_target_info");
    check(Strategy::NoUtf8EscapingWithSuffixes, "my.shop", "my.shop_a.b_seconds", "my.shop_target_info");
}

#[test]
fn a_name_of_which_nothing_is_left_is_an_error() {
    let classic = namer(Strategy::UnderscoreEscapingWithSuffixes);
    assert!(classic.metric("", "", NameKind::Other).is_err());
    assert!(classic.metric("...", "", NameKind::Other).is_err());
    assert!(namer(Strategy::UnderscoreEscapingWithoutSuffixes).metric("_.", "", NameKind::Other).is_err());
    assert!(namer(Strategy::NoTranslation).metric("", "", NameKind::Other).is_err());
    assert!(classic.label("").is_err());
    assert!(classic.label("____").is_err());
    assert!(namer(Strategy::NoTranslation).label("__").is_err());
}

#[test]
fn labels_are_named_as_the_translator_names_them() {
    let check = |name: &str, expected: &str| {
        let classic = namer(Strategy::UnderscoreEscapingWithSuffixes);
        assert_eq!(classic.label(name).as_deref(), Ok(expected), "{name}");
        assert_eq!(namer(Strategy::NoTranslation).label(name).as_deref(), Ok(name));
    };
    check("http.method", "http_method");
    check("k8s.pod.name", "k8s_pod_name");
    check("plain", "plain");
    check("2x", "key_2x");
    check("_x", "key_x");
    check("__x", "key_x");
    check("__x__", "__x__");
    check("__a.b__", "__a_b__");
    check("a..b", "a_b");
    check("a__b", "a_b");
    check("grö", "gr_");
    check("-", "key_");
}

fn labels(pairs: &[(&str, &str)], set: &[(&str, &str)]) -> String {
    let namer = namer(Strategy::UnderscoreEscapingWithSuffixes);
    let mut labels = LabelSet::default();
    pairs.iter().for_each(|(key, value)| labels.attribute(&namer, key, (*value).to_owned()).unwrap());
    set.iter().for_each(|(name, value)| labels.set(name, value));
    let text = labels.finish().into_iter().map(|Label { name, value }| format!("{name}={value}"));
    text.collect::<Vec<_>>().join(" ")
}

#[test]
fn labels_are_sorted_and_collisions_are_joined_in_the_order_of_the_keys() {
    assert_eq!(labels(&[("b", "1"), ("a", "2")], &[]), "a=2 b=1");
    assert_eq!(labels(&[("a_b", "2"), ("a.b", "1"), ("a-b", "0")], &[]), "a_b=0;1;2");
    assert_eq!(labels(&[("a", "1"), ("a", "2")], &[]), "a=2", "the same key again replaces the value");
    assert_eq!(labels(&[("a", ""), ("b", "1")], &[("c", "")]), "b=1", "an empty value is no label");
}

#[test]
fn a_label_that_is_set_otherwise_keeps_its_name() {
    assert_eq!(labels(&[("job", "mine")], &[("job", "theirs")]), "exported_job=mine job=theirs");
    let doubled = labels(&[("job", "mine"), ("exported.job", "yours")], &[("job", "theirs")]);
    assert_eq!(doubled, "exported_exported_job=mine exported_job=yours job=theirs");
    assert_eq!(labels(&[], &[("a", "first"), ("a", "second")]), "a=first");
}

#[test]
fn a_name_can_be_kept_free_and_sets_can_be_joined() {
    let namer = namer(Strategy::UnderscoreEscapingWithSuffixes);
    let mut labels = LabelSet::default();
    labels.reserve("le");
    labels.attribute(&namer, "le", "5".to_owned()).unwrap();
    labels.attribute(&namer, "k8s.pod.name", "mine".to_owned()).unwrap();
    let mut resource = LabelSet::default();
    resource.attribute(&namer, "k8s.pod.name", "shop-1".to_owned()).unwrap();
    resource.set("job", "shop");
    labels.extend(&resource);
    let expected = [("exported_le", "5"), ("job", "shop"), ("k8s_pod_name", "shop-1")];
    assert_eq!(labels.finish(), expected.map(|(name, value)| Label::new(name, value)));
}

#[test]
fn an_attribute_never_becomes_the_name_of_the_metric() {
    let namer = namer(Strategy::UnderscoreEscapingWithSuffixes);
    let mut labels = LabelSet::default();
    labels.reserve_internal();
    labels.attribute(&namer, "__name__", "mine".to_owned()).unwrap();
    assert_eq!(labels.finish(), [Label::new("exported___name__", "mine")]);
}

fn attributes(pairs: &[(&str, &str)]) -> Vec<KeyValue> {
    let value = |text: &str| Some(AnyValue { value: Some(Any::StringValue(text.to_owned())) });
    pairs
        .iter()
        .map(|(key, text)| KeyValue { key: (*key).to_owned(), value: value(text), ..KeyValue::default() })
        .collect()
}

fn resource(pairs: &[(&str, &str)]) -> Vec<u8> {
    Resource { attributes: attributes(pairs), ..Resource::default() }.encode_to_vec()
}

#[test]
fn job_and_instance_come_from_the_service() {
    let check = |pairs: &[(&str, &str)], job: Option<&str>, instance: Option<&str>| {
        let bytes = resource(pairs);
        let identity = Identity::of(&view::Resource::new(&bytes).attributes());
        assert_eq!((identity.job.as_deref(), identity.instance.as_deref()), (job, instance), "{pairs:?}");
    };
    check(&[], None, None);
    check(&[("service.name", "shop")], Some("shop"), None);
    check(&[("service.namespace", "eu"), ("service.name", "shop")], Some("eu/shop"), None);
    check(&[("service.namespace", "eu"), ("service.instance.id", "7")], None, Some("7"));
}

#[test]
fn target_info_has_what_job_and_instance_have_not() {
    let bytes = resource(&[
        ("service.name", "shop"),
        ("service.instance.id", "7"),
        ("k8s.pod.name", "shop-1"),
        ("k8s_pod_name", "shop-2"),
    ]);
    let attributes = || view::Resource::new(&bytes).attributes();
    let namer = namer(Strategy::UnderscoreEscapingWithSuffixes);
    let labels = resource::target_info(&namer, &Identity::of(&attributes()), attributes()).unwrap();
    let expected = [("instance", "7"), ("job", "shop"), ("k8s_pod_name", "shop-1;shop-2")];
    assert_eq!(labels, expected.map(|(name, value)| Label::new(name, value)));
}

#[test]
fn the_scope_is_in_labels_of_its_own() {
    let scope = InstrumentationScope {
        name: "meter".to_owned(),
        attributes: attributes(&[("name", "hidden"), ("library.kind", "x")]),
        ..InstrumentationScope::default()
    };
    let bytes = scope.encode_to_vec();
    let mut labels = LabelSet::default();
    let namer = namer(Strategy::UnderscoreEscapingWithSuffixes);
    resource::scope(&mut labels, &namer, &view::Scope::new(&bytes), "https://schema").unwrap();
    let expected =
        [("otel_scope_library_kind", "x"), ("otel_scope_name", "meter"), ("otel_scope_schema_url", "https://schema")];
    assert_eq!(labels.finish(), expected.map(|(name, value)| Label::new(name, value)));
}

#[test]
fn resource_attributes_are_chosen_by_pattern() {
    let check = |settings: &str, key: &str, expected: bool| {
        let conversion: Conversion = read_text(settings).unwrap();
        assert_eq!(conversion.takes(key), expected, "{settings} {key}");
    };
    check("{}", "k8s.pod.name", false);
    check("{enabled: true}", "service.name", true);
    check("{enabled: true, exclude_service_attributes: true}", "service.name", false);
    check("{enabled: true, exclude_service_attributes: true}", "k8s.pod.name", true);
    check("{exclude_service_attributes: true}", "k8s.pod.name", false);
    check("{included: ['k8s.*']}", "k8s.pod.name", true);
    check("{included: ['k8s.*']}", "service.name", false);
    check("{included: ['k8s.*'], excluded: ['*.uid']}", "k8s.pod.uid", false);
    check("{excluded: ['*.uid']}", "k8s.pod.name", true);
    check("{included: ['a?c']}", "abc", true);
    check("{included: ['a?c']}", "ac", false);
    check("{included: ['a*b*c']}", "aXbYbZc", true);
    assert!(read_text::<Conversion>("{enabled: true, included: ['*']}").unwrap_err().contains("legacy"));
}

#[test]
fn converted_attributes_win_over_the_points_own() {
    let bytes = resource(&[("k8s.pod.name", "shop-1")]);
    let namer = namer(Strategy::UnderscoreEscapingWithSuffixes);
    let mut labels = LabelSet::default();
    labels.attribute(&namer, "k8s.pod.name", "mine".to_owned()).unwrap();
    let conversion = Conversion { enabled: true, ..Conversion::default() };
    resource::convert(&mut labels, &namer, &conversion, view::Resource::new(&bytes).attributes()).unwrap();
    assert_eq!(labels.finish(), [Label::new("k8s_pod_name", "shop-1")]);
}
