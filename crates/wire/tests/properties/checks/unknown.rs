//! Fields that the schema does not know, and shapes that no encoder makes, found by a plain walk over the schema.

use std::collections::BTreeMap;

use wire::Signal;
use wire::fields::Fields;
use wire::schema::{ANY_VALUE, KEY_VALUE, Kind, LOG_RECORD, METRIC, Message};

/// Every unknown field that was there before is there after, in the same kind of message. (In attributes, which may
/// have been deleted, they are not looked for.)
pub(crate) fn survive(signal: Signal, before: &[u8], after: &[u8]) {
    let (before, after) = (collect(signal, before), collect(signal, after));
    for (field, times) in before {
        let now = after.get(&field).copied().unwrap_or_default();
        assert!(now >= times.min(1), "lost {field:?}");
    }
}

type Unknown = BTreeMap<(&'static str, Vec<u8>), usize>;

fn collect(signal: Signal, bytes: &[u8]) -> Unknown {
    let mut found = Unknown::new();
    each_message(signal.request(), bytes, &mut |message, content| {
        for field in
            Fields::new(content).filter(|field| !message.fields.iter().any(|known| known.number == field.number))
        {
            *found.entry((message.name, content[field.start..field.end].to_vec())).or_default() += 1;
        }
    });
    found
}

/// Whether an attribute or a log record has several values in one, which the views do not merge, or a value is an index
/// into the texts of a profile, which they do not show.
pub(crate) fn has_strange_values(signal: Signal, bytes: &[u8]) -> bool {
    let mut found = false;
    each_message_with_values(signal.request(), bytes, &mut |message, content| {
        let (number, most) = match message.name {
            name if name == KEY_VALUE.name => (2, 1),
            name if name == LOG_RECORD.name => (5, 1),
            name if name == ANY_VALUE.name => (8, 0),
            _ => return,
        };
        found |= Fields::new(content).filter(|field| field.number == number).count() > most;
    });
    found
}

/// Whether a metric has several members of its data.
pub(crate) fn has_merged_data(signal: Signal, bytes: &[u8]) -> bool {
    let mut found = false;
    each_message(signal.request(), bytes, &mut |message, content| {
        if message.name == METRIC.name {
            found |= Fields::new(content).filter(|field| matches!(field.number, 5 | 7 | 9 | 10 | 11)).count() > 1;
        }
    });
    found
}

/// Every message but attributes.
fn each_message(message: &'static Message, content: &[u8], f: &mut dyn FnMut(&'static Message, &[u8])) {
    if message.name != KEY_VALUE.name {
        each_message_with(message, content, f, &each_message);
    }
}

fn each_message_with_values(message: &'static Message, content: &[u8], f: &mut dyn FnMut(&'static Message, &[u8])) {
    each_message_with(message, content, f, &each_message_with_values);
}

type Walk = dyn Fn(&'static Message, &[u8], &mut dyn FnMut(&'static Message, &[u8]));

fn each_message_with(
    message: &'static Message,
    content: &[u8],
    f: &mut dyn FnMut(&'static Message, &[u8]),
    inside: &Walk,
) {
    f(message, content);
    for field in Fields::new(content) {
        let known = message.fields.iter().find(|known| known.number == field.number);
        if let (Some(Kind::Message(nested)), Some(content)) = (known.map(|known| known.kind), field.bytes()) {
            inside(nested, content, f);
        }
    }
}
