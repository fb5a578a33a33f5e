//! The ticket of a batch: whose items they are, in the ledger, and the duty to say what became of them.
//!
//! A ticket begins as an offer: the sender still has the data and waits for an answer. Whoever takes the data into
//! custody (the batch processor, a queue) accepts it. From then on each item must end as sent or as dropped for a
//! reason; an accepted ticket that is simply let go is a fault of ours, and counted as one.

use std::sync::Arc;

use smallvec::SmallVec;

use super::journal::Kept;
use super::ledger::{Line, Reason};

/// The items of one batch by ledger line, in the order in which they lie in the body.
#[derive(Debug)]
#[must_use = "every ticket ends as sent, dropped or refused"]
pub struct Ticket {
    runs: SmallVec<[Run; 1]>,
}

/// Where items are going: one line for each exporter that is still ahead of them.
#[derive(Debug, Clone)]
pub enum Route {
    /// To one exporter.
    One(Arc<Line>),
    /// To several; the ticket is divided where the ways part.
    Many(Arc<[Arc<Line>]>),
}

/// Items that lie one behind the other and share their fate.
#[derive(Debug)]
struct Run {
    route: Route,
    items: usize,
    accepted: bool,
    /// The arrival that they are part of, if a journal keeps it.
    kept: Option<Arc<Kept>>,
}

impl Route {
    /// The way to these lines.
    #[must_use]
    pub fn new(mut lines: Vec<Arc<Line>>) -> Route {
        match (lines.len(), lines.pop()) {
            (1, Some(line)) => Route::One(line),
            (_, last) => Route::Many(lines.into_iter().chain(last).collect()),
        }
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[Arc<Line>] {
        match self {
            Route::One(line) => std::slice::from_ref(line),
            Route::Many(lines) => lines,
        }
    }

    fn is(&self, other: &Route) -> bool {
        match (self, other) {
            (Route::One(one), Route::One(two)) => Arc::ptr_eq(one, two),
            (Route::Many(one), Route::Many(two)) => Arc::ptr_eq(one, two),
            _ => false,
        }
    }
}

impl Ticket {
    /// An offer of `items` on their way along `route`.
    pub fn offer(route: &Route, items: usize) -> Ticket {
        Ticket::of(Run { route: route.clone(), items, accepted: false, kept: None })
    }

    /// The same, of an arrival that a journal keeps.
    pub(super) fn offer_kept(route: &Route, items: usize, kept: Option<Arc<Kept>>) -> Ticket {
        Ticket::of(Run { route: route.clone(), items, accepted: false, kept })
    }

    /// For items that come back from the journal: they are in our custody already.
    pub(super) fn taken_back(route: &Route, items: usize, kept: Arc<Kept>) -> Ticket {
        let run = Run { route: route.clone(), items, accepted: true, kept: Some(kept) };
        run.each(Line::take_back);
        Ticket::of(run)
    }

    fn of(run: Run) -> Ticket {
        Ticket { runs: SmallVec::from_buf([run]) }
    }

    /// A ticket for nothing yet.
    pub fn none() -> Ticket {
        Ticket { runs: SmallVec::new() }
    }

    /// How many items it stands for.
    #[must_use]
    pub fn items(&self) -> usize {
        self.runs.iter().map(|run| run.items).sum()
    }

    /// True if no sender waits for an answer any more: all of it is in our custody.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        self.runs.iter().all(|run| run.accepted)
    }

    /// Takes the items into custody. Nothing happens to those that were accepted before.
    pub fn accept(&mut self) {
        for run in self.runs.iter_mut().filter(|run| !run.accepted) {
            run.accepted = true;
            run.each(Line::accept);
        }
    }

    /// The destination took all items.
    pub fn sent(mut self) {
        self.accept();
        self.settle(Line::send);
    }

    /// The destination took all items but `rejected` ones, and does not say which.
    pub fn sent_but(mut self, rejected: usize) {
        self.drop_some(rejected, Reason::PartiallyRejected);
        self.sent();
    }

    /// All items are given up.
    pub fn dropped(mut self, reason: Reason) {
        self.accept();
        self.settle(|line, items| line.drop(items, reason));
    }

