use super::*;

#[tokio::test(start_paused = true)]
async fn tries_again_with_growing_waits_until_it_gives_up() {
    let (bench, fake) = (Bench::default(), Fake::down());
    let sender = bench
        .sender(&policy("", "initial_interval: 1s, multiplier: 2, max_interval: 4s, max_elapsed_time: 10s"), &fake);
    let start = Instant::now();
    sender.accept(bench.offer(0..5)).await.unwrap();
    sender.inner.queued.as_ref().unwrap().queue.until_empty().await;
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
