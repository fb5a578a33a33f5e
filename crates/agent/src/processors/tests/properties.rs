//! Whole requests come out as they do when they are decoded, edited and encoded.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use proptest::prelude::*;

use super::*;

/// An action, and the same as a function on a decoded list.
type Pair = (&'static str, fn(&mut List));

const PAIRS: &[Pair] = &[
    ("{key: a, action: insert, value: 1}", |list| put(list, "a", Some(Any::IntValue(1)), true, false)),
    ("{key: b, action: update, value: x}", |list| put(list, "b", string("x"), false, true)),
    ("{key: c, action: upsert, value: 2.5}", |list| put(list, "c", Some(Any::DoubleValue(2.5)), true, true)),
    ("{key: a, action: delete}", |list| list.retain(|entry| entry.key != "a")),
    ("{pattern: '^[bc]$', action: delete}", |list| list.retain(|entry| entry.key != "b" && entry.key != "c")),
    ("{key: d, action: upsert, from_attribute: b}", |list| {
        if let Some(value) = get(list, "b") {
            put(list, "d", value, true, true);
        }
    }),
    ("{key: e, action: insert, from_attribute: c, default_value: z}", |list| {
        let value = get(list, "c").unwrap_or_else(|| string("z"));
        put(list, "e", value, true, false);
    }),
    ("{key: b, action: convert, converted_type: string}", |list| match get(list, "b") {
        Some(Some(Any::IntValue(number))) => put(list, "b", string(&number.to_string()), false, true),
        Some(None) => put(list, "b", string(""), false, true),
        _ => {}
    }),
    ("{key: c, action: extract, pattern: '(?P<a>.)(?P<f>.*)'}", |list| {
        if let Some(Some(Any::StringValue(text))) = get(list, "c")
            && let Some(first) = text.chars().next()
        {
            let rest = text.chars().skip(1).collect::<String>();
            put(list, "a", string(&first.to_string()), true, true);
            put(list, "f", string(&rest), true, true);
        }
    }),
];

fn string(text: &str) -> Option<Any> {
    Some(Any::StringValue(text.to_owned()))
}

fn get(list: &List, key: &str) -> Option<Option<Any>> {
    list.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone().and_then(|value| value.value))
}

fn put(list: &mut List, key: &str, value: Option<Any>, if_absent: bool, if_present: bool) {
    let value = Some(AnyValue { value });
    match list.iter_mut().find(|entry| entry.key == key) {
        Some(entry) if if_present => entry.value = value,
        None if if_absent => list.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() }),
        _ => {}
    }
}

fn list() -> impl Strategy<Value = List> {
    let value = prop_oneof![
        any::<i64>().prop_map(|number| Some(Any::IntValue(number))),
        "[a-z]{0,200}".prop_map(|text| Some(Any::StringValue(text))),
        Just(None),
    ];
    prop::collection::btree_map("[a-f]", value, 0..5).prop_map(|map| {
        let entry = |(key, value)| KeyValue { key, value: Some(AnyValue { value }), ..KeyValue::default() };
        map.into_iter().map(entry).collect()
    })
}

proptest! {
    #[test]
    fn a_request_comes_out_as_if_it_had_been_decoded_and_edited(
        resource in list(),
        items in prop::collection::vec(list(), 0..4),
        steps in prop::collection::vec(prop::sample::select(PAIRS), 1..6),
    ) {
        let yaml = steps.iter().map(|(yaml, _)| *yaml).collect::<Vec<_>>().join(", ");
        let edit = |list: &mut List| steps.iter().for_each(|(_, naive)| naive(list));
        let request = log_request(resource, items);

        let config: resource::Config = read_text(&format!("attributes: [{yaml}]")).unwrap();
        let processor = resource::Resource::new(&config).unwrap();
        let done = run(&processor, Signal::Logs, request.encode_to_vec(), Origin::default()).contiguous();
        let mut expected = request.clone();
        edit(&mut expected.resource_logs[0].resource.as_mut().unwrap().attributes);
        prop_assert_eq!(ExportLogsServiceRequest::decode(done).unwrap(), expected);

        let config: attributes::Config = read_text(&format!("actions: [{yaml}]")).unwrap();
        let processor = attributes::Attributes::new(&config, Signal::Logs).unwrap();
        let done = run(&processor, Signal::Logs, request.encode_to_vec(), Origin::default()).contiguous();
        let mut expected = request;
        let records = &mut expected.resource_logs[0].scope_logs[0].log_records;
        records.iter_mut().for_each(|record| edit(&mut record.attributes));
        prop_assert_eq!(ExportLogsServiceRequest::decode(done).unwrap(), expected);
    }

    #[test]
    fn the_attributes_of_spans_and_points_are_edited_alike(
        list in list(),
        steps in prop::collection::vec(prop::sample::select(PAIRS), 1..6),
    ) {
        let yaml = steps.iter().map(|(yaml, _)| *yaml).collect::<Vec<_>>().join(", ");
        let config: attributes::Config = read_text(&format!("actions: [{yaml}]")).unwrap();
        let mut expected = list.clone();
        steps.iter().for_each(|(_, naive)| naive(&mut expected));

        let spans = br#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"s"}]}]}]}"#;
        let spans = wire::json::to_protobuf(Signal::Traces, spans).unwrap();
        let mut request = ExportTraceServiceRequest::decode(spans.as_slice()).unwrap();
        request.resource_spans[0].scope_spans[0].spans[0].attributes = list.clone();
        let processor = attributes::Attributes::new(&config, Signal::Traces).unwrap();
        let done = run(&processor, Signal::Traces, request.encode_to_vec(), Origin::default()).contiguous();
        request.resource_spans[0].scope_spans[0].spans[0].attributes = expected.clone();
        prop_assert_eq!(ExportTraceServiceRequest::decode(done).unwrap(), request);

        for data in ["gauge", "sum", "histogram", "exponentialHistogram", "summary"] {
            let wrap = |points: &List| {
                let json = format!(
                    r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"{data}":{{"dataPoints":[{{"attributes":{}}}]}}}}]}}]}}]}}"#,
                    as_json(points)
                );
                wire::json::to_protobuf(Signal::Metrics, json.as_bytes()).unwrap()
            };
            let processor = attributes::Attributes::new(&config, Signal::Metrics).unwrap();
            let done = run(&processor, Signal::Metrics, wrap(&list), Origin::default()).contiguous();
            let wanted = ExportMetricsServiceRequest::decode(wrap(&expected).as_slice()).unwrap();
            prop_assert_eq!(ExportMetricsServiceRequest::decode(done).unwrap(), wanted);
        }
    }
}

/// A list of attributes as OTLP/JSON, by way of a request with nothing else in it.
fn as_json(list: &List) -> String {
    let request = log_request(list.clone(), vec![]).encode_to_vec();
    let json = wire::json::from_protobuf(Signal::Logs, &request.into());
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let attributes = &json["resourceLogs"][0]["resource"]["attributes"];
    if attributes.is_null() { "[]".to_owned() } else { attributes.to_string() }
}
