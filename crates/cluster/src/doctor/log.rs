//! Lines of the agent's own log: `2026-11-01T12:00:00.000Z<tab>warn<tab>Text<tab>{"key": "value"}`, or JSON with the same.

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::snapshot::Seen;
use crate::snapshot::inside::Inside;

/// One line.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Line {
    pub(super) time: Option<Timestamp>,
    pub(super) text: String,
    pub(super) fields: Map<String, Value>,
}

/// Those that can be read, the oldest first.
pub(super) fn lines(inside: &Inside) -> impl DoubleEndedIterator<Item = Line> {
    let lines = inside.log.as_ref().and_then(Seen::some).map(Vec::as_slice).unwrap_or_default();
    lines.iter().filter_map(|line| read(line))
}

fn read(line: &str) -> Option<Line> {
    if line.starts_with('{') {
        let fields: Map<String, Value> = serde_json::from_str(line).ok()?;
        let text =
            |keys: &[&str]| keys.iter().find_map(|key| fields.get(*key)?.as_str()).unwrap_or_default().to_owned();
        let time = text(&["ts", "time", "timestamp"]).parse().ok();
        return Some(Line { time, text: text(&["msg", "message"]), fields });
    }
    let mut parts = line.split('\t');
    let time = parts.next()?.parse().ok()?;
    let _level = parts.next()?;
    let text = parts.next()?.to_owned();
    let fields = parts.next_back().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    Some(Line { time: Some(time), text, fields })
}

impl Line {
    /// The text of a field; empty if there is none.
    pub(super) fn field(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// How old it was at a time, in seconds; very old if it does not say.
    pub(super) fn age(&self, now: Timestamp) -> i64 {
        self.time.map_or(i64::MAX, |time| now.duration_since(time).as_secs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_are_read() {
        let console = read("2026-11-01T12:00:00.000Z\tinfo\tExporting failed.\t{\"error\": \"no\", \"n\": 1}").unwrap();
        assert_eq!(
            (console.text.as_str(), console.field("error"), console.field("n")),
            ("Exporting failed.", "no", "")
        );
        assert_eq!(console.age("2026-11-01T12:01:00Z".parse().unwrap()), 60);
        let json =
            read(r#"{"level":"info","ts":"2026-11-01T12:00:00.000Z","msg":"Exporting failed.","error":"no"}"#).unwrap();
        assert_eq!((json.time, json.text.as_str(), json.field("error")), (console.time, "Exporting failed.", "no"));
        assert_eq!(read("thread 'main' panicked"), None);
    }
}
