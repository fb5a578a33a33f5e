//! Goldens of the three formats for each signal; the settings; sampling; where the text goes.

use std::time::Duration;

use wire::{Chain, Signal, view};

use super::{Config, Debug, Line, Sampler, Verbosity};
use crate::pipeline::{Deliver, Origin, Outcome, Parcel, Room};
use crate::settings::{ComponentId, read_text};
use crate::telemetry::logs::capture;

const TRACES: &str = r#"{"resourceSpans":[{"schemaUrl":"https://opentelemetry.io/schemas/1.9.0",
    "resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}},
        {"key":"tags","value":{"arrayValue":{"values":[{"intValue":"1"},{"stringValue":"a"}]}}}],
        "entityRefs":[{"type":"service","idKeys":["service.name"],"descriptionKeys":["tags"]}]},
    "scopeSpans":[{"schemaUrl":"scope-schema","scope":{"name":"lib","version":"1.2",
        "attributes":[{"key":"scope.key","value":{"boolValue":true}}]},
    "spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "parentSpanId":"eee19b7ec3c1b173","name":"GET /items","kind":2,"traceState":"a=1",
        "startTimeUnixNano":"1581452772000000321","endTimeUnixNano":"1581452773500000000",
        "attributes":[{"key":"http.status","value":{"intValue":"200"}}],"droppedAttributesCount":1,
        "events":[{"name":"cache miss","timeUnixNano":"1581452772000000400",
            "attributes":[{"key":"key","value":{"stringValue":"items"}}]}],
        "links":[{"traceId":"5b8efff798038103d269b633813fc60d","spanId":"eee19b7ec3c1b175","traceState":"b=2",
            "droppedAttributesCount":2}],
        "status":{"code":2,"message":"not found"}},
        {"name":"bare"}]}]},{}]}"#;

const METRICS: &str = r#"{"resourceMetrics":[{"resource":{"attributes":[{"key":"k","value":{"doubleValue":1.5}}]},
    "scopeMetrics":[{"scope":{},"metrics":[
    {"name":"requests","description":"how many","unit":"1","metadata":[{"key":"m","value":{"stringValue":"d"}}],
        "sum":{"isMonotonic":true,"aggregationTemporality":2,"dataPoints":[{"asInt":"42","timeUnixNano":"1581452772000000321",
        "startTimeUnixNano":"1581452772000000000","attributes":[{"key":"endpoint","value":{"stringValue":"/items"}},
        {"key":"code","value":{"intValue":"200"}}],"exemplars":[{"asDouble":0.5,"timeUnixNano":"1",
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174",
        "filteredAttributes":[{"key":"f","value":{"stringValue":"x"}}]}]}]}},
    {"name":"temperature","gauge":{"dataPoints":[{"asDouble":21.5},{}]}},
    {"name":"duration","histogram":{"aggregationTemporality":1,"dataPoints":[{"count":"5","sum":9,"min":1,"max":4,
        "bucketCounts":["2","2","1"],"explicitBounds":[1,2.5],"attributes":[{"key":"a","value":{"stringValue":"b"}}]}]}},
    {"name":"exponential","exponentialHistogram":{"aggregationTemporality":2,"dataPoints":[{"count":"6","sum":3.5,"scale":1,
        "zeroCount":"1","positive":{"offset":1,"bucketCounts":["2","1"]},"negative":{"offset":0,"bucketCounts":["1","1"]}}]}},
    {"name":"quantiles","summary":{"dataPoints":[{"count":"3","sum":6,"quantileValues":[{"quantile":0.5,"value":2},
        {"quantile":0.99,"value":"NaN"}]}]}},
    {"name":"nothing"}]}]}]}"#;

const LOGS: &str = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"host.name","value":{"stringValue":"a"}}]},
    "scopeLogs":[{"scope":{"name":"logger"},"logRecords":[
    {"timeUnixNano":"1581452773000000789","observedTimeUnixNano":"1581452773000000790","severityNumber":9,
        "severityText":"Info","eventName":"started","body":{"stringValue":"This is a\nlog message"},
        "attributes":[{"key":"app","value":{"stringValue":"server"}},{"key":"instance","value":{"intValue":"1"}}],
        "traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","flags":1},
    {"body":{"kvlistValue":{"values":[{"key":"b","value":{"bytesValue":"AQID"}},{"key":"a","value":{}}]}}}]}]}]}"#;

fn protobuf(signal: Signal) -> Chain {
    let json = match signal {
        Signal::Traces => TRACES,
        Signal::Metrics => METRICS,
        Signal::Logs => LOGS,
    };
    wire::json::to_protobuf(signal, json.as_bytes()).unwrap().into()
}

