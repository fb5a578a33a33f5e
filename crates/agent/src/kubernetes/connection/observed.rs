//! Stands around every request: not too often, not while the server asked us to stay away, counted, and never without end.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt as _};
use http::header::RETRY_AFTER;
use http::{Request, Response};
use kube::client::Body;
use tokio::time::Instant;
use tower::{BoxError, Layer, Service};

use crate::kubernetes::directory::Shared;
use crate::kubernetes::source::Rate;

/// Until the head of an answer is there. API servers give up after 60 seconds themselves.
const ANSWER_WITHIN: Duration = Duration::from_secs(65);

/// The longest time that a server can make us wait.
const LONGEST_AWAY: Duration = Duration::from_mins(5);

/// When the next request may be sent.
pub(super) struct Gate {
    rate: Rate,
    /// When the next one is due if they came evenly; none before the first.
    due: Mutex<Option<Instant>>,
    /// Until when the server asked us to stay away.
    away: Mutex<Instant>,
}

/// Puts [`Observed`] around a client.
pub(super) struct Observe {
    gate: Arc<Gate>,
    shared: Arc<Shared>,
}

/// A client, observed.
pub(super) struct Observed<S> {
    inner: S,
    gate: Arc<Gate>,
    shared: Arc<Shared>,
}

impl Gate {
    pub(super) fn new(rate: Rate) -> Self {
        let now = Instant::now();
        Self { rate, due: Mutex::new(None), away: Mutex::new(now) }
    }

    /// How long the server asked us to stay away.
    pub(super) fn away(&self) -> Duration {
        let away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        away.saturating_duration_since(Instant::now())
    }

    fn stay_away(&self, time: Duration) {
        let until = Instant::now() + time.min(LONGEST_AWAY);
        let mut away = self.away.lock().unwrap_or_else(PoisonError::into_inner);
        *away = until.max(*away);
    }

    /// Takes the next turn; how long it is until then.
    fn turn(&self) -> Duration {
        let (now, interval) = (Instant::now(), self.rate.interval());
        let mut due = self.due.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever was quiet may send so many at once.
        let saved = now.checked_sub(interval * (self.rate.burst() - 1)).unwrap_or(now);
        let mine = due.map_or(saved, |due| due.max(saved));
        *due = Some(mine + interval);
        mine.saturating_duration_since(now)
    }
}

impl Observe {
    pub(super) fn new(gate: Arc<Gate>, shared: Arc<Shared>) -> Self {
        Self { gate, shared }
    }
}

impl<S> Layer<S> for Observe {
    type Service = Observed<S>;

    fn layer(&self, inner: S) -> Observed<S> {
        Observed { inner, gate: Arc::clone(&self.gate), shared: Arc::clone(&self.shared) }
    }
}

impl<S, B> Service<Request<Body>> for Observed<S>
where
    S: Service<Request<Body>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = Response<B>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<B>, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (resource, verb) = asked(&request);
        let answer = self.inner.call(request);
        let (gate, shared) = (Arc::clone(&self.gate), Arc::clone(&self.shared));
        async move {
            tokio::time::sleep(gate.turn().max(gate.away())).await;
            let answer = tokio::time::timeout(ANSWER_WITHIN, answer).await;
            let code = answer.as_ref().ok().and_then(|answer| answer.as_ref().ok()).map(Response::status);
            shared.counts.request(&resource, verb, code.as_ref().map_or("none", http::StatusCode::as_str));
            let answer = answer.map_err(|_| format!("no answer within {} s", ANSWER_WITHIN.as_secs()))?;
            let answer = answer.map_err(Into::into)?;
            if let Some(time) = retry_after(&answer) {
                gate.stay_away(time);
            }
            Ok(answer)
        }
        .boxed()
    }
}

fn retry_after<B>(answer: &Response<B>) -> Option<Duration> {
    let refused = answer.status().is_client_error() || answer.status().is_server_error();
    let seconds = answer.headers().get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    refused.then(|| Duration::from_secs(seconds))
}

/// The resource that a request is about, and what it does there.
fn asked(request: &Request<Body>) -> (String, &'static str) {
    let watch = request.uri().query().is_some_and(|query| query.split('&').any(|pair| pair == "watch=true"));
    let parts: Vec<&str> = request.uri().path().split('/').filter(|part| !part.is_empty()).collect();
    let (["api", _, parts @ ..] | ["apis", _, _, parts @ ..]) = parts.as_slice() else {
        return ("nodes/pods".to_owned(), "get");
    };
    let (resource, named) = match parts {
        ["namespaces", _, resource, rest @ ..] => (*resource, !rest.is_empty()),
        [resource, rest @ ..] => (*resource, !rest.is_empty()),
        [] => ("", false),
    };
    let verb = match (watch, named) {
        (true, _) => "watch",
        (false, true) => "get",
        (false, false) => "list",
    };
    (resource.to_owned(), verb)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_counted_by_what_it_asks_for() {
        let check = |uri: &str, resource: &str, verb: &str| {
            let request = Request::get(uri).body(Body::empty()).unwrap();
            assert_eq!(asked(&request), (resource.to_owned(), verb), "{uri}");
        };
        check("/api/v1/pods?fieldSelector=spec.nodeName%3Da", "pods", "list");
        check("/api/v1/pods?watch=true&timeoutSeconds=290", "pods", "watch");
        check("/api/v1/namespaces/shop/pods?resourceVersion=0", "pods", "list");
        check("/api/v1/namespaces/shop", "namespaces", "get");
        check("/apis/apps/v1/namespaces/shop/replicasets/web", "replicasets", "get");
        check("https://192.0.2.1:10250/pods", "nodes/pods", "get");
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_goes_at_once_and_what_follows_at_the_rate() {
        let gate = Gate::new(Rate::new(5.0, 3));
        let turns: Vec<u128> = (0..5).map(|_| gate.turn().as_millis()).collect();
        assert_eq!(turns, [0, 0, 0, 200, 400]);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(gate.turn().as_millis(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_time_that_a_server_asked_for_counts() {
        let gate = Gate::new(Rate::default());
        gate.stay_away(Duration::from_secs(7));
        gate.stay_away(Duration::from_secs(2));
        assert_eq!(gate.away(), Duration::from_secs(7));
        gate.stay_away(Duration::from_hours(5));
        assert_eq!(gate.away(), LONGEST_AWAY);
    }
}
