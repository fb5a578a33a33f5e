//! The format `detailed`: every field on a line of its own.

mod points;

use std::fmt::{Display, Write};

use wire::Signal;
use wire::schema::{SEVERITY_NUMBER, SPAN_SPAN_KIND, STATUS_STATUS_CODE};
use wire::view::{Attributes, Event, Link, LogRecord, Request, Resource, ScopeGroup, Span};

use super::text::{Typed, id, name, time};

/// Writes a request.
pub(super) fn request(out: &mut dyn Write, signal: Signal, request: Request<'_>) {
    let (resource_word, scope_word) = match signal {
        Signal::Traces => ("ResourceSpans", "ScopeSpans"),
        Signal::Metrics => ("ResourceMetrics", "ScopeMetrics"),
        Signal::Logs => ("ResourceLog", "ScopeLogs"),
    };
    let mut page = Page(out);
    for (index, group) in request.resources().enumerate() {
        page.line(format_args!("{resource_word} #{index}"));
        page.line(format_args!("Resource SchemaURL: {}", group.schema_url()));
        page.attributes("Resource attributes", group.resource().attributes());
        page.entity_refs(group.resource());
        for (index, scope) in group.scopes().enumerate() {
            page.line(format_args!("{scope_word} #{index}"));
            page.scope(scope_word, scope);
            match signal {
                Signal::Traces => scope.spans().enumerate().for_each(|(index, span)| page.span(index, span)),
                Signal::Metrics => scope.metrics().enumerate().for_each(|(index, metric)| page.metric(index, metric)),
                Signal::Logs => scope.log_records().enumerate().for_each(|(index, record)| page.record(index, record)),
            }
        }
    }
}

struct Page<'a>(&'a mut dyn Write);

impl Page<'_> {
    fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.0, "{line}");
    }

    /// A field of a span: its name, padded, and its value.
    fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("    {name:<15}: {value}"));
    }

    /// A header and a line for each attribute; both further in if the header is.
    fn attributes(&mut self, header: &str, attributes: Attributes<'_>) {
        let indent = header.split_once("->").map_or("", |(indent, _)| indent);
        for (index, attribute) in attributes.enumerate() {
            if index == 0 {
                self.line(format_args!("{header}:"));
            }
            self.line(format_args!("{indent}     -> {}: {}", attribute.key(), Typed(attribute.value())));
        }
    }

    fn entity_refs(&mut self, resource: Resource<'_>) {
        for (index, entity) in resource.entity_refs().enumerate() {
            if index == 0 {
                self.line("Resource entity refs:");
            }
            self.line(format_args!("     -> Entity ref #{index}:"));
            self.line(format_args!("          -> Type: {}", entity.entity_type()));
            if !entity.schema_url().is_empty() {
                self.line(format_args!("          -> Schema URL: {}", entity.schema_url()));
            }
            self.keys("ID keys", entity.id_keys());
            self.keys("Description keys", entity.description_keys());
        }
    }

    fn keys<'a>(&mut self, header: &str, keys: impl Iterator<Item = &'a str>) {
        for (index, key) in keys.enumerate() {
            if index == 0 {
                self.line(format_args!("          -> {header}:"));
            }
            self.line(format_args!("               -> {key}"));
        }
    }

    fn scope(&mut self, word: &str, group: ScopeGroup<'_>) {
        let scope = group.scope();
        self.line(format_args!("{word} SchemaURL: {}", group.schema_url()));
        self.line(format_args!("InstrumentationScope {} {}", scope.name(), scope.version()));
        self.attributes("InstrumentationScope attributes", scope.attributes());
    }

    fn span(&mut self, index: usize, span: Span<'_>) {
        self.line(format_args!("Span #{index}"));
        self.field("Trace ID", id(span.trace_id()));
        self.field("Parent ID", id(span.parent_span_id()));
        self.field("ID", id(span.span_id()));
        self.field("Name", span.name());
        self.field("Kind", name(&SPAN_SPAN_KIND, span.kind(), "SPAN_KIND_"));
        if !span.trace_state().is_empty() {
            self.field("TraceState", span.trace_state());
        }
        self.field("Start time", time(span.start_time_unix_nano()));
        self.field("End time", time(span.end_time_unix_nano()));
        self.field("Status code", name(&STATUS_STATUS_CODE, span.status().code(), "STATUS_CODE_"));
        self.field("Status message", span.status().message());
        self.field("DroppedAttributesCount", span.dropped_attributes_count());
        self.field("DroppedEventsCount", span.dropped_events_count());
        self.field("DroppedLinksCount", span.dropped_links_count());
        self.attributes("Attributes", span.attributes());
        self.events(span.events());
        self.links(span.links());
    }

    fn events<'a>(&mut self, events: impl Iterator<Item = Event<'a>>) {
        for (index, event) in events.enumerate() {
            if index == 0 {
                self.line("Events:");
            }
            self.line(format_args!("SpanEvent #{index}"));
            self.line(format_args!("     -> Name: {}", event.name()));
            self.line(format_args!("     -> Timestamp: {}", time(event.time_unix_nano())));
            self.line(format_args!("     -> DroppedAttributesCount: {}", event.dropped_attributes_count()));
            // Two colons, as in the Collector.
            self.attributes("     -> Attributes:", event.attributes());
        }
    }

    fn links<'a>(&mut self, links: impl Iterator<Item = Link<'a>>) {
        for (index, link) in links.enumerate() {
            if index == 0 {
                self.line("Links:");
            }
            self.line(format_args!("SpanLink #{index}"));
            self.line(format_args!("     -> Trace ID: {}", id(link.trace_id())));
            self.line(format_args!("     -> ID: {}", id(link.span_id())));
            self.line(format_args!("     -> TraceState: {}", link.trace_state()));
            self.line(format_args!("     -> DroppedAttributesCount: {}", link.dropped_attributes_count()));
            self.attributes("     -> Attributes:", link.attributes());
        }
    }

    fn record(&mut self, index: usize, record: LogRecord<'_>) {
        let severity = record.severity_number();
        self.line(format_args!("LogRecord #{index}"));
        self.line(format_args!("ObservedTimestamp: {}", time(record.observed_time_unix_nano())));
        self.line(format_args!("Timestamp: {}", time(record.time_unix_nano())));
        self.line(format_args!("SeverityText: {}", record.severity_text()));
        let name = name(&SEVERITY_NUMBER, severity, "SEVERITY_NUMBER_");
        self.line(format_args!("SeverityNumber: {name}({severity})"));
        if !record.event_name().is_empty() {
            self.line(format_args!("EventName: {}", record.event_name()));
        }
        self.line(format_args!("Body: {}", Typed(record.body())));
        self.attributes("Attributes", record.attributes());
        self.line(format_args!("Trace ID: {}", id(record.trace_id())));
        self.line(format_args!("Span ID: {}", id(record.span_id())));
        self.line(format_args!("Flags: {}", record.flags()));
    }
}
