use std::time::Duration;

use tokio::time::sleep;

use super::*;
use crate::pipeline::testing::{Bench, Fake};
use crate::pipeline::{End, Policy, Sender};
use crate::settings::{Toggle, read_text};
use crate::telemetry::table;

fn check(yaml: &str, expected: &str) {
    assert_eq!(read_text::<Config>(yaml).err().unwrap_or_default(), expected, "{yaml}");
}

#[test]
fn settings_are_checked_in_the_words_of_the_collector() {
    check("", "");
    check("{timeout: 0s, send_batch_size: 0}", "");
    check("timeout: -1s", "timeout: timeout must be greater or equal to 0");
    check(
        "{send_batch_size: 100, send_batch_max_size: 99}",
        "send_batch_max_size: send_batch_max_size must be greater or equal to send_batch_size",
    );
    check(
        "metadata_keys: [X-Tenant, x-tenant]",
        "metadata_keys: duplicate entry in metadata_keys: \"x-tenant\" (case-insensitive)",
    );
}

#[test]
fn the_byte_bound_can_be_moved_and_switched_off() {
    let bound = |yaml: &str| read_text::<Config>(yaml).unwrap().send_batch_max_bytes.bytes();
    assert_eq!(bound(""), Some(4128768));
    assert_eq!(bound("send_batch_max_bytes: 1MiB"), Some(1 << 20));
    assert_eq!(bound("send_batch_max_bytes: off"), None);
    assert_eq!(bound("send_batch_max_bytes: 0"), None);
}

/// A batch processor before a destination.
struct Setup {
    bench: Bench,
    fake: Fake,
    batch: Arc<dyn Gather>,
    sender: Sender,
}

fn setup(yaml: &str) -> Setup {
    let (bench, fake) = (Bench::default(), Fake::taking());
    let policy = Policy { queue: Toggle::Off, retry: Toggle::Off, timeout: GoDuration::ZERO };
    let sender = bench.sender(&policy, &fake);
    let next = Arc::new(Segment::new(vec![], End::Exporters(vec![sender.clone()])));
    let config: Config = read_text(yaml).unwrap();
    let batch = config.build("batch", next, &bench.metrics);
    Setup { bench, fake, batch, sender }
}

impl Setup {
    fn give(&self, numbers: std::ops::Range<u64>) {
        self.batch.gather(self.bench.offer(numbers)).unwrap();
    }

    fn give_from(&self, numbers: std::ops::Range<u64>, tenant: &str) -> Result<(), Rejected> {
        let mut metadata = Metadata::new();
        metadata.add("X-Tenant", tenant);
        metadata.add("other", "thing");
        let origin = Origin { metadata: Some(Arc::new(metadata)), ..Origin::default() };
        self.batch.gather(Batch { origin, ..self.bench.offer(numbers) })
    }

    /// How many items each batch had that was sent.
    fn sizes(&self) -> Vec<usize> {
        self.fake.attempts().iter().map(Vec::len).collect()
    }

    fn triggers(&self) -> (f64, f64) {
        let value = |row| self.bench.metrics.value(row, &[("processor", "batch")]).unwrap();
        (value(&table::BATCH_SIZE_TRIGGER), value(&table::BATCH_TIMEOUT_TRIGGER))
    }
}

async fn after(millis: u64) {
    sleep(Duration::from_millis(millis)).await;
}

#[tokio::test(start_paused = true)]
async fn enough_items_are_sent_at_once_and_whole() {
    let setup = setup("{send_batch_size: 10, timeout: 1h}");
    setup.give(0..9);
    after(1).await;
    assert!(setup.sizes().is_empty());
    setup.give(9..30);
    after(1).await;
    assert_eq!((setup.sizes(), setup.triggers()), (vec![30], (1.0, 0.0)));
}

