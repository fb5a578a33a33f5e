//! Spans.

use super::part::view;

view! {
    /// A span.
    Span {
        /// 16 bytes, or none.
        trace_id: bytes 1;
        /// 8 bytes, or none.
        span_id: bytes 2;
        /// W3C trace state.
        trace_state: text 3;
        /// 8 bytes, or none in a root span.
        parent_span_id: bytes 4;
        /// Name of the operation.
        name: text 5;
        /// `SpanKind`.
        kind: varint 6 as i32;
        /// Start, in nanoseconds since 1970.
        start_time_unix_nano: fixed64 7;
        /// End, in nanoseconds since 1970.
        end_time_unix_nano: fixed64 8;
        /// Its attributes.
        attributes: attributes 9;
        /// How many attributes the sender left out.
        dropped_attributes_count: varint 10 as u32;
        /// Its events.
        events: list 11 as Event<'a>;
        /// How many events the sender left out.
        dropped_events_count: varint 12 as u32;
        /// Its links.
        links: list 13 as Link<'a>;
        /// How many links the sender left out.
        dropped_links_count: varint 14 as u32;
        /// W3C trace flags and more.
        flags: fixed32 16;
    }
}

impl<'a> Span<'a> {
    /// How it ended.
    #[must_use]
    pub fn status(&self) -> Status<'a> {
        Status(self.0.nested(15))
    }
}

view! {
    /// Something that happened during a span.
    Event {
        /// When, in nanoseconds since 1970.
        time_unix_nano: fixed64 1;
        /// What.
        name: text 2;
        /// Its attributes.
        attributes: attributes 3;
        /// How many attributes the sender left out.
        dropped_attributes_count: varint 4 as u32;
    }
}

view! {
    /// A reference from a span to another.
    Link {
        /// 16 bytes, or none.
        trace_id: bytes 1;
        /// 8 bytes, or none.
        span_id: bytes 2;
        /// W3C trace state.
        trace_state: text 3;
        /// Its attributes.
        attributes: attributes 4;
        /// How many attributes the sender left out.
        dropped_attributes_count: varint 5 as u32;
        /// W3C trace flags and more.
        flags: fixed32 6;
    }
}

view! {
    /// How a span ended.
    Status {
        /// Why, if it failed.
        message: text 2;
        /// `StatusCode`: 0 unset, 1 ok, 2 error.
        code: varint 3 as i32;
    }
}
