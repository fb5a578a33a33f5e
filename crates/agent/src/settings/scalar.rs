//! What a plain scalar means: null, boolean, number or text, as the Collector's YAML library decides it.

use crate::settings::node::Yaml;

/// Resolves a plain scalar. `0123` is octal, `1_000` is a thousand, `yes` is a string.
#[must_use]
pub fn resolve(text: &str) -> Yaml {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Yaml::Null,
        "true" | "True" | "TRUE" => Yaml::Bool(true),
        "false" | "False" | "FALSE" => Yaml::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Yaml::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Yaml::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Yaml::Float(f64::NEG_INFINITY),
        _ => number(text).unwrap_or_else(|| Yaml::Str(text.to_owned())),
    }
}

fn number(text: &str) -> Option<Yaml> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return None;
    }
    let plain = text.replace('_', "");
    integer(&plain).map(Yaml::Int).or_else(|| float(&plain).map(Yaml::Float))
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.split_at_checked(1) {
        Some(("-", digits)) => ("-", digits),
        Some(("+", digits)) => ("", digits),
        _ => ("", text),
    };
    let prefixed = |prefixes: [&str; 2]| prefixes.iter().find_map(|prefix| digits.strip_prefix(prefix));
    let (radix, digits) = if let Some(digits) = prefixed(["0x", "0X"]) {
        (16, digits)
    } else if let Some(digits) = prefixed(["0b", "0B"]) {
        (2, digits)
    } else if let Some(digits) = prefixed(["0o", "0O"]) {
        (8, digits)
    } else if digits.len() > 1 && digits.starts_with('0') {
        (8, &digits[1..])
    } else {
        (10, digits)
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

/// The grammar is YAML's, which leaves out what Rust also reads: `inf`, `nan`.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).map_or((unsigned, None), |(m, e)| (m, Some(e)));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mantissa_fits = digits(whole) && digits(fraction) && !(whole.is_empty() && fraction.is_empty());
    let exponent_fits = exponent.is_none_or(|text| {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        !unsigned.is_empty() && digits(unsigned)
    });
    if mantissa_fits && exponent_fits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn resolves_as_the_collectors_yaml_library_does() {
        let check = |text: &str, expected: &str| assert_eq!(format!("{:?}", resolve(text)), expected, "{text}");
        check("", "Null");
        check("~", "Null");
        check("true", "Bool(true)");
        check("yes", "Str(\"yes\")");
        check("5", "Int(5)");
        check("-5", "Int(-5)");
        check("1_000", "Int(1000)");
        check("0123", "Int(83)");
        check("0xff", "Int(255)");
        check("0o17", "Int(15)");
        check("0b11", "Int(3)");
        check("09", "Float(9.0)");
        check("1e3", "Float(1000.0)");
        check(".5", "Float(0.5)");
        check("1.", "Float(1.0)");
        check("-.inf", "Float(-inf)");
        check("inf", "Str(\"inf\")");
        check("-", "Str(\"-\")");
        check("1.2.3", "Str(\"1.2.3\")");
        check("10.0.0.1:4317", "Str(\"10.0.0.1:4317\")");
        check("200ms", "Str(\"200ms\")");
        check("-9223372036854775808", "Int(-9223372036854775808)");
        check("9223372036854775808", "Float(9.223372036854776e18)");
    }
}
