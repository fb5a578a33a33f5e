//! The schema, compiled into what the walk looks up: for each message, what to do with each tag byte.
//!
//! All of it is computed by the compiler. A tag of one byte (field numbers up to 15, nearly all of OTLP) is an index
//! into the message's steps; longer tags are looked up in the short list of the message's high fields.

use crate::schema::{
    ANY_VALUE, EXPORT_LOGS_SERVICE_REQUEST, EXPORT_METRICS_SERVICE_REQUEST, EXPORT_TRACE_SERVICE_REQUEST, Field,
    KEY_VALUE, Kind, Label, Message,
};

/// What to do with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// Known field of another wire type, a group, or field number zero.
    Refuse,
    /// Varint, known or not.
    Varint,
    /// Eight bytes, known or not.
    Fixed64,
    /// Four bytes, known or not.
    Fixed32,
    /// Any bytes; also an unknown field of wire type 2.
    Bytes,
    /// UTF-8 text.
    Text,
    /// Nothing, or as many bytes as `next` says.
    Id,
    /// Packed eight-byte numbers.
    Packed64,
    /// Packed varints.
    PackedVarints,
    /// A message, the table of which is `next`.
    Message,
    /// A `KeyValue`: a message for which there is a fast way.
    KeyValue,
    /// A message that is one resource with what came from it.
    Resource,
    /// A message that is one item.
    Item,
    /// The data of a metric: of several members of the oneof only the last counts.
    Data,
}

/// What to do with a field, and with what.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) op: Op,
    pub(super) next: u8,
}

/// What to do with the fields of one message.
#[derive(Debug)]
pub(super) struct Table {
    /// By tag, for tags of one byte.
    pub(super) steps: [Step; 128],
    /// Fields above 15.
    high: &'static [Field],
}

/// How many messages OTLP has, and what a table index is masked with.
pub(super) const MESSAGES: usize = 64;

/// All messages of the three requests; the requests stand first, in the order of `Signal::ALL`.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) tables: [Table; MESSAGES],
}

pub(super) static PLAN: Plan = Plan { tables: compile(collect()) };

type Messages = [Option<&'static Message>; MESSAGES];

/// Every message that can be reached from the requests, each once.
const fn collect() -> Messages {
    let mut messages: Messages = [None; MESSAGES];
    messages[0] = Some(&EXPORT_TRACE_SERVICE_REQUEST);
    messages[1] = Some(&EXPORT_METRICS_SERVICE_REQUEST);
    messages[2] = Some(&EXPORT_LOGS_SERVICE_REQUEST);
    let (mut known, mut at) = (3, 0);
    while at < known {
        if let Some(message) = messages[at] {
            let mut index = 0;
            while index < message.fields.len() {
                if let Kind::Message(nested) = message.fields[index].kind
                    && position(&messages, nested) == MESSAGES
                {
                    messages[known] = Some(nested);
                    known += 1;
                }
                index += 1;
            }
        }
        at += 1;
    }
    messages
}

const fn compile(messages: Messages) -> [Table; MESSAGES] {
    let mut tables = [const { Table { steps: unknown(), high: &[] } }; MESSAGES];
    let mut at = 0;
    while at < MESSAGES {
        if let Some(message) = messages[at] {
            tables[at] = table(&messages, message);
        }
        at += 1;
    }
    tables
}

/// The steps of a message without known fields.
const fn unknown() -> [Step; 128] {
    let mut steps = [Step { op: Op::Refuse, next: 0 }; 128];
    let mut tag = 8;
    while tag < 128 {
        steps[tag].op = unknown_field(tag as u32 & 7);
        tag += 1;
    }
    steps
}

/// What to do with an unknown field of this wire type.
pub(super) const fn unknown_field(wire_type: u32) -> Op {
    match wire_type {
        0 => Op::Varint,
        1 => Op::Fixed64,
        2 => Op::Bytes,
        5 => Op::Fixed32,
        _ => Op::Refuse,
    }
}

const fn table(messages: &Messages, message: &'static Message) -> Table {
    let mut steps = unknown();
    let mut low = 0;
    while low < message.fields.len() && message.fields[low].number < 16 {
        let field = &message.fields[low];
        let mut wire_type = 0;
        while wire_type < 8 {
            steps[(field.number << 3 | wire_type) as usize] = step(messages, message, field, wire_type);
            wire_type += 1;
        }
        low += 1;
    }
    Table { steps, high: message.fields.split_at(low).1 }
}

/// What to do with a field of this message when it comes with this wire type.
const fn step(messages: &Messages, message: &Message, field: &Field, wire_type: u32) -> Step {
    let repeated = matches!(field.label, Label::Repeated);
    let (expected, op, next) = match field.kind {
        Kind::String => (2, Op::Text, 0),
        Kind::Bytes => (2, Op::Bytes, 0),
        Kind::Id(len) => (2, Op::Id, len),
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double if repeated && wire_type == 2 => (2, Op::Packed64, 0),
        Kind::Fixed64 | Kind::Sfixed64 | Kind::Double => (1, Op::Fixed64, 0),
        Kind::Fixed32 => (5, Op::Fixed32, 0),
        Kind::Message(nested) => (2, message_op(message, field, nested), position(messages, nested)),
        _ if repeated && wire_type == 2 => (2, Op::PackedVarints, 0),
        _ => (0, Op::Varint, 0),
    };
    if wire_type == expected { Step { op, next: next as u8 } } else { Step { op: Op::Refuse, next: 0 } }
}

const fn message_op(message: &Message, field: &Field, nested: &Message) -> Op {
    if same(nested.name, KEY_VALUE.name) {
        Op::KeyValue
    } else if is_item(field.name) {
        Op::Item
    } else if is_request(message) {
        Op::Resource
    } else if matches!(field.label, Label::OneOf) && !same(message.name, ANY_VALUE.name) {
        Op::Data
    } else {
        Op::Message
    }
}

const fn is_item(field: &str) -> bool {
    same(field, "spans") || same(field, "data_points") || same(field, "log_records")
}

const fn is_request(message: &Message) -> bool {
    same(message.name, EXPORT_TRACE_SERVICE_REQUEST.name)
        || same(message.name, EXPORT_METRICS_SERVICE_REQUEST.name)
        || same(message.name, EXPORT_LOGS_SERVICE_REQUEST.name)
}

const fn position(messages: &Messages, message: &Message) -> usize {
    let mut at = 0;
    while at < MESSAGES {
        if let Some(known) = messages[at]
            && same(known.name, message.name)
        {
            return at;
        }
        at += 1;
    }
    MESSAGES
}

const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut at = 0;
    while at < a.len() {
        if a[at] != b[at] {
            return false;
        }
        at += 1;
    }
    true
}

impl Table {
    /// What to do with a field whose tag is longer than one byte. (A tag can be longer than it needs to be.)
    pub(super) fn long_step(&self, number: u32, wire_type: u32) -> Step {
        if number < 16 {
            return self.steps[(number << 3 | wire_type) as usize & 127];
        }
        match self.high.iter().find(|field| field.number == number) {
            Some(field) => step(&[None; MESSAGES], &ANY_VALUE, field, wire_type),
            None => Step { op: unknown_field(wire_type), next: 0 },
        }
    }
}
