//! `resource` and `attributes`: what each action does, and which mistakes are found.

mod matching;
mod properties;

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message;
use wire::{Chain, Signal};

use super::{attributes, resource};
use crate::pipeline::{Metadata, Origin, Process, testing};
use crate::settings::{Setting, read_text};

type List = Vec<KeyValue>;

fn entry(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    entry(key, Any::StringValue(value.to_owned()))
}

fn log_request(resource: List, records: Vec<List>) -> ExportLogsServiceRequest {
    let json = br#"{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{"name":"lib","version":"2"}}]}]}"#;
    let bytes = wire::json::to_protobuf(Signal::Logs, json).unwrap();
    let mut request = ExportLogsServiceRequest::decode(bytes.as_slice()).unwrap();
    let group = &mut request.resource_logs[0];
    group.resource.as_mut().unwrap().attributes = resource;
    for attributes in records {
        group.scope_logs[0].log_records.push(Default::default());
        group.scope_logs[0].log_records.last_mut().unwrap().attributes = attributes;
    }
    request
}

fn run(processor: &dyn Process, signal: Signal, request: Vec<u8>, origin: Origin) -> Chain {
    let mut batch = testing::batch(signal, request, 1);
    batch.origin = origin;
    let mut done = processor.process(batch).unwrap().unwrap();
    done.ticket.accept();
    done.ticket.sent();
    done.body.clone()
}

fn show(list: &List) -> String {
    let show = |entry: &KeyValue| {
        let value = match entry.value.clone().and_then(|value| value.value) {
            Some(Any::StringValue(text)) => format!("{text:?}"),
            Some(Any::IntValue(number)) => number.to_string(),
            Some(Any::DoubleValue(number)) => format!("{number:?}"),
            Some(Any::BoolValue(truth)) => truth.to_string(),
            other => format!("{other:?}"),
        };
        format!("{}={value}", entry.key)
    };
    list.iter().map(show).collect::<Vec<_>>().join(" ")
}

/// Does the actions to the attributes of a resource, and in a second run to those of a log record.
#[track_caller]
fn check_from(origin: &Origin, actions: &str, before: List, expected: &str) {
    let config: resource::Config = read_text(&format!("attributes: {actions}")).unwrap();
    let processor = resource::Resource::new(&config).unwrap();
    let request = log_request(before.clone(), vec![vec![]]).encode_to_vec();
    let after = run(&processor, Signal::Logs, request, origin.clone()).contiguous();
    let after = ExportLogsServiceRequest::decode(after).unwrap();
    assert_eq!(show(&after.resource_logs[0].resource.as_ref().unwrap().attributes), expected, "resource: {actions}");

    let config: attributes::Config = read_text(&format!("actions: {actions}")).unwrap();
    let processor = attributes::Attributes::new(&config, Signal::Logs).unwrap();
    let request = log_request(vec![], vec![before]).encode_to_vec();
    let after = run(&processor, Signal::Logs, request, origin.clone()).contiguous();
    let after = ExportLogsServiceRequest::decode(after).unwrap();
    assert_eq!(show(&after.resource_logs[0].scope_logs[0].log_records[0].attributes), expected, "record: {actions}");
    assert!(after.resource_logs[0].resource.as_ref().unwrap().attributes.is_empty(), "only items are touched");
}

#[track_caller]
fn check(actions: &str, before: List, expected: &str) {
    check_from(&Origin::default(), actions, before, expected);
}

