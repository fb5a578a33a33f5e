//! Through the table for one scrape: family by family, a thousand series at a time.
//!
//! Each time the lock is held for as long as it takes to point to them. A series that came while its family is being shown
//! is left to the next scrape, so that none is shown twice.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::labels::Pairs;
use super::source::{Base, Source};
use super::table::Table;
use super::value::{Exemplars, Span, Value};
use crate::exporters::series::points::Kind;

/// What a family says before its series.
#[derive(Debug, Clone)]
pub(super) struct Head {
    pub(super) name: Arc<str>,
    pub(super) help: Arc<str>,
    pub(super) kind: Kind,
    /// It is named `…_total`, and another family has the name without that, under which OpenMetrics would show it.
    pub(super) base_is_taken: bool,
}

/// A series as it is at this moment.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) base: Arc<Base>,
    pub(super) own: Pairs,
    pub(super) whole: bool,
    pub(super) odd: bool,
    pub(super) value: Value,
    pub(super) exemplars: Exemplars,
    pub(super) span: Span,
}

impl Row {
    /// Its labels, and whether some of their names are not classic.
    pub(super) fn labels(&self) -> impl Iterator<Item = (&Pairs, bool)> + Clone {
        let of_base = (!self.whole).then_some((&self.base.pairs, self.base.odd));
        [(&self.own, self.odd)].into_iter().chain(of_base)
    }
}

/// A walk through the table.
#[derive(Debug)]
pub(super) struct Walk {
    table: Arc<Table>,
    /// With whether its base is taken.
    families: std::vec::IntoIter<(u32, bool)>,
    /// The family that is being shown, with those of its members that were not yet.
    current: Option<(u32, std::vec::IntoIter<u32>)>,
    /// What was born later is not shown.
    births: u32,
    now: u32,
}

/// Series that are looked at under the lock in one go.
const GO: usize = 1024;

impl Walk {
    /// Begins one. `wanted` are the names that the client asks for; none: all.
    pub(super) fn new(table: Arc<Table>, wanted: &[String]) -> Walk {
        let now = table.now();
        let state = table.state();
        let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name);
        let is_taken = |name: &str| name.strip_suffix("_total").is_some_and(|base| state.names.contains_key(base));
        let families = state.names.iter().filter(|(name, _)| is_wanted(name));
        let families: Vec<_> = families.map(|(name, id)| (*id, is_taken(name))).collect();
        let (families, births) = (families.into_iter(), state.births);
        drop(state);
        Walk { table, families, current: None, births, now }
    }

    /// The labels of `target_info`, once for each `job` and `instance` that has series; the resource that was seen last.
    pub(super) fn targets(&self) -> Vec<Arc<Source>> {
        let state = self.table.state();
        let mut targets: HashMap<_, &Arc<Source>> = HashMap::new();
        for source in state.sources.values().filter(|source| source.has_series() && source.identity.is_whole()) {
            let target = targets.entry(&source.identity).or_insert(source);
            if target.seen.load(Relaxed) < source.seen.load(Relaxed) {
                *target = source;
            }
        }
        targets.into_values().map(Arc::clone).collect()
    }

    /// The next family; its series come with [`Walk::rows`].
    pub(super) fn next_family(&mut self) -> Option<Head> {
        let state = self.table.state();
        let known = |(id, base_is_taken)| Some((id, base_is_taken, state.families.get(&id)?));
        let (id, base_is_taken, family) = self.families.by_ref().find_map(known)?;
        self.current = Some((id, family.members.clone().into_iter()));
        let (name, help) = (Arc::clone(&family.name), Arc::clone(&family.help));
        Some(Head { name, help, kind: family.kind, base_is_taken })
    }

    /// Adds the next series of the family to `rows`; false when there are no more.
    pub(super) fn rows(&mut self, rows: &mut Vec<Row>) -> bool {
        let Some((id, members)) = &mut self.current else { return false };
        let state = self.table.state();
        for index in members.by_ref().take(GO) {
            let Some(series) = state.slab.get(index).filter(|series| series.family == *id) else { continue };
            let is_new = series.born.wrapping_sub(self.births).cast_signed() > 0;
            if is_new || self.table.is_over(series.seen, self.now) {
                continue;
            }
            rows.push(Row {
                base: Arc::clone(&series.base),
                own: series.own.clone(),
                whole: series.whole,
                odd: series.odd,
                value: series.value.clone(),
                exemplars: series.exemplars.clone(),
                span: series.span,
            });
        }
        members.len() > 0
    }
}