#[tokio::test(start_paused = true)]
async fn with_a_maximum_batches_are_cut_to_exactly_that() {
    let setup = setup("{send_batch_size: 10, send_batch_max_size: 12, timeout: 1s}");
    setup.give(0..30);
    after(1).await;
    assert_eq!(setup.sizes(), [12, 12]);
    after(1000).await;
    assert_eq!((setup.sizes(), setup.triggers()), (vec![12, 12, 6], (2.0, 1.0)));
    assert_eq!(setup.fake.attempts().concat(), (0..30).collect::<Vec<_>>());
    assert_eq!(setup.bench.settled().sent, 30);
}

#[tokio::test(start_paused = true)]
async fn the_timer_runs_on_from_the_last_batch_that_was_full() {
    let setup = setup("{send_batch_size: 10, timeout: 1s}");
    after(700).await;
    setup.give(0..1);
    after(299).await;
    assert!(setup.sizes().is_empty());
    after(2).await;
    assert_eq!(setup.sizes(), [1], "it fires each second, whenever the first item came");
    after(500).await;
    setup.give(1..11);
    after(1).await;
    setup.give(11..12);
    after(997).await;
    assert_eq!(setup.sizes(), [1, 10]);
    after(4).await;
    assert_eq!((setup.sizes(), setup.triggers()), (vec![1, 10, 1], (1.0, 2.0)));
    after(60_000).await;
    assert_eq!(setup.triggers(), (1.0, 2.0), "an empty batch is not sent");
}

