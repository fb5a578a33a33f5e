//! Connections from their first byte to their end.

use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Empty;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::settings::Endpoint;

/// An answer that is a fault when it has been sent.
struct Faulty;

impl AsRef<[u8]> for Faulty {
    fn as_ref(&self) -> &[u8] {
        b"here"
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        panic!("a fault");
    }
}

/// `/slow` takes a second, `/fault` and `/late-fault` are faults in the program, all else is answered at once.
async fn answer(request: Request<Incoming>, _: Peer) -> Response<Body> {
    match request.uri().path() {
        "/slow" => tokio::time::sleep(Duration::from_secs(1)).await,
        "/fault" => panic!("a fault"),
        "/late-fault" => return Response::new(Body::from(Bytes::from_owner(Faulty))),
        _ => {}
    }
    Response::new(Body::from("here"))
}

fn start(options: Options) -> (Server, u16) {
    let listener = Listener::bind(&Address::Tcp(Endpoint::new("127.0.0.1", 0))).unwrap();
    let server = Server::start(listener, options, answer);
    let Address::Tcp(endpoint) = server.address().clone() else { panic!("a TCP address") };
    (server, endpoint.port)
}

async fn get(port: u16, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer).await;
    answer
}

type Calls = http2::SendRequest<Empty<Bytes>>;

/// A connection over HTTP/2, and the task that ends with it.
async fn http2(port: u16) -> (Calls, tokio::task::JoinHandle<hyper::Result<()>>) {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let (calls, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    (calls, tokio::spawn(connection))
}

async fn call(calls: &mut Calls, path: &str) -> StatusCode {
    let request = Request::get(format!("http://t{path}")).body(Empty::new()).unwrap();
    calls.send_request(request).await.unwrap().status()
}

#[tokio::test]
async fn a_fault_while_handling_a_request_ends_that_request_only() {
    let (_server, port) = start(Options::default());
    let (mut calls, _connection) = http2(port).await;
    assert_eq!(call(&mut calls, "/fault").await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(call(&mut calls, "/").await, StatusCode::OK, "on the same connection");
    assert!(get(port, "/fault").await.starts_with("HTTP/1.1 500"));
}

#[tokio::test]
async fn a_connection_that_ends_by_a_fault_is_not_counted_as_open() {
    let (server, port) = start(Options::default());
    get(port, "/late-fault").await;
    assert!(get(port, "/").await.ends_with("here"), "others go on");
    let opened = server.counts().opened.load(Ordering::Relaxed);
    let counts = server.counts().clone();
    server.stop(Duration::from_secs(5)).await;
    assert_eq!((opened, counts.open.load(Ordering::Relaxed)), (2, 0));
}

#[tokio::test]
async fn stopping_waits_for_calls_and_cuts_them_when_the_time_is_over() {
    for (grace, in_time) in [(5000, true), (100, false)] {
        let (server, port) = start(Options::default());
        let slow = tokio::spawn(async move { get(port, "/slow").await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        let began = Instant::now();
        assert_eq!(server.stop(Duration::from_millis(grace)).await, in_time);
        assert!(began.elapsed() < Duration::from_secs(3));
        assert_eq!(slow.await.unwrap().starts_with("HTTP/1.1 200"), in_time);
        assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err(), "nobody listens any more");
    }
}

#[tokio::test]
async fn stopping_ends_idle_connections_over_http2_with_goaway() {
    let (server, port) = start(Options::default());
    let (mut calls, connection) = http2(port).await;
    assert_eq!(call(&mut calls, "/").await, StatusCode::OK);
    assert!(server.stop(Duration::from_secs(5)).await);
    assert!(connection.await.unwrap().is_ok());
}

#[tokio::test]
async fn an_idle_connection_is_asked_to_end_and_a_busy_one_is_not() {
    let keepalive = Keepalive { max_idle: Some(Duration::from_millis(300)), ..Keepalive::default() };
    let (server, port) = start(Options { keepalive, ..Options::default() });
    let (mut busy, _busy) = http2(port).await;
    let (_idle, idle) = http2(port).await;
    assert_eq!(call(&mut busy, "/slow").await, StatusCode::OK);
    assert!(idle.await.unwrap().is_ok());
    assert_eq!(server.counts().open.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn half_a_request_ends_in_time() {
    let (server, port) = start(Options { header_timeout: Duration::from_millis(200), ..Options::default() });
    for start in ["", "PRI * HTTP/2.0\r\n", "GET / HTTP/1.1\r\nhost: "] {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "{start:?}");
    }
    assert_eq!(server.counts().open.load(Ordering::Relaxed), 0);
}
