//! Reading from the API server: bounded in time, size and number at once, and everything that could not be seen is noted
//! down with the right that was missing.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use http::Request;
use http_body_util::{BodyExt as _, Limited};
use kube::Client;
use kube::client::Body;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::clocks;
use super::meta::or_default;
use super::right::Right;

/// Requests at a time: quick for us, and no weight for an API server.
const AT_ONCE: usize = 8;
/// One request takes no longer.
const WITHIN: Duration = Duration::from_secs(20);
/// Objects in one page; the API server reads no more than this at once for us.
const PAGE: usize = 500;
/// So many pages at most: 50 000 objects, far more than fit a cluster of 1 000 nodes by Kubernetes' own limits.
const PAGES: usize = 100;
/// One page, and one object.
const PAGE_BYTES: usize = 64 << 20;

/// What was looked for, and whether it was seen.
#[derive(Clone, Debug)]
pub enum Seen<T> {
    /// All of it.
    Known(T),
    /// A part, and why not the rest.
    Part(T, Unseen),
    /// Nothing, and why.
    Unseen(Unseen),
}

/// Something that could not be seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Unseen {
    /// What, in words.
    pub what: String,
    /// The right that was missing; none if it was something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right: Option<Right>,
    /// What the server, or the connection to it, said.
    pub message: String,
}

impl<T: Default> Default for Seen<T> {
    fn default() -> Self {
        Self::Known(T::default())
    }
}

impl<T> Seen<T> {
    /// All of it, if all was seen.
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(all) => Some(all),
            Self::Part(..) | Self::Unseen(_) => None,
        }
    }

    /// As much of it as was seen.
    #[must_use]
    pub fn some(&self) -> Option<&T> {
        match self {
            Self::Known(seen) | Self::Part(seen, _) => Some(seen),
            Self::Unseen(_) => None,
        }
    }

    /// Why not all was seen.
    #[must_use]
    pub fn unseen(&self) -> Option<&Unseen> {
        match self {
            Self::Known(_) => None,
            Self::Part(_, unseen) | Self::Unseen(unseen) => Some(unseen),
        }
    }

    /// Something else made of what was seen.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Known(all) => Seen::Known(of(all)),
            Self::Part(part, unseen) => Seen::Part(of(part), unseen),
            Self::Unseen(unseen) => Seen::Unseen(unseen),
        }
    }
}

impl<T> Seen<Vec<T>> {
    /// Those that were seen.
    #[must_use]
    pub fn items(&self) -> &[T] {
        self.some().map(Vec::as_slice).unwrap_or_default()
    }
}

/// What to read, and the right that it takes.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// In words: "the nodes".
    pub(crate) what: String,
    /// `/api/v1/nodes`, without a query.
    pub(crate) path: String,
    pub(crate) right: Right,
}

impl Wanted {
    /// All objects of a kind, of the cluster or of one namespace.
    pub(crate) fn list(group_version: &str, resource: &str, namespace: Option<&str>) -> Self {
        let (group, _) = group_version.split_once('/').unwrap_or_default();
        let root = if group.is_empty() { "/api" } else { "/apis" };
        let (space, place) = match namespace {
            Some(namespace) => (format!("/namespaces/{namespace}"), format!(" of namespace {namespace}")),
            None => (String::new(), String::new()),
        };
        let right = match namespace {
            Some(namespace) => Right::within(namespace, "list", group, resource),
            None => Right::everywhere("list", group, resource),
        };
        Self {
            what: format!("the {resource}{place}"),
            path: format!("{root}/{group_version}{space}/{resource}"),
            right,
        }
    }

    /// One object of a namespace.
    pub(crate) fn one(resource: &str, namespace: &str, name: &str) -> Self {
        Self {
            what: format!("{resource} {namespace}/{name}"),
            path: format!("/api/v1/namespaces/{namespace}/{resource}/{name}"),
            right: Right::within(namespace, "get", "", resource),
        }
    }
}

/// Why a request was not answered with what was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    /// Of HTTP; 0 if there was no answer.
    pub(crate) code: u16,
    pub(crate) message: String,
}

