//! What all signals share: the request, its resources and scopes, attributes and their values.

use super::part::{MessageFields, Part, view};
use super::{LogRecord, Metric, Span};
use crate::fields::Fields;

view! {
    /// An export request of any signal.
    Request {
        /// The resources, each with what came from it.
        resources: list 1 as ResourceGroup<'a>;
    }
}

/// `ResourceSpans`, `ResourceMetrics` or `ResourceLogs`.
#[derive(Debug, Clone, Copy)]
pub struct ResourceGroup<'a>(&'a [u8]);

impl<'a> ResourceGroup<'a> {
    /// A view of the message with this content.
    #[must_use]
    pub fn new(content: &'a [u8]) -> ResourceGroup<'a> {
        ResourceGroup(content)
    }

    /// The resource; empty if there is none.
    #[must_use]
    pub fn resource(&self) -> Resource<'a> {
        Resource(Part::within(self.0, 1))
    }

    /// The scopes, each with its items.
    pub fn scopes(&self) -> impl Iterator<Item = ScopeGroup<'a>> + Clone + use<'a> {
        Fields::new(self.0).messages(2).map(ScopeGroup)
    }

    /// Schema of the resource.
    #[must_use]
    pub fn schema_url(&self) -> &'a str {
        Part::whole(self.0).text(3)
    }
}

view! {
    /// What produced the telemetry.
    Resource {
        /// Its attributes.
        attributes: attributes 1;
        /// How many attributes the sender left out.
        dropped_attributes_count: varint 2 as u32;
        /// Which of the attributes name entities.
        entity_refs: list 3 as EntityRef<'a>;
    }
}

view! {
    /// Which attributes of a resource identify and describe an entity.
    EntityRef {
        /// Schema of the entity.
        schema_url: text 1;
        /// Type of the entity.
        entity_type: text 2;
        /// Keys of the attributes that identify it.
        id_keys: texts 3;
        /// Keys of the attributes that describe it.
        description_keys: texts 4;
    }
}

/// `ScopeSpans`, `ScopeMetrics` or `ScopeLogs`.
#[derive(Debug, Clone, Copy)]
pub struct ScopeGroup<'a>(&'a [u8]);

impl<'a> ScopeGroup<'a> {
    /// A view of the message with this content.
    #[must_use]
    pub fn new(content: &'a [u8]) -> ScopeGroup<'a> {
        ScopeGroup(content)
    }

    /// The instrumentation scope; empty if there is none.
    #[must_use]
    pub fn scope(&self) -> Scope<'a> {
        Scope(Part::within(self.0, 1))
    }

    /// The spans, if the signal is traces.
    pub fn spans(&self) -> impl Iterator<Item = Span<'a>> + Clone + use<'a> {
        Fields::new(self.0).messages(2).map(Span::new)
    }

    /// The metrics, if the signal is metrics.
    pub fn metrics(&self) -> impl Iterator<Item = Metric<'a>> + Clone + use<'a> {
        Fields::new(self.0).messages(2).map(Metric::new)
    }

    /// The log records, if the signal is logs.
    pub fn log_records(&self) -> impl Iterator<Item = LogRecord<'a>> + Clone + use<'a> {
        Fields::new(self.0).messages(2).map(LogRecord::new)
    }

    /// Schema of the items.
    #[must_use]
    pub fn schema_url(&self) -> &'a str {
        Part::whole(self.0).text(3)
    }
}

view! {
    /// The library that recorded the telemetry.
    Scope {
        /// Its name.
        name: text 1;
        /// Its version.
        version: text 2;
        /// Its attributes.
        attributes: attributes 3;
        /// How many attributes the sender left out.
        dropped_attributes_count: varint 4 as u32;
    }
}

/// A list of attributes; also a map value.
#[derive(Debug, Clone)]
pub struct Attributes<'a> {
    fields: MessageFields<'a>,
    number: u32,
}

