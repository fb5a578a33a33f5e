//! Attributes below the resource: of scopes, and of spans, log records and data points.

use super::editor::{AttributeEditor, Item};
use crate::Signal;
use crate::count::is_data;
use crate::fields::{Field, Fields};
use crate::patch::Patches;
use crate::view;

type Change<'f> = dyn FnMut(&mut AttributeEditor<'_>) + 'f;

/// A field that holds a message, and where it stands in the request.
#[derive(Clone, Copy)]
struct Nested<'a> {
    content: &'a [u8],
    number: u32,
    // Where the length, the content and what follows it start in the request.
    length: usize,
    start: usize,
    end: usize,
}

/// Notes the changes that `f` makes to the scopes of a request.
pub(super) fn edit_scopes(request: &[u8], patches: &mut Patches, f: &mut Change<'_>) {
    each(request, 0, 1, patches, &mut |group, patches| {
        let resource = view::ResourceGroup::new(group.content).resource();
        each(group.content, group.start, 2, patches, &mut |scopes, patches| {
            each(scopes.content, scopes.start, 1, patches, &mut |scope, patches| {
                let view = view::Scope::new(scope.content);
                let mut editor = AttributeEditor::new(scope.content, 3, Item::Scope, resource, Some(view));
                f(&mut editor);
                editor.note(scope.start, patches);
            });
        });
    });
}

/// Notes the changes that `f` makes to the items of a request.
pub(super) fn edit_items(signal: Signal, request: &[u8], patches: &mut Patches, f: &mut Change<'_>) {
    each(request, 0, 1, patches, &mut |group, patches| {
        let resource = view::ResourceGroup::new(group.content).resource();
        each(group.content, group.start, 2, patches, &mut |scope, patches| {
            let view = view::ScopeGroup::new(scope.content).scope();
            let mut editor = AttributeEditor::new(&[], 0, Item::Resource, resource, Some(view));
            each(scope.content, scope.start, 2, patches, &mut |item, patches| match signal {
                Signal::Traces => {
                    one(&mut editor, item, 9, Item::Span(view::Span::new(item.content)), patches, f);
                }
                Signal::Logs => {
                    one(&mut editor, item, 6, Item::LogRecord(view::LogRecord::new(item.content)), patches, f);
                }
                Signal::Metrics => points(&mut editor, item, patches, f),
            });
        });
    });
}

/// Goes through the data points of a metric. Where a metric has several members of data, all are gone through.
fn points<'a>(editor: &mut AttributeEditor<'a>, metric: &Nested<'a>, patches: &mut Patches, f: &mut Change<'_>) {
    let view = view::Metric::new(metric.content);
    each_if(metric.content, metric.start, is_data, patches, &mut |data, patches| {
        each(data.content, data.start, 1, patches, &mut |point, patches| {
            let (attributes, kind) = point_kind(data.number, point.content);
            one(editor, point, attributes, Item::Point(view, kind), patches, f);
        });
    });
}

/// The field number of the attributes in a data point, and its view, by the field of the metric that holds it.
fn point_kind(data: u32, content: &[u8]) -> (u32, view::Point<'_>) {
    match data {
        9 => (9, view::Point::Histogram(view::HistogramPoint::new(content))),
        10 => (1, view::Point::ExponentialHistogram(view::ExponentialHistogramPoint::new(content))),
        11 => (7, view::Point::Summary(view::SummaryPoint::new(content))),
        _ => (7, view::Point::Number(view::NumberPoint::new(content))),
    }
}

fn one<'a>(
    editor: &mut AttributeEditor<'a>,
    message: &Nested<'a>,
    attributes: u32,
    item: Item<'a>,
    patches: &mut Patches,
    f: &mut Change<'_>,
) {
    editor.turn_to(message.content, attributes, item);
    f(editor);
    editor.note(message.start, patches);
}

/// Goes through the messages in field `number` of a message that starts at `base`, and corrects the lengths of those in
/// which something changed.
fn each<'a>(
    message: &'a [u8],
    base: usize,
    number: u32,
    patches: &mut Patches,
    f: &mut dyn FnMut(&Nested<'a>, &mut Patches),
) {
    each_if(message, base, |other| other == number, patches, f);
}

fn each_if<'a>(
    message: &'a [u8],
    base: usize,
    wanted: impl Fn(u32) -> bool,
    patches: &mut Patches,
    f: &mut dyn FnMut(&Nested<'a>, &mut Patches),
) {
    for nested in Fields::new(message).filter(|field| wanted(field.number)).filter_map(|field| nested(&field, base)) {
        let open = patches.open(nested.length, nested.start, nested.end);
        f(&nested, patches);
        patches.close(&open);
    }
}

fn nested<'a>(field: &Field<'a>, base: usize) -> Option<Nested<'a>> {
    let content = field.bytes()?;
    let start = base + field.end - content.len();
    // All the fields that are gone through here have tags of one byte, but a tag may be written longer than it needs.
    let length = base + field.length;
    Some(Nested { content, number: field.number, length, start, end: base + field.end })
}
