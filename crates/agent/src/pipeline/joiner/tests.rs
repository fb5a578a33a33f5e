use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::pipeline::testing::{Bench, numbers};

fn limits(max_items: usize, max_bytes: usize) -> Limits {
    let some = |number: usize| Some(number).filter(|number| *number > 0);
    Limits { max_items: some(max_items), max_bytes: some(max_bytes) }
}

#[test]
fn small_requests_are_copied_into_one_slice_and_their_own_memory_is_given_back() {
    let bench = Bench::default();
    let mut joiner = Joiner::default();
    for number in 0..100 {
        joiner.push(bench.offer(number..number + 1));
    }
    assert_eq!(bench.budget.usage(), SMALLEST_BLOCK, "one block, and nothing else");
    let joined = joiner.take().unwrap();
    assert_eq!(joined.body.slices().len(), 1);
    assert_eq!(numbers(&joined.body), (0..100).collect::<Vec<_>>());
    assert!(joiner.is_empty() && joiner.items() == 0 && joiner.bytes() == 0);
    joined.ticket.sent();
    drop(joined.body);
}

#[test]
fn a_large_request_is_linked_and_not_copied() {
    let bench = Bench::default();
    let mut joiner = Joiner::default();
    joiner.push(bench.offer(0..1));
    let large = bench.offer(1..2000);
    let bytes: Bytes = large.body.slices()[0].clone();
    joiner.push(large);
    joiner.push(bench.offer(2000..2001));
    let joined = joiner.take().unwrap();
    assert_eq!(joined.body.slices().len(), 3);
    assert_eq!(joined.body.slices()[1].as_ptr(), bytes.as_ptr());
    assert_eq!(numbers(&joined.body), (0..2001).collect::<Vec<_>>());
}

#[test]
fn without_room_for_a_block_requests_are_linked() {
    let mut bench = Bench::default();
    bench.budget = crate::pipeline::Budget::new(1000);
    let mut joiner = Joiner::default();
    (0..10).for_each(|number| joiner.push(bench.offer(number..number + 1)));
    let joined = joiner.take().unwrap();
    assert_eq!(joined.body.slices().len(), 10);
    assert_eq!(joined.hold.bytes(), joined.body.len());
}

#[test]
fn a_cut_by_items_is_exact() {
    let bench = Bench::default();
    let mut joiner = Joiner::default();
    [0..7, 7..15, 15..16].into_iter().for_each(|range| joiner.push(bench.ours(range)));
    let sizes: Vec<usize> = std::iter::from_fn(|| joiner.cut(limits(5, 0)))
        .map(|batch| {
            let items = batch.items();
            assert_eq!(numbers(&batch.body).len(), items);
            batch.ticket.sent();
            items
        })
        .collect();
    assert_eq!(sizes, [5, 5, 5, 1]);
    assert_eq!(bench.settled().sent, 16);
}

#[test]
fn a_cut_by_bytes_keeps_requests_whole_where_it_can() {
    let bench = Bench::default();
    let mut joiner = Joiner::default();
    // Large enough not to be copied: each is a part of its own.
    [0..1000, 1000..2000, 2000..3000].into_iter().for_each(|range| joiner.push(bench.ours(range)));
    let two = 2 * bench.offer(1000..2000).body.len() + 10;
    let first = joiner.cut(limits(0, two)).unwrap();
    assert_eq!(first.items(), 2000);
    first.ticket.sent();
    let small = joiner.cut(limits(0, 2000)).unwrap();
    assert!(small.body.len() <= 2000 && small.items() < 1000);
    small.ticket.sent();
    joiner.take().unwrap().ticket.sent();
    assert_eq!(bench.entry().sent, 3000);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out_in_order_and_every_byte_is_given_back(
        sizes in proptest::collection::vec(1..300_u64, 1..30),
        cuts in proptest::collection::vec((0..400_usize, 0..6000_usize), 1..30),
    ) {
        let bench = Bench::default();
        let mut joiner = Joiner::default();
        let (mut next, mut out) = (0, Vec::new());
        let mut cuts = cuts.into_iter().cycle();
        for size in sizes {
            joiner.push(bench.ours(next..next + size));
            next += size;
            if next % 3 == 0 {
                let (items, bytes) = cuts.next().unwrap();
                if let Some(batch) = joiner.cut(limits(items, bytes)) {
                    prop_assert!(items == 0 || batch.items() <= items);
                    prop_assert!(bytes == 0 || batch.body.len() <= bytes || batch.items() == 1);
                    prop_assert!(batch.hold.bytes() >= batch.body.len() || batch.body.slices().len() > 1);
                    out.extend(numbers(&batch.body));
                    batch.ticket.sent();
                }
            }
            prop_assert!(bench.budget.usage() >= joiner.bytes().min(1));
        }
        if let Some(rest) = joiner.take() {
            out.extend(numbers(&rest.body));
            rest.ticket.sent();
        }
        prop_assert_eq!(out, (0..next).collect::<Vec<_>>());
        prop_assert_eq!(bench.settled().sent, next);
    }
}
