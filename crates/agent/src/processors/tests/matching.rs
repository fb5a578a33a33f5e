//! `include` and `exclude`: what is touched, and which conditions are mistakes.

use super::*;

/// Which log records get the mark: the second and third have attributes of their own.
#[track_caller]
fn marked(conditions: &str, expected: [bool; 3]) {
    let config = format!("{{actions: [{{key: mark, action: insert, value: 1}}], {conditions}}}");
    let config: attributes::Config = read_text(&config).unwrap();
    let processor = attributes::Attributes::new(&config, Signal::Logs).unwrap();
    let records = vec![vec![], vec![text("env", "prod")], vec![text("env", "dev"), entry("n", Any::IntValue(3))]];
    let mut request = log_request(vec![text("service.name", "shop")], records);
    let records = &mut request.resource_logs[0].scope_logs[0].log_records;
    for (record, (severity, body)) in records.iter_mut().zip([(0, "start"), (9, "stop"), (17, "fail")]) {
        record.severity_number = severity;
        record.body = text("", body).value;
    }
    let after = run(&processor, Signal::Logs, request.encode_to_vec(), Origin::default()).contiguous();
    let after = ExportLogsServiceRequest::decode(after).unwrap();
    let records = &after.resource_logs[0].scope_logs[0].log_records;
    let is_marked = |record: usize| records[record].attributes.iter().any(|entry| entry.key == "mark");
    assert_eq!([is_marked(0), is_marked(1), is_marked(2)], expected, "{conditions}");
}

#[test]
fn include_and_exclude_decide_what_is_touched() {
    marked("include: {match_type: strict, attributes: [{key: env}]}", [false, true, true]);
    marked("include: {match_type: strict, attributes: [{key: env, value: prod}]}", [false, true, false]);
    marked("include: {match_type: strict, attributes: [{key: n, value: 3}]}", [false, false, true]);
    marked("include: {match_type: strict, attributes: [{key: n, value: \"3\"}]}", [false, false, false]);
    marked("include: {match_type: regexp, attributes: [{key: n, value: \"^3$\"}]}", [false, false, true]);
    marked("exclude: {match_type: regexp, attributes: [{key: env, value: pro}]}", [true, false, true]);
    marked("include: {match_type: strict, log_bodies: [start, fail]}", [true, false, true]);
    marked("include: {match_type: regexp, log_bodies: [\"^st\"]}", [true, true, false]);
    marked("include: {match_type: strict, log_severity_number: {min: 10}}", [false, false, true]);
    marked("include: {match_type: strict, log_severity_number: {min: 9, match_undefined: true}}", [true, true, true]);
    marked("include: {match_type: strict, resources: [{key: service.name, value: shop}]}", [true, true, true]);
    marked("include: {match_type: strict, resources: [{key: service.name, value: pay}]}", [false, false, false]);
    marked("include: {match_type: strict, libraries: [{name: lib}]}", [true, true, true]);
    marked("include: {match_type: strict, libraries: [{name: lib, version: \"1\"}]}", [false, false, false]);
    marked(
        "include: {match_type: regexp, log_bodies: [st]}, exclude: {match_type: strict, attributes: [{key: env}]}",
        [true, false, false],
    );
}

#[test]
fn conditions_of_another_signal_are_mistakes() {
    let check = |conditions: &str, signal: Signal, expected: &str| {
        let config = format!("{{actions: [{{key: a, action: delete}}], include: {{match_type: strict{conditions}}}}}");
        let config: attributes::Config = read_text(&config).unwrap();
        assert_eq!(config.check_for(signal).unwrap_err().1, expected);
        assert_eq!(attributes::Attributes::new(&config, signal).unwrap_err(), expected);
    };
    check(", log_bodies: [a]", Signal::Traces, "log_bodies should not be specified for trace spans");
    check(", services: [a], span_names: [b]", Signal::Logs, "services, span_names are not valid for log records");
    check(", attributes: [{key: a}]", Signal::Metrics, "attributes are not valid for metrics");
    check("", Signal::Metrics, "at least one of \"metric_names\", \"resources\" must be specified");
}

#[test]
fn spans_and_metrics_are_chosen_by_name_kind_and_service() {
    let check = |signal: Signal, conditions: &str, request: &str, expected: usize| {
        let config = format!("{{actions: [{{key: mark, action: insert, value: 1}}], include: {{{conditions}}}}}");
        let config: attributes::Config = read_text(&config).unwrap();
        let processor = attributes::Attributes::new(&config, signal).unwrap();
        let request = wire::json::to_protobuf(signal, request.as_bytes()).unwrap();
        let after = run(&processor, signal, request, Origin::default());
        let json = String::from_utf8(wire::json::from_protobuf(signal, &after)).unwrap();
        assert_eq!(json.matches(r#""key":"mark""#).count(), expected, "{conditions}: {json}");
    };
    let spans = r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
        "scopeSpans":[{"spans":[{"name":"GET /","kind":2},{"name":"GET /items","kind":2},{"name":"query","kind":3}]}]},
        {"scopeSpans":[{"spans":[{"name":"GET /"}]}]}]}"#;
    check(Signal::Traces, "match_type: strict, span_names: [GET /]", spans, 2);
    check(Signal::Traces, "match_type: regexp, span_names: [^GET]", spans, 3);
    check(Signal::Traces, "match_type: strict, span_kinds: [SPAN_KIND_CLIENT]", spans, 1);
    check(Signal::Traces, "match_type: strict, services: [shop]", spans, 3);
    check(Signal::Traces, "match_type: strict, services: [shop], span_names: [GET /]", spans, 1);
    let metrics = r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[
        {"name":"a","sum":{"dataPoints":[{},{}]}},{"name":"b","histogram":{"dataPoints":[{}]}},
        {"name":"ab","summary":{"dataPoints":[{}]}},{"name":"c","exponentialHistogram":{"dataPoints":[{}]}}]}]}]}"#;
    check(Signal::Metrics, "match_type: strict, metric_names: [a, c]", metrics, 3);
    check(Signal::Metrics, "match_type: regexp, metric_names: [b]", metrics, 2);
}
