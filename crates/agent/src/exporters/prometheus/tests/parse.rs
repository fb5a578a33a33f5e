//! Parsers of the three formats that know nothing of how they are written. All give the same: types, and samples by name
//! and labels; native histograms beside them.

use std::collections::BTreeMap;

use prost::Message;

pub(super) type Labels = BTreeMap<String, String>;

/// What an answer says.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parsed {
    pub(super) kinds: BTreeMap<String, String>,
    pub(super) help: BTreeMap<String, String>,
    /// Values as bits, so that NaN is equal to itself; with the timestamp in milliseconds, if there is one.
    pub(super) samples: BTreeMap<(String, Labels), (u64, Option<i64>)>,
    pub(super) natives: BTreeMap<(String, Labels), Native>,
    /// Trace id and value of exemplars by sample.
    pub(super) exemplars: BTreeMap<(String, Labels), (String, u64)>,
}

/// A native histogram, with its buckets one by one.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Native {
    pub(super) schema: i32,
    pub(super) zero: (u64, u64),
    pub(super) positive: BTreeMap<i64, i64>,
    pub(super) negative: BTreeMap<i64, i64>,
}

/// Reads a text format. A family stands in one piece: its help, its type, its samples.
pub(super) fn text(text: &str) -> Parsed {
    let mut parsed = Parsed::default();
    let mut family = String::new();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    for line in text.split_terminator('\n').filter(|line| *line != "# EOF") {
        let mut rest = Cursor(line.chars().collect(), 0);
        if rest.takes("# TYPE ") {
            let name = rest.name();
            rest.expect(" ");
            assert_eq!(name, family, "TYPE stands behind HELP");
            assert!(parsed.kinds.insert(name, rest.rest()).is_none(), "TYPE twice: {line}");
        } else if rest.takes("# HELP ") {
            family = rest.name();
            rest.expect(" ");
            let help = rest.rest();
            assert!(parsed.help.insert(family.clone(), unescape(&help)).is_none(), "HELP twice: {line}");
        } else {
            let name = sample(&mut parsed, rest, line);
            let kind = parsed.kinds.get(&family).map(String::as_str);
            assert!(belongs(&name, &family, kind.unwrap_or("none")), "not of {family}, which is {kind:?}: {line}");
        }
    }
    parsed
}

/// Whether a family of this type may have samples of this name. A counter has its suffix in OpenMetrics.
fn belongs(name: &str, family: &str, kind: &str) -> bool {
    let suffixes: &[&str] = match kind {
        "histogram" => &["_bucket", "_sum", "_count"],
        "summary" => &["", "_sum", "_count"],
        "counter" => &["", "_total"],
        "gauge" | "unknown" => &[""],
        _ => &[],
    };
    name.strip_prefix(family).is_some_and(|suffix| suffixes.contains(&suffix))
}

/// Reads a line, and returns the name in it.
fn sample(parsed: &mut Parsed, mut rest: Cursor, line: &str) -> String {
    let mut name = if rest.peek() == Some('{') { String::new() } else { rest.name() };
    let mut labels = Labels::new();
    if rest.takes("{") {
        if name.is_empty() {
            name = rest.name();
            let _ = rest.takes(",");
        }
        while !rest.takes("}") {
            let label = rest.name();
            rest.expect("=");
            let value = rest.quoted();
            assert!(labels.insert(label, value).is_none(), "a label twice: {line}");
            let _ = rest.takes(",");
        }
    }
    rest.expect(" ");
    let behind = rest.rest();
    let (values, exemplar) = behind.split_once(" # ").map_or((behind.as_str(), None), |(a, b)| (a, Some(b)));
    let mut values = values.split(' ');
    let value = number(values.next().unwrap());
    let time = values.next().map(|time| {
        let seconds = time.contains(['.', 'e']);
        if seconds { (time.parse::<f64>().unwrap() * 1000.0).round() as i64 } else { time.parse().unwrap() }
    });
    let key = (name, labels);
    if let Some(exemplar) = exemplar {
        let (ids, behind) = exemplar.split_once("} ").unwrap();
        let trace = ids.split("trace_id=\"").nth(1).map(|trace| trace.split('"').next().unwrap().to_owned());
        let value = number(behind.split(' ').next().unwrap());
        parsed.exemplars.insert(key.clone(), (trace.unwrap_or_default(), value.to_bits()));
    }
    let name = key.0.clone();
    let known = parsed.samples.insert(key, (value.to_bits(), time));
    assert!(known.is_none(), "a sample twice: {line}");
    name
}

