//! When to try again: the settings of `retry_on_failure`, and the waits they lead to.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::time::Instant;

use crate::settings::{GoDuration, Reader, settings};

settings! {
    /// Trying again when the destination does not take a request but might later.
    pub struct Settings {
        /// Wait before the second attempt.
        pub initial_interval: GoDuration = GoDuration::secs(5),
        /// By how much a wait may differ from its value, up and down, so that many agents do not come back at once.
        pub randomization_factor: f64 = 0.5,
        /// By how much each wait is longer than the one before.
        pub multiplier: f64 = 1.5,
        /// The longest wait.
        pub max_interval: GoDuration = GoDuration::secs(30),
        /// After this time a request is given up and its items are counted as dropped. 0 never gives up: then a
        /// destination that is down for good fills the queue, and senders are refused.
        pub max_elapsed_time: GoDuration = GoDuration::minutes(5),
    }
    check Settings::check
}

impl Settings {
    fn check(&self, cx: &mut Reader<'_>) {
        let durations = [
            ("initial_interval", self.initial_interval),
            ("max_interval", self.max_interval),
            ("max_elapsed_time", self.max_elapsed_time),
        ];
        for (key, _) in durations.iter().filter(|(_, duration)| duration.is_negative()) {
            cx.error_at(key, format!("'{key}' must be non-negative"), "");
        }
        if !(0.0..=1.0).contains(&self.randomization_factor) {
            cx.error_at("randomization_factor", "'randomization_factor' must be within [0, 1]", "");
        }
        if self.multiplier.is_nan() || self.multiplier < 0.0 {
            cx.error_at("multiplier", "'multiplier' must be non-negative", "");
        }
        let shortest = [("initial_interval", self.initial_interval), ("max_interval", self.max_interval)];
        for (key, interval) in shortest {
            if self.max_elapsed_time.positive().is_some() && self.max_elapsed_time < interval {
                cx.error_at("max_elapsed_time", format!("'max_elapsed_time' must not be less than '{key}'"), "");
            }
        }
    }
}

/// The waits of one request.
#[derive(Debug)]
pub(super) struct Waits<'a> {
    settings: &'a Settings,
    interval: Duration,
    give_up: Option<Instant>,
}

impl<'a> Waits<'a> {
    /// The waits of a request whose first attempt was made at `started`.
    pub(super) fn new(settings: &'a Settings, started: Instant) -> Waits<'a> {
        let give_up = settings.max_elapsed_time.positive().map(|most| started + most);
        Waits { settings, interval: settings.initial_interval.to_std(), give_up }
    }

    /// How long to wait before the next attempt, at least what the destination asked for; `None` to give up.
    pub(super) fn next(&mut self, asked: Option<Duration>) -> Option<Duration> {
        let spread = self.settings.randomization_factor * (2.0 * random() - 1.0);
        let wait = self.interval.mul_f64(1.0 + spread).max(asked.unwrap_or_default());
        let longer = self.interval.as_secs_f64() * self.settings.multiplier;
        let longest = self.settings.max_interval.to_std();
        self.interval = Duration::try_from_secs_f64(longer).map_or(longest, |longer| longer.min(longest));
        let in_time = self.give_up.is_none_or(|end| Instant::now() + wait <= end);
        in_time.then_some(wait)
    }
}

/// A number from 0 to 1. The keys of a new hasher are the randomness that the standard library has.
#[expect(clippy::cast_precision_loss, reason = "52 bits are more than enough for the length of a wait")]
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 12;
    bits as f64 / (1_u64 << 52) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::read_text;

    fn check(yaml: &str, expected: &str) {
        assert_eq!(read_text::<Settings>(yaml).err().unwrap_or_default(), expected, "{yaml}");
    }

    #[test]
    fn settings_are_checked_in_the_words_of_the_collector() {
        check("", "");
        check("max_elapsed_time: 0s", "");
        check("randomization_factor: 1.1", "randomization_factor: 'randomization_factor' must be within [0, 1]");
        check("multiplier: -1", "multiplier: 'multiplier' must be non-negative");
        check("initial_interval: -1s", "initial_interval: 'initial_interval' must be non-negative");
        check("max_elapsed_time: 10s", "max_elapsed_time: 'max_elapsed_time' must not be less than 'max_interval'");
        check(
            "{initial_interval: 40s, max_elapsed_time: 35s}",
            "max_elapsed_time: 'max_elapsed_time' must not be less than 'initial_interval'",
        );
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_the_longest_and_then_stay() {
        let settings = Settings { randomization_factor: 0.0, ..Settings::default() };
        let mut waits = Waits::new(&settings, Instant::now());
        let seconds: Vec<f64> = (0..7).map(|_| waits.next(None).unwrap().as_secs_f64()).collect();
        assert_eq!(seconds, [5.0, 7.5, 11.25, 16.875, 25.3125, 30.0, 30.0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_differs_by_the_factor_at_most() {
        let settings = Settings { multiplier: 1.0, ..Settings::default() };
        let mut waits = Waits::new(&settings, Instant::now());
        let seconds: Vec<f64> = (0..200).map(|_| waits.next(None).unwrap().as_secs_f64()).collect();
        assert!(seconds.iter().all(|wait| (2.5..=7.5).contains(wait)), "{seconds:?}");
        assert!(seconds.iter().any(|wait| *wait < 4.0) && seconds.iter().any(|wait| *wait > 6.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_that_was_asked_for_is_the_least() {
        let settings = Settings { randomization_factor: 0.0, ..Settings::default() };
        let mut waits = Waits::new(&settings, Instant::now());
        assert_eq!(waits.next(Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
        assert_eq!(waits.next(Some(Duration::from_secs(1))), Some(Duration::from_millis(7500)));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_when_the_next_attempt_would_come_too_late() {
        let settings = Settings { randomization_factor: 0.0, ..Settings::default() };
        let mut waits = Waits::new(&settings, Instant::now());
        assert_eq!(waits.next(Some(Duration::from_secs(301))), None);
        tokio::time::advance(Duration::from_secs(280)).await;
        assert_eq!(waits.next(None), Some(Duration::from_millis(7500)));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(waits.next(None), None);
    }
}
