//! What all views stand on: a message that may be given in several parts, and the accessors for its fields.

use crate::fields::{Field, FieldValue, Fields, varint};

/// The content of a message. protobuf lets a field that holds one message stand several times and merges what it finds,
/// so the content is either one slice, or all fields of one number in the enclosing message.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    bytes: &'a [u8],
    // 0: `bytes` is the content; otherwise the number of the fields in `bytes` that hold it.
    number: u32,
}

/// Iterator over the fields of a [`Part`]. The offsets in the fields are relative to the slice that holds them.
#[derive(Debug, Clone)]
pub struct MessageFields<'a> {
    outer: Fields<'a>,
    number: u32,
    inner: Fields<'a>,
}

impl<'a> Part<'a> {
    /// A message whose content is this slice.
    #[must_use]
    pub fn whole(content: &'a [u8]) -> Part<'a> {
        Part { bytes: content, number: 0 }
    }

    /// The message in field `number` of the message with content `outer`.
    #[must_use]
    pub fn within(outer: &'a [u8], number: u32) -> Part<'a> {
        Part { bytes: outer, number }
    }

    /// The fields, in the order in which they stand.
    #[must_use]
    pub fn fields(&self) -> MessageFields<'a> {
        match self.number {
            0 => MessageFields { outer: Fields::default(), number: 0, inner: Fields::new(self.bytes) },
            number => MessageFields { outer: Fields::new(self.bytes), number, inner: Fields::default() },
        }
    }

    /// The message in field `number` of this one; merged if this one is given in one slice, else the last one.
    pub(crate) fn nested(&self, number: u32) -> Part<'a> {
        if self.number == 0 { Part::within(self.bytes, number) } else { Part::whole(self.bytes(number)) }
    }

    /// The slice that holds the message.
    pub(crate) fn slice(&self) -> &'a [u8] {
        self.bytes
    }

    pub(crate) fn last(&self, number: u32) -> Option<Field<'a>> {
        self.fields().filter(|field| field.number == number).last()
    }

    pub(crate) fn text(&self, number: u32) -> &'a str {
        self.last(number).and_then(|field| field.text()).unwrap_or_default()
    }

    pub(crate) fn bytes(&self, number: u32) -> &'a [u8] {
        self.last(number).and_then(|field| field.bytes()).unwrap_or_default()
    }

    pub(crate) fn varint(&self, number: u32) -> u64 {
        self.last(number).and_then(|field| field.varint()).unwrap_or_default()
    }

    pub(crate) fn fixed64(&self, number: u32) -> u64 {
        self.last(number).and_then(|field| field.fixed64()).unwrap_or_default()
    }

    pub(crate) fn fixed32(&self, number: u32) -> u32 {
        self.last(number).and_then(|field| field.fixed32()).unwrap_or_default()
    }

    pub(crate) fn double(&self, number: u32) -> Option<f64> {
        self.last(number).and_then(|field| field.double())
    }

    pub(crate) fn messages(&self, number: u32) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a> {
        self.fields().filter(move |field| field.number == number).filter_map(|field| field.bytes())
    }
}

impl<'a> Iterator for MessageFields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            if let Some(field) = self.inner.next() {
                return Some(field);
            }
            let outer = self.outer.next()?;
            if let (true, Some(content)) = (outer.number == self.number, outer.bytes()) {
                self.inner = Fields::new(content);
            }
        }
    }
}

/// Iterator over a repeated number field, packed or not, as raw 64-bit values.
#[derive(Debug, Clone)]
pub struct Numbers<'a> {
    fields: MessageFields<'a>,
    number: u32,
    packed: &'a [u8],
    fixed: bool,
}

