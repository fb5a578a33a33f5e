//! The schema table against the descriptor that the OpenTelemetry project publishes.

use std::collections::BTreeMap;

use prost::Message as _;
use prost_types::field_descriptor_proto::{Label as ProtoLabel, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorSet};
use wire::Signal;
use wire::schema::{Enum, Field, Kind, Label, Message};

#[derive(Default)]
struct Published {
    messages: BTreeMap<String, DescriptorProto>,
    enums: BTreeMap<String, EnumDescriptorProto>,
}

impl Published {
    fn read() -> Published {
        let set =
            FileDescriptorSet::decode(opentelemetry_proto::DESCRIPTORS).expect("the published descriptor is valid");
        let mut published = Published::default();
        for file in set.file {
            let package = file.package().to_owned();
            file.message_type.into_iter().for_each(|message| published.add(&package, message));
            for of_file in file.enum_type {
                published.enums.insert(format!("{package}.{}", of_file.name()), of_file);
            }
        }
        published
    }

    fn add(&mut self, outer: &str, mut message: DescriptorProto) {
        let name = format!("{outer}.{}", message.name());
        std::mem::take(&mut message.nested_type).into_iter().for_each(|nested| self.add(&name, nested));
        for of_message in std::mem::take(&mut message.enum_type) {
            self.enums.insert(format!("{name}.{}", of_message.name()), of_message);
        }
        self.messages.insert(name, message);
    }
}

/// Every message that can be reached from the requests, by name.
fn reachable() -> BTreeMap<&'static str, &'static Message> {
    let mut found = BTreeMap::new();
    let mut next: Vec<&'static Message> = Signal::ALL.iter().map(|signal| signal.request()).collect();
    while let Some(message) = next.pop() {
        if found.insert(message.name, message).is_none() {
            next.extend(message.fields.iter().filter_map(|field| match field.kind {
                Kind::Message(nested) => Some(nested),
                _ => None,
            }));
        }
    }
    found
}

#[test]
fn the_table_has_exactly_the_published_fields() {
    let published = Published::read();
    for (name, message) in reachable() {
        let theirs = &published.messages[name];
        let mut theirs: Vec<&FieldDescriptorProto> = theirs.field.iter().collect();
        theirs.sort_by_key(|field| field.number());
        let numbers: Vec<i32> = theirs.iter().map(|field| field.number()).collect();
        let ours: Vec<i32> = message.fields.iter().map(|field| field.number as i32).collect();
        assert_eq!(ours, numbers, "fields of {name}");
        for (ours, theirs) in message.fields.iter().zip(theirs) {
            assert_same(name, ours, theirs);
        }
    }
}

fn assert_same(message: &str, ours: &Field, theirs: &FieldDescriptorProto) {
    let at = format!("{message}.{}", ours.name);
    assert_eq!(ours.name, theirs.name(), "{at}");
    assert_eq!(ours.json_name, theirs.json_name(), "{at}");
    assert_eq!(ours.label, label(theirs), "{at}");
    let r#type = match ours.kind {
        Kind::String => Type::String,
        Kind::Bytes | Kind::Id(_) => Type::Bytes,
        Kind::Bool => Type::Bool,
        Kind::Int32 => Type::Int32,
        Kind::Int64 => Type::Int64,
        Kind::Uint32 => Type::Uint32,
        Kind::Uint64 => Type::Uint64,
        Kind::Sint32 => Type::Sint32,
        Kind::Fixed64 => Type::Fixed64,
        Kind::Sfixed64 => Type::Sfixed64,
        Kind::Fixed32 => Type::Fixed32,
        Kind::Double => Type::Double,
        Kind::Enum(of) => {
            assert_eq!(format!(".{}", of.name), theirs.type_name(), "{at}");
            Type::Enum
        }
        Kind::Message(nested) => {
            assert_eq!(format!(".{}", nested.name), theirs.type_name(), "{at}");
            Type::Message
        }
    };
    assert_eq!(r#type, theirs.r#type(), "{at}");
}

fn label(theirs: &FieldDescriptorProto) -> Label {
    match theirs.label() {
        ProtoLabel::Repeated => Label::Repeated,
        _ if theirs.proto3_optional() => Label::Optional,
        _ if theirs.oneof_index.is_some() => Label::OneOf,
        _ => Label::Single,
    }
}

#[test]
fn ids_are_what_the_specification_calls_ids() {
    for (name, message) in reachable() {
        for field in message.fields {
            let expected = match field.name {
                "trace_id" => Some(16),
                "span_id" | "parent_span_id" => Some(8),
                _ => None,
            };
            let actual = match field.kind {
                Kind::Id(len) => Some(len),
                _ => None,
            };
            assert_eq!(actual, expected, "{name}.{}", field.name);
        }
    }
}

#[test]
fn the_table_has_exactly_the_published_enum_values() {
    let published = Published::read();
    let fields = reachable().into_values().flat_map(|message| message.fields);
    let enums = fields.filter_map(|field| match field.kind {
        Kind::Enum(of) => Some(of),
        _ => None,
    });
    for ours in enums {
        assert_same_values(ours, &published.enums[ours.name]);
    }
}

fn assert_same_values(ours: &Enum, theirs: &EnumDescriptorProto) {
    let mut theirs: Vec<(i32, &str)> = theirs.value.iter().map(|value| (value.number(), value.name())).collect();
    theirs.sort_unstable();
    let mut values = ours.values.to_vec();
    values.sort_unstable();
    assert_eq!(values, theirs, "{}", ours.name);
}
