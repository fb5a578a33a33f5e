use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::advance;

use super::*;
use crate::net::body::Reserve;
use crate::pipeline::testing::{Capture, logs};
use crate::pipeline::{
    Arrival, Cause, Code, Door, End, Entrance, Gather, Hold, Intake, Ledger, Origin, Route, Segment,
};
use crate::settings::read_text;

fn origin(last: u8) -> Origin {
    Origin { peer: Some((Ipv4Addr::new(10, 1, 2, last), 40_000).into()), ..Origin::default() }
}

fn address(number: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from(0x0a00_0000 + number).into())
}

fn nobody() -> Parties {
    Parties::new(|_| None)
}

/// Pods of one namespace with names made of the last part of their address.
fn shop() -> Parties {
    Parties::new(|address| {
        let IpAddr::V4(v4) = address else { return None };
        let [.., last] = v4.octets();
        Some(PodName { uid: last.to_string().into(), namespace: "shop".into(), name: format!("cart-{last}").into() })
    })
}

fn intake(budget: &Budget, settings: &str, parties: &Parties) -> Intake {
    let settings: Settings = read_text(settings).unwrap();
    let fair = Fair::new(std::iter::once(&settings), parties);
    Intake::new(Signal::Logs, Door::new(budget.clone()).shared_by(fair), Vec::new())
}

/// Reads a body of this size under a permit, as a receiver does.
fn read(intake: &Intake, origin: &Origin, bytes: usize) -> Result<Hold, Refusal> {
    let mut hold = intake.admit(origin, 0)?;
    Reserve::grow(&mut hold, bytes)?;
    Ok(hold)
}

fn cause(result: Result<Hold, Refusal>) -> Option<Cause> {
    result.err().map(|refusal| refusal.cause)
}

/// Fills the budget from one sender until it is told to stop.
fn flood(intake: &Intake, origin: &Origin, bytes: usize) -> (Vec<Hold>, Refusal) {
    let mut holds = Vec::new();
    loop {
        match read(intake, origin, bytes) {
            Ok(hold) => holds.push(hold),
            Err(refusal) => return (holds, refusal),
        }
    }
}

#[test]
fn when_room_is_short_who_has_more_than_its_share_is_refused_and_the_others_are_not() {
    let budget = Budget::with_soft(200_000, 100_000);
    let intake = intake(&budget, "{}", &nobody());
    let small = read(&intake, &origin(1), 10).unwrap();
    let (flood, refusal) = flood(&intake, &origin(2), 1_000);
    assert_eq!((refusal.code, refusal.cause), (Code::ResourceExhausted, Cause::Share));
    assert!(refusal.retry_after.is_some() && refusal.is_retryable());
    assert!((45_000..=51_000).contains(&budget.usage()), "half of what is open is for everyone: {}", budget.usage());
    let others: Vec<Hold> = (3..23).map(|last| read(&intake, &origin(last), 2_000).unwrap()).collect();
    assert_eq!(cause(read(&intake, &origin(2), 10)), Some(Cause::Share));
    drop(others);
    drop(flood);
    assert!(read(&intake, &origin(2), 50_000).is_ok(), "with room again it is let in");
    drop(small);
}

#[test]
fn a_sender_that_is_alone_may_have_all_but_what_a_newcomer_needs() {
    let budget = Budget::with_soft(200_000, 80_000);
    let intake = intake(&budget, "{}", &nobody());
    let (holds, refusal) = flood(&intake, &origin(1), 1_000);
    assert_eq!((holds.len(), refusal.cause, refusal.code), (70, Cause::Memory, Code::Unavailable));
    let _first = read(&intake, &origin(2), 3_000).unwrap();
    let _second = read(&intake, &origin(2), 3_000).unwrap();
    assert_eq!(cause(read(&intake, &origin(1), 10)), Some(Cause::Share), "now there are two");
    drop(holds);
    assert!(read(&intake, &origin(3), 80_000 - 6_000).is_ok(), "one request may take all that there is");
}

