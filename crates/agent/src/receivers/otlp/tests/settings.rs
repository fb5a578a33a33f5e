//! What the settings say about mistakes.

use super::*;
use crate::component::Component;

fn problems(yaml: &str) -> String {
    read_text::<Config>(yaml).unwrap_err()
}

#[test]
fn a_null_protocol_is_on_with_its_defaults() {
    let config: Config = read_text("protocols:\n  grpc:\n  http:\n").unwrap();
    assert_eq!(config.protocols.grpc.on().unwrap().endpoint.to_string(), "localhost:4317");
    assert_eq!(config.protocols.http.on().unwrap().endpoint.to_string(), "localhost:4318");
    let config: Config = read_text("protocols: {http: {}}").unwrap();
    assert!(config.protocols.grpc.on().is_none());
}

#[test]
fn at_least_one_protocol_is_needed() {
    assert!(problems("protocols: {}").contains("must specify at least one protocol when using the OTLP receiver"));
}

#[test]
fn mistakes_are_told_with_their_path() {
    let check = |yaml: &str, expected: &str| {
        let problems = problems(yaml);
        assert!(problems.contains(expected), "{yaml}: {problems}");
    };
    check(
        "protocols: {grpc: {max_recv_msg_size_mib: -1}}",
        "invalid max_recv_msg_size_mib value, must be between 1 and 4095",
    );
    check("protocols: {grpc: {endpont: 'a:1'}}", "did you mean `endpoint`?");
    check("protocols: {grpc: {middlewares: []}}", "protocols::grpc::middlewares");
    check("protocols: {http: {compression_algorithms: [br]}}", "unknown compression `br`");
    check("protocols: {http: {logs_url_path: /v1/traces}}", "two signals have the path");
    check("protocols: {http: {traces_url_path: 'a b'}}", "invalid HTTP URL path set for signal");
    check("protocols: {http: {endpoint: /run/otlp.sock}}", "does not go with `transport: tcp`");
    check("protocols: {http: {tls: {cert_file: a.pem}}}", "TLS needs a certificate and its key");
    check("protocols: {http: {auth: {}}}", "`authenticator` is missing");
}

#[test]
fn it_needs_its_ports_and_its_authenticator() {
    let config: Config =
        read_text("protocols: {grpc: {auth: {authenticator: basicauth/x}}, http: {endpoint: '0.0.0.0:1'}}").unwrap();
    let needs = config.needs();
    let keys: Vec<&str> = needs.listeners.iter().map(|listener| listener.key).collect();
    assert_eq!(keys, ["protocols::grpc::endpoint", "protocols::http::endpoint"]);
    assert_eq!(needs.extensions[0].id.to_string(), "basicauth/x");
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_owner_and_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config: Config = read_text(&format!("protocols: {{grpc: {{endpoint: 'localhost:{port}'}}}}")).unwrap();
    let inputs = Inputs { intakes: [None, None, None], authenticator: &|_| None, metrics: &Metrics::new() };
    let error = start(&ComponentId::of("otlp"), &config, inputs).unwrap_err();
    let text = format!("{error:#}");
    let expected =
        format!("receiver `otlp`: protocols::grpc::endpoint: cannot listen on localhost:{port}: it is in use by ");
    assert!(text.starts_with(&expected), "{text}");
    assert!(text.contains(&format!("(process {})", std::process::id())), "{text}");
    assert!(text.contains("stop that, or choose another port"), "{text}");
}

#[tokio::test]
async fn a_unix_socket_is_listened_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.sock");
    let bench = Bench::start(&format!("protocols: {{http: {{transport: unix, endpoint: '{}'}}}}", path.display()));
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    assert!(bench.running.stop(Duration::from_secs(5)).await);
    assert!(!path.exists(), "the socket goes with its listener");
}
