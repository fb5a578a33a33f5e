//! What keeps a directory up to date: one task that brings pods, one that brings what they have to do with, one that
//! forgets what ended.

mod file;

use std::sync::Arc;
use std::time::Duration;

use tokio::task::AbortHandle;

use super::directory::Shared;
use super::source::{Feed, Source};

/// How often ended pods are looked through.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Starts what a source takes.
pub(super) fn start(source: &Source, shared: &Arc<Shared>) -> anyhow::Result<Vec<AbortHandle>> {
    let mut tasks = match &source.feed {
        Feed::File(path) => vec![file::start(path, &source.filter, shared)?],
        Feed::Api { .. } | Feed::Kubelet(_) => anyhow::bail!("pods can only be read from a file as yet"),
    };
    let shared = Arc::clone(shared);
    tasks.push(spawn(async move {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            shared.sweep();
        }
    }));
    Ok(tasks)
}

fn spawn(task: impl Future<Output = ()> + Send + 'static) -> AbortHandle {
    tokio::spawn(task).abort_handle()
}
