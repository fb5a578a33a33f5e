//! What is written: the Collector's JSON, also for requests that no encoder of ours would make.

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::Signal;
use crate::json::{from_protobuf, to_protobuf, write};

#[track_caller]
fn check(signal: Signal, protobuf: &[u8], expected: &str) {
    assert_eq!(String::from_utf8(from_protobuf(signal, &protobuf.to_vec().into())).unwrap(), expected);
}

#[test]
fn writes_as_the_collector_does() {
    let attribute = KeyValue {
        key: "host.cpus".into(),
        value: Some(AnyValue { value: Some(Value::IntValue(8)) }),
        ..KeyValue::default()
    };
    let point = NumberDataPoint {
        time_unix_nano: 1_700_000_000_000_000_001,
        value: Some(number_data_point::Value::AsDouble(f64::NAN)),
        ..NumberDataPoint::default()
    };
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(Resource { attributes: vec![attribute], ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics {
                metrics: vec![Metric {
                    name: "temperature".into(),
                    data: Some(Data::Gauge(Gauge { data_points: vec![point] })),
                    ..Metric::default()
                }],
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    };
    check(
        Signal::Metrics,
        &request.encode_to_vec(),
        concat!(
            r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"host.cpus","value":{"intValue":"8"}}]},"#,
            r#""scopeMetrics":[{"scope":{},"metrics":[{"name":"temperature","gauge":{"dataPoints":["#,
            r#"{"timeUnixNano":"1700000000000000001","asDouble":"NaN"}]}}]}]}]}"#,
        ),
    );
}

#[test]
fn an_empty_request_is_an_empty_object() {
    for signal in Signal::ALL {
        check(signal, b"", "{}");
        assert_eq!(to_protobuf(signal, b" {} "), Ok(Vec::new()));
        assert_eq!(to_protobuf(signal, b"null"), Ok(Vec::new()));
    }
}

#[test]
fn puts_together_what_stands_in_pieces() {
    // ResourceSpans with its resource in two pieces around the schema URL, and a resource's list around a number.
    let resource = |attribute: &[u8]| [&[0x0a, attribute.len() as u8][..], attribute].concat();
    let attribute = |key: &str| [&[0x0a, 5, 0x0a, 3][..], key.as_bytes()].concat();
    let first = resource(&[attribute("one"), vec![0x10, 4], attribute("two")].concat());
    let group = [first, vec![0x1a, 1, b'u'], resource(&attribute("thr"))].concat();
    let request = [&[0x0a, group.len() as u8][..], &group].concat();
    check(
        Signal::Traces,
        &request,
        concat!(
            r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"one","value":{}},{"key":"two","value":{}},"#,
            r#"{"key":"thr","value":{}}],"droppedAttributesCount":4},"schemaUrl":"u"}]}"#,
        ),
    );
}

#[test]
fn the_last_member_of_a_oneof_counts_and_unknown_fields_are_left_out() {
    // LogRecord { body: { string_value: "a", int_value: 7, 99: 1 }, trace_id: sixteen zeros, 98: "x" }
    let body = [0x0a, 1, b'a', 0x18, 7, 0x98, 0x06, 1];
    let record = [&[0x2a, body.len() as u8][..], &body, &[0x4a, 16], &[0; 16], &[0x92, 0x06, 1, b'x']].concat();
    let scope = [&[0x12, record.len() as u8][..], &record].concat();
    let group = [&[0x12, scope.len() as u8][..], &scope].concat();
    let request = [&[0x0a, group.len() as u8][..], &group].concat();
    check(
        Signal::Logs,
        &request,
        r#"{"resourceLogs":[{"resource":{},"scopeLogs":[{"scope":{},"logRecords":[{"body":{"intValue":"7"}}]}]}]}"#,
    );
}

#[test]
fn reads_and_writes_numbers_packed_or_not() {
    // Histogram point: bucket_counts 1 packed, 2 alone, 3 packed.
    let fixed = |number: u8| [&[number][..], &[0; 7]].concat();
    let point = [&[0x32, 8][..], &fixed(1), &[0x31], &fixed(2), &[0x32, 8], &fixed(3)].concat();
    let data = [&[0x0a, point.len() as u8][..], &point].concat();
    let metric = [&[0x4a, data.len() as u8][..], &data].concat();
    let scope = [&[0x12, metric.len() as u8][..], &metric].concat();
    let group = [&[0x12, scope.len() as u8][..], &scope].concat();
    let request = [&[0x0a, group.len() as u8][..], &group].concat();
    let expected = concat!(
        r#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{},"metrics":[{"histogram":{"dataPoints":["#,
        r#"{"bucketCounts":["1","2","3"]}]}}]}]}]}"#,
    );
    check(Signal::Metrics, &request, expected);
}

#[test]
fn what_is_cut_off_is_left_out_without_a_panic() {
    check(Signal::Logs, &[0x0a, 200], "{}");
    check(Signal::Logs, &[0x0a, 3, 0x12, 99, 0], r#"{"resourceLogs":[{"resource":{}}]}"#);
}

/// Takes what is written, and remembers how long the pieces were.
#[derive(Default)]
struct Pieces(Vec<u8>, Vec<usize>);

impl std::io::Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.extend_from_slice(bytes);
        self.1.push(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn pieces_are_short_and_together_what_is_written_at_once() {
    let text = |text: String| AnyValue { value: Some(Value::StringValue(text)) };
    let attribute = |at: usize| KeyValue {
        key: format!("key-{at}"),
        value: (!at.is_multiple_of(3)).then(|| text("\"\n".repeat(at % 50))),
        ..KeyValue::default()
    };
    let long = KeyValue { value: Some(text("long".repeat(100_000))), ..KeyValue::default() };
    let bytes = AnyValue { value: Some(Value::BytesValue(vec![7; 200_000])) };
    let bytes = KeyValue { value: Some(bytes), ..KeyValue::default() };
    let attributes = (0..20_000).map(attribute).chain([long, bytes]).collect();
    let bare = ResourceMetrics::default();
    let full = ResourceMetrics { resource: Some(Resource { attributes, ..Resource::default() }), ..bare.clone() };
    let resource_metrics = [vec![bare.clone(); 30_000], vec![full, bare]].concat();
    let request = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into();
    let mut pieces = Pieces::default();
    write(Signal::Metrics, &request, &mut pieces).unwrap();
    assert!(pieces.0 == from_protobuf(Signal::Metrics, &request), "the pieces are not the whole");
    let longest = pieces.1.iter().max().unwrap();
    assert!(pieces.1.len() > 10 && *longest <= 2 * 64 * 1024, "{} pieces of up to {longest}", pieces.1.len());
}

#[test]
fn who_takes_no_more_is_given_no_more() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 += 1;
            if self.0 > 1 { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let resource_metrics = vec![ResourceMetrics::default(); 100_000];
    let request = ExportMetricsServiceRequest { resource_metrics }.encode_to_vec().into();
    let mut full = Full(0);
    let error = write(Signal::Metrics, &request, &mut full).unwrap_err();
    assert_eq!((error.kind(), full.0), (std::io::ErrorKind::StorageFull, 2));
}
