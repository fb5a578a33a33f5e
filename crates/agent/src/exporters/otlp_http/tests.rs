//! Every answer of an HTTP backend, and every way not to get one.

use testkit::backend::{Answer, Backend, Payload, Protocol as Came};
use testkit::pki::Authority as CertificateAuthority;

use super::*;
use crate::exporters::otlp::tests::{deliver, error, in_short, logs};
use crate::settings::read_text;

fn exporter(endpoint: &str, more: &str) -> Exporter {
    let yaml = format!("endpoint: {endpoint}\n{more}");
    Exporter::new(&read_text(&yaml).unwrap(), Signal::Logs, None).unwrap()
}

#[tokio::test]
async fn each_answer_is_treated_as_the_collector_treats_it() {
    let backend = Backend::start().await.unwrap();
    let exporter = exporter(&backend.url(), "");
    let check = async |answer: Answer, expected: &str| {
        backend.answer_next(answer.clone());
        assert_eq!(in_short(&deliver(&exporter, &logs(3), 3).await), expected, "{answer:?}");
    };
    let html = |status: u16, content_type: &str, body: &str| Answer::Http {
        status,
        headers: vec![("content-type", content_type.to_owned())],
        body: body.as_bytes().to_vec(),
    };
    check(Answer::Accept, "sent").await;
    check(Answer::status(202), "sent").await;
    check(html(200, "text/html", "<h1>hello</h1>"), "sent").await;
    check(html(200, "application/x-protobuf", "<h1>hello</h1>"), "refused: Elsewhere").await;
    check(html(200, "application/json; charset=utf-8", "<h1>hello</h1>"), "refused: Elsewhere").await;
    check(html(200, "application/json", r#"{"partialSuccess":{"rejectedLogRecords":"2"}}"#), "partial: 2 ").await;
    check(Answer::Partial { rejected: 2, message: "too old".into() }, "partial: 2 too old").await;
    check(Answer::Partial { rejected: 0, message: "beware".into() }, "partial: 0 beware").await;
    for status in [429, 502, 503, 504] {
        check(Answer::status(status), "retry").await;
    }
    check(Answer::status_after(429, "3"), "retry after 3s").await;
    check(Answer::status_after(503, "3"), "retry after 3s").await;
    check(Answer::status_after(503, "Wed, 21 Oct 2015 07:28:00 GMT"), "retry after 0ns").await;
    check(Answer::status_after(502, "3"), "retry").await;
    check(Answer::TooLargeOver(10), "refused: Size").await;
    check(Answer::status(413), "refused: Size").await;
    check(html(400, "text/plain", "http: request body too large"), "refused: Size").await;
    for status in [400, 422, 500] {
        check(Answer::status(status), "refused: Data").await;
    }
    for status in [301, 307, 401, 403, 404, 405, 408, 415, 501, 505] {
        check(Answer::status(status), "refused: Elsewhere").await;
    }
}

#[tokio::test]
async fn a_refusal_is_told_with_what_the_backend_said() {
    let backend = Backend::start().await.unwrap();
    let check = async |answer: Answer, more: &str, expected: &str| {
        backend.answer_next(answer);
        let told = error(deliver(&exporter(&backend.url(), more), &logs(1), 1).await);
        assert_eq!(told, format!("{}/v1/logs answered {expected}", backend.url()));
    };
    check(Answer::code(3, "bad span"), "", "400 Bad Request: bad span").await;
    check(Answer::code(3, "bad span"), "encoding: json", "400 Bad Request: bad span").await;
    let page = Answer::Http { status: 404, headers: vec![], body: b"\n404 page not found\n".to_vec() };
    check(page, "", "404 Not Found: 404 page not found").await;
    check(Answer::status(500), "", "500 Internal Server Error: no message").await;
    let moved = Answer::Http { status: 308, headers: vec![("location", "https://b/".into())], body: vec![] };
    let expected = "308 Permanent Redirect: it redirects to https://b/; set the endpoint to where it shall go";
    check(moved, "", expected).await;
}

#[tokio::test]
async fn a_body_arrives_as_it_is_with_every_compression() {
    let backend = Backend::start().await.unwrap();
    for compression in ["gzip", "zstd", "snappy", "x-snappy-framed", "zlib", "deflate", "lz4", "none"] {
        let exporter = exporter(&backend.url(), &format!("compression: {compression}"));
        for records in [3, 3000] {
            assert_eq!(deliver(&exporter, &logs(records), records).await, Outcome::Sent, "{:?}", backend.complaints());
            let received = backend.received().pop().unwrap();
            assert_eq!((received.protocol, received.items), (Came::HttpProto, records));
            assert_eq!(received.body, logs(records).contiguous(), "{compression}");
            assert_eq!(received.wire_bytes < received.body.len(), compression != "none", "{compression} of {records}");
        }
    }
    assert_eq!(backend.connections(), 8, "each exporter keeps its connection");
}

#[tokio::test]
async fn json_is_sent_when_it_is_asked_for() {
    let backend = Backend::start().await.unwrap();
    for compression in ["gzip", "none"] {
        let exporter = exporter(&backend.url(), &format!("encoding: json\ncompression: {compression}"));
        assert_eq!(deliver(&exporter, &logs(3), 3).await, Outcome::Sent, "{:?}", backend.complaints());
        let received = backend.received().pop().unwrap();
        assert_eq!((received.protocol, received.items), (Came::HttpJson, 3));
        let Payload::Json(json) = &received.payload else { panic!("{:?}", received.payload) };
        let records = &json["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
        assert_eq!(records[2]["timeUnixNano"], "1700000000000000002");
    }
}

#[tokio::test]
async fn each_signal_goes_to_its_url() {
    let backend = Backend::start().await.unwrap();
    let yaml = format!("endpoint: {0}/base/\nlogs_endpoint: {0}/my/logs?x=1", backend.url());
    let config: Config = read_text(&yaml).unwrap();
    let path = |signal| Exporter::new(&config, signal, None).unwrap().url.path.to_string();
    assert_eq!(path(Signal::Traces), "/base/v1/traces");
    assert_eq!(path(Signal::Metrics), "/base/v1/metrics");
    assert_eq!(path(Signal::Logs), "/my/logs?x=1");
    let exporter = Exporter::new(&config, Signal::Logs, None).unwrap();
    let labels = exporter.labels();
    let port = backend.address().port().to_string();
    let expected = [("server_address", "127.0.0.1"), ("server_port", &port), ("url_path", "/my/logs")];
    assert_eq!(labels, expected.map(|(name, value)| (name, value.to_owned())));

    let only_logs: Config = read_text("logs_endpoint: http://a:1").unwrap();
    let missing = Exporter::new(&only_logs, Signal::Traces, None).err().unwrap().to_string();
    assert_eq!(missing, "either `endpoint` or `traces_endpoint` must be set, since traces are sent here");
}

#[tokio::test]
async fn the_host_and_other_headers_are_sent() {
    let backend = Backend::start().await.unwrap();
    let exporter = exporter(&backend.url(), "headers: {Host: tenant.example, X-Key: k}");
    assert_eq!(deliver(&exporter, &logs(1), 1).await, Outcome::Sent);
    let received = backend.received().pop().unwrap();
    assert_eq!(received.headers["host"], "tenant.example");
    assert_eq!(received.headers["x-key"], "k");
    assert_eq!(received.headers["content-type"], "application/x-protobuf");
    assert_eq!(received.headers["content-encoding"], "gzip");
}

#[tokio::test]
async fn https_works_over_http_2_and_http_1() {
    let authority = CertificateAuthority::new("ours").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let identity = authority.server(&["localhost"]).unwrap();
    let backend = Backend::builder().tls(identity.server_config(None).unwrap()).start().await.unwrap();
    for http2 in [true, false] {
        let more = format!("tls: {{ca_file: {}}}\nforce_attempt_http2: {http2}", file.path().display());
        let exporter = exporter(&backend.url(), &more);
        for _ in 0..2 {
            assert_eq!(deliver(&exporter, &logs(3), 3).await, Outcome::Sent, "{:?}", backend.complaints());
        }
    }
    assert_eq!(backend.connections(), 2);
}

#[tokio::test]
async fn what_keeps_a_request_from_an_answer_is_told_and_tried_again() {
    let backend = Backend::start().await.unwrap();
    backend.answer_next(Answer::Stall);
    let outcome = deliver(&exporter(&backend.url(), "timeout: 500ms"), &logs(1), 1).await;
    assert_eq!(in_short(&outcome), "retry");
    assert!(error(outcome).contains("no answer from"));
    let address = backend.stop().await;
    let outcome = deliver(&exporter(&format!("http://{address}"), ""), &logs(1), 1).await;
    assert_eq!(in_short(&outcome), "retry");
    assert!(error(outcome).contains("refused the connection"));
}

#[test]
fn settings_are_checked_with_everything_that_is_wrong() {
    let check = |yaml: &str, expected: &str| {
        assert_eq!(read_text::<Config>(yaml).err().unwrap_or_default(), expected, "{yaml}");
    };
    check("endpoint: http://backend:4318", "");
    check("{}", "at least one endpoint must be specified; add `endpoint: http://host:4318`");
    check(
        "endpoint: http://backend\nencoding: xml\nproxy_url: x",
        "proxy_url: the Collector has the key `proxy_url`, otel-agent does not yet; \
         connect to the backend directly, or to a Collector that goes through the proxy\n\
         encoding: expected one of proto, json, found the string `xml`",
    );
    check(
        "endpoint: backend:4318\nlogs_endpoint: ftp://a\ncompression_params: {level: 20}",
        "endpoint: `backend:4318` has no scheme; write `http://backend:4318` or `https://backend:4318`\n\
         logs_endpoint: `ftp://` is not a scheme that OTLP is sent over; \
         write it as `http://host:4318` or `https://host:4318`\n\
         compression_params::level: 20 is not a level of gzip; use 1 (fastest) to 9 (smallest)",
    );
}
