//! Every answer of a gRPC backend, and every way not to get one.

use std::net::SocketAddr;

use testkit::backend::{Answer, Backend, Protocol as Came, SignalKind};
use testkit::pki::Authority as CertificateAuthority;

use super::*;
use crate::exporters::otlp::tests::{deliver, error, in_short, logs};
use crate::settings::read_text;

fn exporter(endpoint: &str, more: &str) -> Exporter {
    let yaml = format!("endpoint: {endpoint}\n{more}");
    Exporter::new(&read_text(&yaml).unwrap(), None).unwrap()
}

fn plain(address: SocketAddr, more: &str) -> Exporter {
    exporter(&format!("http://{address}"), more)
}

#[tokio::test]
async fn each_answer_is_treated_as_the_collector_treats_it() {
    let backend = Backend::start().await.unwrap();
    let exporter = plain(backend.address(), "");
    let check = async |answer: Answer, expected: &str| {
        backend.answer_next(answer.clone());
        assert_eq!(in_short(&deliver(&exporter, &logs(3), 3).await), expected, "{answer:?}");
    };
    let second = Duration::from_secs(1);
    let names = [
        ("sent", "sent"),
        ("retry", "retry after 1s"),
        ("refused: Data", "refused: Data"),
        ("refused: Data", "refused: Data"),
        ("retry", "retry after 1s"),
        ("refused: Elsewhere", "refused: Elsewhere"),
        ("refused: Elsewhere", "refused: Elsewhere"),
        ("refused: Elsewhere", "refused: Elsewhere"),
        ("refused: Elsewhere", "retry after 1s"),
        ("refused: Data", "refused: Data"),
        ("retry", "retry after 1s"),
        ("retry", "retry after 1s"),
        ("refused: Elsewhere", "refused: Elsewhere"),
        ("refused: Data", "refused: Data"),
        ("retry", "retry after 1s"),
        ("retry", "retry after 1s"),
        ("refused: Elsewhere", "refused: Elsewhere"),
    ];
    for (code, (without_delay, with_delay)) in (0..).zip(names) {
        check(Answer::code(code, "so"), without_delay).await;
        check(Answer::code_after(code, "so", second), with_delay).await;
    }
    check(Answer::Accept, "sent").await;
    check(Answer::Partial { rejected: 2, message: "too old".into() }, "partial: 2 too old").await;
    check(Answer::Partial { rejected: 0, message: "beware".into() }, "partial: 0 beware").await;
    check(Answer::TooLargeOver(10), "refused: Size").await;
    check(Answer::code(11, "decoded message length too large: found 9 bytes, the limit is: 4 bytes"), "refused: Size")
        .await;
    check(Answer::code(3, "request body too large"), "refused: Size").await;
    // What stands in front of a backend, or is none.
    check(Answer::status(503), "retry").await;
    check(Answer::status(429), "retry").await;
    check(Answer::status(404), "refused: Elsewhere").await;
    check(Answer::status(401), "refused: Elsewhere").await;
    check(Answer::status(200), "refused: Data").await;
}

#[tokio::test]
async fn a_body_arrives_as_it_is_with_every_compression() {
    let backend = Backend::start().await.unwrap();
    for compression in ["gzip", "snappy", "zstd", "none", "\"\""] {
        let exporter = plain(backend.address(), &format!("compression: {compression}"));
        for records in [3, 3000] {
            assert_eq!(deliver(&exporter, &logs(records), records).await, Outcome::Sent, "{:?}", backend.complaints());
            let received = backend.received().pop().unwrap();
            assert_eq!((received.protocol, received.signal, received.items), (Came::Grpc, SignalKind::Logs, records));
            assert_eq!(received.body, logs(records).contiguous(), "{compression}");
            let smaller = received.wire_bytes < received.body.len();
            assert_eq!(smaller, compression.len() > 2 && compression != "none", "{compression} of {records}");
        }
    }
}

struct Token;

impl Credentials for Token {
    fn add_to(&self, headers: &mut http::HeaderMap) {
        headers.insert("authorization", HeaderValue::from_static("Bearer t"));
    }
}

#[tokio::test]
async fn a_request_carries_the_headers_of_the_protocol_the_configuration_and_the_authenticator() {
    let backend = Backend::start().await.unwrap();
    let yaml = format!("endpoint: http://{}\nheaders: {{X-Tenant: a}}\ntimeout: 1m", backend.address());
    let exporter = Exporter::new(&read_text(&yaml).unwrap(), Some(Arc::new(Token))).unwrap();
    assert_eq!(deliver(&exporter, &logs(1), 1).await, Outcome::Sent);
    let received = backend.received().pop().unwrap();
    let header = |name: &str| received.headers.get(name).map_or("", |value| value.to_str().unwrap());
    assert_eq!(received.path, "/opentelemetry.proto.collector.logs.v1.LogsService/Export");
    assert_eq!(header("content-type"), "application/grpc");
    assert_eq!(header("te"), "trailers");
    assert_eq!(header("grpc-encoding"), "gzip");
    assert_eq!(header("x-tenant"), "a");
    assert_eq!(header("authorization"), "Bearer t");
    assert!(header("user-agent").starts_with("otel-agent/"), "{}", header("user-agent"));
    let millis: u64 = header("grpc-timeout").strip_suffix('m').unwrap().parse().unwrap();
    assert!((50_000..60_000).contains(&millis), "{millis}");
}