impl Failure {
    fn new(code: u16, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

/// Reads, and remembers what it could not.
pub(crate) struct Reader {
    client: Client,
    gate: Semaphore,
    unseen: Mutex<Vec<Unseen>>,
    server_ahead: Mutex<Option<f64>>,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    #[serde(default, deserialize_with = "or_default")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PageMetadata {
    #[serde(deserialize_with = "or_default")]
    r#continue: String,
}

impl Reader {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, gate: Semaphore::new(AT_ONCE), unseen: Mutex::default(), server_ahead: Mutex::default() }
    }

    /// All objects of a kind, page by page; `keep` makes each smaller before the next page comes.
    pub(crate) async fn list<T: DeserializeOwned>(&self, wanted: &Wanted, keep: impl Fn(&mut T)) -> Seen<Vec<T>> {
        match self.pages(wanted, &keep).await {
            Ok((items, true)) => Seen::Known(items),
            Ok((items, false)) => {
                let failure = Failure::new(0, format!("there are more than {} of them", items.len()));
                Seen::Part(items, self.note(wanted, &failure))
            }
            Err(failure) => Seen::Unseen(self.note(wanted, &failure)),
        }
    }

    /// The same of a kind that a cluster need not have; none if it has not.
    pub(crate) async fn list_if_there<T: DeserializeOwned>(&self, wanted: &Wanted) -> Seen<Option<Vec<T>>> {
        match self.pages(wanted, &|_: &mut T| {}).await {
            Err(failure) if failure.code == 404 => Seen::Known(None),
            Err(failure) => Seen::Unseen(self.note(wanted, &failure)),
            Ok((items, _)) => Seen::Known(Some(items)),
        }
    }

    /// One object; none if there is none of that name.
    pub(crate) async fn object<T: DeserializeOwned>(&self, wanted: &Wanted) -> Seen<Option<T>> {
        let read = self.get(&wanted.path, PAGE_BYTES).await;
        let parsed = read.and_then(|bytes| parsed::<T>(&bytes));
        match parsed {
            Ok(object) => Seen::Known(Some(object)),
            Err(failure) if failure.code == 404 => Seen::Known(None),
            Err(failure) => Seen::Unseen(self.note(wanted, &failure)),
        }
    }

    /// What is no JSON, up to a size.
    pub(crate) async fn text(&self, wanted: &Wanted, at_most: usize) -> Seen<String> {
        match self.get(&wanted.path, at_most).await {
            Ok(bytes) => Seen::Known(String::from_utf8_lossy(&bytes).into_owned()),
            Err(failure) => Seen::Unseen(self.note(wanted, &failure)),
        }
    }

    /// Asks for a review, or whatever else is answered and not kept.
    pub(crate) async fn post<T: DeserializeOwned>(&self, wanted: &Wanted, body: &serde_json::Value) -> Seen<T> {
        let request = Request::post(&wanted.path).header(http::header::CONTENT_TYPE, "application/json");
        let answer = self.send(request, body.to_string().into_bytes(), PAGE_BYTES).await;
        match answer.and_then(|bytes| parsed::<T>(&bytes)) {
            Ok(answer) => Seen::Known(answer),
            Err(failure) => Seen::Unseen(self.note(wanted, &failure)),
        }
    }

    /// The bytes that a path is answered with.
    pub(crate) async fn get(&self, path: &str, at_most: usize) -> Result<Vec<u8>, Failure> {
        self.send(Request::get(path), Vec::new(), at_most).await
    }

