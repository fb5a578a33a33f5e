//! How long to wait after a failure: longer each time, never the same for two agents.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// After the first failure.
const FIRST: Duration = Duration::from_millis(800);

/// At most. A right that was granted is used after this time at the latest.
const LONGEST: Duration = Duration::from_secs(30);

/// Counts failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// After one more failure: half to all of twice the time before.
    pub(super) fn next(&mut self) -> Duration {
        let time = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures += 1;
        spread(time / 2, time)
    }

    /// It went well.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A time between two, another one at each call. Not for secrets.
pub(super) fn spread(from: Duration, to: Duration) -> Duration {
    let random = u32::try_from(RandomState::new().hash_one(0) % 1000).unwrap_or_default();
    from + to.saturating_sub(from) * random / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_takes_longer_up_to_a_bound_and_success_starts_anew() {
        let mut backoff = Backoff::default();
        let times: Vec<Duration> = (0..12).map(|_| backoff.next()).collect();
        assert!((FIRST / 2..=FIRST).contains(&times[0]), "{times:?}");
        assert!((FIRST * 2..=FIRST * 4).contains(&times[2]), "{times:?}");
        assert!(times[8..].iter().all(|time| (LONGEST / 2..=LONGEST).contains(time)), "{times:?}");
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn no_two_agents_wait_for_the_same_time() {
        let times: std::collections::BTreeSet<Duration> =
            (0..20).map(|_| spread(Duration::from_secs(1), Duration::from_secs(2))).collect();
        assert!(times.len() > 10, "{times:?}");
    }
}