    /// The agent stops before they could be delivered: what a journal keeps is left to it, the rest is given up. Returns
    /// how many items are lost to one of their exporters at least.
    pub fn left_behind(mut self) -> u64 {
        self.accept();
        let mut lost = 0;
        for run in self.runs.drain(..) {
            let items = run.items as u64;
            let leave = |line: &Arc<Line>| run.kept.as_ref().is_some_and(|kept| kept.leave(line, items));
            let mut whole = true;
            for line in run.route.lines().iter().filter(|line| !leave(line)) {
                Line::drop(line, items, Reason::Shutdown);
                whole = false;
            }
            lost += if whole { 0 } else { items };
        }
        lost
    }

    /// Gives up `items` of them (all, if there are fewer); the ticket stands for the rest.
    pub fn drop_some(&mut self, items: usize, reason: Reason) {
        let rest = self.split_off(items);
        std::mem::replace(self, rest).dropped(reason);
    }

    /// The sender is told no and keeps the data. Only an offer can be refused; what was accepted before is given up.
    pub fn refused(mut self) {
        for run in self.runs.drain(..) {
            if run.accepted {
                run.settle(|line, items| line.drop(items, Reason::Refused));
            } else {
                run.settle(Line::refuse);
            }
        }
    }

    /// Keeps the first `items` and returns a ticket for the rest.
    pub fn split_off(&mut self, items: usize) -> Ticket {
        let mut before = 0;
        let mut rest = Ticket::none();
        for run in std::mem::take(&mut self.runs) {
            let here = run.items.min(items.saturating_sub(before));
            before += run.items;
            self.push(Run { route: run.route.clone(), items: here, accepted: run.accepted, kept: run.kept.clone() });
            rest.push(Run { items: run.items - here, ..run });
        }
        rest
    }

    /// Puts the items of `other` behind these.
    pub fn merge(&mut self, mut other: Ticket) {
        for run in std::mem::take(&mut other.runs) {
            self.push(run);
        }
    }

    /// One ticket for each exporter, where the ways part.
    pub fn fan_out(mut self) -> Vec<Ticket> {
        let runs = std::mem::take(&mut self.runs);
        let exporters = runs.first().map_or(0, |run| run.route.lines().len());
        let towards = |exporter: usize| {
            let run = |run: &Run| {
                let line = run.route.lines().get(exporter)?;
                let (route, kept) = (Route::One(Arc::clone(line)), run.kept.clone());
                Some(Run { route, items: run.items, accepted: run.accepted, kept })
            };
            Ticket { runs: runs.iter().filter_map(run).collect() }
        };
        (0..exporters).map(towards).collect()
    }

    fn push(&mut self, run: Run) {
        match self.runs.last_mut() {
            _ if run.items == 0 => {}
            Some(last) if last.is_like(&run) => last.items += run.items,
            _ => self.runs.push(run),
        }
    }

    fn settle(&mut self, end: impl Fn(&Line, u64)) {
        self.runs.drain(..).for_each(|run| run.settle(&end));
    }
}

impl Run {
    fn each(&self, end: impl Fn(&Line, u64)) {
        self.route.lines().iter().for_each(|line| end(line, self.items as u64));
    }

    /// The end for good: a journal need not keep them any more.
    fn settle(&self, end: impl Fn(&Line, u64)) {
        self.each(end);
        if let Some(kept) = &self.kept {
            self.route.lines().iter().for_each(|line| kept.settle(line, self.items as u64));
        }
    }

    fn is_like(&self, other: &Run) -> bool {
        let same_arrival = match (&self.kept, &other.kept) {
            (None, None) => true,
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            _ => false,
        };
        same_arrival && self.accepted == other.accepted && self.route.is(&other.route)
    }
}

impl Drop for Ticket {
    /// An offer that is let go was never answered with yes (its sender hung up): it counts as refused. What was accepted and
    /// is let go stays in the journal, if it is there: the next start sends it.
    fn drop(&mut self) {
        for run in self.runs.drain(..) {
            if run.accepted {
                run.each(|line, items| line.drop(items, Reason::Unaccounted));
                tracing::error!(items = run.items, lines = ?run.route.lines(), "Items were lost track of.");
            } else {
                run.settle(Line::refuse);
            }
        }
    }
}

#[cfg(test)]
mod tests;
