//! Write requests: series are collected and written as `prometheus.WriteRequest` (1.0) or
//! `io.prometheus.write.v2.Request` (2.0), none of them larger than it may be.

use std::collections::HashMap;

use wire::write;

use super::native::Native;
use crate::exporters::series::labels::Label;
use crate::exporters::series::points::Kind;

/// Which of the two messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// 1.0: labels as text.
    V1,
    /// 2.0: each text once, metadata with each series.
    V2,
}

/// The metric that a series belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family<'a> {
    /// Its name, without `_bucket` and the like.
    pub(super) name: &'a str,
    pub(super) kind: Kind,
    pub(super) help: &'a str,
    pub(super) unit: &'a str,
}

/// When and from when on, in milliseconds since 1970. The start is 0 if unknown; only 2.0 carries it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Time {
    pub(super) at: i64,
    pub(super) start: i64,
}

/// A single measurement.
#[derive(Debug, Clone)]
pub(super) struct Exemplar {
    pub(super) labels: Vec<Label>,
    pub(super) time: i64,
    pub(super) value: f64,
}

/// Collects series into requests; each one that is full is given to `emit`, in order.
pub(super) struct Requests<E> {
    message: Message,
    most: usize,
    /// Whether 1.0 carries metadata; 2.0 always does.
    send_metadata: bool,
    series: Vec<Series>,
    /// Position by the labels as they are written.
    known: HashMap<Vec<u8>, usize>,
    symbols: Symbols,
    /// `MetricMetadata` of 1.0 by family.
    metadata: HashMap<String, Vec<u8>>,
    /// Bytes of what is collected, at most.
    bytes: usize,
    /// Series in all requests so far.
    pub(super) written: u64,
    emit: E,
}

#[derive(Default)]
struct Series {
    labels: Vec<u8>,
    /// Ready-made `Sample`s and `Histogram`s, with their times.
    samples: Vec<(i64, Vec<u8>)>,
    histograms: Vec<(i64, Vec<u8>)>,
    exemplars: Vec<Vec<u8>>,
    /// A ready-made `Metadata` of 2.0.
    metadata: Vec<u8>,
}

/// Texts of a request of 2.0, each once. The first one is empty.
struct Symbols {
    positions: HashMap<String, u32>,
    written: Vec<u8>,
}

/// The label that holds the name of a metric.
const NAME: &str = "__name__";
/// Tags and lengths around a text, a sample or a series, at most.
const AROUND: usize = 12;

impl<E: FnMut(Vec<u8>)> Requests<E> {
    pub(super) fn new(message: Message, most: usize, send_metadata: bool, emit: E) -> Self {
        Requests {
            message,
            most,
            send_metadata,
            series: Vec::new(),
            known: HashMap::new(),
            symbols: Symbols::new(),
            metadata: HashMap::new(),
            bytes: 0,
            written: 0,
            emit,
        }
    }

    /// Adds a number to the series with this name and these labels, which are sorted and have no `__name__`.
    pub(super) fn sample(
        &mut self,
        family: &Family<'_>,
        name: &str,
        labels: &[Label],
        (time, value): (Time, f64),
        exemplars: &[Exemplar],
    ) {
        let mut sample = Vec::with_capacity(24);
        write::fixed64_field(&mut sample, 1, value.to_bits());
        write::varint_field(&mut sample, 2, time.at.cast_unsigned());
        if self.message == Message::V2 && time.start != 0 {
            write::varint_field(&mut sample, 3, time.start.cast_unsigned());
        }
        self.add(family, name, labels, exemplars, sample.len(), |series| series.samples.push((time.at, sample)));
    }

    /// Adds a native histogram to the series with these labels, as [`Requests::sample`] adds a number.
    pub(super) fn histogram(&mut self, family: &Family<'_>, labels: &[Label], native: &Native, exemplars: &[Exemplar]) {
        let written = native.written(self.message);
        self.add(family, family.name, labels, exemplars, written.len(), |series| {
            series.histograms.push((native.time.at, written));
        });
    }

    /// Gives what is left.
    pub(super) fn finish(&mut self) {
        if !self.series.is_empty() {
            self.flush();
        }
    }

    fn add(
        &mut self,
        family: &Family<'_>,
        name: &str,
        labels: &[Label],
        exemplars: &[Exemplar],
        bytes: usize,
        put: impl FnOnce(&mut Series),
    ) {
        let size = bytes + AROUND + exemplars.iter().map(Exemplar::most_bytes).sum::<usize>();
        let text = |text: &str| text.len() + AROUND;
        let pairs: usize = labels.iter().map(|label| text(&label.name) + text(&label.value)).sum();
        let whole =
            pairs + text(NAME) + text(name) + text(family.name) + text(family.help) + text(family.unit) + AROUND;
        // More than it takes where the series or its texts are there already.
        if self.bytes > 0 && self.bytes + size + whole > self.most {
            self.flush();
        }
        let position = self.position(family, name, labels, whole);
        let exemplars: Vec<_> = exemplars.iter().map(|each| each.written(self.message, &mut self.symbols)).collect();
        self.bytes += size;
        if let Some(series) = self.series.get_mut(position) {
            put(series);
            series.exemplars.extend(exemplars);
        }
    }

