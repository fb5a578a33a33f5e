//! Where a metric belongs: the base of its resource and scope, and the family of its name.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use wire::view::Metric;

use super::intake::{Context, Stream, Tally};
use super::refusal::Refusal;
use super::reports::{Conflict, Report};
use super::rules::Rules;
use super::series::Family;
use super::source::{Base, Source};
use super::table::{Belonging, State, Table};
use crate::exporters::series::points::Kind;

impl State {
    /// What the resource and the scope give to their series.
    pub(super) fn base(&mut self, table: &Table, context: &Context<'_>, now: u32) -> Result<Arc<Base>, Refusal> {
        if let Some(base) = self.bases.get(&context.scope_key) {
            base.source.seen.store(now, Relaxed);
            return Ok(Arc::clone(base));
        }
        let source = match self.sources.get(&context.resource_key) {
            Some(source) => Arc::clone(source),
            None => {
                let source = Source::new(&table.rules, &context.resource).map_err(|_| Refusal::Invalid)?;
                self.make_room(&table.rules, source.size())?;
                let source = Arc::new(source);
                self.sources.insert(context.resource_key, Arc::clone(&source));
                source
            }
        };
        source.seen.store(now, Relaxed);
        let id = self.next_id();
        let scope = (&context.scope, context.schema_url);
        let base =
            Base::new(&table.rules, id, source, context.resource.clone(), scope).map_err(|_| Refusal::Invalid)?;
        self.make_room(&table.rules, base.size())?;
        let base = Arc::new(base);
        self.bases.insert(context.scope_key, Arc::clone(&base));
        Ok(base)
    }

    fn make_room(&mut self, rules: &Rules, bytes: usize) -> Result<(), Refusal> {
        if !self.has_room(rules, bytes) {
            return Err(Refusal::Limit);
        }
        self.own_bytes += bytes;
        Ok(())
    }

    /// The family of a metric.
    pub(super) fn family(
        &mut self,
        table: &Table,
        stream: &Stream<'_>,
        base: &Arc<Base>,
        tally: &mut Tally,
    ) -> Result<u32, Refusal> {
        if let Some(Belonging { family, .. }) = self.streams.get(&stream.key)
            && family.map_or(true, |id| self.families.contains_key(&id))
        {
            return *family;
        }
        let family = self.find_family(table, stream, base, tally);
        // Whether there is room is asked again each time; everything else holds until the next tidying.
        if family != Err(Refusal::Limit) && self.has_room_for_key(&table.rules, &self.streams) {
            self.streams.insert(stream.key, Belonging { family, base: base.id });
        }
        family
    }

    fn find_family(
        &mut self,
        table: &Table,
        stream: &Stream<'_>,
        base: &Arc<Base>,
        tally: &mut Tally,
    ) -> Result<u32, Refusal> {
        let (metric, shape) = (stream.metric, stream.shape);
        let name = table.rules.namer.metric(metric.name(), metric.unit(), shape.name_kind);
        let name = name.map_err(|_| Refusal::Invalid)?;
        let report = |conflict, existing: String| {
            let new = format!("{} {} from {}", shape.kind.name(), described(metric), base.source.name);
            Report { conflict, family: name.clone(), existing, new, times: 1 }
        };
        if let Some((id, family)) = self.names.get(name.as_str()).and_then(|id| Some((*id, self.families.get(id)?))) {
            let existing = || format!("{} {} from {}", family.kind.name(), family.metric, family.by);
            if family.kind != shape.kind && !family.members.is_empty() {
                tally.reports.push(report(Conflict::Type, existing()));
                return Err(Refusal::TypeConflict);
            }
            if family.kind == shape.kind {
                if family.metric != described(metric) {
                    tally.reports.push(report(Conflict::Name, existing()));
                }
                if *family.help != *metric.description() {
                    let (was, is) = (format!("{}: {}", existing(), family.help), metric.description());
                    let mut report = report(Conflict::Help, was);
                    report.new = format!("{}: {is}", report.new);
                    tally.reports.push(report);
                }
                return Ok(id);
            }
            self.forget_family(id);
        }
        if let Some(existing) = self.written_by_another(&table.rules, &name, shape.kind) {
            tally.reports.push(report(Conflict::Name, existing));
            return Err(Refusal::NameConflict);
        }
        let family = Family {
            name: name.as_str().into(),
            help: metric.description().into(),
            kind: shape.kind,
            members: Vec::new(),
            metric: described(metric),
            by: base.source.name.clone(),
            bounds: None,
        };
        self.make_room(&table.rules, family.size())?;
        let id = self.next_id();
        self.names.insert(Arc::clone(&family.name), id);
        self.families.insert(id, family);
        Ok(id)
    }

    fn forget_family(&mut self, id: u32) {
        if let Some(family) = self.families.remove(&id) {
            self.names.remove(&family.name);
            self.own_bytes = self.own_bytes.saturating_sub(family.size());
        }
    }

    /// The family that writes lines of this name: a histogram `x` writes `x_count`.
    fn written_by_another(&self, rules: &Rules, name: &str, kind: Kind) -> Option<String> {
        if name == rules.namer.target_info() {
            return Some("target_info, which this exporter writes itself".to_owned());
        }
        let describe = |id: &u32| {
            let family = self.families.get(id)?;
            Some(format!("{} {} from {}", family.kind.name(), family.metric, family.by))
        };
        let suffixes = ["_count", "_sum", "_bucket"];
        for suffix in suffixes {
            let writer = name.strip_suffix(suffix).and_then(|base| self.names.get(base));
            let writes = |family: &Family| match family.kind {
                Kind::Histogram => true,
                Kind::Summary => suffix != "_bucket",
                Kind::Counter | Kind::Gauge => false,
            };
            if let Some(id) = writer.filter(|id| self.families.get(id).is_some_and(writes)) {
                return describe(id);
            }
            let would_write = matches!(kind, Kind::Histogram) || matches!(kind, Kind::Summary) && suffix != "_bucket";
            if let Some(id) = would_write.then(|| self.names.get(format!("{name}{suffix}").as_str())).flatten() {
                return describe(id);
            }
        }
        None
    }
}

/// An OTLP metric in reports.
fn described(metric: &Metric<'_>) -> String {
    match metric.unit() {
        "" => metric.name().to_owned(),
        unit => format!("{} [{unit}]", metric.name()),
    }
}
