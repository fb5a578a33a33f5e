use std::time::Duration;

use proptest::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;
use crate::pipeline::testing::{Bench, Fake};
use crate::pipeline::{Fault, Metadata, Origin, Outcome, Reason};
use crate::settings::read_text;

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

// --- the queue ---

#[tokio::test(start_paused = true)]
async fn sends_in_the_order_of_arrival_and_counts() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    let sender = bench.sender(&policy("num_consumers: 1", ""), &fake);
    let labels = [("exporter", "fake")];
    let value =
        |rows: &'static crate::telemetry::metric::PerSignal| bench.metrics.value(rows.of(Signal::Logs), &labels);
    let all = [&table::EXPORTER_SENT, &table::EXPORTER_SEND_FAILED, &table::EXPORTER_ENQUEUE_FAILED];
    assert_eq!(all.map(value), [Some(0.0); 3], "present from the start");
    for number in 0..20 {
        sender.accept(bench.offer(number..number + 1)).await.unwrap();
    }
    assert_eq!(stop_and_drain(&sender, 5).await, 0);
    assert_eq!(fake.attempts().concat(), (0..20).collect::<Vec<_>>());
    assert_eq!((bench.settled().sent, value(&table::EXPORTER_SENT)), (20, Some(20.0)));
    assert_eq!(fake.closed(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses_and_counts_what_is_being_sent() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(1));
    let sender = bench.sender(&policy("num_consumers: 1, queue_size: 2", ""), &fake);
    sender.accept(bench.offer(0..1)).await.unwrap();
    sender.accept(bench.offer(1..2)).await.unwrap();
    settle().await;
    let size = [("exporter", "fake"), ("data_type", "logs")];
    assert_eq!(bench.metrics.value(&table::EXPORTER_QUEUE_SIZE, &size), Some(2.0));
    assert_eq!(bench.metrics.value(&table::EXPORTER_QUEUE_CAPACITY, &size), Some(2.0));
    assert_eq!(bench.metrics.value(&table::EXPORTER_IN_FLIGHT, &size), Some(1.0));
    let refusal = sender.accept(bench.offer(2..5)).await.unwrap_err().refuse();
    assert_eq!((refusal.code, refusal.message.as_str()), (Code::Unavailable, "sending queue is full"));
    let failed = table::EXPORTER_ENQUEUE_FAILED.of(Signal::Logs);
    assert_eq!(bench.metrics.value(failed, &[("exporter", "fake")]), Some(3.0));
    stop_and_drain(&sender, 5).await;
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.refused), (2, 3));
}

#[tokio::test(start_paused = true)]
async fn sizes_can_be_counted_in_items_and_bytes() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(1));
    let sender = bench.sender(&policy("sizer: items, queue_size: 10", ""), &fake);
    sender.accept(bench.offer(0..9)).await.unwrap();
    assert!(sender.accept(bench.offer(9..11)).await.is_err());
    sender.accept(bench.offer(9..10)).await.unwrap();
    stop_and_drain(&sender, 5).await;
    assert_eq!(bench.entry().sent, 10);
}

#[tokio::test(start_paused = true)]
async fn block_on_overflow_makes_the_sender_wait() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(3));
    let sender = bench.sender(&policy("num_consumers: 1, queue_size: 1, block_on_overflow: true", ""), &fake);
    let start = Instant::now();
    sender.accept(bench.offer(0..1)).await.unwrap();
    sender.accept(bench.offer(1..2)).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 3);
    stop_and_drain(&sender, 5).await;
    assert_eq!(bench.settled().sent, 2);
}

#[tokio::test(start_paused = true)]
async fn what_is_in_our_custody_waits_for_room_instead_of_being_dropped() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(3));
    let sender = bench.sender(&policy("num_consumers: 1, queue_size: 1", ""), &fake);
    let start = Instant::now();
    sender.accept(bench.ours(0..1)).await.unwrap();
    sender.accept(bench.ours(1..2)).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 3);
    stop_and_drain(&sender, 5).await;
    assert_eq!(bench.settled().sent, 2);
}

