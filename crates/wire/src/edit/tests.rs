use bytes::Bytes;

use super::*;
use crate::{Value, view, write};

/// Groups of a request, each written by one of these.
type Fill<'a> = &'a dyn Fn(&mut Vec<u8>);

fn request(groups: &[Fill<'_>]) -> Vec<u8> {
    let mut out = Vec::new();
    groups.iter().for_each(|fill| write::message_field(&mut out, 1, fill));
    out
}

fn resource(out: &mut Vec<u8>, attributes: &[(&str, &str)]) {
    write::message_field(out, 1, |out| {
        attributes.iter().for_each(|(key, value)| write::key_value_field(out, 1, key, &Value::from(*value)));
    });
}

fn scope(out: &mut Vec<u8>) {
    write::message_field(out, 2, |out| write::message_field(out, 2, |out| write::bytes_field(out, 5, b"GET /items")));
}

/// The resource attributes of each group, as `key=value` in order.
fn attributes(request: &Chain) -> Vec<String> {
    let bytes = request.contiguous();
    crate::skim(Signal::Traces, &bytes).expect("valid");
    let list = |group: view::ResourceGroup<'_>| {
        let text = |attribute: view::KeyValue<'_>| match attribute.value() {
            view::AnyValue::Str(value) => format!("{}={value}", attribute.key()),
            other => format!("{}={other:?}", attribute.key()),
        };
        group.resource().attributes().map(text).collect::<Vec<_>>().join(" ")
    };
    view::Request::new(&bytes).resources().map(list).collect()
}

fn edits(list: &[(Action, &str, &str)]) -> Edits {
    let mut edits = Edits::new();
    list.iter().for_each(|(action, key, value)| edits.set(*action, key, &Value::from(*value)));
    edits
}

fn check(request: impl Into<Vec<u8>>, list: &[(Action, &str, &str)], expected: &[&str]) {
    let request = request.into();
    let spliced = splice(Signal::Traces, &Chain::from(request.clone()), &edits(list));
    assert_eq!(attributes(&spliced), expected);
    // And the same with a slice for every byte.
    let bytes = request.iter().map(|byte| Bytes::from(vec![*byte])).collect();
    assert_eq!(attributes(&splice(Signal::Traces, &bytes, &edits(list))), expected);
}

use Action::{Delete, Fill as FillIn, Insert, Update, Upsert};

#[test]
fn inserts_what_is_absent_and_leaves_what_is_there() {
    let given = request(&[&|out| resource(out, &[("a", "1")])]);
    check(given, &[(Insert, "a", "2"), (Insert, "b", "2")], &["a=1 b=2"]);
}

#[test]
fn updates_only_what_is_there() {
    let given = request(&[&|out| resource(out, &[("a", "1"), ("b", "1")])]);
    check(given, &[(Update, "a", "2"), (Update, "c", "2")], &["a=2 b=1"]);
}

#[test]
fn upserts_both() {
    let given = request(&[&|out| resource(out, &[("a", "1")])]);
    check(given, &[(Upsert, "a", "2"), (Upsert, "b", "2")], &["a=2 b=2"]);
}

#[test]
fn fills_in_what_is_absent_or_empty() {
    let given = request(&[&|out| resource(out, &[("a", ""), ("b", "1")])]);
    check(given, &[(FillIn, "a", "2"), (FillIn, "b", "2"), (FillIn, "c", "2")], &["a=2 b=1 c=2"]);
}

#[test]
fn deletes_first_last_and_all() {
    let given = request(&[&|out| resource(out, &[("a", "1"), ("b", "1"), ("c", "1")])]);
    check(given.clone(), &[(Delete, "a", "")], &["b=1 c=1"]);
    check(given.clone(), &[(Delete, "c", "")], &["a=1 b=1"]);
    check(given, &[(Delete, "a", ""), (Delete, "b", ""), (Delete, "c", "")], &[""]);
}