fn number(text: &str) -> f64 {
    match text {
        "+Inf" => f64::INFINITY,
        "-Inf" => f64::NEG_INFINITY,
        "NaN" => f64::NAN,
        text => text.parse().unwrap_or_else(|_| unreachable!("not a number: {text}")),
    }
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, c == '\\') {
            (_, true) => match chars.next() {
                Some('n') => out.push('\n'),
                Some(other) => out.push(other),
                None => unreachable!("a backslash at the end"),
            },
            (c, _) => out.push(c),
        }
    }
    out
}

struct Cursor(Vec<char>, usize);

impl Cursor {
    fn peek(&self) -> Option<char> {
        self.0.get(self.1).copied()
    }

    fn takes(&mut self, text: &str) -> bool {
        let is_next = self.0[self.1..].iter().copied().take(text.chars().count()).eq(text.chars());
        self.1 += if is_next { text.chars().count() } else { 0 };
        is_next
    }

    fn expect(&mut self, text: &str) {
        assert!(self.takes(text), "{text:?} expected at {} of {}", self.1, self.0.iter().collect::<String>());
    }

    fn rest(&mut self) -> String {
        self.0.drain(self.1..).collect()
    }

    fn name(&mut self) -> String {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let begin = self.1;
        while self.peek().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':') {
            self.1 += 1;
        }
        assert!(self.1 > begin && !self.0[begin].is_ascii_digit(), "no name at {begin}");
        self.0[begin..self.1].iter().collect()
    }

    fn quoted(&mut self) -> String {
        self.expect("\"");
        let begin = self.1;
        while self.peek() != Some('"') {
            assert!(self.peek().is_some(), "a quote is missing: {}", self.0.iter().collect::<String>());
            self.1 += if self.peek() == Some('\\') { 2 } else { 1 };
        }
        let text: String = self.0[begin..self.1].iter().collect();
        self.1 += 1;
        unescape(&text)
    }
}

// === protobuf ===

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(int64, optional, tag = "1")]
    seconds: Option<i64>,
    #[prost(int32, optional, tag = "2")]
    nanos: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct LabelPair {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Simple {
    #[prost(double, optional, tag = "1")]
    value: Option<f64>,
    #[prost(message, optional, tag = "2")]
    exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    created: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(double, optional, tag = "2")]
    value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
}

#[derive(Clone, PartialEq, Message)]
struct Quantile {
    #[prost(double, optional, tag = "1")]
    quantile: Option<f64>,
    #[prost(double, optional, tag = "2")]
    value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(uint64, optional, tag = "1")]
    count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    quantile: Vec<Quantile>,
}

#[derive(Clone, PartialEq, Message)]
struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    bound: Option<f64>,
    #[prost(message, optional, tag = "3")]
    exemplar: Option<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(sint32, optional, tag = "1")]
    offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    length: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    bucket: Vec<Bucket>,
    #[prost(sint32, optional, tag = "5")]
    schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    zero_count: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    negative_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "10")]
    negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    positive_span: Vec<Span>,
    #[prost(sint64, repeated, tag = "13")]
    positive_delta: Vec<i64>,
    #[prost(message, optional, tag = "15")]
    created: Option<Timestamp>,
    #[prost(message, repeated, tag = "16")]
    exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
struct Metric {
    #[prost(message, repeated, tag = "1")]
    label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    gauge: Option<Simple>,
    #[prost(message, optional, tag = "3")]
    counter: Option<Simple>,
    #[prost(message, optional, tag = "4")]
    summary: Option<Summary>,
    #[prost(message, optional, tag = "7")]
    histogram: Option<Histogram>,
    #[prost(int64, optional, tag = "6")]
    timestamp_ms: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct Family {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "2")]
    help: Option<String>,
    #[prost(int32, optional, tag = "3")]
    kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    metric: Vec<Metric>,
}

/// Reads the protobuf format.
pub(super) fn protobuf(mut bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    while !bytes.is_empty() {
        let family = Family::decode_length_delimited(&mut bytes).unwrap();
        let name = family.name.unwrap();
        let kind =
            ["counter", "gauge", "summary", "untyped", "histogram"][usize::try_from(family.kind.unwrap()).unwrap()];
        assert!(parsed.kinds.insert(name.clone(), kind.to_owned()).is_none(), "{name} twice");
        parsed.help.insert(name.clone(), family.help.unwrap());
        assert!(!family.metric.is_empty());
        family.metric.into_iter().for_each(|metric| read_metric(&mut parsed, &name, metric));
    }
    parsed
}