#[tokio::test(start_paused = true)]
async fn a_sender_that_hangs_up_while_it_waits_was_refused() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(3));
    let sender = bench.sender(&policy("num_consumers: 1, queue_size: 1, block_on_overflow: true", ""), &fake);
    sender.accept(bench.offer(0..1)).await.unwrap();
    let waiting = spawn_accept(&sender, bench.offer(1..3));
    settle().await;
    waiting.abort();
    settle().await;
    stop_and_drain(&sender, 5).await;
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.refused), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn wait_for_result_tells_the_sender_how_it_went() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(2));
    let sender = bench.sender(&policy("wait_for_result: true", "max_elapsed_time: 30s"), &fake);
    let start = Instant::now();
    sender.accept(bench.offer(0..5)).await.unwrap();
    assert_eq!(start.elapsed().as_secs(), 2);
    fake.answer(|_| refused(Fault::Data));
    let refusal = sender.accept(bench.offer(5..8)).await.unwrap_err().refuse();
    assert_eq!((refusal.code, refusal.message.as_str()), (Code::Internal, "not retryable error: bad data"));
    assert_eq!(fake.attempts().len(), 2, "what the sender still has is not taken apart");
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.refused, entry.dropped_in_all()), (5, 3, 0));
}

#[tokio::test(start_paused = true)]
async fn so_many_consumers_send_at_one_time_and_no_more() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(1));
    let sender = bench.sender(&policy("num_consumers: 3", ""), &fake);
    for number in 0..9 {
        sender.accept(bench.offer(number..number + 1)).await.unwrap();
    }
    let start = Instant::now();
    stop_and_drain(&sender, 60).await;
    assert_eq!((fake.most_at_once(), start.elapsed().as_secs()), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_is_larger_than_the_whole_queue_is_refused_or_divided() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    let sender = bench.sender(&policy("sizer: items, queue_size: 10", ""), &fake);
    let refusal = sender.accept(bench.offer(0..11)).await.unwrap_err().refuse();
    assert_eq!((refusal.code, refusal.message.as_str()), (Code::InvalidArgument, "element size too large"));
    sender.accept(bench.ours(0..25)).await.unwrap();
    stop_and_drain(&sender, 5).await;
    assert_eq!(fake.attempts().iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 5]);
    assert_eq!((bench.entry().sent, bench.entry().refused), (25, 11));
}

#[test]
fn settings_are_checked_in_the_words_of_the_collector() {
    let check = |yaml: &str, expected: &str| {
        assert_eq!(read_text::<queue::Settings>(yaml).err().unwrap_or_default(), expected, "{yaml}");
    };
    check("", "");
    check("num_consumers: 0", "num_consumers: `num_consumers` must be positive");
    check("queue_size: 0", "queue_size: `queue_size` must be positive");
    check("batch:", "");
    check("{sizer: items, batch: {}}", "batch: `min_size` must be less than or equal to `queue_size`");
    check("{sizer: items, queue_size: 10000, batch: {}}", "");
    check("batch: {flush_timeout: 0s}", "batch::flush_timeout: `flush_timeout` must be positive");
    check(
        "batch: {partition: {metadata_keys: [A, a]}}",
        "batch::partition::metadata_keys: duplicate entry in metadata_keys: \"a\" (case-insensitive)",
    );
    check("batch: {max_size: 5}", "batch::max_size: `max_size` must be greater than or equal to `min_size`");
    let refused = read_text::<queue::Settings>("storage: file_storage").unwrap_err();
    assert!(refused.contains("the Collector has the key `storage`") && refused.contains("journal"), "{refused}");
}

// --- without a queue ---

#[tokio::test(start_paused = true)]
async fn without_a_queue_the_result_reaches_the_sender() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    let sender = bench.sender(&policy("enabled: false", "enabled: false"), &fake);
    sender.accept(bench.offer(0..5)).await.unwrap();
    fake.answer(|_| Outcome::Retry { error: "down".to_owned(), after: Some(Duration::from_secs(7)) });
    let refusal = sender.accept(bench.offer(5..8)).await.unwrap_err().refuse();
    assert_eq!((refusal.code, refusal.retry_after), (Code::Unavailable, Some(Duration::from_secs(7))));
    fake.answer(|_| refused(Fault::Elsewhere));
    let refusal = sender.accept(bench.offer(5..8)).await.unwrap_err().refuse();
    assert_eq!(refusal.code, Code::Internal);
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.refused, entry.dropped_in_all()), (5, 6, 0));
}

#[tokio::test(start_paused = true)]
async fn without_a_queue_a_joined_batch_is_in_our_custody_all_the_same() {
    let (bench, fake) = (Bench::default(), Fake::down());
    let sender = bench.sender(&policy("enabled: false", "max_elapsed_time: 30s"), &fake);
    let rejected = sender.accept(bench.ours(0..5)).await.unwrap_err();
    assert!(rejected.batch.is_none());
    assert_eq!(bench.settled().dropped(Reason::RetriesExhausted), 5);
}

// --- retry ---