#[tokio::test(start_paused = true)]
async fn who_was_here_of_late_is_expected_again() {
    let budget = Budget::with_soft(200_000, 80_000);
    let intake = intake(&budget, "{}", &nobody());
    for last in 2..22 {
        drop(read(&intake, &origin(last), 10).unwrap());
    }
    let (holds, refusal) = flood(&intake, &origin(1), 1_000);
    assert_eq!(
        (holds.len(), refusal.cause),
        (40, Cause::Share),
        "they hold nothing now, and yet half is kept for them"
    );
    advance(Duration::from_secs(71)).await;
    let (more, refusal) = flood(&intake, &origin(1), 1_000);
    assert_eq!((more.len(), refusal.cause), (30, Cause::Memory));
}

#[test]
fn a_request_may_be_larger_than_a_share_if_its_sender_holds_nothing_else() {
    let budget = Budget::with_soft(200_000, 100_000);
    let intake = intake(&budget, "{}", &nobody());
    let _few: Vec<Hold> = (2..12).map(|last| read(&intake, &origin(last), 10).unwrap()).collect();
    let (_flood, _) = flood(&intake, &origin(1), 1_000);
    let _large = read(&intake, &origin(20), 30_000).unwrap();
    assert_eq!(cause(read(&intake, &origin(20), 10)), Some(Cause::Share));
}

#[test]
fn switched_off_everyone_is_treated_alike() {
    let budget = Budget::with_soft(200_000, 100_000);
    let intake = intake(&budget, "{enabled: false, limits: [{pod: '*', items_per_second: 1}]}", &nobody());
    let _one = read(&intake, &origin(1), 10).unwrap();
    let (flood, refusal) = flood(&intake, &origin(2), 1_000);
    assert_eq!((flood.len(), refusal.cause), (99, Cause::Memory));
}

#[test]
fn of_a_queue_that_is_nearly_full_the_rest_is_for_those_who_have_less_than_others() {
    let (budget, crowd) = (Budget::new(1 << 30), Crowd::default());
    let intake = intake(&budget, "{}", &nobody()).leading_to(vec![Crowd::default(), crowd.clone()]);
    let _flood: Vec<Hold> = (0..50).map(|_| read(&intake, &origin(1), 1_000).unwrap()).collect();
    let _one = read(&intake, &origin(2), 1_000).unwrap();
    crowd.set(Crowd::at(3, 4));
    assert_eq!(cause(read(&intake, &origin(1), 10)), Some(Cause::Share));
    assert!(read(&intake, &origin(2), 1_000).is_ok() && read(&intake, &origin(3), 1_000).is_ok());
    let alike: Vec<Hold> = (3..23).map(|last| read(&intake, &origin(last), 10_000).unwrap()).collect();
    assert_eq!(alike.len(), 20, "of many who have about the same, none has too much");
    let _again = read(&intake, &origin(3), 10).unwrap();
    crowd.set(Crowd::at(2, 4));
    assert!(read(&intake, &origin(1), 10).is_ok());
    assert!(!Crowd::at(0, 0) && Crowd::at(1, 1) && !Crowd::at(749, 1000) && Crowd::at(750, 1000));
}

#[test]
fn a_charge_is_there_until_the_last_of_the_data_is_gone() {
    let budget = Budget::new(1 << 20);
    let parties = nobody();
    let intake = intake(&budget, "{}", &parties);
    let of = |last| parties.of(origin(last).peer.map(|peer| peer.ip())).holds(None);
    let mut one = read(&intake, &origin(1), 1_000).unwrap();
    let two = read(&intake, &origin(2), 500).unwrap();
    assert_eq!((of(1), of(2)), (1_000 + charge::REQUEST, 500 + charge::REQUEST));
    let half = one.share();
    one.merge(two);
    drop(half);
    assert_eq!((of(1), of(2)), (1_000 + charge::REQUEST, 500 + charge::REQUEST));
    let mut block = one.another(4_096).unwrap();
    block.take_charges(&mut one);
    drop(one);
    assert_eq!((of(1), of(2)), (1_000 + charge::REQUEST, 500 + charge::REQUEST), "what was copied is still theirs");
    drop(block);
    assert_eq!((of(1), of(2), budget.usage()), (0, 0, 0));
}

