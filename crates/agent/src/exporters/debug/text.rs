//! What both formats are made of: attributes, times, ids, and numbers as Go prints them.

use std::fmt;

use wire::view::{AnyValue, Attributes};

/// Attributes as `key=value`, with this between them.
pub(super) struct Pairs<'a>(pub(super) Attributes<'a>, pub(super) &'static str);

impl fmt::Display for Pairs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, entry) in self.0.clone().enumerate() {
            write!(f, "{}{}={}", if index == 0 { "" } else { self.1 }, entry.key(), entry.value())?;
        }
        Ok(())
    }
}

/// A value with its type, as in `Str(shop)`.
pub(super) struct Typed<'a>(pub(super) AnyValue<'a>);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            AnyValue::Empty => "Empty",
            AnyValue::Str(_) => "Str",
            AnyValue::Bool(_) => "Bool",
            AnyValue::Int(_) => "Int",
            AnyValue::Double(_) => "Double",
            AnyValue::Array(_) => "Slice",
            AnyValue::Map(_) => "Map",
            AnyValue::Bytes(_) => "Bytes",
        };
        write!(f, "{kind}({})", self.0)
    }
}

/// A time, as in `2020-02-11 20:26:12.000000321 +0000 UTC`.
pub(super) fn time(nanoseconds: u64) -> String {
    let Ok(time) = jiff::Timestamp::from_nanosecond(i128::from(nanoseconds)) else {
        return nanoseconds.to_string();
    };
    let fraction = nanoseconds % 1_000_000_000;
    let fraction = if fraction == 0 { String::new() } else { format!(".{fraction:09}") };
    format!("{}{} +0000 UTC", time.strftime("%Y-%m-%d %H:%M:%S"), fraction.trim_end_matches('0'))
}

/// An id in hexadecimal; one of zeros is none.
pub(super) fn id(bytes: &[u8]) -> String {
    if bytes.iter().all(|byte| *byte == 0) {
        return String::new();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of an enum's value as people read it: `SPAN_KIND_SERVER` is `Server`.
pub(super) fn name(of: &wire::schema::Enum, number: i32, prefix: &str) -> String {
    let value = of.values.iter().find(|(value, _)| *value == number);
    let word = value.map_or("", |(_, name)| name.strip_prefix(prefix).unwrap_or(name));
    let (first, rest) = word.split_at(word.len().min(1));
    format!("{first}{}", rest.to_ascii_lowercase())
}

/// A number in Go's `%f`.
pub(super) struct Fixed(pub(super) f64);

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match special(self.0) {
            Some(word) => f.write_str(word),
            None => write!(f, "{:.6}", self.0),
        }
    }
}

/// A number in Go's `%v`.
pub(super) struct Short(pub(super) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        match special(self.0) {
            Some(word) => f.write_str(word),
            None if size == 0.0 || (1e-4..1e21).contains(&size) => write!(f, "{}", self.0),
            None => {
                let text = format!("{:e}", self.0);
                let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
                let sign = if exponent.starts_with('-') { '-' } else { '+' };
                write!(f, "{mantissa}e{sign}{:0>2}", exponent.trim_start_matches('-'))
            }
        }
    }
}

fn special(number: f64) -> Option<&'static str> {
    match number {
        _ if number.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Fixed, Short, id, name, time};

    #[test]
    fn times_are_written_as_go_writes_them() {
        let check = |nanoseconds: u64, expected: &str| assert_eq!(time(nanoseconds), expected);
        check(0, "1970-01-01 00:00:00 +0000 UTC");
        check(1_581_452_772_000_000_321, "2020-02-11 20:26:12.000000321 +0000 UTC");
        check(1_581_452_772_500_000_000, "2020-02-11 20:26:12.5 +0000 UTC");
        check(u64::MAX, "2554-07-21 23:34:33.709551615 +0000 UTC");
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let check = |number: f64, fixed: &str, short: &str| {
            assert_eq!((Fixed(number).to_string(), Short(number).to_string()), (fixed.to_owned(), short.to_owned()));
        };
        check(1.0, "1.000000", "1");
        check(0.1, "0.100000", "0.1");
        check(1e-5, "0.000010", "1e-05");
        check(1.5e21, "1500000000000000000000.000000", "1.5e+21");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NAN, "NaN", "NaN");
    }

    #[test]
    fn names_of_enums_are_words() {
        assert_eq!(name(&wire::schema::SPAN_SPAN_KIND, 2, "SPAN_KIND_"), "Server");
        assert_eq!(name(&wire::schema::SEVERITY_NUMBER, 14, "SEVERITY_NUMBER_"), "Warn2");
        assert_eq!(name(&wire::schema::SEVERITY_NUMBER, 99, "SEVERITY_NUMBER_"), "");
        assert_eq!(id(&[0; 8]), "");
        assert_eq!(id(&[0xab, 1]), "ab01");
    }
}