#[tokio::test(start_paused = true)]
async fn without_timeout_or_size_everything_goes_on_at_once() {
    for yaml in ["{timeout: 0s, send_batch_max_size: 8192}", "{send_batch_size: 0, send_batch_max_size: 4}"] {
        let setup = setup(yaml);
        setup.give(0..6);
        setup.give(6..7);
        after(1).await;
        let expected = if yaml.contains("8192") { vec![6, 1] } else { vec![4, 2, 1] };
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let sent = expected.len() as f64;
        assert_eq!((setup.sizes(), setup.triggers()), (expected, (sent, 0.0)), "{yaml}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_bounded_by_bytes_and_requests_stay_whole() {
    let setup = setup("{send_batch_max_bytes: 1000, timeout: 1s}");
    let bytes = setup.bench.offer(1_000..1_030).body.len();
    assert!((300..500).contains(&bytes), "{bytes}");
    (0..5).for_each(|number| setup.give(1_000 + 30 * number..1_030 + 30 * number));
    after(1).await;
    assert_eq!(setup.sizes(), [60, 60]);
    after(1000).await;
    assert_eq!((setup.sizes(), setup.triggers()), (vec![60, 60, 30], (2.0, 1.0)));
    setup.give(0..200);
    after(1).await;
    assert!(setup.sizes()[3] > 60 && setup.sizes()[3] < 110, "{:?}", setup.sizes());
    after(1000).await;
    assert_eq!(setup.bench.settled().sent, 350);
}

#[tokio::test(start_paused = true)]
async fn the_sizes_are_counted_as_the_dashboards_expect() {
    let setup = setup("{send_batch_size: 10, timeout: 1s}");
    setup.give(0..10);
    setup.give(0..40);
    setup.give(0..3);
    after(1001).await;
    let families = setup.bench.metrics.collect(crate::telemetry::Level::Normal);
    let text = format!("{:?}", families.iter().find(|family| family.metric.name.ends_with("batch_send_size")));
    assert!(text.contains("sum: 53") && text.contains("counts: [2, 0, 1, 0"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn values_of_metadata_keep_batches_apart() {
    let setup = setup("{metadata_keys: [X-TENANT], metadata_cardinality_limit: 2, timeout: 1s}");
    setup.give_from(0..2, "a").unwrap();
    setup.give_from(2..5, "b").unwrap();
    setup.give_from(5..6, "a").unwrap();
    let rejected = setup.give_from(6..7, "c").unwrap_err();
    let refusal = rejected.refuse();
    assert_eq!(refusal.message, "too many batcher metadata-value combinations");
    assert!(!refusal.is_retryable());
    let combinations = || setup.bench.metrics.value(&table::BATCH_METADATA_CARDINALITY, &[("processor", "batch")]);
    assert_eq!(combinations(), Some(2.0));
    after(1001).await;
    let mut attempts = setup.fake.attempts();
    attempts.sort();
    assert_eq!(attempts, [vec![0, 1, 5], vec![2, 3, 4]]);
    assert_eq!(setup.bench.settled().sent, 6);
}

#[tokio::test(start_paused = true)]
async fn values_that_nobody_sends_any_more_make_room_for_others_and_nothing_of_theirs_is_lost() {
    let setup = setup("{metadata_keys: [X-TENANT], metadata_cardinality_limit: 2, timeout: 1s}");
    let combinations = || setup.bench.metrics.value(&table::BATCH_METADATA_CARDINALITY, &[("processor", "batch")]);
    setup.give_from(0..1, "a").unwrap();
    after(900).await;
    setup.give_from(1..2, "b").unwrap();
    setup.fake.delay(Duration::from_secs(20));
    after(5000).await;
    assert_eq!(setup.sizes(), [1, 1], "both are under way");
    assert!(setup.give_from(9..10, "c").is_err());
    after(17_000).await;
    setup.give_from(2..3, "b").unwrap();
    assert_eq!(setup.bench.entry().held, 1);
    setup.give_from(3..4, "c").unwrap();
    assert!(setup.give_from(9..10, "d").is_err(), "b and c have something");
    after(100).await;
    assert_eq!(combinations(), Some(2.0));
    setup.batch.drain(Instant::now() + Duration::from_secs(60)).await;
    let mut attempts = setup.fake.attempts();
    attempts.sort();
    assert_eq!(attempts, [[0], [1], [2], [3]]);
    assert_eq!(setup.bench.settled().sent, 4);
}

#[tokio::test(start_paused = true)]
async fn without_a_limit_values_that_nobody_sends_any_more_go_all_the_same() {
    let setup = setup("{metadata_keys: [X-TENANT], metadata_cardinality_limit: 0, timeout: 1s}");
    for second in 0..50 {
        for tenant in 0..100 {
            let number = second * 100 + tenant;
            setup.give_from(number..number + 1, &format!("tenant-{number}")).unwrap();
        }
        after(1000).await;
    }
    let combinations = setup.bench.metrics.value(&table::BATCH_METADATA_CARDINALITY, &[("processor", "batch")]);
    assert!(combinations.unwrap() <= 1100.0, "{combinations:?}");
    after(2000).await;
    assert_eq!(setup.bench.settled().sent, 5000);
}

#[tokio::test(start_paused = true)]
async fn a_flush_does_not_wait_for_the_timer() {
    let setup = setup("timeout: 1h");
    setup.batch.flush();
    setup.give(0..3);
    after(10).await;
    assert_eq!(setup.sizes(), Vec::<usize>::new());
    setup.batch.flush();
    after(10).await;
    assert_eq!(setup.sizes(), vec![3]);
    setup.give(3..5);
    setup.batch.flush();
    after(10).await;
    assert_eq!((setup.sizes(), setup.bench.settled().sent), (vec![3, 2], 5));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_is_there_is_sent() {
    let setup = setup("timeout: 1h");
    setup.give(0..5);
    let deadline = Instant::now() + Duration::from_secs(5);
    assert_eq!(setup.batch.drain(deadline).await, 0);
    assert_eq!((setup.sizes(), setup.triggers(), setup.bench.settled().sent), (vec![5], (0.0, 1.0), 5));
    assert!(setup.batch.gather(setup.bench.offer(5..6)).is_err());
}

#[tokio::test(start_paused = true)]
async fn when_what_follows_takes_no_more_new_data_is_refused_and_nothing_dropped() {
    let setup = setup("{send_batch_size: 1, timeout: 1s}");
    setup.fake.delay(Duration::from_secs(10));
    let mut taken = 0;
    while setup.batch.gather(setup.bench.offer(taken..taken + 1)).is_ok() {
        taken += 1;
        after(1).await;
    }
    assert_eq!(taken, 5, "one that is being sent, and four that wait");
    after(60_000).await;
    assert_eq!(setup.bench.settled().sent, taken);
    setup.give(9..10);
    after(20_000).await;
    assert_eq!(setup.bench.settled().sent, taken + 1);
    drop(setup.sender);
}