#[test]
fn a_batch_of_many_requests_has_one_charge_for_each_sender() {
    let budget = Budget::new(1 << 20);
    let parties = nobody();
    let intake = intake(&budget, "{}", &parties);
    let mut block = budget.try_hold(4_096).unwrap();
    for number in 0..1_000_u32 {
        let mut hold = read(&intake, &origin((number % 7) as u8), 10).unwrap();
        block.take_charges(&mut hold);
    }
    let all: usize =
        (0..7).map(|last| parties.of(origin(last).peer.map(|peer| peer.ip())).holds(Some(Signal::Logs))).sum();
    assert_eq!(all, 1_000 * (10 + charge::REQUEST));
    assert_eq!(block.charged(), 7);
    drop(block);
    assert_eq!((0..7).map(|last| parties.of(origin(last).peer.map(|peer| peer.ip())).holds(None)).sum::<usize>(), 0);
}

#[test]
fn the_table_is_bounded_and_keeps_those_who_hold_something() {
    let parties = nobody();
    let holders: Vec<Charge> =
        (0..1_000).map(|number| Charge::new(parties.of(address(number)), Signal::Logs)).collect();
    for number in 1_000..5_000 {
        drop(Charge::new(parties.of(address(number)), Signal::Logs));
    }
    assert_eq!(parties.len(), 1_024);
    for number in 0..1_000 {
        assert_eq!(parties.of(address(number)).holds(None), charge::REQUEST, "{number}");
    }
    let more: Vec<Charge> =
        (5_000..5_100).map(|number| Charge::new(parties.of(address(number)), Signal::Logs)).collect();
    assert_eq!(parties.len(), 1_024);
    assert!(parties.of(address(6_000)).holds(None) > 0, "those for whom there is no place are one");
    drop((holders, more));
    assert_eq!(parties.of(address(6_000)).holds(None), 0);
}

#[tokio::test(start_paused = true)]
async fn who_has_been_away_for_long_is_forgotten_unless_it_holds_something() {
    let parties = nobody();
    let held = Charge::new(parties.of(address(0)), Signal::Logs);
    (1..100).for_each(|number| drop(parties.of(address(number))));
    advance(Duration::from_secs(599)).await;
    drop(parties.of(address(99)));
    drop(parties.of(address(100)));
    assert_eq!(parties.len(), 101);
    advance(Duration::from_secs(1)).await;
    drop(parties.of(address(101)));
    assert_eq!(parties.len(), 4, "one that holds something, and three that have sent within ten minutes");
    assert_eq!(parties.of(address(0)).holds(None), charge::REQUEST);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_one_sender_by_all_its_addresses_and_an_address_may_pass_to_another_pod() {
    let moved = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&moved);
    let parties = Parties::new(move |address| {
        let uid = if seen.load(Relaxed) && address.is_ipv4() { "second" } else { "first" };
        Some(PodName { uid: uid.into(), namespace: "shop".into(), name: uid.into() })
    });
    let v6: IpAddr = "fd00::1".parse().unwrap();
    let (one, two) = (parties.of(address(1)), parties.of(Some(v6)));
    assert!(Arc::ptr_eq(&one, &two));
    let charge = Charge::new(one, Signal::Logs);
    moved.store(true, Relaxed);
    assert_eq!(parties.of(address(1)).pod().unwrap().name.as_ref(), "first");
    advance(Duration::from_secs(6)).await;
    let second = parties.of(address(1));
    assert_eq!((second.pod().unwrap().name.as_ref(), second.holds(None)), ("second", 0));
    assert_eq!(parties.of(Some(v6)).holds(None), charge::REQUEST, "what the first sent stays its own");
    drop(charge);
}