fn read_metric(parsed: &mut Parsed, name: &str, metric: Metric) {
    let mut labels = Labels::new();
    for pair in metric.label {
        assert!(labels.insert(pair.name.unwrap(), pair.value.unwrap()).is_none(), "a label twice");
    }
    let time = metric.timestamp_ms;
    let mut put = |suffix: &str, extra: Option<(&str, f64)>, value: f64| {
        let mut labels = labels.clone();
        labels.extend(extra.map(|(name, bound)| (name.to_owned(), canonical(bound))));
        let known = parsed.samples.insert((format!("{name}{suffix}"), labels), (value.to_bits(), time));
        assert!(known.is_none(), "{name} twice");
    };
    if let Some(simple) = metric.gauge.or(metric.counter) {
        put("", None, simple.value.unwrap());
        if let Some(exemplar) = simple.exemplar {
            parsed.exemplars.insert((name.to_owned(), labels), read_exemplar(&exemplar));
        }
    } else if let Some(summary) = metric.summary {
        for quantile in summary.quantile {
            put("", Some(("quantile", quantile.quantile.unwrap())), quantile.value.unwrap());
        }
        put("_sum", None, summary.sum.unwrap());
        put("_count", None, summary.count.unwrap() as f64);
    } else {
        let histogram = metric.histogram.unwrap();
        put("_sum", None, histogram.sum.unwrap());
        put("_count", None, histogram.count.unwrap() as f64);
        let buckets = histogram.bucket.iter().map(|bucket| (bucket.bound.unwrap(), bucket.count.unwrap()));
        let mut buckets: Vec<_> = buckets.collect();
        if buckets.last().is_none_or(|(bound, _)| *bound != f64::INFINITY) {
            buckets.push((f64::INFINITY, histogram.count.unwrap()));
        }
        buckets.into_iter().for_each(|(bound, count)| put("_bucket", Some(("le", bound)), count as f64));
        for bucket in &histogram.bucket {
            if let Some(exemplar) = &bucket.exemplar {
                let mut labels = labels.clone();
                labels.insert("le".to_owned(), canonical(bucket.bound.unwrap()));
                parsed.exemplars.insert((format!("{name}_bucket"), labels), read_exemplar(exemplar));
            }
        }
        if let Some(schema) = histogram.schema {
            let native = Native {
                schema,
                zero: (histogram.zero_count.unwrap(), histogram.zero_threshold.unwrap().to_bits()),
                positive: unroll(&histogram.positive_span, &histogram.positive_delta),
                negative: unroll(&histogram.negative_span, &histogram.negative_delta),
            };
            parsed.natives.insert((name.to_owned(), labels), native);
        }
    }
}

fn read_exemplar(exemplar: &Exemplar) -> (String, u64) {
    let trace = exemplar.label.iter().find(|label| label.name.as_deref() == Some("trace_id"));
    (trace.and_then(|label| label.value.clone()).unwrap_or_default(), exemplar.value.unwrap().to_bits())
}

fn unroll(spans: &[Span], deltas: &[i64]) -> BTreeMap<i64, i64> {
    let (mut buckets, mut index, mut count) = (BTreeMap::new(), 0_i64, 0_i64);
    let mut deltas = deltas.iter();
    for span in spans {
        index += i64::from(span.offset.unwrap());
        for _ in 0..span.length.unwrap() {
            count += deltas.next().unwrap();
            if count != 0 {
                buckets.insert(index, count);
            }
            index += 1;
        }
    }
    assert!(deltas.next().is_none());
    buckets
}

/// A bound as text that is the same for all formats.
pub(super) fn canonical(bound: f64) -> String {
    if bound == f64::INFINITY { "+Inf".to_owned() } else { format!("{bound:?}") }
}

/// The same answer with bounds and quantiles in one form. Another metric may have labels of these names that say anything.
pub(super) fn normal(mut parsed: Parsed) -> Parsed {
    let kinds = std::mem::take(&mut parsed.kinds);
    let is = |name: Option<&str>, kind: &str| name.and_then(|name| kinds.get(name)).is_some_and(|known| known == kind);
    let normal = |(name, mut labels): (String, Labels)| {
        let label = match name.as_str() {
            name if is(name.strip_suffix("_bucket"), "histogram") => "le",
            name if is(Some(name), "summary") => "quantile",
            _ => return (name, labels),
        };
        if let Some(bound) = labels.get_mut(label) {
            *bound = canonical(number(bound));
        }
        (name, labels)
    };
    parsed.samples = parsed.samples.into_iter().map(|(key, value)| (normal(key), value)).collect();
    parsed.exemplars = parsed.exemplars.into_iter().map(|(key, value)| (normal(key), value)).collect();
    parsed.kinds = kinds;
    parsed
}
