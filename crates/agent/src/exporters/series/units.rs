//! Units of OTLP (UCUM) as Prometheus spells them out in names.

/// The suffixes for a unit: of what is measured, and `per_…` for what stands behind a slash. Empty where there is none:
/// no unit, `1`, or an annotation in braces such as `{requests}`.
pub(super) fn suffixes(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let main = part(main).map_or(String::new(), |unit| main_unit(unit).to_owned());
    let per = part(per).map_or(String::new(), |unit| format!("per_{}", per_unit(unit)));
    (main, per)
}

fn part(unit: &str) -> Option<&str> {
    let unit = unit.trim();
    (!unit.is_empty() && !unit.contains(['{', '}'])).then_some(unit)
}

fn main_unit(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "1" => "",
        "%" => "percent",
        other => other,
    }
}

fn per_unit(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}