impl<'a> Attributes<'a> {
    /// The `KeyValue`s in field `number` of a message.
    #[must_use]
    pub fn new(message: Part<'a>, number: u32) -> Attributes<'a> {
        Attributes { fields: message.fields(), number }
    }

    /// The value of the first attribute with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<AnyValue<'a>> {
        self.clone().find(|attribute| attribute.key_bytes() == key.as_bytes()).map(|attribute| attribute.value())
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = KeyValue<'a>;

    fn next(&mut self) -> Option<KeyValue<'a>> {
        let number = self.number;
        self.fields.by_ref().filter(|field| field.number == number).find_map(|field| field.bytes()).map(KeyValue)
    }
}

/// An attribute.
#[derive(Debug, Clone, Copy)]
pub struct KeyValue<'a>(&'a [u8]);

impl<'a> KeyValue<'a> {
    /// A view of the message with this content.
    #[must_use]
    pub fn new(content: &'a [u8]) -> KeyValue<'a> {
        KeyValue(content)
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> &'a str {
        Part::whole(self.0).text(1)
    }

    /// The key, not looked at as text.
    #[must_use]
    pub fn key_bytes(&self) -> &'a [u8] {
        Part::whole(self.0).bytes(1)
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> AnyValue<'a> {
        AnyValue::new(Part::whole(self.0).bytes(2))
    }

    /// Content of the whole `KeyValue` as it stands; for hashing or copying it.
    #[must_use]
    pub fn content(&self) -> &'a [u8] {
        self.0
    }
}

/// The value of an attribute, a map entry or a log body.
#[derive(Debug, Clone)]
pub enum AnyValue<'a> {
    /// No value, or one of a kind that we do not know.
    Empty,
    /// Text.
    Str(&'a str),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating point number.
    Double(f64),
    /// A list.
    Array(ArrayValue<'a>),
    /// Values by key.
    Map(Attributes<'a>),
    /// Any bytes.
    Bytes(&'a [u8]),
}

/// A list of values; iterates over them.
#[derive(Debug, Clone)]
pub struct ArrayValue<'a>(MessageFields<'a>);

impl<'a> AnyValue<'a> {
    /// The value in the `AnyValue` message with this content.
    #[must_use]
    pub fn new(content: &'a [u8]) -> AnyValue<'a> {
        let Some((from, number)) = last_member(content, |number| matches!(number, 1..=8)) else {
            return AnyValue::Empty;
        };
        let members = content.get(from..).unwrap_or_default();
        let scalar = Part::whole(members);
        match number {
            1 => AnyValue::Str(scalar.text(1)),
            2 => AnyValue::Bool(scalar.varint(2) != 0),
            3 => AnyValue::Int(scalar.varint(3).cast_signed()),
            4 => AnyValue::Double(scalar.double(4).unwrap_or_default()),
            5 => AnyValue::Array(ArrayValue(Part::within(members, 5).fields())),
            6 => AnyValue::Map(Attributes::new(Part::within(members, 6), 1)),
            7 => AnyValue::Bytes(scalar.bytes(7)),
            _ => AnyValue::Empty,
        }
    }

    /// The text, if it is text.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match self {
            AnyValue::Str(text) => Some(text),
            _ => None,
        }
    }
}

impl<'a> Iterator for ArrayValue<'a> {
    type Item = AnyValue<'a>;

    fn next(&mut self) -> Option<AnyValue<'a>> {
        self.0.by_ref().filter(|field| field.number == 1).find_map(|field| field.bytes()).map(AnyValue::new)
    }
}

/// Which member of a oneof counts: the number of the last one, and the offset from which only that one stands. (A message
/// member that stands several times is merged, but what came before another member is forgotten.)
pub(crate) fn last_member(content: &[u8], is_member: impl Fn(u32) -> bool) -> Option<(usize, u32)> {
    let mut last = None;
    for field in Fields::new(content).filter(|field| is_member(field.number)) {
        match last {
            Some((_, number)) if number == field.number => {}
            _ => last = Some((field.start, field.number)),
        }
    }
    last
}