fn written(verbosity: Verbosity, signal: Signal) -> String {
    let body = protobuf(signal).contiguous();
    let request = view::Request::new(&body);
    let line = Line::of(signal, request, 2);
    let mut text = format!("{line}\n");
    verbosity.write(&mut text, signal, request);
    text
}

#[test]
fn the_format_normal() {
    let all = Signal::ALL.map(|signal| written(Verbosity::Normal, signal)).join("\n");
    insta::assert_snapshot!(all);
}

#[test]
fn the_format_detailed_of_traces() {
    insta::assert_snapshot!(written(Verbosity::Detailed, Signal::Traces));
}

#[test]
fn the_format_detailed_of_metrics() {
    insta::assert_snapshot!(written(Verbosity::Detailed, Signal::Metrics));
}

#[test]
fn the_format_detailed_of_logs() {
    insta::assert_snapshot!(written(Verbosity::Detailed, Signal::Logs));
}

#[test]
fn output_paths_are_for_plain_text_only() {
    let check = |yaml: &str, expected: &str| assert_eq!(read_text::<Config>(yaml).unwrap_err(), expected);
    check(
        "output_paths: [stderr]",
        "output_paths: output_paths is not supported when use_internal_logger is true; add `use_internal_logger: \
         false`, or remove `output_paths`",
    );
    check(
        "{use_internal_logger: false, output_paths: []}",
        "output_paths: output_paths must not be empty when use_internal_logger is false; write `[stdout]`, or remove \
         `output_paths`",
    );
    check("verbosity: loud", "verbosity: expected one of basic, normal, detailed, found the string `loud`");
}

#[tokio::test(start_paused = true)]
async fn the_first_of_each_second_pass_and_then_one_in_so_many() {
    let start = tokio::time::Instant::now();
    let admitted = |sampler: &Sampler, at: Duration| (0..10).map(|_| sampler.admit(start + at)).collect::<Vec<_>>();
    let sampler = Sampler::new(2, 4);
    let expected = [true, true, false, false, false, true, false, false, false, true];
    assert_eq!(admitted(&sampler, Duration::ZERO), expected);
    assert_eq!(admitted(&sampler, Duration::from_secs(1)), expected);
    assert!(admitted(&Sampler::new(2, 1), Duration::ZERO).iter().all(|admitted| *admitted));
    assert_eq!(admitted(&Sampler::new(1, 0), Duration::ZERO).iter().filter(|admitted| **admitted).count(), 1);
}

async fn deliver(debug: &Debug, signal: Signal) -> Outcome {
    let (body, origin) = (protobuf(signal), Origin::default());
    debug.deliver(Parcel { signal, body: &body, items: 2, origin: &origin, room: Room::endless() }).await
}

#[tokio::test]
async fn writes_to_the_log_with_line_breaks_and_nothing_that_moves_a_cursor() {
    let logs = capture::start_with(crate::telemetry::logs::Options::default());
    let config: Config = read_text("verbosity: normal").unwrap();
    let debug = Debug::new(&config, &ComponentId::parse("debug/a").unwrap()).unwrap();
    for _ in 0..30 {
        assert_eq!(deliver(&debug, Signal::Logs).await, Outcome::Sent);
    }
    let text = logs.text();
    let fields =
        r#"{"otelcol.component.id": "debug/a", "otelcol.component.kind": "exporter", "otelcol.signal": "logs""#;
    assert!(text.contains(&format!("\tinfo\tLogs\t{fields}, \"resource logs\": 1, \"log records\": 2}}\n")), "{text}");
    assert!(text.contains("\tinfo\tResourceLog #0 host.name=a\nScopeLog #0 logger\nThis is a\n"), "{text}");
    assert_eq!(text.matches("ScopeLog").count(), 30, "what is asked for is not left out as repeated");
}

#[tokio::test]
async fn writes_plain_text_to_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.txt");
    let yaml = format!("{{use_internal_logger: false, output_paths: ['{}']}}", path.display());
    let debug = Debug::new(&read_text(&yaml).unwrap(), &ComponentId::of("debug")).unwrap();
    assert_eq!(deliver(&debug, Signal::Traces).await, Outcome::Sent);
    assert_eq!(deliver(&debug, Signal::Metrics).await, Outcome::Sent);
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        "Traces\t{\"resource spans\": 2, \"spans\": 2}\n\
         Metrics\t{\"resource metrics\": 1, \"metrics\": 6, \"data points\": 2}\n"
    );
}

#[test]
fn a_file_that_cannot_be_opened_ends_the_start() {
    let config = read_text("{use_internal_logger: false, output_paths: [/none/of/this]}").unwrap();
    let error = Debug::new(&config, &ComponentId::of("debug")).unwrap_err();
    assert_eq!(format!("{error:#}"), "cannot open /none/of/this: No such file or directory (os error 2)");
}