#[test]
fn insert_update_upsert_and_delete() {
    let before = || vec![text("a", "1")];
    check("[{key: b, action: insert, value: x}]", before(), r#"a="1" b="x""#);
    check("[{key: a, action: insert, value: x}]", before(), r#"a="1""#);
    check("[{key: a, action: update, value: x}]", before(), r#"a="x""#);
    check("[{key: b, action: update, value: x}]", before(), r#"a="1""#);
    check("[{key: a, action: UPSERT, value: x}]", before(), r#"a="x""#);
    check("[{key: b, action: Upsert, value: x}]", before(), r#"a="1" b="x""#);
    check("[{key: a, action: delete}]", before(), "");
    check("[{key: b, action: delete}]", before(), r#"a="1""#);
    check("[{key: a, action: delete}, {key: a, action: insert, value: 2}]", before(), "a=2");
}

#[test]
fn values_keep_the_type_they_are_written_with() {
    check("[{key: k, action: insert, value: 5}]", vec![], "k=5");
    check("[{key: k, action: insert, value: \"5\"}]", vec![], r#"k="5""#);
    check("[{key: k, action: insert, value: 5.0}]", vec![], "k=5.0");
    check("[{key: k, action: insert, value: true}]", vec![], "k=true");
    check("[{key: k, action: insert, value: \"\"}]", vec![], r#"k="""#);
}

#[test]
fn a_value_is_taken_from_another_attribute() {
    let before = || vec![entry("n", Any::IntValue(7))];
    check("[{key: k, action: insert, from_attribute: n}]", before(), "n=7 k=7");
    check("[{key: k, action: insert, from_attribute: none}]", before(), "n=7");
    check("[{key: k, action: insert, from_attribute: none, default_value: d}]", before(), r#"n=7 k="d""#);
    check("[{key: k, action: insert, default_value: d}]", before(), r#"n=7 k="d""#);
    // Of a kind that has no name here: it is copied as it is.
    let odd = vec![KeyValue { key: "n".into(), value: Some(AnyValue { value: None }), ..KeyValue::default() }];
    check("[{key: k, action: insert, from_attribute: n}]", odd, "n=None k=None");
}

#[test]
fn a_value_is_taken_from_the_request() {
    let (mut metadata, mut auth) = (Metadata::new(), Metadata::new());
    metadata.add("X-Tenant", "blue");
    metadata.add("x-many", "1");
    metadata.add("x-many", "2");
    auth.add("subject", "me");
    let origin = Origin {
        peer: Some("10.1.2.3:4567".parse().unwrap()),
        metadata: Some(Arc::new(metadata)),
        auth: Some(Arc::new(auth)),
    };
    let check = |from: &str, expected: &str| {
        check_from(&origin, &format!("[{{key: k, action: insert, from_context: {from}}}]"), vec![], expected);
    };
    check("metadata.x-tenant", r#"k="blue""#);
    check("metadata.X-TENANT", r#"k="blue""#);
    check("x-tenant", r#"k="blue""#);
    check("x-many", r#"k="1;2""#);
    check("auth.subject", r#"k="me""#);
    check("client.address", r#"k="10.1.2.3""#);
    check("metadata.none", "");
    check("auth.none", "");
    let nothing = "[{key: k, action: insert, from_context: client.address}]";
    check_from(&Origin::default(), nothing, vec![], "");
}

#[test]
fn delete_and_hash_take_a_pattern_for_keys() {
    let before = || vec![text("http.url", "u"), text("http.body", "b"), text("x", "y")];
    check("[{pattern: ^http, action: delete}]", before(), r#"x="y""#);
    check("[{key: x, pattern: body, action: delete}]", before(), r#"http.url="u""#);
    let hashed = r#"a="ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb" b="a""#;
    check("[{key: a, action: hash}]", vec![text("a", "a"), text("b", "a")], hashed);
    check("[{pattern: ^a$, action: hash}]", vec![text("a", "a"), text("b", "a")], hashed);
    check("[{key: none, action: hash}]", vec![text("b", "a")], r#"b="a""#);
}

#[test]
fn extract_makes_attributes_of_named_groups() {
    let before = || vec![text("url", "https://shop/items?id=3")];
    check(
        r#"[{key: url, action: extract, pattern: "^(?P<scheme>.*?)://(?P<host>[^/]*)"}]"#,
        before(),
        r#"url="https://shop/items?id=3" scheme="https" host="shop""#,
    );
    check(r#"[{key: url, action: extract, pattern: "(?P<none>ftp)"}]"#, before(), r#"url="https://shop/items?id=3""#);
    check(
        r#"[{key: url, action: extract, pattern: "shop(?P<port>:\\d+)?"}]"#,
        before(),
        r#"url="https://shop/items?id=3" port="""#,
    );
    check(r#"[{key: n, action: extract, pattern: "(?P<d>.)"}]"#, vec![entry("n", Any::IntValue(1))], "n=1");
}

#[test]
fn convert_changes_the_type_in_place() {
    let before = || vec![text("n", "42"), text("m", "x")];
    check("[{key: n, action: convert, converted_type: int}]", before(), r#"n=42 m="x""#);
    check("[{key: m, action: convert, converted_type: int}]", before(), r#"n="42" m="x""#);
    check("[{key: n, action: convert, converted_type: double}]", before(), r#"n=42.0 m="x""#);
}

#[track_caller]
fn refused<T: Setting + std::fmt::Debug>(yaml: &str, expected: &str) {
    assert_eq!(read_text::<T>(yaml).unwrap_err(), expected);
}

#[test]
fn mistakes_are_found_in_the_collectors_words() {
    let check =
        |actions: &str, expected: &str| refused::<resource::Config>(&format!("attributes: {actions}"), expected);
    check("[]", "attributes: missing required field \"attributes\"; list at least one action");
    check(
        "[{action: insert, value: 1}]",
        "attributes::0::key: error creating AttrProc due to missing required field \"key\" at the 0-th action; \
         name the attribute to act on",
    );
    check(
        "[{key: a, action: delete}, {key: b, action: insert}]",
        "attributes::1::action: error with key \"b\" (1-th action): error creating AttrProc. Either field \"value\", \
         \"from_attribute\", \"from_context\", or \"default_value\" must be specified; add `value: …`",
    );
    check(
        "[{key: a, action: insert, value: 1, from_attribute: b}]",
        "attributes::0::action: error with key \"a\" (0-th action): error creating AttrProc due to multiple value \
         sources being set; keep one of `value`, `from_attribute` and `from_context`",
    );
    check(
        "[{key: a, action: inset, value: 1}]",
        "attributes::0::action: error creating AttrProc due to unsupported action \"inset\"; did you mean `insert`?",
    );
    check(
        "[{key: a, action: extract, pattern: \"(x)\"}]",
        "attributes::0::pattern: error with key \"a\" (0-th action): error creating AttrProc. Field \"pattern\" \
         contains at least one unnamed matcher group; write each group as `(?P<name>…)`, or as `(?:…)` if it is not to \
         become an attribute",
    );
    check(
        "[{key: a, action: delete, value: 1}]",
        "attributes::0::value: error with key \"a\" (0-th action): error creating AttrProc. Action \"delete\" does not \
         use the \"value\" field. This must not be specified; remove `value`",
    );
    check(
        "[{key: a, action: hash, pattern: \"(\"}]",
        "attributes::0::pattern: error with key \"a\" (0-th action): error creating AttrProc. Field \"pattern\" has \
         invalid pattern: \"(\"; error: unclosed group",
    );
    check(
        "[{key: a, action: convert}]",
        "attributes::0::action: error with key \"a\" (0-th action): error creating AttrProc due to missing required \
         field \"converted_type\" for action \"convert\"; add `converted_type: int`, `double` or `string`",
    );
    refused::<attributes::Config>(
        "attributes: [{key: a, action: delete}]",
        "attributes: unknown key `attributes`; known keys here: actions, include, exclude\n\
         actions: `actions` is missing; add `actions: [{key: …}]`",
    );
}
