//! Real HTTPS: a kubelet, and an API server of a kubeconfig with a token in a file.

use std::convert::Infallible;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::*;
use crate::kubernetes::right::Right;
use crate::kubernetes::source::{Feed, Filter, GRACE, Source};
use crate::kubernetes::{Directories, Interest};
use crate::telemetry::{Metrics, table};

/// An HTTPS server that keeps what was shown to it and answers with one body.
struct Peered {
    port: u16,
    ca: String,
    played: Arc<Played>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Played {
    code: AtomicU16,
    body: Mutex<String>,
    /// Path and `authorization` of each request.
    asked: Mutex<Vec<(String, String)>>,
}

impl Peered {
    async fn start() -> Self {
        let key = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let private = rustls_pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
        let config = ServerConfig::builder().with_no_client_auth();
        let config = config.with_single_cert(vec![key.cert.der().clone()], private).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let played = Arc::new(Played { code: AtomicU16::new(200), ..Played::default() });
        let task = tokio::spawn(serve(listener, acceptor, Arc::clone(&played)));
        Self { port, ca: key.cert.pem(), played, task }
    }

    fn answer(&self, code: u16, body: impl std::fmt::Display) {
        *self.played.body.lock().unwrap() = body.to_string();
        self.played.code.store(code, Relaxed);
    }

    fn asked(&self) -> Vec<(String, String)> {
        self.played.asked.lock().unwrap().clone()
    }

