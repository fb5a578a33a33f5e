//! The client against a backend that restarts, hangs up, stalls, and shows all kinds of certificates.

use std::net::SocketAddr;
use std::time::Duration;

use testkit::backend::{Answer as Told, Backend};
use testkit::pki::{Authority as CertificateAuthority, Identity};

use super::*;
use crate::net::tls::client::ClientTls;
use crate::settings::Secret;

const SECONDS: Duration = Duration::from_secs(10);

fn options(address: SocketAddr, protocol: Protocol) -> Options {
    Options::new(Place::Tcp { host: address.ip().to_string(), port: address.port() }, protocol)
}

fn client(address: SocketAddr, protocol: Protocol) -> Client {
    Client::new(options(address, protocol)).unwrap()
}

fn call<'a>(path: &'a PathAndQuery, slices: &[&'static [u8]]) -> Call<'a> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/x-protobuf"));
    let body = slices.iter().map(|slice| Bytes::from_static(slice)).collect();
    Call { path, headers, body, deadline: Some(SECONDS) }
}

async fn post(client: &Client) -> Result<Answer, Error> {
    client.post(call(&PathAndQuery::from_static("/v1/logs"), &[])).await
}

async fn told_of(client: &Client) -> String {
    post(client).await.map(|answer| answer.status.to_string()).unwrap_or_else(|error| error.to_string())
}

