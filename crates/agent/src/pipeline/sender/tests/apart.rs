use super::*;

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
async fn however_small_the_parts_must_be_all_of_them_are_sent() {
    // It was found by a chaos run: from the 65th request on, what was left of the batch was given up.
    let (bench, fake) = (Bench::default(), Fake::answering(|_| refused(Fault::Data)));
    let sender = bench.sender(&policy("num_consumers: 1", ""), &fake);
    for _ in 0..7 {
        sender.accept(bench.ours(0..64)).await.unwrap();
    }
    settle().await;
    // What was learned of bad data is not held against large requests.
    fake.answer(|numbers| if numbers.len() > 3 { refused(Fault::Size) } else { Outcome::Sent });
    sender.accept(bench.ours(0..8192)).await.unwrap();
    settle().await;
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.dropped(Reason::TooLarge)), (8192, 0));
}

#[tokio::test(start_paused = true)]
async fn what_was_always_too_large_is_sent_once_small_parts_are_taken() {
    // A backend that said 413 to everything for a while had every larger batch after it lost, for good: the effort that was
    // left did not reach the parts that it would have taken.
    let (bench, fake) = (Bench::default(), Fake::answering(|_| refused(Fault::Size)));
    let sender = bench.sender(&policy("num_consumers: 1", ""), &fake);
    for _ in 0..10 {
        sender.accept(bench.ours(0..64)).await.unwrap();
    }
    settle().await;
    fake.answer(|numbers| if numbers.len() > 3 { refused(Fault::Size) } else { Outcome::Sent });
    sender.accept(bench.ours(0..8191)).await.unwrap();
    settle().await;
    let entry = bench.settled();
    assert_eq!((entry.sent, entry.dropped(Reason::TooLarge)), (8191, 640));
}

#[tokio::test(start_paused = true)]
async fn what_was_always_refused_is_tried_in_full_again() {
    // Two bad items, one in each half, are beyond the least effort; without another try all batches like it would be lost.
    let (bench, fake) = (Bench::default(), Fake::answering(|_| refused(Fault::Data)));
    let sender = bench.sender(&policy("num_consumers: 1", ""), &fake);
    for _ in 0..7 {
        sender.accept(bench.ours(0..8192)).await.unwrap();
    }
    settle().await;
    let two_bad = |numbers: &[u64]| numbers.contains(&0) || numbers.contains(&8191);
    fake.answer(move |numbers| if two_bad(numbers) { refused(Fault::Data) } else { Outcome::Sent });
    for _ in 7..20 {
        sender.accept(bench.ours(0..8192)).await.unwrap();
    }
    settle().await;
    assert_eq!(
        bench.settled().sent,
        4 * 8190,
        "the seventeenth batch and all after it have lost their bad items alone"
    );
}

#[tokio::test(start_paused = true)]
async fn where_everything_is_too_large_the_effort_shrinks() {
    let (bench, fake) = (Bench::default(), Fake::answering(|_| refused(Fault::Size)));
    let sender = bench.sender(&policy("num_consumers: 1", ""), &fake);
    for _ in 0..7 {
        sender.accept(bench.ours(0..8192)).await.unwrap();
    }
    settle().await;
    assert_eq!(fake.attempts().len(), 65 + 33 + 5 * 27, "no less than the way down to a single item");
    assert_eq!(bench.settled().dropped(Reason::TooLarge), 7 * 8192);
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
