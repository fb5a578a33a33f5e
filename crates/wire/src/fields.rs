//! The fields of one protobuf message, read in place.
//!
//! The reader under the views, the editors and the splitter. It is meant for requests that [`crate::skim`] has accepted;
//! on anything else it ends at the first byte that it cannot read, and never panics.

/// Iterator over the fields of a message, in the order in which they stand.
#[derive(Debug, Clone, Default)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// One field: its number, its value, and where it stands in the message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Field<'a> {
    /// Field number.
    pub number: u32,
    /// The value as it stands on the wire.
    pub value: FieldValue<'a>,
    /// Offset of the field's tag in the message.
    pub start: usize,
    /// Offset behind the tag, where the value or its length stands.
    pub length: usize,
    /// Offset behind the field in the message.
    pub end: usize,
}

/// The value of a field as it stands on the wire.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FieldValue<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
    /// Wire type 5.
    Fixed32(u32),
}

impl<'a> Fields<'a> {
    /// The fields of the message whose content is `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, at: 0 }
    }

    /// Only the contents of the fields with this number and wire type 2.
    pub fn messages(self, number: u32) -> impl Iterator<Item = &'a [u8]> + Clone {
        self.filter_map(move |field| if field.number == number { field.bytes() } else { None })
    }

    fn read(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        let (tag, at) = varint(self.bytes, start)?;
        let number = u32::try_from(tag >> 3).ok()?;
        let (value, end) = match tag & 7 {
            0 => varint(self.bytes, at).map(|(value, end)| (FieldValue::Varint(value), end))?,
            1 => (FieldValue::Fixed64(u64::from_le_bytes(array(self.bytes, at)?)), at + 8),
            2 => {
                let (len, from) = varint(self.bytes, at)?;
                let end = from.checked_add(usize::try_from(len).ok()?)?;
                (FieldValue::Bytes(self.bytes.get(from..end)?), end)
            }
            5 => (FieldValue::Fixed32(u32::from_le_bytes(array(self.bytes, at)?)), at + 4),
            _ => return None,
        };
        self.at = end;
        Some(Field { number, value, start, length: at, end })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline]
    fn next(&mut self) -> Option<Field<'a>> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let field = self.read();
        if field.is_none() {
            self.at = self.bytes.len();
        }
        field
    }
}

impl<'a> Field<'a> {
    /// The content, if the field is of wire type 2.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self.value {
            FieldValue::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The content as text; `None` too if it is not UTF-8, which cannot be in a request that was checked.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        self.bytes().and_then(|bytes| simdutf8::basic::from_utf8(bytes).ok())
    }

    /// The value of a varint.
    #[must_use]
    pub fn varint(&self) -> Option<u64> {
        match self.value {
            FieldValue::Varint(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a fixed64, sfixed64 or double, as bits.
    #[must_use]
    pub fn fixed64(&self) -> Option<u64> {
        match self.value {
            FieldValue::Fixed64(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a fixed32.
    #[must_use]
    pub fn fixed32(&self) -> Option<u32> {
        match self.value {
            FieldValue::Fixed32(value) => Some(value),
            _ => None,
        }
    }

    /// The value of a double.
    #[must_use]
    pub fn double(&self) -> Option<f64> {
        self.fixed64().map(f64::from_bits)
    }
}

/// Reads a varint at `at`; gives it and the offset behind it. `None` if it is cut off, longer than ten bytes or above
/// 64 bits.
#[inline]
#[must_use]
pub fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let first = *bytes.get(at)?;
    if first < 0x80 {
        return Some((u64::from(first), at + 1));
    }
    let mut value = u64::from(first & 0x7f);
    for (index, byte) in bytes.get(at + 1..)?.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * (index + 1));
        if *byte < 0x80 {
            // The tenth byte holds the 64th bit and nothing else.
            return if index == 8 && *byte > 1 { None } else { Some((value, at + index + 2)) };
        }
    }
    None
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