/// Posts until the answer is the expected one: a client learns a moment later that a connection is gone.
async fn soon(client: &Client, expected: &str) {
    let mut told = String::new();
    for _ in 0..200 {
        told = told_of(client).await;
        if told == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("expected {expected:?}, got {told:?}");
}

#[tokio::test]
async fn a_body_of_slices_arrives_in_one_piece_over_one_connection() {
    for protocol in [Protocol::Http2, Protocol::Negotiated] {
        let backend = Backend::start().await.unwrap();
        let client = client(backend.address(), protocol);
        let path = PathAndQuery::from_static("/v1/logs?a=b");
        for _ in 0..3 {
            // An empty ResourceLogs, in three slices.
            let answer = client.post(call(&path, &[b"\x0a", b"\x02", b"\x1a\x00"])).await.unwrap();
            assert_eq!(answer.status, 200);
            assert_eq!(&answer.body[..], b"\x0a\x00");
        }
        let received = backend.received();
        assert!(received.iter().all(|request| &request.body[..] == b"\x0a\x02\x1a\x00"), "{:?}", backend.complaints());
        assert_eq!((received.len(), backend.connections()), (3, 1), "{protocol:?}");
    }
}

#[tokio::test]
async fn connects_again_when_the_backend_was_restarted() {
    for protocol in [Protocol::Http2, Protocol::Negotiated] {
        let backend = Backend::start().await.unwrap();
        let client = client(backend.address(), protocol);
        assert_eq!(told_of(&client).await, "200 OK");
        let address = backend.stop().await;
        let refused =
            format!("{address} refused the connection: nothing listens there; check the port and that it is up");
        soon(&client, &refused).await;
        let _backend = Backend::builder().listen(address).start().await.unwrap();
        assert_eq!(told_of(&client).await, "200 OK", "{protocol:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_told_to_go_away_is_replaced_without_a_lost_request() {
    for protocol in [Protocol::Http2, Protocol::Negotiated] {
        let backend = Backend::start().await.unwrap();
        let client = client(backend.address(), protocol);
        for _ in 0..20 {
            assert_eq!(told_of(&client).await, "200 OK", "{protocol:?}");
            backend.go_away();
        }
        assert_eq!(backend.requests(), 20);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_before_the_answer_is_told_as_lost() {
    for protocol in [Protocol::Http2, Protocol::Negotiated] {
        let backend = Backend::start().await.unwrap();
        for cut in [Told::Cut, Told::CutEarly] {
            let client = client(backend.address(), protocol);
            backend.answer_next(cut);
            let error = post(&client).await.unwrap_err();
            assert_eq!(error.kind, Kind::Lost, "{error}");
            assert!(error.to_string().contains("was lost before the answer came"), "{error}");
            assert_eq!(told_of(&client).await, "200 OK");
        }
    }
}

#[tokio::test]
async fn a_backend_that_stalls_costs_the_deadline_and_its_connection() {
    for protocol in [Protocol::Http2, Protocol::Negotiated] {
        let backend = Backend::start().await.unwrap();
        let client = client(backend.address(), protocol);
        backend.answer_next(Told::Stall);
        let path = PathAndQuery::from_static("/v1/logs");
        let mut stalled = call(&path, &[]);
        stalled.deadline = Some(Duration::from_millis(500));
        let error = client.post(stalled).await.unwrap_err();
        assert_eq!(error.kind, Kind::Timeout);
        assert_eq!(error.to_string(), format!("no answer from {} within 500ms", backend.address()));
        assert_eq!(told_of(&client).await, "200 OK");
        assert_eq!(backend.connections(), 2, "{protocol:?}");
    }
}

/// A server that answers each stream as it is told, in turn; on one connection after the other.
async fn server_of_streams(answers: &'static [Option<h2::Reason>]) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut answers = answers.iter();
        while let Ok((stream, _)) = listener.accept().await {
            let mut connection = h2::server::handshake(stream).await.unwrap();
            while let Some(Ok((_request, mut respond))) = connection.accept().await {
                match answers.next() {
                    Some(Some(reason)) => respond.send_reset(*reason),
                    _ => drop(respond.send_response(http::Response::new(()), true).unwrap()),
                }
            }
        }
    });
    address
}

#[tokio::test]
async fn a_stream_that_was_refused_unseen_is_sent_again_at_once_but_only_once() {
    use h2::Reason;
    const REFUSED: Option<Reason> = Some(Reason::REFUSED_STREAM);
    let check = async |answers: &'static [Option<Reason>], expected: &str| {
        let told = told_of(&client(server_of_streams(answers).await, Protocol::Http2)).await;
        assert!(told.contains(expected), "{answers:?}: {told}");
    };
    check(&[REFUSED, None], "200 OK").await;
    check(&[REFUSED, REFUSED, None], "was lost before the answer came").await;
    check(&[Some(Reason::INTERNAL_ERROR), None], "was lost before the answer came").await;
}

#[tokio::test]
async fn a_peer_that_answers_no_ping_is_given_up() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = options(listener.local_addr().unwrap(), Protocol::Http2);
    let tenth = Duration::from_millis(100);
    options.keepalive = Some(Keepalive { interval: tenth, timeout: tenth, while_idle: false });
    let error = post(&Client::new(options).unwrap()).await.unwrap_err();
    assert_eq!(error.kind, Kind::Lost);
    assert!(error.to_string().contains("keep-alive timed out"), "{error}");
}

#[tokio::test]
async fn many_requests_at_once_share_one_http2_connection() {
    let backend = Backend::start().await.unwrap();
    backend.answer(Told::Slow(Duration::from_millis(50)));
    let client = client(backend.address(), Protocol::Http2);
    let posts = (0..10).map(|_| post(&client));
    let answers = futures_util::future::join_all(posts).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(backend.connections(), 1);
}

#[tokio::test]
async fn an_endless_answer_is_cut() {
    for protocol in [Protocol::Http2, Protocol::Negotiated] {
        let backend = Backend::start().await.unwrap();
        backend.answer(Told::Http { status: 500, headers: Vec::new(), body: vec![b'x'; 1 << 20] });
        let client = client(backend.address(), protocol);
        for _ in 0..2 {
            let answer = post(&client).await.unwrap();
            assert_eq!((answer.body.len(), answer.cut), (ANSWER_CAP, true), "{protocol:?}");
        }
    }
}

#[tokio::test]
async fn a_name_that_does_not_resolve_is_told_so() {
    let place = Place::Tcp { host: "no-such-host.invalid".into(), port: 4317 };
    let client = Client::new(Options::new(place, Protocol::Http2)).unwrap();
    let error = post(&client).await.unwrap_err();
    assert_eq!(error.kind, Kind::Resolve);
    assert!(error.to_string().starts_with("the name `no-such-host.invalid` does not resolve ("), "{error}");
}

#[tokio::test]
async fn an_address_that_is_silent_does_not_hold_up_the_next_one() {
    let backend = Backend::start().await.unwrap();
    // A full backlog answers no SYN; TEST-NET-1 has nobody at all. Either way, the second address serves.
    let addresses = vec![SocketAddr::from(([192, 0, 2, 1], 4317)), backend.address()];
    let pool = Pool::new(options(backend.address(), Protocol::Http2), Some(Arc::new(move || addresses.clone())));
    let client = Client { pool, scheme: Scheme::HTTP, authority: Authority::from_static("backend") };
    let started = std::time::Instant::now();
    assert_eq!(told_of(&client).await, "200 OK");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn spreads_requests_over_the_addresses_and_leaves_out_those_that_are_gone() {
    let backends = [Backend::start().await.unwrap(), Backend::start().await.unwrap()];
    let addresses: Vec<SocketAddr> = backends.iter().map(Backend::address).collect();
    let mut options = options(addresses[0], Protocol::Http2);
    options.spread = true;
    let pool = Pool::new(options, Some(Arc::new(move || addresses.clone())));
    let client = Client { pool, scheme: Scheme::HTTP, authority: Authority::from_static("backend") };

    assert_eq!(told_of(&client).await, "200 OK");
    while backends.iter().any(|backend| backend.requests() == 0) {
        assert_eq!(told_of(&client).await, "200 OK");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let [one, two] = backends;
    drop(one);
    soon(&client, "200 OK").await;
    soon(&client, "200 OK").await;
    let before = two.requests();
    for _ in 0..5 {
        assert_eq!(told_of(&client).await, "200 OK");
    }
    assert_eq!(two.requests(), before + 5);
}

// === TLS ===

struct Case {
    server: Identity,
    clients: Option<String>,
    settings: ClientTls,
    host: &'static str,
    expected: &'static str,
}

async fn check_tls(case: Case) {
    let config = case.server.server_config(case.clients.as_deref()).unwrap();
    let backend = Backend::builder().tls(config).start().await.unwrap();
    for (protocol, alpn) in [(Protocol::Http2, &["h2"][..]), (Protocol::Negotiated, &["h2", "http/1.1"])] {
        let place = Place::Tcp { host: case.host.into(), port: backend.address().port() };
        let mut options = Options::new(place, protocol);
        options.tls = Some(Connector::new(&case.settings, alpn).unwrap());
        let told = told_of(&Client::new(options).unwrap()).await;
        assert!(told.contains(case.expected), "expected {:?}, got {told:?}", case.expected);
    }
}

fn trusting(authority: &CertificateAuthority) -> ClientTls {
    ClientTls { ca_pem: Secret::new(authority.pem()), ..ClientTls::default() }
}

#[tokio::test]
async fn tls_works_or_says_what_is_wrong_with_the_certificate() {
    let ours = CertificateAuthority::new("ours").unwrap();
    let theirs = CertificateAuthority::new("theirs").unwrap();
    let server = ours.server(&["localhost"]).unwrap();
    let case = |server: &Identity, settings, host, expected| Case {
        server: server.clone(),
        clients: None,
        settings,
        host,
        expected,
    };
    check_tls(case(&server, trusting(&ours), "localhost", "200 OK")).await;
    check_tls(case(&server, trusting(&theirs), "localhost", "signed by an authority that we do not know")).await;
    check_tls(case(&server, trusting(&ours), "127.0.0.1", "its certificate is for another name")).await;
    let named = ClientTls { server_name_override: "localhost".into(), ..trusting(&ours) };
    check_tls(case(&server, named, "127.0.0.1", "200 OK")).await;
    let expired = ours.expired_server(&["localhost"]).unwrap();
    check_tls(case(&expired, trusting(&ours), "localhost", "its certificate has expired")).await;
    let anyone = ClientTls { insecure_skip_verify: true, ..ClientTls::default() };
    check_tls(case(&expired, anyone, "localhost", "200 OK")).await;
}

#[tokio::test]
async fn a_client_certificate_is_shown_or_its_lack_is_told() {
    let ours = CertificateAuthority::new("ours").unwrap();
    let server = ours.server(&["localhost"]).unwrap();
    let mutual = |settings, expected| Case {
        server: server.clone(),
        clients: Some(ours.pem()),
        settings,
        host: "localhost",
        expected,
    };
    let with = |identity: Identity| ClientTls {
        cert_pem: Secret::new(identity.cert_pem),
        key_pem: Secret::new(identity.key_pem),
        ..trusting(&ours)
    };
    check_tls(mutual(with(ours.client("agent").unwrap()), "200 OK")).await;
    check_tls(mutual(trusting(&ours), "wants a client certificate")).await;
    let stranger = CertificateAuthority::new("theirs").unwrap().client("agent").unwrap();
    check_tls(mutual(with(stranger), "does not accept our client certificate")).await;
}

#[tokio::test]
async fn tls_towards_a_plain_port_and_plain_towards_tls_are_told_so() {
    let ours = CertificateAuthority::new("ours").unwrap();
    let plain = Backend::start().await.unwrap();
    let mut tls_options = options(plain.address(), Protocol::Negotiated);
    tls_options.tls = Some(Connector::new(&trusting(&ours), &["h2", "http/1.1"]).unwrap());
    let told = told_of(&Client::new(tls_options).unwrap()).await;
    assert!(told.contains("TLS"), "{told}");

    let config = ours.server(&["localhost"]).unwrap().server_config(None).unwrap();
    let secure = Backend::builder().tls(config).start().await.unwrap();
    for protocol in [Protocol::Http2, Protocol::Negotiated] {
        let told = told_of(&client(secure.address(), protocol)).await;
        assert!(told.contains("TLS"), "{protocol:?}: {told}");
    }
}

#[test]
fn certificates_that_cannot_be_used_are_found_before_the_first_connection() {
    let ours = CertificateAuthority::new("ours").unwrap();
    let [one, other] = [ours.client("one").unwrap(), ours.client("other").unwrap()];
    let check = |settings: ClientTls, expected: &str| {
        let told = Connector::new(&settings, &["h2"]).err().map(|error| format!("{error:#}")).unwrap_or_default();
        assert!(told.contains(expected), "expected {expected:?}, got {told:?}");
    };
    let missing = ClientTls { ca_file: "/no/such/ca.pem".into(), ..ClientTls::default() };
    check(missing, "the authorities (tls::ca_file): reading /no/such/ca.pem: No such file");
    check(ClientTls { ca_pem: Secret::new("hello"), ..ClientTls::default() }, "there is no certificate in it");
    let pair =
        |cert: &str, key: &str| ClientTls { cert_pem: Secret::new(cert), key_pem: Secret::new(key), ..trusting(&ours) };
    check(pair(&one.cert_pem, &other.key_pem), "tls::key_file): keys may not be consistent");
    check(pair(&one.cert_pem, "nothing"), "there is no usable private key in it");
}

#[tokio::test]
async fn a_renewed_authority_is_used_for_new_connections_and_a_broken_one_is_not() {
    let [old, new] = ["old", "new"].map(|name| CertificateAuthority::new(name).unwrap());
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), old.pem()).unwrap();
    let config = new.server(&["localhost"]).unwrap().server_config(None).unwrap();
    let backend = Backend::builder().tls(config).start().await.unwrap();
    let settings = ClientTls {
        ca_file: file.path().to_str().unwrap().to_owned(),
        reload_interval: crate::settings::GoDuration::nanos(1),
        ..ClientTls::default()
    };
    let place = Place::Tcp { host: "localhost".into(), port: backend.address().port() };
    let mut options = Options::new(place, Protocol::Http2);
    options.tls = Some(Connector::new(&settings, &["h2"]).unwrap());
    let client = Client::new(options).unwrap();

    assert!(told_of(&client).await.contains("signed by an authority that we do not know"));
    std::fs::write(file.path(), new.pem()).unwrap();
    assert_eq!(told_of(&client).await, "200 OK");
    std::fs::write(file.path(), "half a fi").unwrap();
    backend.cut_connections();
    soon(&client, "200 OK").await;
}