#[tokio::test]
async fn what_keeps_a_request_from_an_answer_is_told_and_tried_again() {
    let free = Backend::start().await.unwrap().stop().await;
    let check = async |exporter: Exporter, expected: &str| {
        let outcome = deliver(&exporter, &logs(1), 1).await;
        assert_eq!(in_short(&outcome), "retry");
        let error = error(outcome);
        assert!(error.contains(expected), "expected {expected:?}, got {error:?}");
    };
    check(plain(free, ""), "refused the connection: nothing listens there").await;
    check(exporter("http://no-such-host.invalid:4317", ""), "the name `no-such-host.invalid` does not resolve").await;

    let backend = Backend::start().await.unwrap();
    backend.answer_next(Answer::Stall);
    check(plain(backend.address(), "timeout: 500ms"), &format!("no answer from {} within", backend.address())).await;
    backend.answer_next(Answer::Cut);
    check(plain(backend.address(), ""), "was lost before the answer came").await;
    let secure = exporter(&backend.address().to_string(), "tls: {insecure_skip_verify: true}");
    check(secure, "TLS").await;
}

#[tokio::test]
async fn an_http_1_server_at_the_other_end_is_told_apart() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            let mut preface = [0; 24];
            let _ = stream.read_exact(&mut preface).await;
            let _ =
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    let outcome = deliver(&plain(address, ""), &logs(1), 1).await;
    assert_eq!(in_short(&outcome), "retry");
    let error = error(outcome);
    assert!(error.contains("it may expect TLS or be no gRPC port"), "{error}");
}

#[tokio::test]
async fn tls_is_on_unless_the_scheme_or_the_setting_says_otherwise() {
    let authority = CertificateAuthority::new("ours").unwrap();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), authority.pem()).unwrap();
    let identity = authority.server(&["localhost"]).unwrap();
    let secure = Backend::builder().tls(identity.server_config(None).unwrap()).start().await.unwrap();
    let port = secure.address().port();
    let tls = format!("tls: {{ca_file: {}}}", file.path().display());
    for endpoint in [format!("localhost:{port}"), format!("https://localhost:{port}")] {
        assert_eq!(deliver(&exporter(&endpoint, &tls), &logs(1), 1).await, Outcome::Sent, "{endpoint}");
    }
    let forced = exporter(&format!("https://localhost:{port}"), &tls.replace('{', "{insecure: true, "));
    assert_eq!(deliver(&forced, &logs(1), 1).await, Outcome::Sent);

    let plain = Backend::start().await.unwrap();
    let insecure = exporter(&plain.address().to_string(), "tls: {insecure: true}");
    assert_eq!(deliver(&insecure, &logs(1), 1).await, Outcome::Sent);
}

#[tokio::test]
async fn a_unix_socket_is_a_place_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("otlp.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let backend = Backend::start().await.unwrap();
    let address = backend.address();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut far = tokio::net::TcpStream::connect(address).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let exporter = exporter(&format!("unix:{}", path.display()), "tls: {insecure: true}");
    assert_eq!(deliver(&exporter, &logs(1), 1).await, Outcome::Sent);
}

#[test]
fn settings_are_checked_with_everything_that_is_wrong() {
    let check = |yaml: &str, expected: &str| {
        assert_eq!(read_text::<Config>(yaml).err().unwrap_or_default(), expected, "{yaml}");
    };
    check("endpoint: backend:4317", "");
    check(
        "endpoint: backend:4317\nwait_for_ready: true\nread_buffer_size: 5\ntls: {insecure: true}\nkeepalive: {time: 5m}",
        "",
    );
    check("{}", "endpoint: `endpoint` is missing; add `endpoint: text`");
    check(
        "endpoint: backend:4317\ncompression: br\nbalancer_name: rr\nmiddlewares: []\nretry_on_failure: {enabled: 1}",
        "middlewares: the Collector has the key `middlewares`, otel-agent does not yet; \
         remove it; there are no extensions that stand between an exporter and its connection\n\
         compression: expected one of gzip, snappy, zstd, none, \"\", found the string `br`\n\
         retry_on_failure::enabled: expected `true` or `false`, found the number `1`; write it like `true`\n\
         balancer_name: expected one of round_robin, pick_first, found the string `rr`",
    );
    check(
        "endpoint: ':4317'\nheaders: {'a b': x, c: \"d\\n\"}\ntimeout: -1s\ncompression: snappy\n\
         compression_params: {level: 3}\nauthority: 'a b'\ntls: {ca_file: a, ca_pem: b, cert_file: c}",
        "tls::ca_pem: `ca_file` and `ca_pem` exclude each other; keep one of them\n\
         tls::cert_file: a certificate and its key belong together; set both `cert_file` and `key_file`\n\
         endpoint: `:4317` has no host; write for instance `localhost:4317`\n\
         headers::a b: `a b` is not the name of a header\n\
         headers::c: the value of the header `c` has characters that no header can have\n\
         compression_params::level: this compression has no levels; remove it\n\
         timeout: 'timeout' must be non-negative\n\
         authority: `a b` is not a host, with or without a port",
    );
}
