//! Amounts of processor and memory as Kubernetes writes them: `100m`, `128Mi`, `1.5`, `2e3`.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Deserializer};

/// An amount, in thousandths: of a processor, or of a byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(pub i128);

const SUFFIXES: [(&str, i128); 13] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
    ("", 1),
];

impl Quantity {
    /// Reads what Kubernetes writes; none if it is no amount.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some(thousandths) = text.strip_suffix('m') {
            return decimal(thousandths, 1).map(Self);
        }
        for (small, by) in [('u', 1_000.0), ('n', 1_000_000.0)] {
            if let Some(number) = text.strip_suffix(small) {
                #[expect(clippy::cast_possible_truncation, reason = "rounded up to thousandths, as Kubernetes does")]
                return number.parse::<f64>().ok().map(|number| Self((number / by).ceil() as i128));
            }
        }
        let (suffix, factor) = SUFFIXES.iter().find(|(suffix, _)| text.ends_with(suffix))?;
        decimal(text.strip_suffix(suffix)?, factor * 1_000).map(Self)
    }

    /// So many bytes.
    #[must_use]
    pub fn of_bytes(bytes: u64) -> Self {
        Self(i128::from(bytes) * 1_000)
    }

    /// Whole bytes, or whole processors.
    #[must_use]
    pub fn whole(self) -> u64 {
        u64::try_from((self.0.max(0) + 999) / 1_000).unwrap_or(u64::MAX)
    }

    /// As an amount of processor: `250m`, `2`.
    #[must_use]
    pub fn cpu(self) -> String {
        if self.0 % 1_000 == 0 { (self.0 / 1_000).to_string() } else { format!("{}m", self.0) }
    }

    /// As an amount of memory, in the largest unit that keeps three digits: `512Mi`, `1536Mi`, `4Gi`.
    #[must_use]
    pub fn memory(self) -> String {
        let bytes = self.whole();
        for (suffix, factor) in [("Gi", 1_u64 << 30), ("Mi", 1 << 20), ("Ki", 1 << 10)] {
            if bytes >= factor && bytes.is_multiple_of(factor) {
                return format!("{}{suffix}", bytes / factor);
            }
        }
        if bytes >= 1 << 20 { format!("{}Mi", bytes >> 20) } else { bytes.to_string() }
    }

    /// As that resource is written.
    #[must_use]
    pub fn of(self, resource: &str) -> String {
        if resource.ends_with("memory") || resource.ends_with("storage") { self.memory() } else { self.cpu() }
    }
}

/// `1.5` or `2e3` times a factor, rounded up.
fn decimal(text: &str, factor: i128) -> Option<i128> {
    if let Ok(whole) = text.parse::<i64>() {
        return i128::from(whole).checked_mul(factor);
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "amounts with a point are small")]
    Some((number * factor as f64).ceil() as i128)
}

impl Add for Quantity {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Quantity {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl std::iter::Sum for Quantity {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), Add::add)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Number(f64),
        }
        let text = match Written::deserialize(from)? {
            Written::Text(text) => text,
            Written::Number(number) => number.to_string(),
        };
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no amount of a resource")))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.cpu())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_kubernetes_writes_them() {
        for (text, expected) in [
            ("100m", 100),
            ("2", 2_000),
            ("0.5", 500),
            ("1.5Gi", 1_610_612_736_000),
            ("128Mi", 134_217_728_000),
            ("1k", 1_000_000),
            ("2e3", 2_000_000),
            ("1500u", 2),
            ("64M", 64_000_000_000),
        ] {
            assert_eq!(Quantity::parse(text), Some(Quantity(expected)), "{text}");
        }
        for text in ["", "much", "12Zi", "inf"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn amounts_are_written_as_people_write_them() {
        let written = |text: &str| (Quantity::parse(text).unwrap().cpu(), Quantity::parse(text).unwrap().memory());
        assert_eq!(written("250m").0, "250m");
        assert_eq!(written("3000m").0, "3");
        assert_eq!(written("1Gi").1, "1Gi");
        assert_eq!(written("1.5Gi").1, "1536Mi");
        assert_eq!(written("100000000").1, "95Mi");
    }
}