    /// By how much the clock of the API server is ahead of the one here, in seconds, as its first answer told.
    pub(crate) fn server_ahead(&self) -> Option<f64> {
        *self.server_ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What could not be seen so far, each once.
    pub(crate) fn take_unseen(&self) -> Vec<Unseen> {
        let mut all = std::mem::take(&mut *self.unseen.lock().unwrap_or_else(PoisonError::into_inner));
        all.sort_by(|a, b| a.what.cmp(&b.what));
        all.dedup();
        all
    }

    async fn pages<T: DeserializeOwned>(
        &self,
        wanted: &Wanted,
        keep: &impl Fn(&mut T),
    ) -> Result<(Vec<T>, bool), Failure> {
        let (mut items, mut next, mut begun_again) = (Vec::new(), String::new(), false);
        for _ in 0..PAGES {
            let from = if next.is_empty() { String::new() } else { format!("&continue={next}") };
            let path = format!("{}?limit={PAGE}{from}", wanted.path);
            let page: Page<T> = match self.get(&path, PAGE_BYTES).await.and_then(|bytes| parsed(&bytes)) {
                Ok(page) => page,
                // It took too long, and the server no longer knows what the list was like when it began.
                Err(failure) if failure.code == 410 && !begun_again => {
                    (begun_again, next) = (true, String::new());
                    items.clear();
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            items.extend(page.items.into_iter().map(|mut item| {
                keep(&mut item);
                item
            }));
            next = page.metadata.r#continue;
            if next.is_empty() {
                return Ok((items, true));
            }
        }
        Ok((items, false))
    }

    async fn send(&self, request: http::request::Builder, body: Vec<u8>, at_most: usize) -> Result<Vec<u8>, Failure> {
        let request = request.body(Body::from(body)).map_err(|error| Failure::new(0, error.to_string()))?;
        let _turn = self.gate.acquire().await;
        let answer = tokio::time::timeout(WITHIN, self.answer(request, at_most)).await;
        answer.unwrap_or_else(|_| Err(Failure::new(0, format!("no answer within {} s", WITHIN.as_secs()))))
    }

    async fn answer(&self, request: Request<Body>, at_most: usize) -> Result<Vec<u8>, Failure> {
        let asked_at = clocks::here();
        let answer = self.client.send(request).await.map_err(|error| Failure::new(0, told(&error)))?;
        self.note_date(answer.headers(), f64::midpoint(asked_at, clocks::here()));
        let code = answer.status().as_u16();
        let body = Limited::new(answer.into_body(), at_most).collect().await;
        let bytes = body.map_err(|error| Failure::new(0, format!("the answer ended early: {error}")))?.to_bytes();
        if code < 300 { Ok(bytes.to_vec()) } else { Err(Failure::new(code, refusal(code, &bytes))) }
    }

    /// Of the first answer only: later ones may be a pod's, passed on.
    fn note_date(&self, headers: &http::HeaderMap, here: f64) {
        let mut ahead = self.server_ahead.lock().unwrap_or_else(PoisonError::into_inner);
        if ahead.is_none() {
            let date = headers.get(http::header::DATE).and_then(|date| date.to_str().ok());
            *ahead = date.and_then(clocks::of_header).map(|server| server - here);
        }
    }

    fn note(&self, wanted: &Wanted, failure: &Failure) -> Unseen {
        let right = (failure.code == 403).then(|| wanted.right.clone());
        let unseen = Unseen { what: wanted.what.clone(), right, message: failure.message.clone() };
        self.unseen.lock().unwrap_or_else(PoisonError::into_inner).push(unseen.clone());
        unseen
    }
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes)
        .context("the answer cannot be read")
        .map_err(|error| Failure::new(0, format!("{error:#}")))
}

/// An error with its causes, each said once.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(one) = cause {
        let said = one.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = one.source();
    }
    text
}

/// What a server says when it refuses: the message of a Status, or the beginning of whatever came.
fn refusal(code: u16, bytes: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        message: String,
    }
    match serde_json::from_slice::<Status>(bytes) {
        Ok(status) => status.message,
        Err(_) => {
            let text: String = String::from_utf8_lossy(bytes).trim().chars().take(300).collect();
            format!("HTTP {code} {text}").trim_end().to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_rights_follow_from_the_kind() {
        let of = |wanted: Wanted| (wanted.what, wanted.path, wanted.right.to_string());
        assert_eq!(
            of(Wanted::list("v1", "nodes", None)),
            ("the nodes".to_owned(), "/api/v1/nodes".to_owned(), "list nodes".to_owned())
        );
        assert_eq!(
            of(Wanted::list("apps/v1", "daemonsets", Some("a"))),
            (
                "the daemonsets of namespace a".to_owned(),
                "/apis/apps/v1/namespaces/a/daemonsets".to_owned(),
                "list daemonsets.apps in namespace a".to_owned()
            )
        );
    }

    #[test]
    fn a_refusal_is_told_in_the_words_of_the_server() {
        assert_eq!(refusal(403, br#"{"kind":"Status","message":"nodes is forbidden"}"#), "nodes is forbidden");
        assert_eq!(refusal(502, b"<html>bad gateway</html>\n"), "HTTP 502 <html>bad gateway</html>");
        assert_eq!(refusal(503, b""), "HTTP 503");
    }
}
