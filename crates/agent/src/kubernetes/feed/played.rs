//! An API server that a test plays: pods and objects with versions, lists, watches that go on from a version, and whatever
//! may go wrong. It keeps every request.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Duration, Instant};
use tower::{BoxError, Service};

use crate::kubernetes::connection::{Connection, Peer};
use crate::kubernetes::directory::Shared;
use crate::kubernetes::source::{Rate, Source};
use crate::kubernetes::{Directory, Interest};
use crate::telemetry::Metrics;

/// An API server. Clones are the same.
#[derive(Clone)]
pub(in crate::kubernetes) struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    version: u64,
    pods: BTreeMap<String, Value>,
    /// By path.
    objects: BTreeMap<String, Value>,
    events: Vec<(u64, String)>,
    /// Events up to here are forgotten.
    compacted: u64,
    watches: Vec<UnboundedSender<Bytes>>,
    asked: Vec<Asked>,
    refusals: Vec<(String, Refusal)>,
    clients: usize,
}

/// A request.
#[derive(Clone, Debug)]
pub(in crate::kubernetes) struct Asked {
    pub(in crate::kubernetes) path: String,
    pub(in crate::kubernetes) query: BTreeMap<String, String>,
    pub(in crate::kubernetes) accept: String,
    pub(in crate::kubernetes) at: Instant,
}

