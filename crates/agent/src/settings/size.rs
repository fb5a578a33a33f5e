//! Numbers of bytes. The Collector writes them as bare numbers; `20MiB` is ours.

use crate::settings::node::{Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(u64);

const UNITS: [(&str, u64); 8] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl ByteSize {
    /// That many bytes.
    #[must_use]
    pub const fn bytes(bytes: u64) -> ByteSize {
        ByteSize(bytes)
    }

    /// That many times 1024 bytes.
    #[must_use]
    pub const fn kib(kib: u64) -> ByteSize {
        ByteSize(kib << 10)
    }

    /// That many times 1024 × 1024 bytes.
    #[must_use]
    pub const fn mib(mib: u64) -> ByteSize {
        ByteSize(mib << 20)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The bytes, as the length of something in memory.
    #[must_use]
    pub fn as_usize(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }

    fn parse(text: &str) -> Option<ByteSize> {
        let (unit, scale) = UNITS.iter().find(|(unit, _)| text.ends_with(unit))?;
        let number: u64 = text.strip_suffix(unit)?.trim_end().parse().ok()?;
        number.checked_mul(*scale).map(ByteSize)
    }
}

impl std::fmt::Display for ByteSize {
    /// Writes the largest binary unit that leaves no rest.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let fits = |(_, scale): &&(&str, u64)| self.0 >= *scale && self.0.is_multiple_of(*scale);
        match UNITS[..4].iter().rev().find(fits) {
            Some((unit, scale)) => write!(f, "{}{unit}", self.0 / scale),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Setting for ByteSize {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let size = match &node.value {
            Yaml::Int(bytes) => u64::try_from(*bytes).ok().map(ByteSize),
            Yaml::Str(text) => ByteSize::parse(text),
            _ => None,
        };
        if size.is_none() {
            cx.unexpected(&Self::shape());
        }
        size
    }

    fn write(&self) -> Option<Yaml> {
        Some(i64::try_from(self.0).map_or_else(|_| Yaml::Str(self.to_string()), Yaml::Int))
    }

    fn shape() -> Shape {
        Shape::plain("a number of bytes", "4MiB")
    }
}
