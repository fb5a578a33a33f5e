use super::*;

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
    check("storage: file_storage", "");
    check(
        "{storage: file_storage, wait_for_result: true}",
        "wait_for_result: `wait_for_result` is not supported with a persistent queue configured with `storage`; remove it; \
         what is acknowledged is on disk",
    );
}

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