#[tokio::test(start_paused = true)]
async fn tries_again_with_growing_waits_until_it_gives_up() {
    let (bench, fake) = (Bench::default(), Fake::down());
    let sender = bench
        .sender(&policy("", "initial_interval: 1s, multiplier: 2, max_interval: 4s, max_elapsed_time: 10s"), &fake);
    let start = Instant::now();
    sender.accept(bench.offer(0..5)).await.unwrap();
    sender.0.queued.as_ref().unwrap().queue.until_empty().await;
    // After 1, 2 and 4 s; the next 4 s would end after 10.
    assert_eq!((fake.attempts().len(), start.elapsed().as_secs()), (4, 7));
    assert_eq!(bench.settled().dropped(Reason::RetriesExhausted), 5);
    let failed = table::EXPORTER_SEND_FAILED.of(Signal::Logs);
    assert_eq!(bench.metrics.value(failed, &[("exporter", "fake")]), Some(5.0));
}

#[tokio::test(start_paused = true)]
async fn the_destination_says_how_long_to_wait() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.answer(|_| Outcome::Retry { error: "busy".to_owned(), after: Some(Duration::from_secs(20)) });
    let sender = bench.sender(&policy("", ""), &fake);
    sender.accept(bench.offer(0..5)).await.unwrap();
    settle().await;
    fake.answer(|_| Outcome::Sent);
    sleep(Duration::from_secs(19)).await;
    assert_eq!(fake.attempts().len(), 1);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.settled().sent, 5);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_ends_after_the_timeout() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(60));
    let sender = bench.sender(&policy("", "enabled: false"), &fake);
    sender.accept(bench.offer(0..5)).await.unwrap();
    sleep(Duration::from_millis(5001)).await;
    assert_eq!(bench.settled().dropped(Reason::RetriesExhausted), 5);
}

#[tokio::test(start_paused = true)]
async fn a_fault_in_the_exporter_costs_only_the_request() {
    let (bench, fake) = (
        Bench::default(),
        Fake::answering(|numbers| match numbers.contains(&3) {
            true => panic!("a fault"),
            false => Outcome::Sent,
        }),
    );
    let sender = bench.sender(&policy("num_consumers: 1", ""), &fake);
    sender.accept(bench.offer(3..4)).await.unwrap();
    settle().await;
    fake.answer(|_| Outcome::Sent);
    sender.accept(bench.offer(5..9)).await.unwrap();
    settle().await;
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.dropped(Reason::Refused)), (4, 1));
}

// --- taking apart ---