#[test]
fn edits_are_made_in_their_order() {
    let given = request(&[&|out| resource(out, &[("a", "1")])]);
    check(given.clone(), &[(Delete, "a", ""), (Insert, "a", "2")], &["a=2"]);
    check(given, &[(Upsert, "b", "1"), (Update, "b", "2"), (Delete, "a", "")], &["b=2"]);
}

#[test]
fn a_key_that_is_given_twice_stands_once_when_it_was_edited() {
    let given = request(&[&|out| resource(out, &[("a", "1"), ("b", "1"), ("a", "2")])]);
    check(given.clone(), &[(Upsert, "a", "3")], &["a=3 b=1"]);
    check(given.clone(), &[(Delete, "a", "")], &["b=1"]);
    check(given, &[(Insert, "a", "3")], &["a=1 b=1 a=2"]);
}

#[test]
fn the_resource_may_stand_last() {
    let given = request(&[&|out| {
        scope(out);
        resource(out, &[("a", "1")]);
    }]);
    check(given, &[(Upsert, "b", "2")], &["a=1 b=2"]);
}

#[test]
fn a_missing_resource_is_made_only_if_something_is_put_into_it() {
    let given = request(&[&scope]);
    check(given.clone(), &[(Upsert, "b", "2")], &["b=2"]);
    let untouched = splice(Signal::Traces, &Chain::from(given.clone()), &edits(&[(Update, "b", "2")]));
    assert_eq!(untouched.contiguous(), given);
}

#[test]
fn an_empty_resource_and_an_empty_group_are_filled() {
    check(request(&[&|out| resource(out, &[])]), &[(Insert, "b", "2")], &["b=2"]);
    check(request(&[&|_| {}]), &[(Insert, "b", "2")], &["b=2"]);
    check(Vec::new(), &[(Insert, "b", "2")], &[]);
}

#[test]
fn a_resource_given_twice_becomes_one() {
    let given = request(&[&|out| {
        resource(out, &[("a", "1")]);
        scope(out);
        resource(out, &[("b", "1")]);
    }]);
    check(given.clone(), &[(Upsert, "b", "2"), (Insert, "c", "2")], &["a=1 b=2 c=2"]);
    let spliced = splice(Signal::Traces, &Chain::from(given), &edits(&[(Upsert, "b", "2")])).contiguous();
    let group = crate::fields::Fields::new(&spliced).messages(1).next().expect("a group");
    assert_eq!(crate::fields::Fields::new(group).messages(1).count(), 1);
}

#[test]
fn every_resource_is_edited() {
    let given = request(&[&|out| resource(out, &[("a", "1")]), &scope, &|out| resource(out, &[("b", "1")])]);
    check(given, &[(Insert, "b", "2")], &["a=1 b=2", "b=2", "b=1"]);
}

#[test]
fn lengths_grow_from_one_byte_to_two() {
    for len in 90..140 {
        let given = request(&[&|out| {
            resource(out, &[("a", "1")]);
            scope(out);
        }]);
        let long = "x".repeat(len);
        check(given, &[(Upsert, "b", &long)], &[&format!("a=1 b={long}")]);
    }
}

#[test]
fn counts_of_dropped_attributes_stay() {
    let given = request(&[&|out| {
        write::message_field(out, 1, |out| {
            write::varint_field(out, 2, 7);
            write::key_value_field(out, 1, "a", &Value::from("1"));
        });
    }]);
    let spliced = splice(Signal::Traces, &Chain::from(given), &edits(&[(Delete, "a", "")])).contiguous();
    let group = view::Request::new(&spliced).resources().next().expect("a group");
    assert_eq!(group.resource().dropped_attributes_count(), 7);
}

