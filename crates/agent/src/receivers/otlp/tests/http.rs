//! OTLP over HTTP: the Collector's answers.

use super::*;
use crate::net::compression::{Encoding, compress};
use crate::pipeline::{Code, Refusal};

#[tokio::test]
async fn protobuf_is_taken_and_answered_in_kind() {
    let bench = Bench::start(BOTH);
    let body = request(3);
    let answer = post(bench.last(), &[PROTOBUF], &body).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &[0x0a, 0][..]));
    assert!(answer.head.contains("content-type: application/x-protobuf\r\n"), "{}", answer.head);
    let taken = bench.taken();
    assert_eq!((taken.len(), taken[0].items, &taken[0].bytes[..]), (1, 3, &body[..]));
    assert!(taken[0].origin.peer.is_some());
    assert_eq!(bench.counted(table::RECEIVER_ACCEPTED.of(Signal::Logs), &[("transport", "http")]), 3.0);
}

#[tokio::test]
async fn json_is_taken_as_protobuf_and_answered_in_kind() {
    let bench = Bench::start(BOTH);
    let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"17","body":{"stringValue":"an event"}}]}]}]}"#;
    let answer = post(bench.last(), &[("content-type", "Application/JSON; charset=utf-8")], body).await;
    assert_eq!((answer.status, answer.text()), (200, r#"{"partialSuccess":{}}"#));
    assert_eq!(&bench.taken()[0].bytes[..], &request(1)[..]);
}

#[tokio::test]
async fn every_encoding_is_inflated() {
    let bench = Bench::start(BOTH);
    let body = request(100);
    for encoding in Encoding::ALL {
        let packed = compress(encoding, None, [&body[..]]).unwrap();
        let answer = post(bench.last(), &[PROTOBUF, ("content-encoding", encoding.http_name())], &packed).await;
        assert_eq!(answer.status, 200, "{encoding}: {}", answer.status_message().message);
        assert_eq!(bench.taken()[0].items, 100, "{encoding}");
    }
}

#[tokio::test]
async fn a_chunked_body_is_read() {
    let bench = Bench::start(BOTH);
    let body = request(2);
    let chunked = [format!("{:x}\r\n", body.len()).as_bytes(), &body, b"\r\n0\r\n\r\n"].concat();
    let head = "POST /v1/logs HTTP/1.1\r\nhost: t\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
        content-type: application/x-protobuf\r\n\r\n";
    let answer = raw(bench.last(), &[head.as_bytes(), &chunked].concat()).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(bench.taken()[0].items, 2);
}

#[tokio::test]
async fn an_empty_request_is_taken_and_goes_nowhere() {
    let bench = Bench::start(BOTH);
    assert_eq!(post(bench.last(), &[PROTOBUF], b"").await.status, 200);
    assert_eq!(post(bench.last(), &[JSON], b"{}").await.status, 200);
    assert!(bench.taken().is_empty());
}

#[tokio::test]
async fn a_wrong_path_method_or_content_type_is_told_as_the_collector_tells_it() {
    let bench = Bench::start(BOTH);
    let port = bench.last();
    let answer = send(port, "POST", "/v1/other", &[PROTOBUF], b"").await;
    assert_eq!((answer.status, answer.text()), (404, "404 page not found\n"));
    assert_eq!(
        send(port, "POST", "//v1/logs", &[PROTOBUF], b"").await.status,
        200,
        "an endpoint with a slash at its end"
    );
    // A signal that no pipeline takes.
    assert_eq!(send(port, "POST", "/v1/metrics", &[PROTOBUF], b"").await.status, 404);
    let answer = send(port, "GET", "/v1/logs", &[], b"").await;
    assert_eq!((answer.status, answer.text()), (405, "405 method not allowed, supported: [POST]"));
    assert!(answer.head.contains("content-type: text/plain\r\n") && !answer.head.contains("allow:"));
    for headers in [&[("content-type", "text/plain")][..], &[]] {
        let answer = post(port, headers, b"").await;
        let text = "415 unsupported media type, supported: [application/json, application/x-protobuf]";
        assert_eq!((answer.status, answer.text()), (415, text));
    }
}

#[tokio::test]
async fn what_a_pipeline_says_is_the_answer() {
    let bench = Bench::start(BOTH);
    let check = async |refusal: Refusal, http: u16, retry_after: Option<&str>| {
        let code = refusal.code;
        bench.logs.refuse_with(Some(refusal));
        let answer = post(bench.last(), &[PROTOBUF], &request(2)).await;
        let status = answer.status_message();
        assert_eq!((answer.status, status.code as u32, status.message.as_str()), (http, code.number(), "no"));
        let found = answer.head.split("retry-after: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        assert_eq!(found, retry_after, "{code:?}");
    };
    let delay = Duration::from_millis(2800);
    check(Refusal::unavailable("no"), 503, None).await;
    check(Refusal::unavailable("no").after(delay), 503, Some("2")).await;
    check(Refusal { code: Code::ResourceExhausted, ..Refusal::unavailable("no").after(delay) }, 429, Some("2")).await;
    check(Refusal::permanent("no").after(delay), 500, None).await;
    check(Refusal { code: Code::PermissionDenied, ..Refusal::unavailable("no") }, 403, None).await;
    assert_eq!(bench.counted(table::RECEIVER_REFUSED.of(Signal::Logs), &[("transport", "http")]), 10.0);
}

#[tokio::test]
async fn an_error_in_json_carries_its_time_to_try_again() {
    let bench = Bench::start(BOTH);
    bench.logs.refuse_with(Some(Refusal::unavailable("no").after(Duration::from_millis(1500))));
    let body = br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}"#;
    let answer = post(bench.last(), &[JSON], body).await;
    let details = r#"[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1.5s"}]"#;
    assert_eq!(answer.text(), format!(r#"{{"code":14,"message":"no","details":{details}}}"#));
}

#[tokio::test]
async fn a_spent_budget_is_503_with_a_time_to_try_again() {
    let bench = Bench::with_budget(BOTH, 1000);
    let answer = post(bench.last(), &[PROTOBUF], &request(50)).await;
    assert_eq!((answer.status, answer.status_message().code), (400, 3), "it would never fit");
    let bench = Bench::with_budget(BOTH, 20_000);
    let waiting = TcpStream::connect(("127.0.0.1", bench.last())).await.unwrap();
    let head =
        "POST /v1/logs HTTP/1.1\r\nhost: t\r\ncontent-length: 19000\r\ncontent-type: application/x-protobuf\r\n\r\n";
    let mut waiting = waiting;
    waiting.write_all(head.as_bytes()).await.unwrap();
    // more than the first step, so that room for the whole is asked for
    waiting.write_all(&[0; 10_000]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = post(bench.last(), &[PROTOBUF], &request(100)).await;
    assert_eq!((answer.status, answer.status_message().code), (503, 14));
    assert!(answer.head.contains("retry-after: 1\r\n"), "{}", answer.head);
    drop(waiting);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(post(bench.last(), &[PROTOBUF], &request(100)).await.status, 200, "the permit came back");
}

#[tokio::test]
async fn custom_paths_and_headers_are_used() {
    let bench = Bench::start(
        "{protocols: {http: {endpoint: 'localhost:0', logs_url_path: in/logs, response_headers: {x-cluster: c1}, \
         include_metadata: true}}}",
    );
    let answer = send(bench.last(), "POST", "/in/logs?tenant=a", &[PROTOBUF, ("x-tenant", "a")], &request(1)).await;
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("x-cluster: c1\r\n"));
    let origin = bench.taken().remove(0).origin;
    assert_eq!(origin.metadata.unwrap().get("x-tenant"), ["a"]);
    assert!(send(bench.last(), "POST", "/v1/logs", &[PROTOBUF], b"").await.head.contains("x-cluster: c1\r\n"));
}

#[tokio::test]
async fn only_those_with_credentials_get_in() {
    let bench = Bench::start("{protocols: {http: {endpoint: 'localhost:0', auth: {authenticator: basicauth}}}}");
    let answer = post(bench.last(), &[PROTOBUF], &request(1)).await;
    assert_eq!((answer.status, answer.status_message().code), (401, 16));
    let answer = send(bench.last(), "POST", "/nowhere", &[], b"").await;
    assert_eq!((answer.status, answer.text()), (401, r#"{"code":16,"message":"missing or wrong credentials"}"#));
    let answer = post(bench.last(), &[("content-type", "text/plain")], b"").await;
    assert_eq!((answer.status, answer.text()), (500, r#"{"code": 13, "message": "failed to marshal error message"}"#));
    assert_eq!(post(bench.last(), &[PROTOBUF, ("authorization", "yes")], &request(1)).await.status, 200);
    assert_eq!(bench.taken()[0].origin.auth.as_ref().unwrap().get("user"), ["me"]);
}

#[tokio::test]
async fn browsers_ask_first() {
    let bench =
        Bench::start("{protocols: {http: {endpoint: 'localhost:0', cors: {allowed_origins: ['https://*.example']}}}}");
    let asks = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let answer = send(bench.last(), "OPTIONS", "/v1/logs", &asks, b"").await;
    assert_eq!(answer.status, 204);
    assert!(answer.head.contains("access-control-allow-origin: https://a.example\r\n"), "{}", answer.head);
    let answer = post(bench.last(), &[PROTOBUF, ("origin", "https://a.example")], &request(1)).await;
    assert!(answer.head.contains("access-control-allow-origin: https://a.example\r\n"), "{}", answer.head);
}

#[tokio::test]
async fn http2_without_tls_is_spoken_too() {
    let bench = Bench::start(BOTH);
    let request = Request::post("http://test/v1/logs").header("content-type", "application/x-protobuf");
    let (status, _, body) = send_h2(bench.last(), request.body(Full::new(super::request(1).into())).unwrap()).await;
    assert_eq!((status, &body[..]), (StatusCode::OK, &[0x0a, 0][..]));
}

#[tokio::test]
async fn a_connection_serves_request_after_request() {
    let bench = Bench::start(BOTH);
    let body = request(1);
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n",
        body.len()
    );
    let one = [head.as_bytes(), b"\r\n", &body].concat();
    let last = [head.as_bytes(), b"connection: close\r\n\r\n", &body].concat();
    let answers = raw(bench.last(), &[one.clone(), one, last].concat()).await;
    assert_eq!(String::from_utf8_lossy(&answers).matches("HTTP/1.1 200 OK").count(), 3);
    assert_eq!(bench.taken().len(), 3);
}

#[tokio::test]
async fn stopping_answers_what_is_under_way() {
    let bench = Bench::start(BOTH);
    let body = request(1);
    let mut stream = TcpStream::connect(("127.0.0.1", bench.last())).await.unwrap();
    let mut idle = TcpStream::connect(("127.0.0.1", bench.last())).await.unwrap();
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stopping = tokio::spawn(bench.running.stop(Duration::from_secs(10)));
    tokio::time::sleep(Duration::from_millis(100)).await;
    stream.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", answer.escape_ascii());
    assert_eq!(idle.read(&mut [0; 8]).await.unwrap_or(0), 0, "an idle connection ends at once");
    assert!(stopping.await.unwrap(), "nothing was cut");
    assert_eq!(bench.logs.take().len(), 1);
}
