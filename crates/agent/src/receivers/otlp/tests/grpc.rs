//! OTLP over gRPC: the codes of grpc-go and the Collector.

use super::*;
use crate::net::compression::{Encoding, compress};
use crate::pipeline::Refusal;

#[tokio::test]
async fn a_call_is_taken() {
    let bench = Bench::start(BOTH);
    let body = request(5);
    let (status, headers, answer) = send_h2(bench.first(), call(LOGS, framed(&body))).await;
    assert_eq!(
        (status, &headers["grpc-status"], &answer[..]),
        (StatusCode::OK, &"0".parse().unwrap(), &[0, 0, 0, 0, 2, 0x0a, 0][..])
    );
    assert_eq!(headers["content-type"], "application/grpc");
    let taken = bench.taken();
    assert_eq!((taken[0].items, &taken[0].bytes[..]), (5, &body[..]));
    assert_eq!(bench.counted(table::RECEIVER_ACCEPTED.of(Signal::Logs), &[("transport", "grpc")]), 5.0);
}

#[tokio::test]
async fn a_call_on_the_http_port_is_taken_as_well() {
    let bench = Bench::start(BOTH);
    let (_, headers, _) = send_h2(bench.last(), call(LOGS, framed(&request(1)))).await;
    assert_eq!(headers["grpc-status"], "0");
    assert_eq!(bench.taken().len(), 1);
}

#[tokio::test]
async fn every_encoding_is_inflated() {
    let bench = Bench::start(BOTH);
    let body = request(100);
    for encoding in [Encoding::Gzip, Encoding::Zstd, Encoding::SnappyFramed, Encoding::Zlib] {
        let mut message = framed(&compress(encoding, None, [&body[..]]).unwrap());
        message[0] = 1;
        let mut call = call(LOGS, message);
        call.headers_mut().insert("grpc-encoding", encoding.grpc_name().parse().unwrap());
        let (_, headers, _) = send_h2(bench.first(), call).await;
        assert_eq!((&headers["grpc-status"], bench.taken()[0].items), (&"0".parse().unwrap(), 100), "{encoding}");
    }
}

#[tokio::test]
async fn an_empty_request_is_taken_and_goes_nowhere() {
    let bench = Bench::start(BOTH);
    let (_, headers, _) = send_h2(bench.first(), call(LOGS, framed(b""))).await;
    assert_eq!(headers["grpc-status"], "0");
    assert!(bench.taken().is_empty());
}

async fn refused(bench: &Bench, call: Request<Full<Bytes>>) -> (StatusCode, String, String) {
    let (http, headers, body) = send_h2(bench.first(), call).await;
    assert!(body.is_empty());
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    (http, text("grpc-status"), text("grpc-message"))
}

fn told(http: StatusCode, code: u32, message: &str) -> (StatusCode, String, String) {
    (http, code.to_string(), message.to_owned())
}

#[tokio::test]
async fn what_is_not_here_is_unimplemented() {
    let bench = Bench::start(BOTH);
    let metrics = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
    for (path, message) in [
        (metrics, "unknown service opentelemetry.proto.collector.metrics.v1.MetricsService"),
        ("/other.Service/Export", "unknown service other.Service"),
        (
            "/opentelemetry.proto.collector.logs.v1.LogsService/Import",
            "unknown method Import for service opentelemetry.proto.collector.logs.v1.LogsService",
        ),
    ] {
        assert_eq!(refused(&bench, call(path, framed(b""))).await, told(StatusCode::OK, 12, message));
    }
}

#[tokio::test]
async fn what_is_not_grpc_is_told_by_its_http_status() {
    let bench = Bench::start(BOTH);
    let mut get = call(LOGS, "");
    *get.method_mut() = ::http::Method::GET;
    let message = "Received a HEADERS frame with :method \"GET\" which should be POST";
    assert_eq!(refused(&bench, get).await, told(StatusCode::METHOD_NOT_ALLOWED, 13, message));
    let mut other = call(LOGS, "");
    other.headers_mut().insert("content-type", "application/x-protobuf".parse().unwrap());
    let message = "invalid gRPC request content-type \"application/x-protobuf\"";
    assert_eq!(refused(&bench, other).await, told(StatusCode::UNSUPPORTED_MEDIA_TYPE, 3, message));
}

#[tokio::test]
async fn http1_on_the_grpc_port_is_told_where_to_go() {
    let bench = Bench::start(BOTH);
    let answer = post(bench.first(), &[PROTOBUF], &request(1)).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().starts_with("this port speaks OTLP over gRPC; OTLP over HTTP is taken at localhost:"));
}

#[tokio::test]
async fn a_refusal_carries_its_time_to_try_again() {
    let bench = Bench::start(BOTH);
    bench
        .logs
        .refuse_with(Some(Refusal::unavailable("data refused due to high memory usage").after(Duration::from_secs(3))));
    let (_, headers, _) = send_h2(bench.first(), call(LOGS, framed(&request(2)))).await;
    assert_eq!(headers["grpc-status"], "14");
    let details = base64::Engine::decode(
        &base64::engine::general_purpose::STANDARD_NO_PAD,
        headers["grpc-status-details-bin"].as_bytes(),
    );
    let status = wire::rpc::Status::decode(&details.unwrap());
    assert_eq!((status.code, status.retry_delay), (14, Some(Duration::from_secs(3))));
    assert_eq!(bench.counted(table::RECEIVER_REFUSED.of(Signal::Logs), &[("transport", "grpc")]), 2.0);
}

#[tokio::test]
async fn only_those_with_credentials_get_in() {
    let bench = Bench::start("{protocols: {grpc: {endpoint: 'localhost:0', auth: {authenticator: basicauth}}}}");
    let message = "missing or wrong credentials";
    assert_eq!(refused(&bench, call(LOGS, framed(b""))).await, told(StatusCode::OK, 16, message));
    let mut with = call(LOGS, framed(&request(1)));
    with.headers_mut().insert("authorization", "yes".parse().unwrap());
    assert_eq!(send_h2(bench.first(), with).await.1["grpc-status"], "0");
}

#[tokio::test]
async fn an_old_connection_is_asked_to_end() {
    let bench = Bench::start(
        "{protocols: {grpc: {endpoint: 'localhost:0', keepalive: {server_parameters: {max_connection_age: 300ms}}}}}",
    );
    let stream = TcpStream::connect(("127.0.0.1", bench.first())).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    assert!(sender.send_request(call(LOGS, framed(b""))).await.is_ok());
    let ended = tokio::time::timeout(Duration::from_secs(5), connection).await;
    assert!(ended.unwrap().unwrap().is_ok(), "by GOAWAY, without an error");
}
