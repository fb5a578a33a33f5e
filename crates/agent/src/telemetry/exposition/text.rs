//! The words of the text formats of Prometheus: names, labels, numbers. Both what the agent says about itself and the
//! exporter `prometheus` are written with these.

use std::io::Write;

/// Which text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// The text format 0.0.4.
    Prometheus,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

/// Whether a name needs no quotes: letters, digits, `_` and `:`, no digit first.
#[must_use]
pub fn is_classic_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':';
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(allowed)
}

/// Writes text with backslash and line feed escaped, and the quote where it would end a label's value.
pub fn escaped(out: &mut Vec<u8>, text: &str, quote: bool) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| matches!(byte, b'\\' | b'\n') || quote && *byte == b'"') {
        let (plain, from) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.push(b'\\');
        out.push(if from[0] == b'\n' { b'n' } else { from[0] });
        rest = &from[1..];
    }
    out.extend_from_slice(rest);
}

/// Writes a name, in quotes if it needs them.
pub fn name(out: &mut Vec<u8>, name: &str) {
    if is_classic_name(name) {
        out.extend_from_slice(name.as_bytes());
        return;
    }
    out.push(b'"');
    escaped(out, name, true);
    out.push(b'"');
}

/// Writes `{`, or `,` behind a label, then the label.
pub fn label(out: &mut Vec<u8>, separator: &mut u8, label: &str, value: &str) {
    out.push(std::mem::replace(separator, b','));
    name(out, label);
    out.extend_from_slice(b"=\"");
    escaped(out, value, true);
    out.push(b'"');
}

/// Writes the lines with help and type.
pub fn head(out: &mut Vec<u8>, dialect: Dialect, family: &str, kind: &str, help: &str) {
    out.extend_from_slice(b"# HELP ");
    name(out, family);
    out.push(b' ');
    escaped(out, help, dialect == Dialect::OpenMetrics);
    out.extend_from_slice(b"\n# TYPE ");
    name(out, family);
    out.push(b' ');
    out.extend_from_slice(kind.as_bytes());
    out.push(b'\n');
}

/// Writes a number as Go's `strconv` does with the format `g` and the shortest precision, because label values such as
/// `le="1e+06"` are compared as text. OpenMetrics wants whole numbers to have a fraction.
#[expect(clippy::cast_possible_truncation, reason = "checked to be whole and below a million")]
pub fn number(out: &mut Vec<u8>, dialect: Dialect, value: f64) {
    let begin = out.len();
    if value.is_nan() {
        out.extend_from_slice(b"NaN");
        return;
    }
    if value.is_infinite() {
        out.extend_from_slice(if value > 0.0 { b"+Inf" } else { b"-Inf" });
        return;
    }
    if value.trunc() == value && value.abs() < 1e6 {
        whole(out, value as i64);
    } else {
        fraction(out, value);
    }
    if dialect == Dialect::OpenMetrics && !out[begin..].iter().any(|byte| matches!(byte, b'.' | b'e')) {
        out.extend_from_slice(b".0");
    }
}

/// Writes a whole number.
pub fn whole(out: &mut Vec<u8>, value: i64) {
    if value < 0 {
        out.push(b'-');
    }
    count(out, value.unsigned_abs());
}

/// Writes a count.
pub fn count(out: &mut Vec<u8>, mut value: u64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

fn fraction(out: &mut Vec<u8>, value: f64) {
    // At most a sign, 17 digits, a point, and an exponent of 5 characters.
    let mut text = [0_u8; 32];
    let mut rest = &mut text[..];
    let written = write!(rest, "{value:e}").map_or(0, |()| 32 - rest.len());
    let text = &text[..written];
    let (mantissa, exponent) = match text.iter().position(|byte| *byte == b'e') {
        Some(at) => (&text[..at], exponent(&text[at + 1..])),
        None => (text, 0),
    };
    if !(-4..6).contains(&exponent) {
        out.extend_from_slice(mantissa);
        out.push(b'e');
        out.push(if exponent < 0 { b'-' } else { b'+' });
        if exponent.abs() < 10 {
            out.push(b'0');
        }
        whole(out, i64::from(exponent.abs()));
        return;
    }
    // Between these two, Rust writes plainly just what Go does.
    let _ = write!(out, "{value}");
}

fn exponent(digits: &[u8]) -> i32 {
    std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        let check = |value: f64, plain: &str, open: &str| {
            assert_eq!(written(|out| number(out, Dialect::Prometheus, value)), plain);
            assert_eq!(written(|out| number(out, Dialect::OpenMetrics, value)), open);
        };
        check(0.0, "0", "0.0");
        check(-0.0, "0", "0.0");
        check(1.0, "1", "1.0");
        check(-42.0, "-42", "-42.0");
        check(999_999.0, "999999", "999999.0");
        check(1e6, "1e+06", "1e+06");
        check(1_234_567.0, "1.234567e+06", "1.234567e+06");
        check(0.25, "0.25", "0.25");
        check(123_456.789, "123456.789", "123456.789");
        check(0.0001, "0.0001", "0.0001");
        check(0.000_012, "1.2e-05", "1.2e-05");
        check(-1.5e300, "-1.5e+300", "-1.5e+300");
        check(5e-324, "5e-324", "5e-324");
        check(f64::MAX, "1.7976931348623157e+308", "1.7976931348623157e+308");
        check(f64::NAN, "NaN", "NaN");
        check(f64::INFINITY, "+Inf", "+Inf");
        check(f64::NEG_INFINITY, "-Inf", "-Inf");
        assert_eq!(written(|out| count(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(written(|out| whole(out, i64::MIN)), i64::MIN.to_string());
    }

    #[test]
    fn text_is_escaped_and_odd_names_are_quoted() {
        assert_eq!(written(|out| escaped(out, "a\\b\nc\"d", true)), r#"a\\b\nc\"d"#);
        assert_eq!(written(|out| escaped(out, "a\\b\nc\"d", false)), "a\\\\b\\nc\"d");
        assert_eq!(written(|out| name(out, "a:b_c")), "a:b_c");
        assert_eq!(written(|out| name(out, "a.\"b")), r#""a.\"b""#);
        assert!(!is_classic_name("2x") && !is_classic_name("") && !is_classic_name("größe"));
        let mut separator = b'{';
        let labels = written(|out| {
            label(out, &mut separator, "a", "1");
            label(out, &mut separator, "b.c", "\n");
        });
        assert_eq!(labels, r#"{a="1","b.c"="\n""#);
    }
}