#[tokio::test(start_paused = true)]
async fn one_bad_record_does_not_take_the_others_with_it() {
    let (bench, fake) = (
        Bench::default(),
        Fake::answering(|numbers| match numbers.contains(&4711) {
            true => refused(Fault::Data),
            false => Outcome::Sent,
        }),
    );
    let sender = bench.sender(&policy("", ""), &fake);
    sender.accept(bench.ours(0..8192)).await.unwrap();
    settle().await;
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.dropped(Reason::Refused)), (8191, 1));
    assert_eq!(fake.attempts().len(), 27);
    let labels = [("exporter", "fake"), ("otel_signal", "logs")];
    assert_eq!(bench.metrics.value(&table::EXPORTER_TAKEN_APART, &labels), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn what_is_too_large_is_sent_in_parts_in_order() {
    let (bench, fake) = (
        Bench::default(),
        Fake::answering(|numbers| match numbers.len() > 30 || numbers == [7] {
            true => refused(Fault::Size),
            false => Outcome::Sent,
        }),
    );
    let sender = bench.sender(&policy("", ""), &fake);
    sender.accept(bench.ours(0..100)).await.unwrap();
    settle().await;
    let sent: Vec<u64> = fake.attempts().into_iter().filter(|numbers| numbers.len() <= 30).flatten().collect();
    assert_eq!(sent, (0..100).collect::<Vec<_>>());
    assert_eq!(bench.settled().sent, 100);
    sender.accept(bench.ours(7..8)).await.unwrap();
    settle().await;
    assert_eq!(bench.settled().dropped(Reason::TooLarge), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_not_about_the_data_is_not_taken_apart() {
    let (bench, fake) = (Bench::default(), Fake::answering(|_| refused(Fault::Elsewhere)));
    let sender = bench.sender(&policy("", ""), &fake);
    sender.accept(bench.ours(0..100)).await.unwrap();
    settle().await;
    assert_eq!((fake.attempts().len(), bench.settled().dropped(Reason::Refused)), (1, 100));
}

#[tokio::test(start_paused = true)]
async fn where_everything_is_refused_the_effort_shrinks() {
    let (bench, fake) = (Bench::default(), Fake::answering(|_| refused(Fault::Data)));
    let sender = bench.sender(&policy("num_consumers: 1", ""), &fake);
    for _ in 0..7 {
        sender.accept(bench.ours(0..8192)).await.unwrap();
    }
    settle().await;
    let all = fake.attempts();
    let starts: Vec<usize> = (0..all.len()).filter(|at| all[*at].len() == 8192).chain([all.len()]).collect();
    let costs: Vec<usize> = starts.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(costs, [65, 33, 17, 9, 5, 3, 3]);
    assert_eq!(bench.settled().dropped(Reason::Refused), 7 * 8192);
    fake.answer(|numbers| if numbers.contains(&0) { refused(Fault::Data) } else { Outcome::Sent });
    sender.accept(bench.ours(0..4)).await.unwrap();
    settle().await;
    sender.accept(bench.ours(0..4)).await.unwrap();
    settle().await;
    assert_eq!(
        bench.settled().dropped(Reason::Refused),
        7 * 8192 + 2 + 1,
        "it saved something, so it is worth it again"
    );
}

#[tokio::test(start_paused = true)]
async fn a_partial_success_counts_as_sent_in_the_metric_and_exactly_in_the_ledger() {
    let partial = |_: &[u64]| Outcome::Partial { rejected: 3, message: "too old".to_owned() };
    let (bench, fake) = (Bench::default(), Fake::answering(partial));
    let sender = bench.sender(&policy("", ""), &fake);
    sender.accept(bench.ours(0..10)).await.unwrap();
    settle().await;
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.dropped(Reason::PartiallyRejected)), (7, 3));
    let sent = table::EXPORTER_SENT.of(Signal::Logs);
    assert_eq!(bench.metrics.value(sent, &[("exporter", "fake")]), Some(10.0));
}

// --- the end ---

#[tokio::test(start_paused = true)]
async fn at_the_end_everything_queued_gets_one_attempt() {
    let (bench, fake) = (Bench::default(), Fake::down());
    let sender = bench.sender(&policy("num_consumers: 1", ""), &fake);
    for number in 0..5 {
        sender.accept(bench.offer(number..number + 1)).await.unwrap();
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.attempts().len(), 1, "the first waits for its second attempt");
    let start = Instant::now();
    assert_eq!(stop_and_drain(&sender, 20).await, 5);
    assert!(start.elapsed() < Duration::from_secs(1), "nobody waits for retries any more");
    assert_eq!(fake.attempts().len(), 6);
    assert_eq!(bench.settled().dropped(Reason::Shutdown), 5);
    let refusal = sender.accept(bench.offer(9..10)).await.unwrap_err().refuse();
    assert_eq!(refusal.code, Code::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_attempts_that_hang() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    fake.delay(Duration::from_secs(3));
    let sender = bench.sender(&policy("num_consumers: 2", ""), &fake);
    for number in 0..10 {
        sender.accept(bench.offer(number..number + 1)).await.unwrap();
    }
    let start = Instant::now();
    assert_eq!(stop_and_drain(&sender, 7).await, 6);
    assert_eq!(start.elapsed().as_secs(), 7);
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.dropped(Reason::Shutdown)), (4, 6));
}

// --- batching in the queue ---

#[tokio::test(start_paused = true)]
async fn the_queue_joins_requests_by_size_and_by_time() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    let sender = bench.sender(&policy("batch: {min_size: 10, max_size: 12, flush_timeout: 1s}", ""), &fake);
    for range in [0..4, 4..8, 8..15, 15..16] {
        sender.accept(bench.offer(range)).await.unwrap();
    }
    settle().await;
    assert_eq!(fake.attempts(), [(0..12).collect::<Vec<_>>()]);
    let size = [("exporter", "fake"), ("data_type", "logs")];
    let used = || bench.metrics.value(&table::EXPORTER_QUEUE_SIZE, &size);
    assert_eq!(used(), Some(2.0), "a request is in the queue until its last item is sent");
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.attempts()[1], [12, 13, 14, 15]);
    assert_eq!((used(), bench.settled().sent), (Some(0.0), 16));
}

