//! What `hash` and `convert` make of a value.

use sha2::{Digest, Sha256};
use wire::Value;
use wire::view::AnyValue;

use crate::settings::words;

words! {
    /// The type that a value is converted to.
    pub enum Target {
        /// A whole number.
        Int = "int",
        /// A floating point number.
        Double = "double",
        /// Text.
        String = "string",
    }
}

/// The SHA-256 of a value in hexadecimal. Numbers are hashed as eight bytes, the lowest first; lists, maps and bytes
/// have no hash, so the text is empty.
pub(super) fn hash(value: &AnyValue<'_>) -> String {
    let digest = match value {
        AnyValue::Str(text) => Sha256::digest(text),
        AnyValue::Bool(truth) => Sha256::digest([u8::from(*truth)]),
        AnyValue::Int(number) => Sha256::digest(number.to_le_bytes()),
        AnyValue::Double(number) => Sha256::digest(number.to_bits().to_le_bytes()),
        _ => return String::new(),
    };
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The value as another type; `None` if it is of that type already or cannot be converted.
pub(super) fn convert(value: &AnyValue<'_>, target: Target) -> Option<Value> {
    match (target, value) {
        (Target::String, AnyValue::Str(_)) => None,
        (Target::String, other) => Some(other.to_string().into()),
        (Target::Int, AnyValue::Double(number)) => Some((*number as i64).into()),
        (Target::Int, AnyValue::Bool(truth)) => Some(i64::from(*truth).into()),
        (Target::Int, AnyValue::Str(text)) => text.parse::<i64>().ok().map(Value::from),
        (Target::Double, AnyValue::Int(number)) => Some((*number as f64).into()),
        (Target::Double, AnyValue::Bool(truth)) => Some(f64::from(*truth).into()),
        (Target::Double, AnyValue::Str(text)) => double(text).map(Value::from),
        _ => None,
    }
}

/// A number that is too large for a double is none: only the word makes an infinity.
fn double(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() || !text.contains(|c: char| c.is_ascii_digit())).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Target, convert, hash};
    use wire::Value;
    use wire::view::AnyValue;

    #[test]
    fn hashes_the_bytes_that_the_collector_hashes() {
        let check = |value: AnyValue<'_>, expected: &str| assert_eq!(hash(&value), expected);
        check(AnyValue::Str("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check(AnyValue::Bool(true), "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a");
        check(AnyValue::Int(1), "7c9fa136d4413fa6173637e883b6998d32e1d675f88cddff9dcbcf331820f4b8");
        check(AnyValue::Bytes(b"abc"), "");
        check(AnyValue::Empty, "");
    }

    #[test]
    fn converts_what_can_be_converted_and_leaves_the_rest() {
        let check = |value: AnyValue<'_>, target: Target, expected: Option<Value>| {
            assert_eq!(convert(&value, target), expected, "{value:?} to {target}");
        };
        check(AnyValue::Str("42"), Target::Int, Some(42.into()));
        check(AnyValue::Str("12.5"), Target::Int, None);
        check(AnyValue::Str(" 1"), Target::Int, None);
        check(AnyValue::Double(-1.9), Target::Int, Some((-1).into()));
        check(AnyValue::Bool(true), Target::Int, Some(1.into()));
        check(AnyValue::Int(3), Target::Int, None);
        check(AnyValue::Bytes(b"1"), Target::Int, None);
        check(AnyValue::Str("1e3"), Target::Double, Some(1000.0.into()));
        check(AnyValue::Str("1e999"), Target::Double, None);
        check(AnyValue::Int(3), Target::Double, Some(3.0.into()));
        check(AnyValue::Bool(false), Target::Double, Some(0.0.into()));
        check(AnyValue::Int(3), Target::String, Some("3".into()));
        check(AnyValue::Double(1.0), Target::String, Some("1".into()));
        check(AnyValue::Bool(true), Target::String, Some("true".into()));
        check(AnyValue::Str("x"), Target::String, None);
        check(AnyValue::Empty, Target::String, Some("".into()));
    }
}
