//! Pods from the API server: one list, then one watch that goes on from there.
//!
//! kube's own `watcher` does the same, but tells neither the version of a list nor lets one choose it. Both are needed for
//! the promise that an address never finds the wrong pod: the first list takes whatever the server has in memory
//! (`resourceVersion=0`), which may be old; each list after it must be at least as new as what was seen
//! (`resourceVersionMatch=NotOlderThan`), so that a server that lags behind does not bring back who had an address before.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use kube::api::{ListParams, VersionMatch, WatchEvent, WatchParams};
use kube::{Api, Resource as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::backoff::{Backoff, spread};
use super::{Failure, failed};
use crate::kubernetes::connection::Connection;
use crate::kubernetes::directory::Shared;
use crate::kubernetes::interest::Interest;
use crate::kubernetes::manifest::WatchedPod;
use crate::kubernetes::right::Right;
use crate::kubernetes::source::Filter;

/// How long a watch is asked for; the server ends it then. Not the same for all, so that agents do not come all at once.
const WATCH_FOR: (Duration, Duration) = (Duration::from_mins(4), Duration::from_mins(5));

/// A watch without a word for this long after it should have ended is dead.
const DEAD_AFTER: Duration = Duration::from_secs(10);

/// A list takes no longer.
const LIST_WITHIN: Duration = Duration::from_mins(2);

/// A watch that held this long was a good one.
const GOOD_WATCH: Duration = Duration::from_secs(5);

/// What an API server says that has not come as far as the version asked for.
const TOO_NEW: &str = "Too large resource version";

/// So many failures of one kind in a row are not passing any more, and another way is tried.
const NOT_PASSING: u32 = 4;

/// Brings the pods.
pub(super) struct Pods {
    connection: Arc<Connection>,
    filter: Filter,
    shared: Arc<Shared>,
    right: Right,
    interest: watch::Receiver<Interest>,
    backoff: Backoff,
    /// Lists in a row that the server could not make new enough.
    too_old: u32,
    failing: bool,
}

/// Why a watch is over.
enum Over {
    /// It can go on where it was.
    Ended,
    /// Something is wrong, but it can go on where it was.
    Failed(Failure),
    /// The server no longer knows what came since: a new list is needed.
    Gone,
    /// Somebody wants more of the pods: a new list is needed.
    MoreWanted,
}

impl Pods {
    pub(super) fn new(connection: Arc<Connection>, filter: &Filter, shared: Arc<Shared>) -> Self {
        Self {
            connection,
            right: Right::pods(filter.namespace.as_deref()),
            filter: filter.clone(),
            interest: shared.interest(),
            shared,
            backoff: Backoff::default(),
            too_old: 0,
            failing: false,
        }
    }

    pub(super) async fn run(mut self) {
        loop {
            match self.list().await {
                Ok(version) => {
                    self.shared.set_listed();
                    self.watch(version).await;
                }
                Err(failure) => self.fail("list", &failure).await,
            }
        }
    }

    /// Reads all pods; the version from which a watch goes on.
    async fn list(&mut self) -> Result<String, Failure> {
        let horizon = self.shared.horizon();
        let interest = self.interest.borrow_and_update().clone();
        let params = ListParams {
            field_selector: self.filter.field_selector(),
            label_selector: self.filter.label_selector(),
            resource_version: Some(horizon.to_string()),
            version_match: Some(VersionMatch::NotOlderThan),
            // With a limit the server would go past its memory to its store, and kube leave the version away.
            limit: None,
            ..ListParams::default()
        };
        let api = self.api();
        let list = tokio::time::timeout(LIST_WITHIN, api.list(&params)).await;
        let list = list.map_err(|_| Failure { code: 0, message: "the list did not end".to_owned() })?;
        let list = list.map_err(|error| Failure::new(&error)).inspect_err(|failure| self.too_old(failure))?;
        let text = list.metadata.resource_version.unwrap_or_default();
        let version: u64 = text.parse().unwrap_or_default();
        if version < horizon {
            let message = format!("{TOO_NEW}: the list is of {text}, and {horizon} was already seen");
            let failure = Failure { code: 504, message };
            self.too_old(&failure);
            return Err(failure);
        }
        self.too_old = 0;
        self.shared.counts.list();
        let pods = list.items.into_iter().map(|pod| pod.manifest.seen(&interest)).collect();
        self.shared.replace_all(pods, version);
        Ok(text)
    }

    /// A server that stays behind what was seen has lost its data and counts anew (a restored backup).
    fn too_old(&mut self, failure: &Failure) {
        if failure.code != 410 && !failure.message.contains(TOO_NEW) {
            return;
        }
        self.too_old += 1;
        if self.too_old >= NOT_PASSING {
            self.too_old = 0;
            self.shared.forget_versions();
            let error = &failure.message;
            tracing::warn!(
                error,
                "The API server knows of nothing as new as what it told before; starting over with what it has."
            );
        }
    }

    /// Watches until only a new list helps.
    async fn watch(&mut self, mut version: String) {
        let mut failures = 0;
        loop {
            let started = Instant::now();
            let over = self.watch_once(&mut version).await;
            if started.elapsed() >= GOOD_WATCH {
                self.backoff.reset();
                failures = 0;
            }
            match over {
                Over::MoreWanted => return,
                Over::Gone => {
                    self.shared.counts.failure("pods", "gone");
                    // Thousands of agents may be told so at the same moment.
                    return tokio::time::sleep(self.backoff.next()).await;
                }
                Over::Ended if started.elapsed() >= GOOD_WATCH => {}
                Over::Ended => {
                    self.shared.counts.failure("pods", "cut");
                    tokio::time::sleep(self.backoff.next()).await;
                }
                Over::Failed(failure) => {
                    failures += 1;
                    self.fail("watch", &failure).await;
                    if failures >= NOT_PASSING {
                        return;
                    }
                }
            }
        }
    }

    async fn watch_once(&mut self, version: &mut String) -> Over {
        let time = spread(WATCH_FOR.0, WATCH_FOR.1);
        let params = WatchParams {
            field_selector: self.filter.field_selector(),
            label_selector: self.filter.label_selector(),
            timeout: u32::try_from(time.as_secs()).ok(),
            bookmarks: true,
            ..WatchParams::default()
        };
        let api = self.api();
        let events = match api.watch(&params, version).await {
            Ok(events) => events,
            Err(error) => return over(Failure::new(&error)),
        };
        self.watching();
        let mut events = pin!(events);
        let dead = Instant::now() + time + DEAD_AFTER;
        loop {
            let event = tokio::select! {
                event = events.next() => event,
                // The sender is in `shared`, so that it cannot be gone.
                _ = self.interest.changed() => return Over::MoreWanted,
                () = tokio::time::sleep_until(dead) => return Over::Ended,
            };
            match event {
                None => return Over::Ended,
                Some(Ok(event)) => {
                    if let Err(over) = self.take(event, version) {
                        return over;
                    }
                }
                Some(Err(error)) => return over(Failure::new(&error)),
            }
        }
    }

    fn take(&self, event: WatchEvent<WatchedPod>, version: &mut String) -> Result<(), Over> {
        let newer = match event {
            WatchEvent::Added(pod) | WatchEvent::Modified(pod) => {
                let newer = pod.meta().resource_version.clone();
                self.shared.see(pod.manifest.seen(&self.interest.borrow()));
                newer
            }
            WatchEvent::Deleted(pod) => {
                let newer = pod.meta().resource_version.clone();
                let number = newer.as_ref().and_then(|newer| newer.parse().ok()).unwrap_or_default();
                self.shared.delete(pod.manifest.uid(), number);
                newer
            }
            WatchEvent::Bookmark(bookmark) => Some(bookmark.metadata.resource_version),
            WatchEvent::Error(status) => return Err(over(Failure::answered(&status))),
        };
        if let Some(newer) = newer.filter(|newer| !newer.is_empty()) {
            *version = newer;
        }
        Ok(())
    }

    fn api(&self) -> Api<WatchedPod> {
        let client = self.connection.client();
        match &self.filter.namespace {
            Some(namespace) => Api::namespaced(client, namespace),
            None => Api::all(client),
        }
    }

    /// A watch began. Whether it holds is yet to be seen, so that the next failure still counts as one more.
    fn watching(&mut self) {
        self.shared.troubles.granted(&self.right);
        if std::mem::take(&mut self.failing) {
            tracing::info!("The API server answers again; the pods of this node are kept up to date.");
        }
    }

    async fn fail(&mut self, what: &'static str, failure: &Failure) {
        failed(failure, &self.right, &self.connection, &self.shared);
        // A missing right is told with its remedy elsewhere.
        if !std::mem::replace(&mut self.failing, true) && failure.code != 403 {
            let (error, reason) = (&failure.message, failure.reason());
            tracing::warn!(what, reason, error, "Pods cannot be read from the API server; what is known stays in use.");
        }
        tokio::time::sleep(self.backoff.next().max(self.connection.away())).await;
    }
}

fn over(failure: Failure) -> Over {
    if failure.code == 410 { Over::Gone } else { Over::Failed(failure) }
}
