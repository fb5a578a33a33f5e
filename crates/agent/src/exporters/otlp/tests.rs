//! Endpoints and headers as they are written, and what the tests of both exporters need.

use bytes::Bytes;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::Message as _;
use testkit::backend::{Answer, Backend};
use wire::{Chain, Signal};

use super::endpoint::{Target, Url, Wrong};
use crate::exporters::{otlp_grpc, otlp_http};
use crate::pipeline::{Deliver, Origin, Outcome, Parcel, Room, Sender, testing};
use crate::settings::read_text;
use crate::telemetry::Metrics;

/// A request with this many log records, each of about a hundred bytes, in slices of 1000 bytes.
pub(in crate::exporters) fn logs(records: usize) -> Chain {
    let record = |index: usize| LogRecord {
        time_unix_nano: 1_700_000_000_000_000_000 + index as u64,
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue(format!(
                "GET /items/{index} took {} ms: all is well",
                index % 97
            ))),
        }),
        severity_text: "INFO".into(),
        ..LogRecord::default()
    };
    let scope = ScopeLogs { log_records: (0..records).map(record).collect(), ..ScopeLogs::default() };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { scope_logs: vec![scope], ..Default::default() }],
    };
    let bytes = Bytes::from(request.encode_to_vec());
    (0..bytes.len()).step_by(1000).map(|at| bytes.slice(at..bytes.len().min(at + 1000))).collect()
}

/// One attempt.
pub(in crate::exporters) async fn deliver(exporter: &impl Deliver, body: &Chain, items: usize) -> Outcome {
    let origin = Origin::default();
    exporter.deliver(Parcel { signal: Signal::Logs, body, items, origin: &origin, room: Room::endless() }).await
}

/// An outcome in a line: what tests compare.
pub(in crate::exporters) fn in_short(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Sent => "sent".into(),
        Outcome::Partial { rejected, message } => format!("partial: {rejected} {message}"),
        Outcome::Retry { after: None, .. } => "retry".into(),
        Outcome::Retry { after: Some(delay), .. } => format!("retry after {delay:?}"),
        Outcome::Refused { fault, .. } => format!("refused: {fault:?}"),
    }
}

/// The error of an outcome that has one.
pub(in crate::exporters) fn error(outcome: Outcome) -> String {
    match outcome {
        Outcome::Retry { error, .. } | Outcome::Refused { error, .. } => error,
        outcome => format!("{outcome:?}"),
    }
}

/// Both exporters, with everything that stands around them, towards a backend.
fn senders(backend: &Backend) -> [Sender; 2] {
    let yaml = format!("endpoint: {}\nretry_on_failure: {{initial_interval: 10ms}}\ntimeout: 2s", backend.url());
    let grpc: otlp_grpc::Config = read_text(&yaml).unwrap();
    let http: otlp_http::Config = read_text(&yaml).unwrap();
    let (metrics, signal) = (Metrics::new(), Signal::Logs);
    let exporter = otlp_grpc::Exporter::new(&grpc, None).unwrap();
    let over_grpc = Sender::new("otlp_grpc", signal, &grpc.policy(), exporter, &[], &metrics);
    let exporter = otlp_http::Exporter::new(&http, signal, None).unwrap();
    let over_http = Sender::new("otlp_http", signal, &http.policy(), exporter, &[], &metrics);
    [over_grpc, over_http]
}