#[test]
fn unknown_fields_of_an_edited_attribute_stay() {
    let given = request(&[&|out| {
        write::message_field(out, 1, |out| {
            write::message_field(out, 1, |out| {
                write::varint_field(out, 99, 5);
                write::key_value(out, "a", &Value::from("1"));
                write::varint_field(out, 98, 6);
            });
        });
    }]);
    let spliced = splice(Signal::Traces, &Chain::from(given), &edits(&[(Update, "a", "2")])).contiguous();
    assert_eq!(attributes(&Chain::from(spliced.clone())), ["a=2"]);
    let group = view::Request::new(&spliced).resources().next().expect("a group");
    let attribute = group.resource().attributes().next().expect("an attribute");
    let numbers: Vec<u32> = crate::fields::Fields::new(attribute.content()).map(|field| field.number).collect();
    assert_eq!(numbers, [99, 1, 98, 2]);
}

#[test]
fn a_large_rest_is_shared_and_a_small_one_copied() {
    let with_body = |len: usize| {
        request(&[&|out| {
            resource(out, &[("a", "1")]);
            write::bytes_field(out, 1000, &vec![7; len]);
        }])
    };
    let large = Chain::from(with_body(100_000));
    let spliced = splice(Signal::Traces, &large, &edits(&[(Insert, "b", "2")]));
    assert_eq!(spliced.slices().len(), 2);
    let (source, rest) = (&large.slices()[0], &spliced.slices()[1]);
    assert_eq!(rest.as_ptr_range().end, source.as_ptr_range().end);
    let spliced = splice(Signal::Traces, &Chain::from(with_body(100)), &edits(&[(Insert, "b", "2")]));
    assert_eq!(spliced.slices().len(), 1);
}

#[test]
fn the_editor_reads_what_it_has_written() {
    let given = Chain::from(request(&[&|out| resource(out, &[("a", "1"), ("b", "2")])]));
    let mut seen = Vec::new();
    let edited = edit(Signal::Traces, &given, Level::Resource, &mut |editor| {
        editor.upsert("a", &Value::from("changed"));
        seen.push(editor.get("a").and_then(|value| value.as_str().map(str::to_owned)));
        assert!(editor.delete("b") && !editor.delete("b"));
        seen.push(editor.get("b").and_then(|value| value.as_str().map(str::to_owned)));
        editor.insert("c", &Value::Int(5));
        editor.retain(|attribute| attribute.key() != "a");
        assert_eq!(editor.iter().count(), 1);
    });
    assert_eq!(seen, [Some("changed".to_owned()), None]);
    assert_eq!(attributes(&edited), ["c=Int(5)"]);
}

#[test]
fn an_item_is_edited_with_what_stands_around_it_in_view() {
    let given = Chain::from(request(&[&|out| {
        resource(out, &[("service.name", "shop")]);
        scope(out);
    }]));
    let edited = edit(Signal::Traces, &given, Level::Item, &mut |editor| {
        let Item::Span(span) = editor.item() else {
            unreachable!("traces have spans");
        };
        let service = editor.resource().attributes().get("service.name");
        let label = format!("{} of {}", span.name(), service.and_then(|name| name.as_str()).unwrap_or("?"));
        editor.upsert("label", &Value::from(label));
    });
    let bytes = edited.contiguous();
    let group = view::Request::new(&bytes).resources().next().expect("a group");
    let span = group.scopes().next().and_then(|scope| scope.spans().next()).expect("a span");
    assert_eq!(span.attributes().get("label").and_then(|value| value.as_str()), Some("GET /items of shop"));
}

#[test]
fn scopes_that_are_there_are_edited() {
    let given = Chain::from(request(&[&|out| {
        write::message_field(out, 2, |out| write::message_field(out, 1, |out| write::bytes_field(out, 1, b"lib")));
        scope(out);
    }]));
    let edited =
        edit(Signal::Traces, &given, Level::Scope, &mut |editor| editor.insert("a", &Value::Bool(true))).contiguous();
    let group = view::Request::new(&edited).resources().next().expect("a group");
    let counts: Vec<usize> = group.scopes().map(|scope| scope.scope().attributes().count()).collect();
    assert_eq!(counts, [1, 0]);
}