/// Sends requests of so many records as often as it is told to until a time is over; returns the items taken.
async fn send_for(seconds: u64, intake: &Intake, origin: &Origin, items: usize) -> (usize, Option<Refusal>) {
    let end = tokio::time::Instant::now() + Duration::from_secs(seconds);
    let (mut taken, mut last) = (0, None);
    while tokio::time::Instant::now() < end {
        match send(intake, origin, items).await {
            Ok(()) => taken += items,
            Err(refusal) => {
                advance(refusal.retry_after.unwrap()).await;
                last = Some(refusal);
            }
        }
    }
    (taken, last)
}

async fn send(intake: &Intake, origin: &Origin, items: usize) -> Result<(), Refusal> {
    let bytes = logs(0..items as u64);
    let hold = intake.admit(origin, bytes.len())?;
    intake.accept(Arrival { signal: Signal::Logs, bytes, items, origin: origin.clone(), hold }).await
}

/// An intake that leads somewhere.
fn sink(settings: &str, parties: &Parties) -> (Intake, Arc<Capture>) {
    let settings: Settings = read_text(settings).unwrap();
    let capture = Arc::new(Capture::default());
    let route = Route::new(vec![Ledger::new().line("test", "capture", Signal::Logs)]);
    let end = End::Gather(Arc::clone(&capture) as Arc<dyn Gather>);
    let entrance = Entrance { route, segment: Arc::new(Segment::new(Vec::new(), end)) };
    let fair = Fair::new(std::iter::once(&settings), parties);
    (Intake::new(Signal::Logs, Door::new(Budget::new(1 << 20)).shared_by(fair), vec![entrance]), capture)
}