    fn endpoint(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

impl Drop for Peered {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, played: Arc<Played>) {
    while let Ok((stream, _)) = listener.accept().await {
        let (acceptor, played) = (acceptor.clone(), Arc::clone(&played));
        tokio::spawn(async move {
            let Ok(stream) = acceptor.accept(stream).await else { return };
            let answer = service_fn(|request: Request<Incoming>| {
                let shown = request.headers().get("authorization").map_or("", |value| value.to_str().unwrap());
                played.asked.lock().unwrap().push((request.uri().path().to_owned(), shown.to_owned()));
                let mut answer = Response::new(Full::new(Bytes::from(played.body.lock().unwrap().clone())));
                *answer.status_mut() = played.code.load(Relaxed).try_into().unwrap();
                async { Ok::<_, Infallible>(answer) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

fn pod(uid: &str, address: &str, node: &str) -> serde_json::Value {
    json!({
        "metadata": {"name": uid, "namespace": "shop", "uid": uid},
        "spec": {"nodeName": node}, "status": {"phase": "Running", "podIP": address}
    })
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn kubelet(server: &Peered, change: impl FnOnce(&mut KubeletSettings)) -> Source {
    let mut settings = KubeletSettings {
        endpoint: server.endpoint(),
        ca_file: None,
        insecure_skip_verify: false,
        token_file: None,
        poll_interval: Duration::from_millis(300),
    };
    change(&mut settings);
    let filter = Filter { node: Some("node-a".into()), ..Filter::default() };
    Source { feed: Feed::Kubelet(settings), filter, grace: GRACE }
}

/// Waits for something that is about to be so, not for ever.
async fn until(what: &str, so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(10);
    while !so() {
        assert!(Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_kubelet_is_asked_again_and_again_with_our_token_and_its_own_authority() {
    let (server, metrics) = (Peered::start().await, Metrics::new());
    let (ca, token) = (file(&server.ca), file("the-token"));
    server.answer(200, json!({"items": [pod("a", "10.0.0.1", "node-a"), pod("x", "10.0.0.9", "node-b")]}));
    let source = kubelet(&server, |settings| {
        settings.ca_file = Some(ca.path().to_owned());
        settings.token_file = Some(token.path().to_owned());
    });
    let pods = Directories::default().open(&source, Interest::default(), &metrics).unwrap();
    let first = tokio::time::timeout(Duration::from_secs(10), pods.wait_synced()).await;
    first.unwrap();
    assert_eq!(pods.len(), 1, "the filter holds here, too");
    assert_eq!(server.asked()[0], ("/pods".to_owned(), "Bearer the-token".to_owned()));
    server.answer(200, json!({"items": [pod("b", "10.0.0.1", "node-a")]}));
    until("the next answer", || pods.by_uid("b").is_some()).await;
    assert_eq!(&*pods.by_address("10.0.0.1".parse().unwrap()).unwrap().uid, "b");
    // It refuses as kubelets do, in plain text.
    server.answer(
        403,
        "Forbidden (user=system:serviceaccount:otel:agent, verb=get, resource=nodes, subresource(s)=[pods proxy])",
    );
    until("the missing right", || !pods.troubles().is_empty()).await;
    let [trouble] = pods.troubles().try_into().unwrap();
    assert_eq!(trouble.right, Right::KUBELET_PODS);
    assert!(trouble.remedy.contains("--resource=nodes/pods") && trouble.remedy.contains("--serviceaccount=otel:agent"));
    assert_eq!(pods.len(), 1, "what is known serves");
    server.answer(200, json!({"items": null}));
    until("the right", || pods.troubles().is_empty() && pods.is_empty()).await;
    let labels = [("resource", "nodes/pods"), ("verb", "get"), ("code", "403")];
    assert!(metrics.value(&table::KUBERNETES_REQUESTS, &labels).unwrap() >= 1.0);
}

#[tokio::test]
async fn a_kubelet_is_asked_soon_when_somebody_waits_for_a_pod() {
    let server = Peered::start().await;
    server.answer(200, json!({"items": []}));
    let source = kubelet(&server, |settings| {
        settings.insecure_skip_verify = true;
        settings.poll_interval = Duration::from_mins(10);
    });
    let pods = Directories::default().open(&source, Interest::default(), &Metrics::new()).unwrap();
    tokio::time::timeout(Duration::from_secs(10), pods.wait_synced()).await.unwrap();
    server.answer(200, json!({"items": [pod("a", "10.0.0.1", "node-a")]}));
    let generation = pods.generation();
    pods.hint_unknown("10.0.0.1".parse().unwrap());
    tokio::time::timeout(Duration::from_secs(10), pods.changed_since(generation)).await.unwrap();
    assert!(pods.by_uid("a").is_some());
}

#[tokio::test]
async fn a_kubelet_whose_certificate_nobody_signed_is_not_believed() {
    let (server, metrics) = (Peered::start().await, Metrics::new());
    let (other, token) = (Peered::start().await, file("secret"));
    let ca = file(&other.ca);
    let source = kubelet(&server, |settings| {
        settings.ca_file = Some(ca.path().to_owned());
        settings.token_file = Some(token.path().to_owned());
    });
    let pods = Directories::default().open(&source, Interest::default(), &metrics).unwrap();
    let labels = [("resource", "nodes/pods"), ("reason", "no_answer")];
    until("a failure", || metrics.value(&table::KUBERNETES_FAILURES, &labels).is_some()).await;
    assert!(!pods.synced());
    assert!(server.asked().is_empty(), "no token was shown");
}

#[tokio::test]
async fn the_token_of_a_kubeconfig_is_read_again_when_it_is_refused() {
    let server = Peered::start().await;
    let (token, ca) = (file("old"), file(&server.ca));
    let config = file(&format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n\
         clusters: [{{name: c, cluster: {{server: '{}', certificate-authority: '{}'}}}}]\n\
         users: [{{name: u, user: {{tokenFile: '{}'}}}}]\n",
        server.endpoint(),
        ca.path().display(),
        token.path().display()
    ));
    let shared = Arc::new(Shared::new(Interest::default(), GRACE, &Metrics::new()));
    let peer = Peer::Config(config.path().to_owned());
    let connection = Connection::open(peer, Rate::default(), &shared).unwrap();
    let ask = async || {
        let request = Request::get("/api/v1/pods").body(Vec::new()).unwrap();
        connection.client().request_text(request).await
    };
    server.answer(200, "{}");
    ask().await.unwrap();
    std::fs::write(token.path(), "new").unwrap();
    server.answer(401, json!({"kind": "Status", "code": 401, "message": "Unauthorized"}));
    ask().await.unwrap_err();
    connection.client.lock().unwrap().1 -= RENEW_EVERY;
    connection.renew();
    server.answer(200, "{}");
    ask().await.unwrap();
    let shown: Vec<String> = server.asked().into_iter().map(|(_, shown)| shown).collect();
    assert_eq!(shown, ["Bearer old", "Bearer old", "Bearer new"]);
}

#[test]
fn outside_of_a_pod_the_service_account_is_an_error_with_a_remedy() {
    if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        return;
    }
    let error = in_cluster().unwrap_err().to_string();
    let collectors = "unable to load k8s config, KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT must be defined";
    assert!(error.starts_with(collectors) && error.contains("auth_type: kubeConfig"), "{error}");
}

#[test]
fn a_context_that_is_not_there_is_named_with_those_that_are() {
    let config = "contexts: [{name: one, context: {cluster: c}}, {name: two, context: {cluster: c}}]";
    let error = from_kubeconfig(Kubeconfig::from_yaml(config).unwrap(), "/config", Some("three")).unwrap_err();
    assert_eq!(error.to_string(), "the kubeconfig /config has no context `three`; it has: one, two");
}
