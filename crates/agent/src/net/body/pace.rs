//! How slow a body may come.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// A body has this long, and a second more for every so many bytes that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Time before the first byte counts.
    pub grace: Duration,
    /// Bytes that buy another second.
    pub bytes_per_second: u32,
    /// Time in all, however fast; none: no bound but the pace.
    pub most: Option<Duration>,
}

impl Default for Pace {
    /// Half a minute, and 1 KiB a second: the slowest link that ever carries telemetry is faster.
    fn default() -> Self {
        Self { grace: Duration::from_secs(30), bytes_per_second: 1024, most: None }
    }
}

/// The time of one body.
pub(super) struct Clock {
    pace: Pace,
    received: u64,
    started: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Clock {
    pub(super) fn start(pace: Pace) -> Self {
        Self { pace, received: 0, started: None, sleep: None }
    }

    pub(super) fn received(&mut self, bytes: usize) {
        self.received = self.received.saturating_add(bytes as u64);
    }

    fn deadline(&self, started: Instant) -> Instant {
        let earned =
            Duration::from_millis(self.received.saturating_mul(1000) / u64::from(self.pace.bytes_per_second.max(1)));
        let allowed = self.pace.grace.saturating_add(earned);
        let allowed = self.pace.most.map_or(allowed, |most| most.min(allowed));
        started.checked_add(allowed).unwrap_or_else(|| started + Duration::from_secs(86_400))
    }

    /// Ready when the body has had its time. Asked only when there was nothing to read, so that a body which is there at
    /// once costs no timer and no look at the clock.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let started = *self.started.get_or_insert_with(Instant::now);
        let deadline = self.deadline(started);
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() < deadline && sleep.as_mut().poll(cx).is_ready() {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}
