//! What keeps a directory up to date: one task that brings pods, one that brings what they have to do with, one that
//! forgets what ended.

/// Pods from the API server.
mod api;

/// How long to wait after a failure.
mod backoff;

/// Pods from a file.
mod file;

/// Pods from the node's kubelet.
mod kubelet;

/// Namespaces, nodes and controllers.
mod objects;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::connection::{Connection, Peer};
use super::directory::Shared;
use super::right::Right;
use super::source::{Auth, Feed, Rate, Source};

/// How often ended pods are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Starts what a source takes.
pub(super) fn start(source: &Source, shared: &Arc<Shared>) -> anyhow::Result<Vec<AbortHandle>> {
    match &source.feed {
        Feed::File(path) => {
            let file = file::start(path, &source.filter, shared)?;
            Ok(vec![file, sweep(shared)])
        }
        Feed::Api { auth, rate } => {
            let connection = Connection::open(Peer::Api(auth.clone()), *rate, shared)?;
            Ok(from_api(source, connection, shared))
        }
        Feed::Kubelet(settings) => {
            let connection = Connection::open(Peer::Kubelet(settings.clone()), Rate::default(), shared)?;
            let filter = source.filter.clone();
            let pods = kubelet::Kubelet::new(connection, settings.clone(), filter, Arc::clone(shared)).run();
            let mut tasks = vec![spawn(pods), sweep(shared)];
            tasks.push(match Connection::open(Peer::Api(Auth::ServiceAccount), Rate::default(), shared) {
                Ok(api) => spawn(objects::Objects::new(Arc::new(api), source, Arc::clone(shared)).run()),
                // A kubelet knows pods only; without an API server that is all that there is.
                Err(_) => spawn(synced_once_listed(Arc::clone(shared))),
            });
            Ok(tasks)
        }
    }
}

/// Pods and objects from one API server.
fn from_api(source: &Source, connection: Connection, shared: &Arc<Shared>) -> Vec<AbortHandle> {
    let connection = Arc::new(connection);
    let pods = api::Pods::new(Arc::clone(&connection), &source.filter, Arc::clone(shared)).run();
    let objects = objects::Objects::new(connection, source, Arc::clone(shared)).run();
    vec![spawn(pods), spawn(objects), sweep(shared)]
}

async fn synced_once_listed(shared: Arc<Shared>) {
    shared.wait_listed().await;
    shared.set_synced();
}

fn sweep(shared: &Arc<Shared>) -> AbortHandle {
    let shared = Arc::clone(shared);
    spawn(async move {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            shared.sweep();
        }
    })
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(task).abort_handle()
}

/// What went wrong with a request, for those who decide what comes next.
#[derive(Debug)]
struct Failure {
    /// HTTP status; 0 where no answer came.
    code: u16,
    message: String,
}

impl Failure {
    fn new(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::answered(status),
            other => {
                // The cause says more than kube's own words for it.
                let mut message = other.to_string();
                let mut cause = std::error::Error::source(other);
                while let Some(error) = cause {
                    message = format!("{message}: {error}");
                    cause = error.source();
                }
                Self { code: 0, message }
            }
        }
    }

    fn answered(status: &kube::core::Status) -> Self {
        Self { code: status.code, message: status.message.clone() }
    }

    /// The word for it in metrics.
    fn reason(&self) -> &'static str {
        match self.code {
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            410 => "gone",
            429 => "too_many_requests",
            400..500 => "refused",
            500.. => "server_error",
            _ => "no_answer",
        }
    }
}

/// Counts a failure, and does what it asks for: reads credentials again, tells of a missing right.
fn failed(failure: &Failure, right: &Right, connection: &Connection, shared: &Shared) {
    shared.counts.failure(right.resource, failure.reason());
    match failure.code {
        401 => connection.renew(),
        403 => shared.troubles.refused(right, &failure.message),
        _ => {}
    }
}

#[cfg(test)]
pub(super) mod played;

#[cfg(test)]
mod tests;
