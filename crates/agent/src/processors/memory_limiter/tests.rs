use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tokio::time::{advance, sleep};

use super::*;
use crate::pipeline::testing::batch;
use crate::pipeline::{Budget, Code};
use crate::settings::read_text;

fn check(yaml: &str, expected: &str) {
    let got = read_text::<Config>(yaml).err().unwrap_or_default();
    assert_eq!(got.split(';').next().unwrap_or_default(), expected, "{yaml}");
}

#[test]
fn settings_are_checked_in_the_words_of_the_collector() {
    check("{check_interval: 1s, limit_mib: 512, spike_limit_mib: 128}", "");
    check("{limit_mib: 512}", "check_interval: 'check_interval' must be greater than zero");
    check("{check_interval: 1s}", "limit_mib: 'limit_mib' or 'limit_percentage' must be greater than zero");
    check(
        "{check_interval: 1s, limit_mib: 5, spike_limit_mib: 5}",
        "spike_limit_mib: 'spike_limit_mib' must be smaller than 'limit_mib'",
    );
    check(
        "{check_interval: 1s, limit_percentage: 5, spike_limit_percentage: 6}",
        "spike_limit_percentage: 'spike_limit_percentage' must be smaller than 'limit_percentage'",
    );
    check(
        "{check_interval: 1s, limit_percentage: 101}",
        "limit_percentage: 'limit_percentage' and 'spike_limit_percentage' must be greater than zero and less than or \
         equal to hundred",
    );
    check(
        "{check_interval: 1s, limit_mib: 5, min_gc_interval_when_soft_limited: 1s, min_gc_interval_when_hard_limited: 2s}",
        "min_gc_interval_when_soft_limited: 'min_gc_interval_when_soft_limited' should be larger than \
         'min_gc_interval_when_hard_limited'",
    );
    check("{check_interval: 1s, limit_mib: 5, max_gc_interval_when_hard_limited: 10s}", "");
}

#[test]
fn limits_are_taken_in_mebibytes_or_as_a_share_of_the_total() {
    let marks = |yaml: &str| {
        let config: Config = read_text(&format!("{{check_interval: 1s, {yaml}}}")).unwrap();
        let marks = config.marks(Some(1000 << 20));
        (marks.hard >> 20, marks.soft >> 20)
    };
    assert_eq!(marks("limit_mib: 400, spike_limit_mib: 100"), (400, 300));
    assert_eq!(marks("limit_mib: 400"), (400, 320));
    assert_eq!(marks("limit_percentage: 80, spike_limit_percentage: 25"), (800, 550));
    assert_eq!(marks("limit_percentage: 50"), (500, 400));
    assert_eq!(marks("limit_mib: 400, limit_percentage: 80"), (400, 320));
}

#[tokio::test(start_paused = true)]
async fn above_the_soft_limit_little_is_let_in_and_above_the_hard_one_nothing() {
    let config: Config = read_text("{check_interval: 1s, limit_mib: 100, spike_limit_mib: 20}").unwrap();
    let door = Door::new(Budget::new(4 << 20));
    let used = Arc::new(AtomicU64::new(79 << 20));
    let measured = Arc::clone(&used);
    let guard = config.guard_of(&door, None, move || Some(measured.load(Relaxed)));
    let metrics = Metrics::new();
    let limiter = config.build("memory_limiter", Signal::Logs, &door, &metrics);

    sleep(Duration::from_millis(10)).await;
    assert!(door.admit(1).is_ok());
    let passed = limiter.process(batch(Signal::Logs, vec![0; 4], 3)).unwrap();
    assert_eq!(passed.unwrap().items(), 3);

    used.store(80 << 20, Relaxed);
    sleep(Duration::from_secs(1)).await;
    let little =
        door.admit(1 << 20).expect("connections alone may take so much, and refusing gives nothing of it back");
    assert!(door.admit(1).is_err(), "a quarter, and no more");
    drop(little);

    used.store(100 << 20, Relaxed);
    advance(Duration::from_secs(1)).await;
    sleep(Duration::from_millis(10)).await;
    let refusal = door.admit(1).unwrap_err();
    assert_eq!((refusal.code, refusal.message.as_str()), (Code::Unavailable, "data refused due to high memory usage"));
    assert!(refusal.retry_after.is_some());
    let rejected = limiter.process(batch(Signal::Logs, vec![0; 4], 5)).unwrap_err();
    assert_eq!(rejected.refuse(), refusal);

    used.store(90 << 20, Relaxed);
    sleep(Duration::from_secs(1)).await;
    assert!(door.admit(1).is_ok() && door.admit(2 << 20).is_err());

    used.store(10 << 20, Relaxed);
    sleep(Duration::from_secs(1)).await;
    assert!(door.admit(2 << 20).is_ok());

    used.store(100 << 20, Relaxed);
    sleep(Duration::from_secs(1)).await;
    assert!(door.is_shut());
    drop(guard);
    sleep(Duration::from_millis(10)).await;
    assert!(!door.is_shut(), "a guard that is gone holds no door");

    let labels = [("processor", "memory_limiter")];
    assert_eq!(metrics.value(table::MEMORY_LIMITER_ACCEPTED.of(Signal::Logs), &labels), Some(3.0));
    assert_eq!(metrics.value(table::MEMORY_LIMITER_REFUSED.of(Signal::Logs), &labels), Some(5.0));
    assert_eq!(metrics.value(table::PROCESSOR_ACCEPTED.of(Signal::Logs), &labels), Some(3.0));
    assert_eq!(metrics.value(table::PROCESSOR_REFUSED.of(Signal::Logs), &labels), Some(5.0));
}
