//! Attribute values as text, in the form in which the Collector writes them.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::to_string;

use super::AnyValue;

/// Text as it is, numbers in decimal, bytes in base64, lists and maps as JSON with sorted keys, nothing for no value.
impl fmt::Display for AnyValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AnyValue::Empty => Ok(()),
            AnyValue::Str(text) => f.write_str(text),
            AnyValue::Bool(value) => write!(f, "{value}"),
            AnyValue::Int(value) => write!(f, "{value}"),
            AnyValue::Double(value) => Double(*value).fmt(f),
            AnyValue::Bytes(bytes) => f.write_str(&STANDARD.encode(bytes)),
            AnyValue::Array(_) | AnyValue::Map(_) => json(self, f),
        }
    }
}

fn json(value: &AnyValue<'_>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match value {
        AnyValue::Empty => f.write_str("null"),
        AnyValue::Bool(_) | AnyValue::Int(_) => write!(f, "{value}"),
        AnyValue::Double(number) if number.is_finite() => write!(f, "{value}"),
        AnyValue::Str(_) | AnyValue::Double(_) | AnyValue::Bytes(_) => quoted(&value.to_string(), f),
        AnyValue::Array(values) => {
            f.write_str("[")?;
            for (index, value) in values.clone().enumerate() {
                f.write_str(if index == 0 { "" } else { "," })?;
                json(&value, f)?;
            }
            f.write_str("]")
        }
        AnyValue::Map(attributes) => {
            let mut entries: Vec<_> = attributes.clone().map(|entry| (entry.key(), entry.value())).collect();
            entries.sort_by_key(|(key, _)| *key);
            f.write_str("{")?;
            for (index, (key, value)) in entries.iter().enumerate() {
                f.write_str(if index == 0 { "" } else { "," })?;
                quoted(key, f)?;
                f.write_str(":")?;
                json(value, f)?;
            }
            f.write_str("}")
        }
    }
}

fn quoted(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(&to_string(text).map_err(|_| fmt::Error)?)
}

/// A double in the form that Go and JavaScript use: an exponent only where the number would be long, no fraction where
/// there is none.
#[derive(Debug, Clone, Copy)]
pub struct Double(pub f64);

impl fmt::Display for Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if self.0.is_nan() {
            f.write_str("NaN")
        } else if self.0.is_infinite() {
            f.write_str(if self.0 < 0.0 { "-Infinity" } else { "Infinity" })
        } else if size == 0.0 || (1e-6..1e21).contains(&size) {
            write!(f, "{}", self.0)
        } else {
            // Go writes the sign of a positive exponent, Rust does not.
            let text = format!("{:e}", self.0);
            f.write_str(&if size < 1.0 { text } else { text.replace('e', "e+") })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Double;
    use crate::Value;
    use crate::view::AnyValue;

    #[track_caller]
    fn check(value: impl Into<Value>, expected: &str) {
        assert_eq!(AnyValue::new(&value.into().encode()).to_string(), expected);
    }

    #[test]
    fn values_are_written_as_the_collector_writes_them() {
        check("a\"b", "a\"b");
        check(true, "true");
        check(-7, "-7");
        check(1.0, "1");
        check(Value::Bytes(vec![1, 2, 3]), "AQID");
        check(Value::Array(vec![1.into(), "a\n".into(), Value::Bytes(vec![1])]), r#"[1,"a\n","AQ=="]"#);
        check(Value::Map(vec![("b".into(), 1.5.into()), ("a".into(), Value::Array(vec![]))]), r#"{"a":[],"b":1.5}"#);
        assert_eq!(AnyValue::Empty.to_string(), "");
    }

    #[test]
    fn doubles_have_an_exponent_where_they_would_be_long() {
        let check = |value: f64, expected: &str| assert_eq!(Double(value).to_string(), expected);
        check(0.1, "0.1");
        check(-0.0, "-0");
        check(1e20, "100000000000000000000");
        check(1.5e21, "1.5e+21");
        check(1e-6, "0.000001");
        check(1e-7, "1e-7");
        check(f64::NAN, "NaN");
        check(f64::NEG_INFINITY, "-Infinity");
    }
}
