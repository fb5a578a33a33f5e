//! Small documents that readers of OTLP/JSON have been seen to refuse, or to accept with a part of them gone.

use super::{BODY, Frame, LOG, METRIC, POINT, RESOURCE, SPAN};
use crate::Signal;
use crate::json::to_protobuf;

#[track_caller]
fn same(frame: &Frame, fragment: &str) {
    frame.reads(fragment, fragment);
}

#[test]
fn enums_are_read_by_name_and_by_number() {
    METRIC.reads(
        r#""sum":{"dataPoints":[{"asInt":"1"}],"aggregationTemporality":"AGGREGATION_TEMPORALITY_CUMULATIVE"}"#,
        r#""sum":{"dataPoints":[{"asInt":"1"}],"aggregationTemporality":2}"#,
    );
    METRIC.reads(
        r#""histogram":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"}"#,
        r#""histogram":{"aggregationTemporality":1}"#,
    );
    METRIC.reads(r#""sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_UNSPECIFIED"}"#, r#""sum":{}"#);
    SPAN.reads(r#""kind":"SPAN_KIND_SERVER""#, r#""kind":2,"status":{}"#);
    SPAN.reads(r#""status":{"code":"STATUS_CODE_ERROR"}"#, r#""status":{"code":2}"#);
    LOG.reads(r#""severityNumber":"SEVERITY_NUMBER_WARN2""#, r#""severityNumber":14,"body":{}"#);
    // Enums are open: a newer sender may know more values.
    SPAN.reads(r#""kind":99"#, r#""kind":99,"status":{}"#);
    SPAN.reads(r#""kind":-1"#, r#""kind":-1,"status":{}"#);
}

#[test]
fn doubles_are_read_with_their_special_values() {
    for text in ["NaN", "Infinity", "-Infinity"] {
        same(&POINT, &format!(r#""asDouble":"{text}""#));
        same(&BODY, &format!(r#""doubleValue":"{text}""#));
        same(&METRIC, &format!(r#""histogram":{{"dataPoints":[{{"sum":"{text}","explicitBounds":["{text}"]}}]}}"#));
        same(&METRIC, &format!(r#""summary":{{"dataPoints":[{{"quantileValues":[{{"value":"{text}"}}]}}]}}"#));
    }
    POINT.reads(r#""asDouble":"1.5e3""#, r#""asDouble":1500"#);
    POINT.reads(r#""asDouble":3"#, r#""asDouble":3"#);
    POINT.reads(r#""asDouble":-3"#, r#""asDouble":-3"#);
    POINT.reads(r#""asDouble":"inf""#, r#""asDouble":"Infinity""#);
    same(&POINT, r#""asDouble":0.1"#);
    same(&POINT, r#""asDouble":-0"#);
    same(&POINT, r#""asDouble":1.7976931348623157e+308"#);
    same(&POINT, r#""asDouble":5e-324"#);
}

#[test]
fn integers_are_numbers_or_strings() {
    POINT.reads(r#""asInt":5"#, r#""asInt":"5""#);
    POINT.reads(r#""asInt":-5"#, r#""asInt":"-5""#);
    POINT.reads(r#""asInt":5.0"#, r#""asInt":"5""#);
    same(&POINT, r#""asInt":"-9223372036854775808""#);
    POINT.reads(r#""timeUnixNano":1e18"#, r#""timeUnixNano":"1000000000000000000""#);
    POINT.reads(r#""timeUnixNano":1700000000123456789"#, r#""timeUnixNano":"1700000000123456789""#);
    same(&POINT, r#""timeUnixNano":"18446744073709551615""#);
    RESOURCE.reads(r#""droppedAttributesCount":"3""#, r#""droppedAttributesCount":3"#);
    same(&POINT, r#""flags":4294967295"#);
    LOG.reads(r#""flags":"257""#, r#""body":{},"flags":257"#);
    METRIC.reads(
        r#""histogram":{"dataPoints":[{"count":"2","bucketCounts":[1,"1"],"explicitBounds":["0.5"]}]}"#,
        r#""histogram":{"dataPoints":[{"count":"2","bucketCounts":["1","1"],"explicitBounds":[0.5]}]}"#,
    );
    METRIC.reads(
        r#""exponentialHistogram":{"dataPoints":[{"scale":-3,"positive":{"offset":"-7","bucketCounts":[0,"300"]}}]}"#,
        r#""exponentialHistogram":{"dataPoints":[{"scale":-3,"positive":{"offset":-7,"bucketCounts":["0","300"]},"negative":{}}]}"#,
    );
}

#[test]
fn empty_lists_and_objects_are_values() {
    same(&BODY, r#""arrayValue":{}"#);
    same(&BODY, r#""kvlistValue":{}"#);
    BODY.reads(r#""arrayValue":{"values":[]}"#, r#""arrayValue":{}"#);
    BODY.reads(r#""kvlistValue":{"values":[]}"#, r#""kvlistValue":{}"#);
    BODY.reads("", "");
    METRIC.reads(r#""gauge":{}"#, r#""gauge":{}"#);
    METRIC.reads(r#""gauge":{"dataPoints":[]}"#, r#""gauge":{}"#);
    METRIC.reads(r#""histogram":{"dataPoints":[{"bucketCounts":[]}]}"#, r#""histogram":{"dataPoints":[{}]}"#);
    RESOURCE.reads(r#""attributes":[]"#, "");
    RESOURCE.reads(r#""attributes":[{"key":"k"}]"#, r#""attributes":[{"key":"k","value":{}}]"#);
    RESOURCE.reads(r#""attributes":[{}]"#, r#""attributes":[{"value":{}}]"#);
}

#[test]
fn null_is_a_field_that_is_not_set() {
    RESOURCE.reads(r#""attributes":null"#, "");
    RESOURCE.reads(r#""droppedAttributesCount":null"#, "");
    RESOURCE.reads(r#""attributes":[{"key":null,"value":null}]"#, r#""attributes":[{"value":{}}]"#);
    SPAN.reads(r#""traceId":null,"parentSpanId":null,"name":null,"status":null"#, r#""status":{}"#);
    SPAN.reads(r#""kind":null,"startTimeUnixNano":null"#, r#""status":{}"#);
    BODY.reads(r#""stringValue":null,"bytesValue":null,"arrayValue":null"#, "");
    METRIC.reads(r#""sum":{"isMonotonic":true},"gauge":null"#, r#""sum":{"isMonotonic":true}"#);
    BODY.reads(r#""arrayValue":{"values":[null,{"intValue":1}]}"#, r#""arrayValue":{"values":[{},{"intValue":"1"}]}"#);
    RESOURCE.reads(r#""entityRefs":[{"idKeys":[null,"a"]}]"#, r#""entityRefs":[{"idKeys":["","a"]}]"#);
}

#[test]
fn zero_is_a_value_where_absence_is_another() {
    same(&POINT, r#""asInt":"0""#);
    same(&POINT, r#""asDouble":0"#);
    same(&BODY, r#""stringValue":"""#);
    same(&BODY, r#""boolValue":false"#);
    same(&BODY, r#""intValue":"0""#);
    same(&BODY, r#""bytesValue":"""#);
    same(&METRIC, r#""histogram":{"dataPoints":[{"sum":0,"min":0,"max":0}]}"#);
    POINT.reads(r#""flags":0,"timeUnixNano":"0""#, "");
}

#[test]
fn ids_are_hexadecimal_in_either_case() {
    SPAN.reads(
        r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"""#,
        r#""traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","status":{}"#,
    );
    POINT.reads(
        r#""exemplars":[{"asInt":1,"trace_id":"5b8efff798038103d269b633813fc60c"}]"#,
        r#""exemplars":[{"traceId":"5b8efff798038103d269b633813fc60c","asInt":"1"}]"#,
    );
}

#[test]
fn bytes_are_base64_of_either_alphabet() {
    same(&BODY, r#""bytesValue":"+/8=""#);
    BODY.reads(r#""bytesValue":"-_8""#, r#""bytesValue":"+/8=""#);
}

#[test]
fn fields_are_read_by_either_name_and_unknown_ones_are_skipped() {
    SPAN.reads(
        r#""trace_state":"a=1","start_time_unix_nano":"7","dropped_links_count":2"#,
        r#""traceState":"a=1","startTimeUnixNano":"7","droppedLinksCount":2,"status":{}"#,
    );
    METRIC.reads(
        r#""exponential_histogram":{"data_points":[{"zero_threshold":0.5}]}"#,
        r#""exponentialHistogram":{"dataPoints":[{"positive":{},"negative":{},"zeroThreshold":0.5}]}"#,
    );
    POINT.reads(r#""new":{"a":[1,{"b":null}]},"asInt":1,"\ud800":2"#, r#""asInt":"1""#);
    RESOURCE.reads(
        r#""entityRefs":[{"type":"service","idKeys":["service.name"]}]"#,
        r#""entityRefs":[{"type":"service","idKeys":["service.name"]}]"#,
    );
}

#[test]
fn strings_are_read_with_their_escapes() {
    BODY.reads(r#""stringValue":"a\"\\\/\n\u00e9\ud83d\ude00""#, r#""stringValue":"a\"\\/\né😀""#);
    // JavaScript cuts a string in the middle of a character and then writes one half of it.
    BODY.reads(r#""stringValue":"cut \ud83d""#, "\"stringValue\":\"cut \u{fffd}\"");
    BODY.reads(r#""stringValue":"\udc00 \ud83dx""#, "\"stringValue\":\"\u{fffd} \u{fffd}x\"");
}

/// The deepest that is read is a request for all the others too.
#[test]
fn what_is_read_is_not_too_deep_for_the_check_at_the_door() {
    let lists = (r#""arrayValue":{"values":[{"#, "}]}");
    let maps = (r#""kvlistValue":{"values":[{"value":{"#, "}}]}");
    for (open, close) in [lists, maps] {
        let document = |depth: usize| BODY.document(&format!("{}{}", open.repeat(depth), close.repeat(depth)));
        let read = |depth: usize| to_protobuf(Signal::Logs, document(depth).as_bytes());
        let deepest = (1..100).take_while(|depth| read(*depth).is_ok()).last().unwrap();
        assert!(deepest >= 29, "{deepest}");
        assert!(crate::skim(Signal::Logs, &read(deepest).unwrap()).is_ok());
    }
}
