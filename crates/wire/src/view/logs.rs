//! Log records.

use super::AnyValue;
use super::part::view;

view! {
    /// A log record.
    LogRecord {
        /// When it happened, in nanoseconds since 1970; 0 if unknown.
        time_unix_nano: fixed64 1;
        /// When it was seen, in nanoseconds since 1970.
        observed_time_unix_nano: fixed64 11;
        /// `SeverityNumber`.
        severity_number: varint 2 as i32;
        /// The severity as the source wrote it.
        severity_text: text 3;
        /// Its attributes.
        attributes: attributes 6;
        /// How many attributes the sender left out.
        dropped_attributes_count: varint 7 as u32;
        /// W3C trace flags and more.
        flags: fixed32 8;
        /// 16 bytes, or none.
        trace_id: bytes 9;
        /// 8 bytes, or none.
        span_id: bytes 10;
        /// Name of the event, if the record is one.
        event_name: text 12;
    }
}

impl<'a> LogRecord<'a> {
    /// What was logged. (Given twice, the last one is read.)
    #[must_use]
    pub fn body(&self) -> AnyValue<'a> {
        AnyValue::new(self.0.bytes(5))
    }
}