#[tokio::test(start_paused = true)]
async fn each_request_in_a_joined_batch_hears_how_it_went() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    let sender = bench.sender(&policy("wait_for_result: true, batch: {flush_timeout: 1s}", ""), &fake);
    let waiting: Vec<_> = (0..3).map(|number| spawn_accept(&sender, bench.offer(number..number + 1))).collect();
    for result in waiting {
        result.await.unwrap().unwrap();
    }
    assert_eq!(fake.attempts().len(), 1);
    fake.answer(|_| refused(Fault::Data));
    let waiting: Vec<_> = (0..3).map(|number| spawn_accept(&sender, bench.offer(number..number + 1))).collect();
    for result in waiting {
        assert_eq!(result.await.unwrap().unwrap_err().code, Code::Internal);
    }
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.refused), (3, 3));
}

#[tokio::test(start_paused = true)]
async fn what_the_queue_has_joined_is_sent_at_the_end() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    let sender = bench.sender(&policy("batch: {flush_timeout: 1h}", ""), &fake);
    sender.accept(bench.offer(0..4)).await.unwrap();
    sender.accept(bench.offer(4..8)).await.unwrap();
    settle().await;
    assert_eq!(stop_and_drain(&sender, 5).await, 0);
    assert_eq!((fake.attempts().len(), bench.settled().sent), (1, 8));
}

#[tokio::test(start_paused = true)]
async fn partitions_are_joined_apart() {
    let (bench, fake) = (Bench::default(), Fake::taking());
    let queue = "batch: {min_size: 4, flush_timeout: 1s, partition: {metadata_keys: [X-Tenant]}}";
    let sender = bench.sender(&policy(queue, ""), &fake);
    for (range, tenant) in [(0..2, "a"), (2..4, "b"), (4..6, "a"), (6..7, "b")] {
        let mut metadata = Metadata::new();
        metadata.add("x-tenant", tenant);
        let origin = Origin { metadata: Some(Arc::new(metadata)), ..Origin::default() };
        sender.accept(Batch { origin, ..bench.offer(range) }).await.unwrap();
    }
    settle().await;
    assert_eq!(fake.attempts(), [[0, 1, 4, 5]]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(fake.attempts()[1], [2, 3, 6]);
    assert_eq!(bench.settled().sent, 7);
}

// --- all of it ---

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_happens_the_ledger_balances_and_every_byte_is_given_back(
        batches in proptest::collection::vec((1..60_u64, any::<bool>(), 0..3000_u64), 1..25),
        answers in proptest::collection::vec(0..7_u8, 1..30),
        queue in prop::sample::select(vec![
            "", "enabled: false", "num_consumers: 1, queue_size: 2", "wait_for_result: true, queue_size: 3",
            "block_on_overflow: true, queue_size: 2", "sizer: items, queue_size: 70", "sizer: bytes, queue_size: 3000",
            "batch: {min_size: 50, max_size: 60}", "wait_for_result: true, batch: {min_size: 30}",
        ]),
        end in 0..4_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let bench = Bench::default();
        let offered: u64 = batches.iter().map(|(items, ..)| items).sum();
        runtime.block_on(async {
            let turn = std::sync::atomic::AtomicUsize::new(0);
            let fake = Fake::answering(move |numbers| {
                let turn = turn.fetch_add(1, Relaxed);
                match answers[turn % answers.len()] {
                    0 => Outcome::Retry { error: "down".to_owned(), after: None },
                    1 => Outcome::Retry { error: "busy".to_owned(), after: Some(Duration::from_secs(40)) },
                    2 => Outcome::Partial { rejected: numbers.len() / 2, message: String::new() },
                    3 if numbers.len() > 3 => refused(Fault::Data),
                    4 if numbers.len() > 20 => refused(Fault::Size),
                    5 => refused(Fault::Elsewhere),
                    _ => Outcome::Sent,
                }
            });
            fake.delay(Duration::from_millis(300));
            let sender = bench.sender(&policy(queue, "max_elapsed_time: 60s"), &fake);
            let mut accepting = Vec::new();
            for (items, ours, pause) in batches {
                let batch = if ours { bench.ours(0..items) } else { bench.offer(0..items) };
                accepting.push(spawn_accept(&sender, batch));
                sleep(Duration::from_millis(pause)).await;
                if pause % 7 == 0 && !ours {
                    accepting.pop().unwrap().abort();
                }
            }
            stop_and_drain(&sender, end).await;
            for accepted in accepting {
                let _ = accepted.await;
            }
        });
        drop(runtime);
        let entry = bench.entry();
        prop_assert_eq!(entry.accepted + entry.refused, offered);
        prop_assert_eq!(entry.held, 0);
        prop_assert!(bench.ledger.balance().is_ok(), "{:?}", entry);
        prop_assert_eq!(bench.budget.usage(), 0);
    }
}
