use super::*;

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