async fn arrives(trouble: &[Answer], then: Answer, expected: usize) {
    for exporter in 0..2 {
        let backend = Backend::start().await.unwrap();
        trouble.iter().for_each(|answer| backend.answer_next(answer.clone()));
        backend.answer(then.clone());
        let sender = &senders(&backend)[exporter];
        sender.accept(testing::batch(Signal::Logs, logs(1000), 1000)).await.unwrap();
        backend.wait_for(expected, std::time::Duration::from_secs(20)).await.unwrap();
        assert_eq!(sender.drain().await, 0);
        assert_eq!(backend.items_total(), expected, "{then:?}");
        assert!(backend.complaints().is_empty(), "{:?}", backend.complaints());
    }
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_the_backend_arrives_in_parts() {
    arrives(&[], Answer::TooLargeOver(20_000), 1000).await;
}

#[tokio::test]
async fn one_bad_record_does_not_take_the_others_with_it() {
    arrives(&[], Answer::RefuseIfContains("/items/517 "), 999).await;
}

#[tokio::test]
async fn a_batch_arrives_after_all_kinds_of_trouble() {
    let trouble = [Answer::code(14, "not now"), Answer::Cut, Answer::status(503), Answer::CutEarly, Answer::Stall];
    arrives(&trouble, Answer::Accept, 1000).await;
}

fn told<T: std::fmt::Debug>(parsed: Result<T, Wrong>) -> String {
    parsed.map_or_else(|wrong| format!("{}; {}", wrong.what, wrong.remedy), |parsed| format!("{parsed:?}"))
}

#[test]
fn reads_the_forms_of_a_grpc_target() {
    let check = |text: &str, expected: &str| {
        let got = Target::parse(text).map(|target| {
            let tls = target.tls.map_or("", |tls| if tls { " with TLS" } else { " plain" });
            format!("{}{tls}", target.place)
        });
        assert_eq!(got.unwrap_or_else(|wrong| format!("{}; {}", wrong.what, wrong.remedy)), expected, "{text}");
    };
    check("backend:4317", "backend:4317");
    check("http://backend:4317", "backend:4317 plain");
    check("https://backend:4317/", "backend:4317 with TLS");
    check("dns:///backend:4317", "backend:4317");
    check("dns:backend:4317", "backend:4317");
    check("passthrough:///10.0.0.1:4317", "10.0.0.1:4317");
    check("[::1]:4317", "[::1]:4317");
    check("unix:///run/otel.sock", "unix:/run/otel.sock");
    check("unix:otel.sock", "unix:otel.sock");
    check("", "requires a non-empty \"endpoint\"; write it as `host:port`, for instance `backend:4317`");
    check("https://", "requires a non-empty \"endpoint\"; write it as `host:port`, for instance `backend:4317`");
    check("backend", "`backend` has no port; write it as `host:port`; the port of OTLP over gRPC is usually 4317");
    check(
        "backend:otlp",
        "`otlp` is not a port number (0 to 65535); write it as `host:port`; the port of OTLP over gRPC is usually 4317",
    );
    check(":4317", "`:4317` has no host; write for instance `localhost:4317`");
    check("backend:0", "nothing can be sent to port 0; the port of OTLP over gRPC is usually 4317");
    check(
        "http://backend:4318/v1/traces",
        "gRPC has no path, but the endpoint has `/v1/traces`; remove the path, or use the exporter `otlp_http`",
    );
    check(
        "tcp://backend:4317",
        "the scheme `tcp://` is unknown; write `host:port`, or put `http://`, `https://`, `dns:///` or `unix:` before it",
    );
    check(
        "dns://8.8.8.8/backend:4317",
        "names are resolved by the system, not by a name server of their own (`8.8.8.8`); write `dns:///backend:4317`",
    );
    check("unix:", "the path of the socket is missing; write it as `unix:/path/to/socket`");
}

#[test]
fn reads_urls_and_puts_the_signal_s_path_behind_the_base() {
    let check = |base: &str, expected: &str| {
        assert_eq!(told(Url::under(base, "v1/logs").map(|url| url.display())).trim_matches('"'), expected, "{base}");
    };
    check("http://backend:4318", "http://backend:4318/v1/logs");
    check("http://backend:4318/", "http://backend:4318/v1/logs");
    check("https://backend/otlp", "https://backend/otlp/v1/logs");
    check("http://[::1]:4318", "http://[::1]:4318/v1/logs");
    check(
        "backend:4318",
        "`backend:4318/v1/logs` has no scheme; write `http://backend:4318/v1/logs` or `https://backend:4318/v1/logs`",
    );
    check(
        "grpc://backend:4317",
        "`grpc://` is not a scheme that OTLP is sent over; write it as `http://host:4318` or `https://host:4318`",
    );
    check(
        "http://me:secret@backend:4318",
        "a URL with a user name and password in it is not taken; \
         use the extension `basicauth` with `client_auth`, and `auth::authenticator` here",
    );

    let url = Url::parse("https://[::1]/logs?key=secret").unwrap();
    assert_eq!((url.host.as_str(), url.port, url.path.as_str()), ("::1", 443, "/logs?key=secret"));
    assert_eq!(url.display(), "https://[::1]/logs", "a key in the query is not for logs");
}
