//! What the client wants: which format, how names are escaped in it, and which compression.

use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING};

use crate::net::compression::Encoding;
use crate::telemetry::exposition::text::Dialect;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// A text format.
    Text(Dialect),
    /// OpenMetrics, in the version that old clients ask for. It reads like 1.0.0.
    OldOpenMetrics,
    /// `io.prometheus.client.MetricFamily`s, each behind its length.
    Protobuf,
}

/// What becomes of characters in names that classic names do not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escaping {
    /// They stay, in quotes.
    AllowUtf8,
    /// They become `_`.
    Underscores,
    /// A dot becomes `_dot_`, others `__`.
    Dots,
    /// They become `_` with their number, behind a `U__` in front of the name.
    Values,
}

/// A line of an `Accept` header.
struct Wish<'a> {
    kind: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
    weight: f32,
}

impl Format {
    fn content_type(self) -> &'static str {
        match self {
            Format::Text(Dialect::Prometheus) => "text/plain; version=0.0.4; charset=utf-8",
            Format::Text(Dialect::OpenMetrics) => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::OldOpenMetrics => "application/openmetrics-text; version=0.0.1; charset=utf-8",
            Format::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }

    /// The text format that it is; `None` for protobuf.
    pub(super) fn dialect(self) -> Option<Dialect> {
        match self {
            Format::Text(dialect) => Some(dialect),
            Format::OldOpenMetrics => Some(Dialect::OpenMetrics),
            Format::Protobuf => None,
        }
    }
}

impl Escaping {
    const ALL: [Escaping; 4] = [Escaping::AllowUtf8, Escaping::Underscores, Escaping::Dots, Escaping::Values];

    fn name(self) -> &'static str {
        match self {
            Escaping::AllowUtf8 => "allow-utf-8",
            Escaping::Underscores => "underscores",
            Escaping::Dots => "dots",
            Escaping::Values => "values",
        }
    }
}

/// `Content-Type` of an answer.
pub(super) fn content_type(format: Format, escaping: Escaping) -> String {
    format!("{}; escaping={}", format.content_type(), escaping.name())
}

/// The format that the client likes best of those that we have; the text format if it likes none.
pub(super) fn format(headers: &HeaderMap, open_metrics: bool) -> (Format, Escaping) {
    let text = headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut wishes: Vec<Wish<'_>> = text.split(',').filter_map(Wish::read).collect();
    // What is named stands before what is not, where the weights are the same; otherwise the client's order counts.
    wishes.sort_by(|a, b| b.weight.total_cmp(&a.weight).then(a.vagueness().cmp(&b.vagueness())));
    let mut escaping = Escaping::Underscores;
    for wish in &wishes {
        let named = wish.parameter("escaping").and_then(|name| Escaping::ALL.into_iter().find(|e| e.name() == name));
        escaping = named.unwrap_or(escaping);
        if let Some(format) = wish.format(open_metrics) {
            return (format, escaping);
        }
    }
    (Format::Text(Dialect::Prometheus), escaping)
}

impl<'a> Wish<'a> {
    fn read(text: &'a str) -> Option<Wish<'a>> {
        let mut parts = text.split(';').map(str::trim);
        let kind = parts.next().filter(|kind| !kind.is_empty())?;
        let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).map(trimmed).collect();
        let weight = parameters.iter().find(|(name, _)| *name == "q").map_or(Some(1.0), |(_, q)| q.parse().ok())?;
        (weight > 0.0).then_some(Wish { kind, parameters, weight })
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn vagueness(&self) -> u8 {
        u8::from(self.kind.ends_with("/*")) + u8::from(self.kind == "*/*")
    }

    fn format(&self, open_metrics: bool) -> Option<Format> {
        match self.kind.to_ascii_lowercase().as_str() {
            "application/vnd.google.protobuf" => {
                let wanted = self.parameter("proto") == Some("io.prometheus.client.MetricFamily")
                    && self.parameter("encoding") == Some("delimited");
                wanted.then_some(Format::Protobuf)
            }
            "application/openmetrics-text" if open_metrics => match self.parameter("version") {
                Some("1.0.0") => Some(Format::Text(Dialect::OpenMetrics)),
                None | Some("0.0.1") => Some(Format::OldOpenMetrics),
                Some(_) => None,
            },
            "text/plain" => {
                let version = self.parameter("version").unwrap_or("0.0.4");
                (version == "0.0.4").then_some(Format::Text(Dialect::Prometheus))
            }
            "*/*" | "text/*" => Some(Format::Text(Dialect::Prometheus)),
            _ => None,
        }
    }
}

fn trimmed<'a>((name, value): (&'a str, &'a str)) -> (&'a str, &'a str) {
    (name.trim(), value.trim().trim_matches('"'))
}

