use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;
use crate::pipeline::testing::{Bench, Fake};
use crate::pipeline::{Fault, Metadata, Origin, Outcome, Reason};
use crate::settings::read_text;

mod apart;
mod everything;
mod joining;
mod queueing;
mod retrying;

/// A policy from what stands under `sending_queue` and `retry_on_failure`, without chance in the waits.
fn policy(queue: &str, retry: &str) -> Policy {
    let retry = format!("{{randomization_factor: 0, {retry}}}");
    Policy {
        queue: read_text(&format!("{{{queue}}}")).unwrap(),
        retry: read_text(&retry).unwrap(),
        timeout: GoDuration::secs(5),
    }
}

fn refused(fault: Fault) -> Outcome {
    Outcome::Refused { error: "bad data".to_owned(), fault }
}

/// Lets everything run that can run without time going by.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

async fn stop_and_drain(sender: &Sender, within: u64) -> u64 {
    sender.stop(Instant::now() + Duration::from_secs(within));
    sender.drain().await
}

fn spawn_accept(sender: &Sender, batch: Batch) -> JoinHandle<Result<(), Refusal>> {
    let sender = sender.clone();
    tokio::spawn(async move { sender.accept(batch).await.map_err(Rejected::refuse) })
}