impl<'a> Numbers<'a> {
    pub(crate) fn fixed64(part: &Part<'a>, number: u32) -> Numbers<'a> {
        Numbers { fields: part.fields(), number, packed: &[], fixed: true }
    }

    pub(crate) fn varints(part: &Part<'a>, number: u32) -> Numbers<'a> {
        Numbers { fields: part.fields(), number, packed: &[], fixed: false }
    }

    fn unpack(&mut self) -> Option<u64> {
        let (value, rest) = if self.fixed {
            let (value, rest) = self.packed.split_first_chunk::<8>()?;
            (u64::from_le_bytes(*value), rest)
        } else {
            let (value, end) = varint(self.packed, 0)?;
            (value, self.packed.get(end..)?)
        };
        self.packed = rest;
        Some(value)
    }
}

impl Iterator for Numbers<'_> {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        loop {
            if let Some(value) = self.unpack() {
                return Some(value);
            }
            let number = self.number;
            match self.fields.find(|field| field.number == number)?.value {
                FieldValue::Bytes(packed) => self.packed = packed,
                FieldValue::Varint(value) | FieldValue::Fixed64(value) => return Some(value),
                FieldValue::Fixed32(value) => return Some(u64::from(value)),
            }
        }
    }
}

/// Declares a view: a `Copy` struct around a [`Part`], with an accessor for each line `name: kind number`.
macro_rules! view {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:tt $number:literal $(as $ty:ty)?;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        pub struct $name<'a>(pub(crate) $crate::view::Part<'a>);

        impl<'a> $name<'a> {
            /// A view of the message with this content.
            #[must_use]
            pub fn new(content: &'a [u8]) -> $name<'a> {
                $name($crate::view::Part::whole(content))
            }

            /// Every field as it stands, the unknown ones too.
            #[must_use]
            pub fn fields(&self) -> $crate::view::MessageFields<'a> {
                self.0.fields()
            }

            $($crate::view::part::accessor!($(#[$field_doc])* $field $kind $number $($ty)?);)*
        }
    };
}

/// One accessor of a view.
macro_rules! accessor {
    ($(#[$doc:meta])* $name:ident text $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> &'a str { self.0.text($number) }
    };
    ($(#[$doc:meta])* $name:ident bytes $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> &'a [u8] { self.0.bytes($number) }
    };
    ($(#[$doc:meta])* $name:ident varint $number:literal $ty:ty) => {
        // Narrower types take the low bits, as every protobuf decoder does.
        $(#[$doc])* #[must_use] pub fn $name(&self) -> $ty { self.0.varint($number) as $ty }
    };
    ($(#[$doc:meta])* $name:ident zigzag $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> i32 {
            let value = self.0.varint($number) as u32;
            (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
        }
    };
    ($(#[$doc:meta])* $name:ident truth $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> bool { self.0.varint($number) != 0 }
    };
    ($(#[$doc:meta])* $name:ident fixed64 $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> u64 { self.0.fixed64($number) }
    };
    ($(#[$doc:meta])* $name:ident fixed32 $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> u32 { self.0.fixed32($number) }
    };
    ($(#[$doc:meta])* $name:ident double $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> f64 { self.0.double($number).unwrap_or_default() }
    };
    ($(#[$doc:meta])* $name:ident optional_double $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> Option<f64> { self.0.double($number) }
    };
    ($(#[$doc:meta])* $name:ident fixed64s $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> $crate::view::Numbers<'a> { $crate::view::Numbers::fixed64(&self.0, $number) }
    };
    ($(#[$doc:meta])* $name:ident varints $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> $crate::view::Numbers<'a> { $crate::view::Numbers::varints(&self.0, $number) }
    };
    ($(#[$doc:meta])* $name:ident doubles $number:literal) => {
        $(#[$doc])* pub fn $name(&self) -> impl Iterator<Item = f64> + Clone + use<'a> {
            $crate::view::Numbers::fixed64(&self.0, $number).map(f64::from_bits)
        }
    };
    ($(#[$doc:meta])* $name:ident texts $number:literal) => {
        $(#[$doc])* pub fn $name(&self) -> impl Iterator<Item = &'a str> + Clone + use<'a> {
            self.0.fields().filter(|field| field.number == $number).filter_map(|field| field.text())
        }
    };
    ($(#[$doc:meta])* $name:ident attributes $number:literal) => {
        $(#[$doc])* #[must_use] pub fn $name(&self) -> $crate::view::Attributes<'a> {
            $crate::view::Attributes::new(self.0, $number)
        }
    };
    ($(#[$doc:meta])* $name:ident list $number:literal $ty:ty) => {
        $(#[$doc])* pub fn $name(&self) -> impl Iterator<Item = $ty> + Clone + use<'a> {
            self.0.messages($number).map(<$ty>::new)
        }
    };
}

pub(crate) use accessor;
pub(crate) use view;
