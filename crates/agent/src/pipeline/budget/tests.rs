use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

#[test]
fn a_hold_is_given_back_when_it_is_dropped() {
    let budget = Budget::new(100);
    let hold = budget.try_hold(60).unwrap();
    let refused = budget.try_hold(50).unwrap_err();
    assert_eq!((refused.wanted, refused.used, refused.limit), (50, 60, 100));
    drop(hold);
    assert_eq!(budget.usage(), 0);
    assert!(budget.try_hold(100).is_ok());
}

#[test]
fn new_data_stops_at_the_soft_mark_and_growth_at_the_limit() {
    let budget = Budget::with_soft(100, 60);
    let mut hold = budget.try_hold(60).unwrap();
    assert!(budget.try_hold(1).is_err());
    hold.grow(40).unwrap();
    assert!(hold.grow(1).is_err());
    assert!(budget.try_hold(0).is_err(), "above the soft mark nothing may come in");
    hold.shrink_to(10);
    assert_eq!((hold.bytes(), budget.usage()), (10, 10));
}

#[test]
fn a_body_is_new_data_until_it_is_read() {
    let budget = Budget::with_soft(100, 60);
    let mut hold = budget.try_hold(0).unwrap();
    Reserve::grow(&mut hold, 60).unwrap();
    let full = Reserve::grow(&mut hold, 1).unwrap_err();
    assert_eq!((full.wanted, full.limit), (61, 60), "no empty budget could hold it");
    Reserve::shrink_to(&mut hold, 50);
    assert_eq!(budget.usage(), 50);
}

#[test]
fn what_the_budget_before_still_holds_counts() {
    let old = Budget::new(100);
    let kept = old.try_hold(70).unwrap();
    let new = Budget::succeeding(&old, 100, 80);
    drop(old);
    let full = new.try_hold(20).unwrap_err();
    assert_eq!((full.used, full.limit, new.usage()), (70, 80, 0));
    let mut hold = new.try_hold(10).unwrap();
    drop(kept);
    hold.grow(90).unwrap();
    assert_eq!(new.usage(), 100);
}

#[test]
fn what_earlier_budgets_hold_counts_once_and_though_one_in_between_is_gone() {
    let first = Budget::new(100);
    let kept = first.try_hold(50).unwrap();
    let second = Budget::succeeding(&first, 100, 100);
    let also_kept = second.try_hold(20).unwrap();
    let third = Budget::succeeding(&second, 100, 100);
    assert!(third.try_hold(30).is_ok() && third.try_hold(31).is_err());
    drop((second, also_kept));
    assert!(third.try_hold(50).is_ok() && third.try_hold(51).is_err(), "the first still holds its own");
    drop((first, kept));
    assert!(third.try_hold(100).is_ok());
}

#[test]
fn shared_memory_is_given_back_with_the_last_of_its_holds() {
    let budget = Budget::new(100);
    let mut one = budget.try_hold(30).unwrap();
    let mut two = one.share();
    two.grow(5).unwrap();
    assert_eq!((one.bytes(), two.bytes(), budget.usage()), (30, 35, 35));
    two.shrink_to(0);
    assert_eq!((two.bytes(), budget.usage()), (30, 30), "what is shared stays");
    drop(one);
    assert_eq!(budget.usage(), 30);
    drop(two);
    assert_eq!(budget.usage(), 0);
}

#[test]
fn a_hold_covers_what_is_asked_and_no_more() {
    let budget = Budget::new(100);
    let mut hold = budget.try_hold(30).unwrap();
    hold.cover(20).unwrap();
    assert_eq!(hold.bytes(), 30);
    hold.cover(50).unwrap();
    assert_eq!((hold.bytes(), budget.usage()), (50, 50));
    assert!(hold.cover(101).is_err());
    assert_eq!(hold.another(50).unwrap().bytes(), 50);
    assert!(hold.another(51).is_err());
}

#[derive(Debug, Clone)]
enum Step {
    Hold(usize),
    Grow(usize, usize),
    Shrink(usize, usize),
    Share(usize),
    Merge(usize, usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (at, bytes) = (0..8_usize, 0..400_usize);
    prop_oneof![
        bytes.clone().prop_map(Step::Hold),
        (at.clone(), bytes.clone()).prop_map(|(at, bytes)| Step::Grow(at, bytes)),
        (at.clone(), bytes).prop_map(|(at, bytes)| Step::Shrink(at, bytes)),
        at.clone().prop_map(Step::Share),
        (at.clone(), at.clone()).prop_map(|(into, from)| Step::Merge(into, from)),
        at.prop_map(Step::Drop),
    ]
}

proptest! {
    #[test]
    fn the_sum_of_holds_is_the_usage_and_never_above_the_budget(steps in proptest::collection::vec(step(), 0..200)) {
        let budget = Budget::with_soft(1000, 800);
        let mut holds: Vec<Hold> = Vec::new();
        for step in steps {
            let many = holds.len().max(1);
            match step {
                Step::Hold(bytes) => holds.extend(budget.try_hold(bytes).ok()),
                Step::Grow(at, bytes) => holds.get_mut(at % many).into_iter().for_each(|hold| { let _ = hold.grow(bytes); }),
                Step::Shrink(at, bytes) => holds.get_mut(at % many).into_iter().for_each(|hold| hold.shrink_to(bytes)),
                Step::Share(at) => {
                    let copy = holds.get_mut(at % many).map(Hold::share);
                    holds.extend(copy);
                }
                Step::Merge(into, from) if holds.len() > 1 => {
                    let other = holds.swap_remove(from % many);
                    let many = holds.len();
                    holds[into % many].merge(other);
                }
                Step::Drop(at) if !holds.is_empty() => drop(holds.swap_remove(at % many)),
                Step::Merge(..) | Step::Drop(_) => {}
            }
            let mut permits: Vec<&Arc<Permit>> = holds.iter().flat_map(|hold| &hold.shared).collect();
            permits.sort_by_key(|permit| Arc::as_ptr(permit));
            permits.dedup_by(|one, two| Arc::ptr_eq(one, two));
            let shared: usize = permits.iter().map(|permit| permit.bytes).sum();
            let own: usize = holds.iter().map(|hold| hold.own).sum();
            prop_assert_eq!(budget.usage(), own + shared);
            prop_assert!(budget.usage() <= budget.limit());
        }
        drop(holds);
        prop_assert_eq!(budget.usage(), 0);
    }
}

#[test]
fn threads_that_compete_never_hold_more_than_the_budget() {
    let budget = Budget::new(1000);
    let done = Arc::new(AtomicBool::new(false));
    let watcher = std::thread::spawn({
        let (budget, done) = (budget.clone(), Arc::clone(&done));
        move || {
            while !done.load(Ordering::Relaxed) {
                assert!(budget.usage() <= 1000);
            }
        }
    });
    let workers = (0..4_usize).map(|worker| {
        let budget = budget.clone();
        std::thread::spawn(move || {
            for round in 0..20_000_usize {
                let Ok(mut hold) = budget.try_hold((round * 7 + worker * 131) % 600) else { continue };
                let copy = hold.share();
                let _ = hold.grow(round % 300);
                drop(hold);
                drop(copy);
            }
        })
    });
    workers.collect::<Vec<_>>().into_iter().for_each(|worker| worker.join().unwrap());
    done.store(true, Ordering::Relaxed);
    watcher.join().unwrap();
    assert_eq!(budget.usage(), 0);
}
