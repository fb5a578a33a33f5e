//! Plans that another one has replaced: they take nothing in any more, but what they hold is theirs to deliver.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::TaskTracker;

use super::assembly::Assembly;
use super::report_left;

/// A replaced plan goes on trying for this long, as the usual `max_elapsed_time` of a batch does.
const PATIENCE: Duration = Duration::from_secs(300);
/// Then everything gets one attempt more within this time.
const DRAIN: Duration = Duration::from_secs(30);
/// How often to look whether anything is held still.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The replaced plans that still hold data.
pub(super) struct Retired {
    tasks: TaskTracker,
    /// The deadline of the agent's end, once it is known.
    end: watch::Sender<Option<Instant>>,
}

impl Retired {
    pub(super) fn none() -> Retired {
        Retired { tasks: TaskTracker::new(), end: watch::Sender::new(None) }
    }

    /// Lets a plan, whose receivers are closed, go on in the background until it holds nothing.
    pub(super) fn add(&self, assembly: Assembly) {
        let mut end = self.end.subscribe();
        self.tasks.spawn(async move {
            tokio::select! {
                _ = timeout(PATIENCE, until_empty(&assembly)) => {}
                _ = end.wait_for(Option::is_some) => {}
            }
            let deadline = end.borrow().unwrap_or_else(|| Instant::now() + DRAIN);
            report_left(assembly.drain(deadline).await);
        });
    }

    /// Drains them all before `deadline`, at the end of the agent.
    pub(super) async fn drain(&self, deadline: Instant) {
        self.end.send_replace(Some(deadline));
        self.tasks.close();
        self.tasks.wait().await;
    }
}

async fn until_empty(assembly: &Assembly) {
    while assembly.holds_data() {
        // Nothing comes in any more that a batch could wait for. One batch may pass on to another: hence each time.
        assembly.flush();
        sleep(LOOK_EVERY).await;
    }
}
