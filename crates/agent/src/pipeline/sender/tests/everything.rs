use super::*;

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