/// The compression that the client likes best of those that we have.
pub(super) fn compression(headers: &HeaderMap) -> Encoding {
    let lists = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let wishes = lists.flat_map(|list| list.split(',')).filter_map(Wish::read);
    let known = |wish: Wish<'_>| match wish.kind.to_ascii_lowercase().as_str() {
        "zstd" => Some((wish.weight, Encoding::Zstd)),
        "gzip" => Some((wish.weight, Encoding::Gzip)),
        "identity" => Some((wish.weight, Encoding::Identity)),
        _ => None,
    };
    // Of two that are liked as much, zstd: it is smaller and faster.
    let rank = |encoding: Encoding| match encoding {
        Encoding::Zstd => 2,
        Encoding::Gzip => 1,
        _ => 0,
    };
    let best = wishes.filter_map(known).max_by(|(a, x), (b, y)| a.total_cmp(b).then(rank(*x).cmp(&rank(*y))));
    best.map_or(Encoding::Identity, |(_, encoding)| encoding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const PROTOBUF: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    fn headers(name: http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).unwrap())])
    }

    #[test]
    fn the_format_is_the_one_that_the_client_likes_best() {
        let check = |accept: &str, open: bool, expected: Format, escaping: Escaping| {
            assert_eq!(format(&headers(ACCEPT, accept), open), (expected, escaping), "{accept}");
        };
        let (text, open) = (Format::Text(Dialect::Prometheus), Format::Text(Dialect::OpenMetrics));
        let under = Escaping::Underscores;
        check("", false, text, under);
        check("*/*", true, text, under);
        check("text/html, application/json;q=0.9", true, text, under);
        check("application/openmetrics-text;version=1.0.0", true, open, under);
        check("application/openmetrics-text;version=1.0.0", false, text, under);
        check("application/openmetrics-text", true, Format::OldOpenMetrics, under);
        check("application/openmetrics-text; version=3.0.0, text/plain;q=0.1", true, text, under);
        check(PROTOBUF, false, Format::Protobuf, under);
        check(&format!("text/plain;q=0.5, {PROTOBUF};q=0.4"), false, text, under);
        check(
            &format!("text/plain;q=0.5, {PROTOBUF};q=0.6;escaping=allow-utf-8"),
            false,
            Format::Protobuf,
            Escaping::AllowUtf8,
        );
        check("application/vnd.google.protobuf;encoding=text", false, text, under);
        check("text/plain;version=0.0.4;escaping=dots", false, text, Escaping::Dots);
        check("text/plain;escaping=unheard-of", false, text, under);
        check("*/*;q=0.8, text/plain;version=0.0.4;q=0.8;escaping=values", false, text, Escaping::Values);
        check(&format!("{PROTOBUF};q=0, text/plain;q=0.1"), false, text, under);
    }

    #[test]
    fn what_prometheus_sends_gets_what_it_wants() {
        // Prometheus 3 at its defaults, and when it prefers protobuf.
        let usual = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        let open = format(&headers(ACCEPT, usual), true);
        assert_eq!(open, (Format::Text(Dialect::OpenMetrics), Escaping::AllowUtf8));
        let plain = format(&headers(ACCEPT, usual), false);
        assert_eq!(plain, (Format::Text(Dialect::Prometheus), Escaping::AllowUtf8));
        let first = format!("{PROTOBUF};escaping=allow-utf-8;q=0.7,{usual}");
        assert_eq!(format(&headers(ACCEPT, &first), true), (Format::Protobuf, Escaping::AllowUtf8));
        let told = content_type(Format::Text(Dialect::Prometheus), Escaping::AllowUtf8);
        assert_eq!(told, "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8");
    }

    #[test]
    fn the_compression_is_one_that_the_client_takes() {
        let check = |accept: &str, expected: Encoding| {
            assert_eq!(compression(&headers(ACCEPT_ENCODING, accept)), expected, "{accept}");
        };
        check("", Encoding::Identity);
        check("gzip", Encoding::Gzip);
        check("GZIP;q=0.5, deflate", Encoding::Gzip);
        check("gzip, zstd", Encoding::Zstd);
        check("gzip, zstd;q=0.5", Encoding::Gzip);
        check("gzip;q=0, br", Encoding::Identity);
        check("identity, gzip;q=0.5", Encoding::Identity);
    }
}