#[tokio::test(start_paused = true)]
async fn a_fixed_limit_is_kept_over_time_also_by_requests_that_are_larger_than_a_second_of_it() {
    for items in [1, 30, 700] {
        let (intake, _capture) = sink("{limits: [{pod: 'cart-*', items_per_second: 100}]}", &shop());
        let (taken, refusal) = send_for(60, &intake, &origin(1), items).await;
        assert!((5_900..=6_100 + items).contains(&taken), "{taken} of {items} each");
        let refusal = refusal.unwrap();
        assert_eq!((refusal.code, refusal.cause), (Code::ResourceExhausted, Cause::Limit));
        assert_eq!(refusal.message, "data refused: this sender is limited to 100 items a second");
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_when_it_was_told_to_is_let_in() {
    let (intake, _capture) = sink("{limits: [{namespace: shop, items_per_second: 10}]}", &shop());
    send(&intake, &origin(1), 10).await.unwrap();
    send(&intake, &origin(1), 35).await.unwrap_err();
    advance(Duration::from_secs(1)).await;
    send(&intake, &origin(1), 35).await.unwrap();
    let refusal = send(&intake, &origin(2), 1).await.unwrap_err();
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(3)), "25 are owed, and one more must be there");
    advance(Duration::from_secs(3)).await;
    send(&intake, &origin(2), 1).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_namespace_shares_its_limit_and_each_pod_has_its_own() {
    let (intake, _capture) = sink("{limits: [{namespace: shop, items_per_second: 10}]}", &shop());
    send(&intake, &origin(1), 10).await.unwrap();
    assert_eq!(send(&intake, &origin(2), 1).await.unwrap_err().cause, Cause::Limit);
    let (intake, _capture) = sink("{limits: [{namespace: shop, pod: '*', bytes_per_second: 100}]}", &shop());
    send(&intake, &origin(1), 50).await.unwrap();
    assert_eq!(send(&intake, &origin(1), 1).await.unwrap_err().cause, Cause::Limit);
    send(&intake, &origin(2), 1).await.unwrap();
    let (intake, _capture) = sink("{limits: [{namespace: shop, items_per_second: 1}]}", &nobody());
    send(&intake, &origin(1), 10).await.unwrap();
    send(&intake, &origin(1), 10).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_was_not_taken_after_all_does_not_count() {
    let (intake, capture) = sink("{limits: [{pod: '*', items_per_second: 10}]}", &nobody());
    capture.refuse_with(Some(Refusal::unavailable("sending queue is full")));
    for _ in 0..5 {
        assert_eq!(send(&intake, &origin(1), 50).await.unwrap_err().message, "sending queue is full");
    }
    capture.refuse_with(None);
    send(&intake, &origin(1), 5).await.unwrap();
}

#[derive(Debug, Clone)]
enum Step {
    Send(u8, usize),
    Join(usize, usize),
    Share(usize),
    Drop(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let at = 0..64_usize;
    prop_oneof![
        4 => (0..12_u8, 0..4_000_usize).prop_map(|(who, bytes)| Step::Send(who, bytes)),
        4 => (0..2_u8, 0..9_000_usize).prop_map(|(who, bytes)| Step::Send(who, bytes)),
        1 => (at.clone(), at.clone()).prop_map(|(into, from)| Step::Join(into, from)),
        1 => at.clone().prop_map(Step::Share),
        3 => at.prop_map(Step::Drop),
    ]
}

proptest! {
    /// Whatever comes: who is below its share is let in for as long as there is room, and nobody else is refused for its share.
    #[test]
    fn nobody_below_its_share_is_refused_while_there_is_room(steps in proptest::collection::vec(step(), 0..300)) {
        let (soft, parties) = (60_000, nobody());
        let budget = Budget::with_soft(100_000, soft);
        let intake = intake(&budget, "{}", &parties);
        let held = |who: u8| parties.of(origin(who).peer.map(|peer| peer.ip())).holds(None);
        let mut holds: Vec<Hold> = Vec::new();
        for step in steps {
            let many = holds.len().max(1);
            match step {
                Step::Send(who, bytes) => {
                    let (before, used) = (held(who), budget.usage());
                    let share = soft.max((0..12).map(held).sum()) / 12;
                    match read(&intake, &origin(who), bytes) {
                        Ok(hold) => holds.push(hold),
                        Err(refusal) if refusal.cause == Cause::Share => {
                            prop_assert!(before > share && used + bytes > soft / 2, "{who} held {before} of {used}");
                        }
                        Err(_) if before > soft / 13 => prop_assert!(used + bytes > soft - soft / 8),
                        Err(_) => prop_assert!(used + bytes > soft, "refused with {used} and {bytes}"),
                    }
                }
                Step::Join(into, from) if holds.len() > 1 => {
                    let other = holds.swap_remove(from % many);
                    let many = holds.len();
                    holds[into % many].merge(other);
                }
                Step::Share(at) => {
                    let copy = holds.get_mut(at % many).map(Hold::share);
                    holds.extend(copy);
                }
                Step::Drop(at) if !holds.is_empty() => drop(holds.swap_remove(at % many)),
                Step::Join(..) | Step::Drop(_) => {}
            }
            let charged: usize = (0..12).map(held).sum();
            prop_assert!(charged >= budget.usage(), "every byte is somebody's");
        }
        drop(holds);
        prop_assert_eq!((0..12).map(held).sum::<usize>(), 0);
        prop_assert_eq!(parties.of(origin(1).peer.map(|peer| peer.ip())).share_of(soft, 0), soft / 12, "all of it is shared");
    }
}

#[test]
fn threads_that_come_and_go_leave_nothing_behind() {
    let parties = nobody();
    let workers = (0..4_u32).map(|worker| {
        let parties = parties.clone();
        std::thread::spawn(move || {
            for round in 0..20_000_u32 {
                let mut one = Charges::default();
                one.push(Charge::new(parties.of(address((round + worker) % 3)), Signal::Traces));
                one.grow(round as usize % 100);
                let mut both = one.share();
                both.push(Charge::new(parties.of(address(round % 5)), Signal::Logs));
                one.merge(both);
            }
        })
    });
    workers.collect::<Vec<_>>().into_iter().for_each(|worker| worker.join().unwrap());
    for number in 0..5 {
        assert_eq!(parties.of(address(number)).holds(None), 0);
    }
    let party = parties.of(address(1));
    assert_eq!((party.most_of_queue(Signal::Traces), party.share_of(1_000, 0)), (0, 1_000 / 5));
}