    fn position(&mut self, family: &Family<'_>, name: &str, labels: &[Label], whole: usize) -> usize {
        let key = self.labels(name, labels);
        if let Some(position) = self.known.get(&key) {
            return *position;
        }
        let metadata = self.metadata(family);
        self.bytes += whole;
        self.series.push(Series { labels: key.clone(), metadata, ..Series::default() });
        self.known.insert(key, self.series.len() - 1);
        self.series.len() - 1
    }

    /// The labels as they stand in a series, with `__name__` in its place.
    fn labels(&mut self, name: &str, labels: &[Label]) -> Vec<u8> {
        let own = Label::new(NAME, name);
        let (before, after) = labels.split_at(labels.partition_point(|label| label.name.as_str() < NAME));
        let mut out = Vec::with_capacity(64 + 32 * labels.len());
        for label in before.iter().chain([&own]).chain(after) {
            write_label(&mut out, label, self.message, &mut self.symbols);
        }
        out
    }

    /// The `Metadata` of a series of 2.0; what 1.0 has of it is noted once for each family.
    fn metadata(&mut self, family: &Family<'_>) -> Vec<u8> {
        let mut out = Vec::new();
        let kind = match family.kind {
            Kind::Counter => 1,
            Kind::Gauge => 2,
            Kind::Histogram => 3,
            // The two messages number the kinds alike.
            Kind::Summary => 5,
        };
        write::varint_field(&mut out, 1, kind);
        match self.message {
            Message::V2 => {
                for (number, text) in [(3, family.help), (4, family.unit)] {
                    if !text.is_empty() {
                        write::varint_field(&mut out, number, u64::from(self.symbols.position(text)));
                    }
                }
                out
            }
            Message::V1 if self.send_metadata => {
                for (number, text) in [(2, family.name), (4, family.help), (5, family.unit)] {
                    write::bytes_field(&mut out, number, text.as_bytes());
                }
                self.metadata.entry(family.name.to_owned()).or_insert(out);
                Vec::new()
            }
            Message::V1 => Vec::new(),
        }
    }

    fn flush(&mut self) {
        let mut out = Vec::with_capacity(self.bytes);
        self.written += self.series.len() as u64;
        if self.message == Message::V2 {
            out.append(&mut self.symbols.written);
        }
        for series in &mut self.series {
            series.write(&mut out, self.message);
        }
        for metadata in self.metadata.values() {
            write::bytes_field(&mut out, 3, metadata);
        }
        self.series.clear();
        self.known.clear();
        self.metadata.clear();
        self.symbols = Symbols::new();
        self.bytes = 0;
        (self.emit)(out);
    }
}

impl Series {
    /// Appends it to a request. Samples are in the order of their times, which Prometheus needs.
    fn write(&mut self, out: &mut Vec<u8>, message: Message) {
        self.samples.sort_by_key(|(time, _)| *time);
        self.histograms.sort_by_key(|(time, _)| *time);
        let (number, exemplars, histograms) = match message {
            Message::V1 => (1, 3, 4),
            Message::V2 => (5, 4, 3),
        };
        write::message_field(out, number, |out| {
            match message {
                Message::V1 => out.extend_from_slice(&self.labels),
                Message::V2 => write::bytes_field(out, 1, &self.labels),
            }
            self.samples.iter().for_each(|(_, sample)| write::bytes_field(out, 2, sample));
            self.exemplars.iter().for_each(|exemplar| write::bytes_field(out, exemplars, exemplar));
            self.histograms.iter().for_each(|(_, histogram)| write::bytes_field(out, histograms, histogram));
            if message == Message::V2 {
                write::bytes_field(out, 5, &self.metadata);
            }
        });
    }
}

impl Exemplar {
    fn most_bytes(&self) -> usize {
        let labels = self.labels.iter().map(|label| label.name.len() + label.value.len() + 2 * AROUND);
        labels.sum::<usize>() + 3 * AROUND
    }

    fn written(&self, message: Message, symbols: &mut Symbols) -> Vec<u8> {
        let mut labels = Vec::new();
        self.labels.iter().for_each(|label| write_label(&mut labels, label, message, symbols));
        let mut out = Vec::with_capacity(labels.len() + 2 * AROUND);
        match message {
            Message::V1 => out.append(&mut labels),
            Message::V2 => write::bytes_field(&mut out, 1, &labels),
        }
        write::fixed64_field(&mut out, 2, self.value.to_bits());
        write::varint_field(&mut out, 3, self.time.cast_unsigned());
        out
    }
}

/// A label as it stands in a series: 1.0 has messages in field 1, 2.0 two positions of a packed field.
fn write_label(out: &mut Vec<u8>, label: &Label, message: Message, symbols: &mut Symbols) {
    match message {
        Message::V1 => write::message_field(out, 1, |out| {
            write::bytes_field(out, 1, label.name.as_bytes());
            write::bytes_field(out, 2, label.value.as_bytes());
        }),
        Message::V2 => {
            write::varint(out, u64::from(symbols.position(&label.name)));
            write::varint(out, u64::from(symbols.position(&label.value)));
        }
    }
}

impl Symbols {
    fn new() -> Symbols {
        let mut symbols = Symbols { positions: HashMap::new(), written: Vec::new() };
        let _first = symbols.position("");
        symbols
    }

    fn position(&mut self, text: &str) -> u32 {
        if let Some(position) = self.positions.get(text) {
            return *position;
        }
        let position = u32::try_from(self.positions.len()).unwrap_or(u32::MAX);
        self.positions.insert(text.to_owned(), position);
        write::bytes_field(&mut self.written, 4, text.as_bytes());
        position
    }
}
