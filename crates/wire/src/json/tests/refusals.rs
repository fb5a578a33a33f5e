//! What is refused: never in silence, and with words that help.

use super::{BODY, LOG, METRIC, POINT, RESOURCE, SPAN};
use crate::Signal;
use crate::json::to_protobuf;

#[test]
fn refuses_an_unknown_name_of_an_enum() {
    METRIC.refuses(
        r#""sum":{"aggregationTemporality":"CUMULATIVE"}"#,
        "metrics[0].sum.aggregationTemporality",
        "invalid value: string \"CUMULATIVE\", expected a number or a name of opentelemetry.proto.metrics.v1.AggregationTemporality",
    );
    SPAN.refuses(
        r#""kind":"2""#,
        "spans[0].kind",
        "invalid value: string \"2\", expected a number or a name of opentelemetry.proto.trace.v1.Span.SpanKind",
    );
}

#[test]
fn refuses_what_is_not_a_number() {
    let expected = "expected a whole number from -9223372036854775808 to 9223372036854775807";
    POINT.refuses(r#""asInt":"five""#, "dataPoints[0].asInt", &format!("invalid value: string \"five\", {expected}"));
    POINT.refuses(r#""asInt":1.5"#, "asInt", &format!("invalid value: floating point `1.5`, {expected}"));
    POINT.refuses(r#""asInt":true"#, "asInt", &format!("invalid type: boolean `true`, {expected}"));
    POINT.refuses(r#""asInt":[]"#, "asInt", &format!("invalid type: sequence, {expected}"));
    let expected = "expected a whole number from 0 to 18446744073709551615";
    POINT.refuses(r#""timeUnixNano":"x""#, "timeUnixNano", &format!("invalid value: string \"x\", {expected}"));
    POINT.refuses(r#""timeUnixNano":-1"#, "timeUnixNano", &format!("invalid value: integer `-1`, {expected}"));
    POINT.refuses(
        r#""flags":4294967296"#,
        "flags",
        "invalid value: integer `4294967296`, expected a whole number from 0 to 4294967295",
    );
    let expected = "expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    POINT.refuses(r#""asDouble":"""#, "asDouble", &format!("invalid value: string \"\", {expected}"));
    POINT.refuses(r#""asDouble":"1e999""#, "asDouble", &format!("invalid value: string \"1e999\", {expected}"));
    POINT.refuses(r#""asDouble":1e999"#, "asDouble", "number out of range");
    METRIC.refuses(
        r#""sum":{"isMonotonic":"true"}"#,
        "isMonotonic",
        "invalid type: string \"true\", expected true or false",
    );
}

/// An integer that is too long is read as a double, which must not pass for an integer of its own.
#[test]
fn refuses_integers_that_are_too_long() {
    for number in ["9223372036854775808", "-9223372036854775809", "123456789012345678901"] {
        let document = POINT.document(&format!(r#""asInt":{number}"#));
        to_protobuf(Signal::Metrics, document.as_bytes()).expect_err(number);
        let document = POINT.document(&format!(r#""asInt":"{number}""#));
        to_protobuf(Signal::Metrics, document.as_bytes()).expect_err(number);
    }
}

/// `JSON.stringify` writes NaN and the infinities as null.
#[test]
fn refuses_null_where_it_stands_for_a_number_that_was_lost() {
    let double = "invalid type: null, expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
    POINT.refuses(r#""asDouble":null"#, "asDouble", double);
    BODY.refuses(r#""doubleValue":null"#, "body.doubleValue", double);
    METRIC.refuses(r#""histogram":{"dataPoints":[{"sum":null}]}"#, "sum", double);
    METRIC.refuses(r#""histogram":{"dataPoints":[{"explicitBounds":[1,null]}]}"#, "explicitBounds[1]", double);
    METRIC.refuses(r#""summary":{"dataPoints":[{"sum":null}]}"#, "sum", double);
    BODY.refuses(
        r#""intValue":null"#,
        "intValue",
        "invalid type: null, expected a whole number from -9223372036854775808 to 9223372036854775807",
    );
    BODY.refuses(r#""boolValue":null"#, "boolValue", "invalid type: null, expected true or false");
}

#[test]
fn refuses_ids_of_a_wrong_length_and_other_digits() {
    SPAN.refuses(r#""traceId":"5b8e""#, "traceId", "invalid length 4, expected an id of 32 hexadecimal digits");
    SPAN.refuses(
        r#""spanId":"eee19b7ec3c1b17x""#,
        "spanId",
        "invalid value: string \"eee19b7ec3c1b17x\", expected an id of 16 hexadecimal digits",
    );
    SPAN.refuses(r#""spanId":7"#, "spanId", "invalid type: integer `7`, expected an id of 16 hexadecimal digits");
    BODY.refuses(r#""bytesValue":"a!""#, "bytesValue", "not base64: Invalid symbol 33, offset 1.");
}

#[test]
fn refuses_two_values_for_one() {
    SPAN.refuses(r#""name":"a","name":"b""#, "name", "the field stands here twice");
    SPAN.refuses(r#""traceState":"a","trace_state":"""#, "traceState", "the field stands here twice");
    BODY.refuses(
        r#""stringValue":"a","intValue":1"#,
        "intValue",
        "only one may be set, and stringValue stands before it",
    );
}

#[test]
fn refuses_values_of_another_type() {
    LOG.refuses(r#""body":"text""#, "body", "invalid type: string \"text\", expected an object");
    LOG.refuses(r#""attributes":{}"#, "attributes", "invalid type: map, expected a list");
    LOG.refuses(r#""severityText":5"#, "severityText", "invalid type: integer `5`, expected a string");
    RESOURCE.refuses(r#""attributes":[[]]"#, "attributes[0]", "invalid type: sequence, expected an object");
}

#[test]
fn says_where_in_the_document_it_is_wrong() {
    let document =
        "{\"resourceLogs\":[\n  {},\n  {\"scopeLogs\": [{\"logRecords\": [{}, {\"timeUnixNano\": \"noon\"}]}]}\n]}";
    let error = to_protobuf(Signal::Logs, document.as_bytes()).expect_err("a time that is none");
    assert_eq!(
        error.to_string(),
        "resourceLogs[1].scopeLogs[0].logRecords[1].timeUnixNano: invalid value: string \"noon\", expected a whole \
         number from 0 to 18446744073709551615 (line 3, column 60)"
    );
}

#[track_caller]
fn malformed(document: impl AsRef<[u8]>, message: &str) {
    let error = to_protobuf(Signal::Traces, document.as_ref()).expect_err(message);
    assert_eq!(error.to_string(), message);
}

#[test]
fn refuses_what_is_not_json() {
    malformed("", "EOF while parsing a value (line 1, column 0)");
    malformed("[]", "invalid type: sequence, expected an object (line 1, column 2)");
    malformed("7", "invalid type: integer `7`, expected an object (line 1, column 1)");
    malformed(r#"{"resourceSpans":[{"#, "resourceSpans[0]: EOF while parsing an object (line 1, column 19)");
    malformed("{} {}", "trailing characters (line 1, column 4)");
}

#[test]
fn refuses_invalid_utf8() {
    let mut document = BODY.document(r#""stringValue":"?""#).into_bytes();
    let at = document.iter().position(|byte| *byte == b'?').unwrap();
    document[at] = 0xFF;
    let error = to_protobuf(Signal::Logs, &document).expect_err("not UTF-8");
    assert_eq!(error.what, "invalid UTF-8 in a string");
}

#[test]
fn refuses_ten_thousand_levels() {
    let deep = format!("{}{}", r#""arrayValue":{"values":[{"#.repeat(10_000), "}]}".repeat(10_000));
    let error = to_protobuf(Signal::Logs, BODY.document(&deep).as_bytes()).expect_err("too deep");
    assert_eq!(error.what, "nested more than 128 levels deep");
    assert!(error.path.starts_with("resourceLogs[0].scopeLogs[0].logRecords[0].body.arrayValue.values[0].arrayValue"));

    let error = to_protobuf(Signal::Logs, "[".repeat(10_000).as_bytes()).expect_err("a list");
    assert_eq!(error.what, "invalid type: sequence, expected an object");

    // In a field that nobody knows there is nothing to build, so depth does no harm.
    let skipped = format!(r#"{{"new":{}{}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert_eq!(to_protobuf(Signal::Logs, skipped.as_bytes()), Ok(Vec::new()));
}

#[test]
fn quotes_only_the_beginning_of_a_long_value() {
    let document = LOG.document(&format!(r#""body":"{}""#, "x".repeat(100_000)));
    let error = to_protobuf(Signal::Logs, document.as_bytes()).expect_err("a text");
    assert_eq!(error.what.len(), 200);
}
