//! Durations in Go's grammar: `200ms`, `1m30s`, `1.5h`. A bare number is nanoseconds, as in the Collector.

use std::time::Duration;

use crate::settings::node::{Node, Yaml};
use crate::settings::setting::{Reader, Setting, Shape};

/// A span of time as Go has it: signed nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration(i64);

const UNITS: [(&str, i64); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5, micro sign
    ("μs", 1_000), // U+03BC, Greek mu
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

impl GoDuration {
    /// No time at all.
    pub const ZERO: GoDuration = GoDuration(0);

    /// That many nanoseconds.
    #[must_use]
    pub const fn nanos(nanos: i64) -> GoDuration {
        GoDuration(nanos)
    }

    /// That many milliseconds.
    #[must_use]
    pub const fn millis(millis: i64) -> GoDuration {
        GoDuration(millis.saturating_mul(1_000_000))
    }

    /// That many seconds.
    #[must_use]
    pub const fn secs(secs: i64) -> GoDuration {
        GoDuration(secs.saturating_mul(1_000_000_000))
    }

    /// That many minutes.
    #[must_use]
    pub const fn minutes(minutes: i64) -> GoDuration {
        GoDuration::secs(minutes.saturating_mul(60))
    }

    /// The nanoseconds.
    #[must_use]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// Whether it is exactly zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// Whether it is below zero.
    #[must_use]
    pub const fn is_negative(self) -> bool {
        self.0 < 0
    }

    /// As the standard library has it; what is below zero is zero.
    #[must_use]
    pub fn to_std(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or(0))
    }

    /// As the standard library has it, or `None` for zero and below: many settings mean "no limit" by 0.
    #[must_use]
    pub fn positive(self) -> Option<Duration> {
        (self.0 > 0).then(|| self.to_std())
    }

    /// Reads Go's grammar: an optional sign, then numbers with units; or just `0`.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<GoDuration, String> {
        let (negative, unsigned) = match text.as_bytes() {
            [b'-', ..] => (true, &text[1..]),
            [b'+', ..] => (false, &text[1..]),
            _ => (false, text),
        };
        if unsigned == "0" {
            return Ok(GoDuration::ZERO);
        }
        if unsigned.is_empty() {
            return Err(format!("invalid duration {text:?}"));
        }
        let mut rest = unsigned;
        let mut total: i64 = 0;
        while !rest.is_empty() {
            let (part, behind) = parse_part(rest).map_err(|what| format!("{what} in duration {text:?}"))?;
            total = total.checked_add(part).ok_or_else(|| format!("duration {text:?} is too long"))?;
            rest = behind;
        }
        Ok(GoDuration(if negative { -total } else { total }))
    }
}

/// Reads one number with its unit; returns the nanoseconds and what stands behind.
fn parse_part(text: &str) -> Result<(i64, &str), String> {
    let number_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(number_end);
    let unit_end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
    let (unit, behind) = rest.split_at(unit_end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err("a number is missing or malformed".to_owned());
    }
    if unit.is_empty() {
        return Err("missing unit".to_owned());
    }
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("unknown unit {unit:?}"));
    };
    let too_long = || "a number is too large".to_owned();
    let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| too_long())? };
    let nanos = whole.checked_mul(*scale).and_then(|nanos| nanos.checked_add(fraction_of(fraction, *scale)));
    Ok((nanos.ok_or_else(too_long)?, behind))
}

/// `.5` of a scale, computed in floating point as Go does, so that the last nanosecond comes out the same.
fn fraction_of(digits: &str, scale: i64) -> i64 {
    let mut number: i64 = 0;
    let mut tens: f64 = 1.0;
    for digit in digits.bytes().map(|byte| i64::from(byte - b'0')) {
        let Some(next) = number.checked_mul(10).and_then(|number| number.checked_add(digit)) else { break };
        number = next;
        tens *= 10.0;
    }
    #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "below an hour in nanoseconds")]
    let nanos = (number as f64 * (scale as f64 / tens)) as i64;
    nanos
}

impl std::fmt::Display for GoDuration {
    /// Writes as Go does: `1h30m0s`, `200ms`, `1.5µs`, `0s`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_str("-")?;
        }
        if nanos == 0 {
            return f.write_str("0s");
        }
        let (scale, unit) = match nanos {
            0..1_000 => (1, "ns"),
            1_000..1_000_000 => (1_000, "µs"),
            1_000_000..1_000_000_000 => (1_000_000, "ms"),
            _ => (1_000_000_000, "s"),
        };
        let (mut whole, fraction) = (nanos / scale, nanos % scale);
        if unit == "s" {
            let (hours, minutes) = (whole / 3600, whole / 60 % 60);
            if hours > 0 {
                write!(f, "{hours}h")?;
            }
            if hours > 0 || minutes > 0 {
                write!(f, "{minutes}m")?;
            }
            whole %= 60;
        }
        write!(f, "{whole}")?;
        if fraction > 0 {
            let width = scale.ilog10() as usize;
            let digits = format!("{fraction:0width$}");
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

impl Setting for GoDuration {
    fn read(node: &Node, cx: &mut Reader<'_>) -> Option<Self> {
        let parsed = match &node.value {
            Yaml::Int(nanos) => return Some(GoDuration(*nanos)),
            Yaml::Str(text) => GoDuration::parse(text),
            _ => {
                cx.unexpected(&Self::shape());
                return None;
            }
        };
        let origin = node.origin_in_words();
        parsed
            .map_err(|what| {
                cx.error(
                    format!("{what}{origin}"),
                    "write it like `200ms`, `10s` or `1m30s` (units: ns, us, ms, s, m, h)",
                );
            })
            .ok()
    }

    fn write(&self) -> Option<Yaml> {
        Some(Yaml::Str(self.to_string()))
    }

    fn shape() -> Shape {
        Shape::plain("a duration", "10s")
    }
}

#[cfg(test)]
mod tests {
    use super::GoDuration;

    #[test]
    fn reads_and_writes_what_go_reads_and_writes() {
        let check = |text: &str, expected: &str| {
            let got = GoDuration::parse(text).map(|duration| duration.to_string()).unwrap_or_else(|what| what);
            assert_eq!(got, expected, "{text}");
        };
        check("200ms", "200ms");
        check("1m30s", "1m30s");
        check("1h", "1h0m0s");
        check("1.5h", "1h30m0s");
        check("0", "0s");
        check("-1s", "-1s");
        check(".5s", "500ms");
        check("1.s", "1s");
        check("1.0000000005s", "1s");
        check("1µs500ns", "1.5µs");
        check("100us", "100µs");
        check("0.3333333333333333333h", "20m0s");
        check("1d", "unknown unit \"d\" in duration \"1d\"");
        check("10", "missing unit in duration \"10\"");
        check("10 s", "unknown unit \" s\" in duration \"10 s\"");
        check("", "invalid duration \"\"");
        check("s", "a number is missing or malformed in duration \"s\"");
        check("1..5s", "a number is missing or malformed in duration \"1..5s\"");
        check("9223372036854775808ns", "a number is too large in duration \"9223372036854775808ns\"");
    }
}