/// How a request is not served.
#[derive(Clone, Debug)]
pub(in crate::kubernetes) enum Refusal {
    /// With this status and message.
    Status(u16, &'static str),
    /// With this status and a time to stay away.
    Away(u16, u64),
    /// There is never an answer.
    Silence,
}

pub(in crate::kubernetes) const ACCOUNT: &str = "system:serviceaccount:open-telemetry:otel-agent";

impl Asked {
    /// `list pods`, `watch pods`, `get namespaces`.
    pub(in crate::kubernetes) fn what(&self) -> String {
        let parts: Vec<&str> = self.path.trim_matches('/').split('/').collect();
        let parts = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
        let parts = if parts[0] == "namespaces" && parts.len() > 2 { &parts[2..] } else { parts };
        let verb = match (self.query.contains_key("watch"), parts.len()) {
            (true, _) => "watch",
            (false, 1) => "list",
            (false, _) => "get",
        };
        format!("{verb} {}", parts[0])
    }
}

impl Server {
    pub(in crate::kubernetes) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { version: 100, ..State::default() })))
    }

    /// Opens a directory on it.
    pub(in crate::kubernetes) fn open(&self, source: &Source, interest: Interest, metrics: &Metrics) -> Directory {
        let shared = Arc::new(Shared::new(interest, source.grace, metrics));
        let peer = Peer::Played(self.clone());
        let connection = Connection::open(peer, Rate::new(1000.0, 1000), &shared).unwrap();
        let tasks = super::from_api(source, connection, &shared);
        Directory::fed(shared, tasks)
    }

    /// A pod is so now.
    pub(in crate::kubernetes) fn put(&self, uid: &str, mut pod: Value) {
        let mut state = self.lock();
        state.version += 1;
        pod["metadata"]["uid"] = uid.into();
        pod["metadata"]["resourceVersion"] = state.version.to_string().into();
        let word = if state.pods.contains_key(uid) { "MODIFIED" } else { "ADDED" };
        state.pods.insert(uid.to_owned(), pod.clone());
        state.tell(&json!({"type": word, "object": pod}));
    }

    pub(in crate::kubernetes) fn delete(&self, uid: &str) {
        let mut state = self.lock();
        state.version += 1;
        let mut pod = state.pods.remove(uid).unwrap();
        pod["metadata"]["resourceVersion"] = state.version.to_string().into();
        state.tell(&json!({"type": "DELETED", "object": pod}));
    }

    /// An object is there, by its path: `/api/v1/namespaces/shop`.
    pub(in crate::kubernetes) fn put_object(&self, path: &str, metadata: &Value) {
        self.lock().objects.insert(path.to_owned(), json!({"metadata": metadata}));
    }

    /// Time passes: something happens elsewhere, and watches are told the version.
    pub(in crate::kubernetes) fn bookmark(&self) {
        let mut state = self.lock();
        state.version += 10;
        let metadata = json!({"resourceVersion": state.version.to_string()});
        let event = json!({"type": "BOOKMARK", "object": {"kind": "Pod", "apiVersion": "v1", "metadata": metadata}});
        let line = Bytes::from(format!("{event}\n"));
        state.watches.retain(|watch| watch.send(line.clone()).is_ok());
    }

    /// Every watch ends.
    pub(in crate::kubernetes) fn cut(&self) {
        self.lock().watches.clear();
    }

    /// What happened so far cannot be watched any more.
    pub(in crate::kubernetes) fn compact(&self) {
        let mut state = self.lock();
        state.compacted = state.version;
        state.events.clear();
    }

    /// The server counts from here.
    pub(in crate::kubernetes) fn set_version(&self, version: u64) {
        let mut state = self.lock();
        state.version = version;
        state.events.clear();
    }

    /// From now on requests of this kind are not served.
    pub(in crate::kubernetes) fn refuse(&self, what: &str, refusal: Refusal) {
        self.lock().refusals.push((what.to_owned(), refusal));
    }

    /// Requests of this kind are served again.
    pub(in crate::kubernetes) fn allow(&self, what: &str) {
        self.lock().refusals.retain(|(refused, _)| refused != what);
    }

    /// All requests of a kind.
    pub(in crate::kubernetes) fn asked(&self, what: &str) -> Vec<Asked> {
        self.lock().asked.iter().filter(|asked| asked.what() == what).cloned().collect()
    }

    /// How many watches are open.
    pub(in crate::kubernetes) fn watches(&self) -> usize {
        let mut state = self.lock();
        state.watches.retain(|watch| !watch.is_closed());
        state.watches.len()
    }

    /// How many clients were made for it.
    pub(in crate::kubernetes) fn clients(&self) -> usize {
        self.lock().clients
    }

    pub(in crate::kubernetes) fn met(&self) {
        self.lock().clients += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn tell(&mut self, event: &Value) {
        let line = format!("{event}\n");
        self.events.push((self.version, line.clone()));
        self.watches.retain(|watch| watch.send(Bytes::from(line.clone())).is_ok());
    }

    fn answer(&mut self, asked: &Asked) -> Response<Answer> {
        let what = asked.what();
        let refusal = self.refusals.iter().find(|(refused, _)| *refused == what).map(|(_, refusal)| refusal.clone());
        match refusal {
            Some(Refusal::Status(code, message)) => return refused(code, message, &what),
            Some(Refusal::Away(code, seconds)) => {
                let mut answer = refused(code, "wait", &what);
                answer.headers_mut().insert("retry-after", seconds.into());
                return answer;
            }
            Some(Refusal::Silence) | None => {}
        }
        match what.as_str() {
            "list pods" => self.list(asked),
            "watch pods" => self.watch(asked),
            _ => match self.objects.get(&asked.path) {
                Some(object) => whole(200, object),
                None => refused(404, "not found", &what),
            },
        }
    }

    fn list(&self, asked: &Asked) -> Response<Answer> {
        let least: u64 = asked.query["resourceVersion"].parse().unwrap();
        if least > self.version {
            return refused(504, "Too large resource version: it is not there yet", "list pods");
        }
        let items: Vec<&Value> = self.pods.values().collect();
        let metadata = json!({"resourceVersion": self.version.to_string()});
        whole(200, &json!({"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items}))
    }

    fn watch(&mut self, asked: &Asked) -> Response<Answer> {
        let from: u64 = asked.query["resourceVersion"].parse().unwrap();
        let (sender, receiver) = unbounded_channel();
        if from < self.compacted {
            let status = json!({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"});
            let line = json!({"type": "ERROR", "object": status});
            sender.send(Bytes::from(format!("{line}\n"))).unwrap();
        } else {
            for (_, line) in self.events.iter().filter(|(version, _)| *version > from) {
                sender.send(Bytes::from(line.clone())).unwrap();
            }
            self.watches.push(sender);
        }
        Response::new(streamed(receiver))
    }
}

type Answer = UnsyncBoxBody<Bytes, BoxError>;

fn whole(code: u16, body: &Value) -> Response<Answer> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never: Infallible| match never {});
    let mut answer = Response::new(body.boxed_unsync());
    *answer.status_mut() = code.try_into().unwrap();
    answer
}

fn refused(code: u16, message: &str, what: &str) -> Response<Answer> {
    let message = match code {
        403 => format!("forbidden: User \"{ACCOUNT}\" cannot {what} at the cluster scope"),
        _ => message.to_owned(),
    };
    whole(code, &json!({"kind": "Status", "status": "Failure", "code": code, "message": message}))
}

fn streamed(receiver: UnboundedReceiver<Bytes>) -> Answer {
    let frames = stream::unfold(receiver, |mut receiver| async move {
        let line = receiver.recv().await?;
        Some((Ok(Frame::data(line)), receiver))
    });
    UnsyncBoxBody::new(StreamBody::new(frames))
}

impl Service<Request<Body>> for Server {
    type Response = Response<Answer>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Answer>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let server = self.clone();
        Box::pin(async move {
            let query = request.uri().query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
            let asked = Asked {
                path: request.uri().path().to_owned(),
                query: query.map(|(key, value)| (key.to_owned(), value.replace("%3D", "="))).collect(),
                accept: request.headers().get("accept").map_or("", |value| value.to_str().unwrap()).to_owned(),
                at: Instant::now(),
            };
            let silent = {
                let mut state = server.lock();
                state.asked.push(asked.clone());
                let what = asked.what();
                state.refusals.iter().any(|(refused, how)| *refused == what && matches!(how, Refusal::Silence))
            };
            if silent {
                tokio::time::sleep(Duration::from_hours(24)).await;
            }
            let answer = server.lock().answer(&asked);
            Ok(answer)
        })
    }
}
