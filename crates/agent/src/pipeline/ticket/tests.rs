use proptest::prelude::*;
use wire::Signal;

use super::*;
use crate::pipeline::Ledger;

fn figures(ledger: &Ledger) -> Vec<(u64, u64, u64, u64, u64)> {
    let figures = ledger.entries().into_iter();
    figures.map(|line| (line.accepted, line.refused, line.sent, line.dropped_in_all(), line.held)).collect()
}

fn route(ledger: &Ledger, exporters: &[&str]) -> Route {
    Route::new(exporters.iter().map(|exporter| ledger.line("logs", exporter, Signal::Logs)).collect())
}

#[test]
fn an_offer_counts_only_when_it_is_accepted() {
    let ledger = Ledger::new();
    let mut ticket = Ticket::offer(&route(&ledger, &["a"]), 10);
    assert_eq!(figures(&ledger), [(0, 0, 0, 0, 0)]);
    ticket.accept();
    ticket.accept();
    assert_eq!(figures(&ledger), [(10, 0, 0, 0, 10)]);
    ticket.sent();
    assert_eq!(figures(&ledger), [(10, 0, 10, 0, 0)]);
}

#[test]
fn a_refused_offer_stays_out_of_the_balance() {
    let ledger = Ledger::new();
    Ticket::offer(&route(&ledger, &["a"]), 10).refused();
    drop(Ticket::offer(&route(&ledger, &["a"]), 5));
    assert_eq!(figures(&ledger), [(0, 15, 0, 0, 0)]);
    ledger.balance().unwrap();
}

#[test]
fn an_accepted_ticket_that_is_let_go_is_a_fault_and_shows() {
    let ledger = Ledger::new();
    let mut ticket = Ticket::offer(&route(&ledger, &["a"]), 10);
    ticket.accept();
    drop(ticket);
    let wrong = ledger.balance().unwrap_err();
    assert_eq!(wrong[0].dropped(Reason::Unaccounted), 10);
}

#[test]
fn each_exporter_answers_for_its_own_copy() {
    let ledger = Ledger::new();
    let mut ticket = Ticket::offer(&route(&ledger, &["a", "b", "c"]), 10);
    ticket.drop_some(4, Reason::Filtered);
    let [a, b, c] = <[Ticket; 3]>::try_from(ticket.fan_out()).unwrap();
    a.sent();
    b.refused();
    c.sent_but(1);
    assert_eq!(figures(&ledger), [(10, 0, 6, 4, 0), (4, 6, 0, 4, 0), (10, 0, 5, 5, 0)]);
    ledger.balance().unwrap();
}

#[test]
fn a_joined_ticket_is_divided_exactly_where_it_was_joined() {
    let ledger = Ledger::new();
    let (a, b) = (route(&ledger, &["a"]), route(&ledger, &["b"]));
    let mut joined = Ticket::offer(&a, 5);
    for (route, items) in [(&a, 2), (&b, 3), (&a, 4)] {
        joined.merge(Ticket::offer(route, items));
    }
    assert_eq!((joined.items(), joined.runs.len()), (14, 3));
    let rest = joined.split_off(9);
    assert_eq!((joined.items(), rest.items()), (9, 5));
    joined.sent();
    rest.dropped(Reason::Refused);
    assert_eq!(figures(&ledger), [(11, 0, 7, 4, 0), (3, 0, 2, 1, 0)]);
}

#[test]
fn more_is_never_settled_than_there_is() {
    let ledger = Ledger::new();
    let a = route(&ledger, &["a"]);
    Ticket::offer(&a, 5).sent_but(9);
    assert_eq!(figures(&ledger), [(5, 0, 0, 5, 0)]);
    let mut ticket = Ticket::offer(&a, 5);
    assert_eq!(ticket.split_off(7).items(), 0);
    ticket.sent();
    ledger.balance().unwrap();
}

proptest! {
    #[test]
    fn whatever_is_joined_divided_and_settled_the_ledger_balances(
        offers in proptest::collection::vec((0..3_usize, 0..50_usize, any::<bool>()), 1..20),
        cuts in proptest::collection::vec((0..200_usize, 0..6_u8), 0..20),
    ) {
        let ledger = Ledger::new();
        let routes = [route(&ledger, &["a"]), route(&ledger, &["b"]), route(&ledger, &["c", "d"])];
        let mut offered = [0_u64; 4];
        let mut joined = Ticket::none();
        for (to, items, accept) in offers {
            let lines = if to == 2 { 2..4 } else { to..to + 1 };
            offered[lines].iter_mut().for_each(|sum| *sum += items as u64);
            let mut ticket = Ticket::offer(&routes[to], items);
            if accept {
                ticket.accept();
            }
            joined.merge(ticket);
        }
        for (items, end) in cuts {
            let rest = joined.split_off(items);
            let mut part = std::mem::replace(&mut joined, rest);
            match end {
                0 => part.sent(),
                1 => part.dropped(Reason::TooLarge),
                2 => part.refused(),
                3 => part.sent_but(items / 2),
                4 => {
                    part.drop_some(items / 3, Reason::Filtered);
                    part.sent();
                }
                _ => {
                    part.merge(std::mem::replace(&mut joined, Ticket::none()));
                    joined = part;
                }
            }
            prop_assert!(ledger.entries().iter().all(|line| line.accepted == line.sent + line.dropped_in_all() + line.held));
        }
        joined.sent();
        prop_assert!(ledger.balance().is_ok());
        for (line, offered) in ledger.entries().iter().zip(offered) {
            prop_assert_eq!(line.held, 0);
            prop_assert_eq!(line.accepted + line.refused, offered);
        }
    }
}
