//! A receiver on loopback: what it sees, and what its answers lead to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use wire::{Chain, Signal};

use super::*;
use crate::exporters::prometheus_remote_write::Exporter;
use crate::exporters::{FindCredentials, Kept};
use crate::net::reply::Body;
use crate::net::server::{Address, Listener, Options, Peer, Server};
use crate::pipeline::testing;
use crate::pipeline::{Deliver, Fault, Origin, Outcome, Parcel, Room};
use crate::settings::{ComponentId, Endpoint};
use crate::telemetry::{Metrics, table};

/// Answers with the statuses given to it, then with 204.
struct Receiver {
    server: Server,
    seen: Arc<Mutex<Vec<(HeaderMap, WriteRequest)>>>,
    answers: Arc<Mutex<VecDeque<(u16, &'static str)>>>,
}

impl Receiver {
    fn start() -> Receiver {
        let listener = Listener::bind(&Address::Tcp(Endpoint::localhost(0))).unwrap();
        let seen: Arc<Mutex<Vec<(HeaderMap, WriteRequest)>>> = Arc::default();
        let answers: Arc<Mutex<VecDeque<(u16, &'static str)>>> = Arc::default();
        let (to_seen, from_answers) = (Arc::clone(&seen), Arc::clone(&answers));
        let handler = move |request: http::Request<Incoming>, _: Peer| {
            let (seen, answers) = (Arc::clone(&to_seen), Arc::clone(&from_answers));
            async move {
                let (parts, body) = request.into_parts();
                let packed = body.collect().await.unwrap().to_bytes();
                let body = snap::raw::Decoder::new().decompress_vec(&packed).unwrap();
                let request = match parts.headers["x-prometheus-remote-write-version"].to_str().unwrap() {
                    "0.1.0" => WriteRequest::decode(&*body).unwrap(),
                    _ => Request2::decode(&*body).unwrap().resolved().0,
                };
                let (status, retry_after) = answers.lock().unwrap().pop_front().unwrap_or((204, ""));
                if status < 300 {
                    seen.lock().unwrap().push((parts.headers, request));
                }
                let mut answer = Response::builder().status(status);
                if !retry_after.is_empty() {
                    answer = answer.header("retry-after", retry_after);
                }
                answer.body(Body::from("out of order sample")).unwrap()
            }
        };
        Receiver { server: Server::start(listener, Options::default(), handler), seen, answers }
    }

    fn exporter(&self, more: &str) -> Exporter {
        Exporter::new(
            &ComponentId::parse("prometheus_remote_write").unwrap(),
            &self.config(more),
            None,
            &Metrics::new(),
        )
        .unwrap()
    }

    fn config(&self, more: &str) -> Config {
        read_text(&format!("endpoint: http://{}/api/v1/write\n{more}", self.server.address())).unwrap()
    }

    fn answer(&self, status: u16, retry_after: &'static str) {
        self.answers.lock().unwrap().push_back((status, retry_after));
    }

    fn samples(&self) -> usize {
        let seen = self.seen.lock().unwrap();
        seen.iter().flat_map(|(_, request)| &request.timeseries).map(|series| series.samples.len()).sum()
    }
}

/// So many counters, each with one point.
fn counters(count: usize) -> Chain {
    let one = |number: usize| metric(&format!("c{number}"), "", sum(CUMULATIVE, vec![point(&[], 1000, 1.0)]));
    Chain::from(bytes::Bytes::from(request(&[], (0..count).map(one).collect()).encode_to_vec()))
}

async fn deliver(exporter: &Exporter, body: &Chain, items: usize) -> Outcome {
    exporter
        .deliver(Parcel { signal: Signal::Metrics, body, items, origin: &Origin::default(), room: Room::endless() })
        .await
}

#[tokio::test]
async fn the_protocol_s_headers_are_sent_and_the_configured_ones() {
    let receiver = Receiver::start();
    for (message, version, content_type) in [
        ("prometheus.WriteRequest", "0.1.0", "application/x-protobuf"),
        ("io.prometheus.write.v2.Request", "2.0.0", "application/x-protobuf;proto=io.prometheus.write.v2.Request"),
    ] {
        let exporter = receiver.exporter(&format!("protobuf_message: {message}\nheaders: {{X-Scope-OrgID: me}}"));
        assert_eq!(deliver(&exporter, &counters(3), 3).await, Outcome::Sent);
        let (headers, request) = receiver.seen.lock().unwrap().pop().unwrap();
        let of = |name: &str| headers[name].to_str().unwrap().to_owned();
        assert_eq!(
            (of("x-prometheus-remote-write-version"), of("content-type")),
            (version.into(), content_type.into())
        );
        assert_eq!((of("content-encoding"), of("x-scope-orgid")), ("snappy".to_owned(), "me".to_owned()));
        assert!(of("user-agent").starts_with("otel-agent/"));
        assert_eq!(request.timeseries.len(), 3);
    }
}

#[tokio::test]
async fn an_answer_is_taken_for_what_it_means() {
    let receiver = Receiver::start();
    let exporter = receiver.exporter("");
    let check = async |status: u16, retry_after: &'static str, expected: &str| {
        receiver.answer(status, retry_after);
        let outcome = match deliver(&exporter, &counters(1), 1).await {
            Outcome::Retry { after, .. } => format!("retry {after:?}"),
            Outcome::Refused { fault, error } => {
                assert!(error.contains("/api/v1/write answered") && error.contains("out of order"), "{error}");
                format!("refused {fault:?}")
            }
            other => format!("{other:?}"),
        };
        assert_eq!(outcome, expected, "{status}");
    };
    check(200, "", "Sent").await;
    check(204, "", "Sent").await;
    for status in [500, 502, 503, 429] {
        check(status, "", "retry None").await;
        check(status, "7", "retry Some(7s)").await;
    }
    check(400, "", &format!("refused {:?}", Fault::Data)).await;
    check(413, "", &format!("refused {:?}", Fault::Size)).await;
    for status in [401, 403, 404, 415] {
        check(status, "", &format!("refused {:?}", Fault::Elsewhere)).await;
    }
}

#[tokio::test]
async fn a_large_batch_is_several_requests_of_a_bounded_size() {
    let receiver = Receiver::start();
    let exporter = receiver.exporter("max_batch_size_bytes: 20000\nmax_batch_request_parallelism: 3");
    assert_eq!(deliver(&exporter, &counters(5000), 5000).await, Outcome::Sent);
    assert_eq!(receiver.samples(), 5000);
    let seen = receiver.seen.lock().unwrap();
    assert!(seen.len() > 5, "{}", seen.len());
    assert!(seen.iter().all(|(_, request)| request.encoded_len() <= 20_000));
}

#[tokio::test]
async fn points_without_a_form_are_dropped_in_the_ledger_and_counted() {
    let receiver = Receiver::start();
    let metrics = Metrics::new();
    let id = ComponentId::parse("prometheus_remote_write").unwrap();
    let config = receiver.config("");
    let config = crate::exporters::Config::PrometheusRemoteWrite(Box::new(config));
    let none: FindCredentials<'_> = &|_| None;
    let sender = config.sender(&id, Signal::Metrics, none, &Kept::default(), &metrics).unwrap();
    let all = vec![
        metric("c", "", sum(CUMULATIVE, vec![point(&[], 1000, 1.0)])),
        metric("d", "", sum(DELTA, vec![point(&[], 1000, 1.0), point(&[("a", "b")], 1000, 1.0)])),
    ];
    let body = Chain::from(bytes::Bytes::from(request(&[], all).encode_to_vec()));
    let batch = testing::batch(Signal::Metrics, body, 3);
    sender.accept(batch).await.unwrap();
    assert_eq!(sender.drain().await, 0);
    assert_eq!(receiver.samples(), 1);
    let value = |row, labels: &[(&'static str, &str)]| metrics.value(row, labels).unwrap();
    let exporter = ("exporter", "prometheus_remote_write");
    assert!((value(&table::EXPORTER_UNTRANSLATED_POINTS, &[exporter, ("reason", "temporality")]) - 2.0).abs() < 1e-9);
    assert!(value(&table::EXPORTER_UNTRANSLATED_POINTS, &[exporter, ("reason", "other")]).abs() < 1e-9);
    assert!((value(table::EXPORTER_SENT.of(Signal::Metrics), &[exporter]) - 3.0).abs() < 1e-9);
}

#[tokio::test]
async fn what_fails_for_a_while_arrives_and_one_bad_sample_takes_no_others_with_it() {
    let receiver = Receiver::start();
    let metrics = Metrics::new();
    let id = ComponentId::parse("prometheus_remote_write").unwrap();
    let config = crate::exporters::Config::PrometheusRemoteWrite(Box::new(receiver.config("")));
    let sender = config.sender(&id, Signal::Metrics, &|_| None, &Kept::default(), &metrics).unwrap();
    [(503, ""), (500, ""), (429, "0")].into_iter().for_each(|(status, after)| receiver.answer(status, after));
    // Refused as a whole; of the two halves one is fine.
    [(400, ""), (204, ""), (400, "")].into_iter().for_each(|(status, after)| receiver.answer(status, after));
    sender.accept(testing::batch(Signal::Metrics, counters(2), 2)).await.unwrap();
    let done = tokio::time::timeout(Duration::from_secs(20), async {
        while receiver.samples() < 1
            || metrics
                .value(table::EXPORTER_SEND_FAILED.of(Signal::Metrics), &[("exporter", "prometheus_remote_write")])
                != Some(1.0)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    done.await.unwrap();
    assert_eq!(sender.drain().await, 0);
    assert_eq!(receiver.samples(), 1);
}

#[test]
fn what_cannot_be_is_told_with_a_remedy() {
    let check = |text: &str, expected: &str| {
        let problems = read_text::<Config>(text).unwrap_err();
        assert!(problems.contains(expected), "{text}: {problems}");
    };
    check("{}", "invalid endpoint");
    check("endpoint: prometheus:9090", "no scheme");
    check("{endpoint: 'http://h/', wal: {directory: /tmp}}", "a full queue refuses");
    check("{endpoint: 'http://h/', compression: gzip}", "expected one of snappy");
    check("{endpoint: 'http://h/', remote_write_queue: {queue_size: 0}}", "a 0 size queue will drop all the data");
    check("{endpoint: 'http://h/', max_batch_request_parallelism: 0}", "below 1");
    check("{endpoint: 'http://h/', translation_strategy: NoTranslation}", "requires Prometheus Remote Write 2.0");
    check("{endpoint: 'http://h/', external_labels: {a: ''}}", "empty key or value");
    check("{endpoint: 'http://h/', resource_constant_labels: {enabled: true}}", "use `included`");
    check("{endpoint: 'http://h/', http: {}}", "invalid endpoint");
    let both = "resource_constant_labels: {included: [a]}, resource_to_telemetry_conversion: {enabled: true}";
    check(&format!("{{endpoint: 'http://h/', {both}}}"), "cannot configure both");
}

#[test]
fn the_defaults_are_the_collectors_and_http_counts_where_it_is_written() {
    let config: Config = read_text("{http: {endpoint: 'https://h:1/w', headers: {a: b}}, headers: {c: d}}").unwrap();
    assert_eq!(config.http().endpoint, "https://h:1/w");
    assert!(config.http().headers.contains_key("a") && !config.http().headers.contains_key("c"));
    assert_eq!((config.most_bytes(), config.parallel()), (3_000_000, 5));
    let policy = config.policy();
    assert_eq!(policy.timeout.to_std(), Duration::from_secs(5));
    assert_eq!(policy.retry.on().unwrap().initial_interval.to_std(), Duration::from_millis(50));
    assert_eq!(policy.retry.on().unwrap().max_interval.to_std(), Duration::from_secs(30));
    assert_eq!((policy.queue.on().unwrap().queue_size, policy.queue.on().unwrap().num_consumers), (10_000, 1));
    let written: Config = read_text("{endpoint: 'http://h/', retry_on_failure: {max_interval: 1s}}").unwrap();
    assert_eq!(written.policy().retry.on().unwrap().initial_interval.to_std(), Duration::from_millis(50));
}
