//! Labels as they are kept: as the `LabelPair`s of the protobuf format, one behind the other. That is the most compact form
//! there is, the protobuf format takes it as it is, and the text formats read it in place.

use std::sync::Arc;

use crate::exporters::series::labels::Label;

/// Labels of a series, or of all series of a scope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pairs(Arc<[u8]>);

/// `Metric.label` in `io.prometheus.client`.
const LABEL: u8 = 1 << 3 | 2;
const NAME: u8 = 1 << 3 | 2;
const VALUE: u8 = 2 << 3 | 2;

impl Pairs {
    /// Packs labels.
    pub(super) fn new<'a>(labels: impl IntoIterator<Item = &'a Label>) -> Pairs {
        let mut out = Vec::new();
        labels.into_iter().for_each(|label| push(&mut out, &label.name, &label.value));
        Pairs(out.into())
    }

    /// The packed form: fields `label` of a `Metric`.
    pub(super) fn packed(&self) -> &[u8] {
        &self.0
    }

    /// The labels in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        wire::fields::Fields::new(&self.0).messages(1).map(|pair| {
            let (mut name, mut value) = ("", "");
            for field in wire::fields::Fields::new(pair) {
                match field.number {
                    1 => name = field.text().unwrap_or_default(),
                    _ => value = field.text().unwrap_or_default(),
                }
            }
            (name, value)
        })
    }

    /// Bytes in memory.
    pub(super) fn size(&self) -> usize {
        self.0.len() + 16
    }
}

/// Writes a label as a field `label` of a `Metric`.
pub(super) fn push(out: &mut Vec<u8>, name: &str, value: &str) {
    let sized = |text: &str| 1 + varint_len(text.len() as u64) + text.len();
    out.push(LABEL);
    varint(out, (sized(name) + sized(value)) as u64);
    for (tag, text) in [(NAME, name), (VALUE, value)] {
        out.push(tag);
        varint(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

/// Writes a varint.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value as u8) | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_come_out_as_they_went_in() {
        let long = "x".repeat(300);
        let labels = [Label::new("a", "1"), Label::new("größe", long.as_str()), Label::new("c", "\"\n")];
        let pairs = Pairs::new(&labels);
        let read: Vec<_> = pairs.iter().map(|(name, value)| Label::new(name, value)).collect();
        assert_eq!(read, labels);
    }
}
