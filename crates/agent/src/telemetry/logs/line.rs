//! One line of the log: an event's message and fields, and how it is written.

use std::fmt::{Debug, Write};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use super::{Active, Encoding, VERBATIM};

/// An event as it will be written.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) message: String,
    pub(super) fields: Map<String, Value>,
    /// It is [`VERBATIM`].
    pub(super) verbatim: bool,
}

impl Line {
    /// Reads the event's message and fields.
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let (message, verbatim) = (String::new(), metadata.target() == VERBATIM);
        let mut line = Self { level: *metadata.level(), message, fields: Map::new(), verbatim };
        event.record(&mut line);
        line
    }

    /// The component that a line is about; lines of different components are counted apart.
    pub(super) fn component(&self) -> Option<&str> {
        ["exporter", "receiver", "processor"].iter().find_map(|kind| self.fields.get(*kind)?.as_str())
    }

    /// The line as text, with the line feed.
    pub(super) fn encode(&self, active: &Active, colour: bool) -> String {
        let time = now();
        let mut text = match active.encoding {
            Encoding::Console => self.console(&time, &active.initial_fields, colour),
            Encoding::Json => self.json(&time, &active.initial_fields),
        };
        text.push('\n');
        text
    }

    fn console(&self, time: &str, initial: &Map<String, Value>, colour: bool) -> String {
        let level = level_name(self.level);
        let mut text = match level_colour(self.level) {
            Some(style) if colour => format!("{time}\t{style}{level}{style:#}\t"),
            _ => format!("{time}\t{level}\t"),
        };
        match self.verbatim {
            true => push_printable_lines(&mut text, &self.message),
            false => push_printable(&mut text, &self.message),
        }
        let mut separator = "\t{";
        for (name, value) in initial.iter().chain(&self.fields) {
            text.push_str(separator);
            push_printable(&mut text, &format!("{}: {value}", Value::from(name.as_str())));
            separator = ", ";
        }
        if separator == ", " {
            text.push('}');
        }
        text
    }

    fn json(&self, time: &str, initial: &Map<String, Value>) -> String {
        let mut object = Map::new();
        object.insert("level".to_owned(), level_name(self.level).into());
        object.insert("ts".to_owned(), time.into());
        object.insert("msg".to_owned(), self.message.as_str().into());
        let fields = initial.iter().chain(&self.fields);
        object.extend(fields.map(|(name, value)| (name.clone(), value.clone())));
        let mut text = String::new();
        push_printable(&mut text, &Value::Object(object).to_string());
        text
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        let mut text = value.to_string();
        let mut cause = value.source();
        while let Some(next) = cause {
            let _ = write!(text, ": {next}");
            cause = next.source();
        }
        self.put(field, text.into());
    }
}

impl Line {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(message)) => self.message = message,
            (name, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }
}

fn now() -> String {
    format!("{:.3}", jiff::Timestamp::now())
}

fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        _ => "debug",
    }
}

fn level_colour(level: Level) -> Option<anstyle::Style> {
    let colour = match level {
        Level::ERROR => anstyle::AnsiColor::Red,
        Level::WARN => anstyle::AnsiColor::Yellow,
        Level::INFO => anstyle::AnsiColor::Blue,
        _ => return None,
    };
    Some(colour.on_default())
}

/// Appends text without anything that could move a terminal's cursor, change its colours, break the line or turn the
/// direction of reading. What is replaced becomes a JSON escape, so that JSON stays JSON.
fn push_printable(text: &mut String, raw: &str) {
    for character in raw.chars() {
        match character {
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            unsafe_to_print if unsafe_to_print.is_control() || turns_direction(unsafe_to_print) => {
                let _ = write!(text, "\\u{:04x}", u32::from(unsafe_to_print));
            }
            printable => text.push(printable),
        }
    }
}

fn push_printable_lines(text: &mut String, raw: &str) {
    for (index, line) in raw.split('\n').enumerate() {
        if index > 0 {
            text.push('\n');
        }
        push_printable(text, line);
    }
}

fn turns_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
