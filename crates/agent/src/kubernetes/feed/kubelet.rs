//! Pods from the node's kubelet, which is asked again and again: it tells nobody by itself. For clusters where a watch for
//! each node is too much for the API server.

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use serde::Deserialize;
use tokio::sync::watch;
use tokio::time::Instant;

use super::backoff::{Backoff, spread};
use super::{Failure, failed};
use crate::kubernetes::connection::Connection;
use crate::kubernetes::directory::Shared;
use crate::kubernetes::interest::Interest;
use crate::kubernetes::manifest::PodManifest;
use crate::kubernetes::right::Right;
use crate::kubernetes::source::{Filter, KubeletSettings};

/// While somebody waits for a pod the kubelet is asked this often.
const ASK_SOON: Duration = Duration::from_secs(1);

/// For how long after the last unknown address.
const FAST_FOR: Duration = Duration::from_secs(5);

/// Asks a kubelet.
pub(super) struct Kubelet {
    connection: Connection,
    settings: KubeletSettings,
    filter: Filter,
    shared: Arc<Shared>,
    interest: watch::Receiver<Interest>,
    backoff: Backoff,
    failing: bool,
}

/// What a kubelet answers.
#[derive(Deserialize)]
struct Pods {
    items: Option<Vec<PodManifest>>,
}

impl Kubelet {
    pub(super) fn new(connection: Connection, settings: KubeletSettings, filter: Filter, shared: Arc<Shared>) -> Self {
        let interest = shared.interest();
        Self { connection, settings, filter, shared, interest, backoff: Backoff::default(), failing: false }
    }

    pub(super) async fn run(mut self) {
        let mut fast_until = Instant::now();
        loop {
            let asked = Instant::now();
            let pause = match self.ask().await {
                Ok(()) => self.went_well(),
                Err(failure) => self.fail(&failure),
            };
            let pause = if asked < fast_until && !self.failing { pause.min(ASK_SOON) } else { pause };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                // The sender is in `shared`, so that it cannot be gone.
                _ = self.interest.changed() => {}
                () = self.shared.hinted(), if !self.failing => {
                    fast_until = Instant::now() + FAST_FOR;
                    tokio::time::sleep_until(asked + ASK_SOON).await;
                }
            }
        }
    }

    async fn ask(&mut self) -> Result<(), Failure> {
        let request = Request::get("/pods").body(Vec::new());
        let request = request.map_err(|error| Failure { code: 0, message: error.to_string() })?;
        let interest = self.interest.borrow_and_update().clone();
        let answer = self.connection.client().request::<Pods>(request).await;
        let pods = answer.map_err(|error| Failure::new(&error))?.items.unwrap_or_default();
        let pods = pods.into_iter().filter(|pod| self.filter.takes(pod)).map(|pod| pod.seen(&interest)).collect();
        self.shared.counts.list();
        self.shared.replace_all(pods, 0);
        self.shared.set_listed();
        Ok(())
    }

    fn went_well(&mut self) -> Duration {
        self.backoff.reset();
        self.shared.troubles.granted(&Right::KUBELET_PODS);
        if std::mem::take(&mut self.failing) {
            tracing::info!("The kubelet answers again; the pods of this node are kept up to date.");
        }
        let interval = self.settings.poll_interval;
        spread(interval * 9 / 10, interval)
    }

    fn fail(&mut self, failure: &Failure) -> Duration {
        failed(failure, &Right::KUBELET_PODS, &self.connection, &self.shared);
        if !std::mem::replace(&mut self.failing, true) && failure.code != 403 {
            let (endpoint, error) = (&self.settings.endpoint, &failure.message);
            tracing::warn!(endpoint, error, "Pods cannot be read from the kubelet; what is known stays in use.");
        }
        self.backoff.next().max(self.connection.away())
    }
}
