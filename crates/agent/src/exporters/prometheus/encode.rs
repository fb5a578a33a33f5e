//! One answer in the making: walks the table and writes what it finds, compressed, part by part.

mod protobuf;
mod text;

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;

use super::escape;
use super::negotiate::{Escaping, Format};
use super::table::Table;
use super::walk::{Head, Row, Walk};
use crate::exporters::series::points::Kind;
use crate::net::compression::Encoding;
use crate::telemetry::exposition::text::Dialect;

/// How an answer is written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    pub(super) format: Format,
    pub(super) escaping: Escaping,
    /// With the time of each data point.
    pub(super) timestamps: bool,
}

/// An answer in the making.
pub(super) struct Answer {
    walk: Walk,
    style: Style,
    target_info: Option<String>,
    sink: Sink,
    /// The family that is being written, and whether its head is.
    family: Option<(Head, bool)>,
    rows: Vec<Row>,
    done: bool,
}

/// Where what is written goes.
enum Sink {
    Plain(Vec<u8>),
    Gzip { text: Vec<u8>, encoder: Box<flate2::write::GzEncoder<Vec<u8>>> },
    Zstd { text: Vec<u8>, encoder: Box<zstd::Encoder<'static, Vec<u8>>> },
}

/// A part is given out when there is this much.
const PART: usize = 64 * 1024;
const TARGET_HELP: &str = "Target metadata";

impl Answer {
    /// Begins one.
    ///
    /// # Errors
    ///
    /// The compression cannot be set up.
    pub(super) fn new(table: &Arc<Table>, wanted: &[String], style: Style, encoding: Encoding) -> io::Result<Answer> {
        let target_info = Some(table.rules.namer.target_info());
        let target_info = target_info.filter(|name| wanted.is_empty() || wanted.contains(name));
        let walk = Walk::new(Arc::clone(table), wanted);
        let sink = Sink::new(encoding)?;
        Ok(Answer { walk, style, target_info, sink, family: None, rows: Vec::new(), done: false })
    }

    /// The next part; `None` behind the last.
    ///
    /// # Errors
    ///
    /// The compression fails, which it does not on input from memory.
    pub(super) fn next_part(&mut self) -> io::Result<Option<Bytes>> {
        while !self.done {
            self.write_some();
            let part = if self.done { self.finish()? } else { self.sink.part()? };
            if !part.is_empty() {
                return Ok(Some(part.into()));
            }
        }
        Ok(None)
    }

    fn finish(&mut self) -> io::Result<Vec<u8>> {
        if self.style.format.dialect() == Some(Dialect::OpenMetrics) {
            self.sink.text().extend_from_slice(b"# EOF\n");
        }
        std::mem::replace(&mut self.sink, Sink::Plain(Vec::new())).finish()
    }

    fn write_some(&mut self) {
        if let Some(name) = self.target_info.take() {
            return self.write_targets(&name);
        }
        if self.family.is_none() {
            let Some(mut head) = self.walk.next_family() else {
                self.done = true;
                return;
            };
            head.name = escape::name(&head.name, self.style.escaping).into();
            self.family = Some((head, false));
        }
        match self.style.format.dialect() {
            Some(dialect) => self.write_rows(dialect),
            None => self.write_family(),
        }
    }

    fn write_targets(&mut self, name: &str) {
        let targets = self.walk.targets();
        if targets.is_empty() {
            return;
        }
        let name = escape::name(name, self.style.escaping);
        let (name, help) = (name.as_ref().into(), TARGET_HELP.into());
        let head = Head { name, help, kind: Kind::Gauge, base_is_taken: false };
        let labels = targets.iter().map(|source| &source.target);
        match self.style.format.dialect() {
            Some(dialect) => text::targets(self.sink.text(), dialect, self.style, &head, labels),
            None => protobuf::targets(self.sink.text(), self.style, &head, labels),
        }
    }

    /// Some rows of the family, which may have very many.
    fn write_rows(&mut self, dialect: Dialect) {
        let more = self.walk.rows(&mut self.rows);
        let Some((head, head_is_written)) = &mut self.family else { return };
        let out = self.sink.text();
        if !self.rows.is_empty() && !*head_is_written {
            text::head(out, dialect, head);
            *head_is_written = true;
        }
        for row in self.rows.drain(..) {
            text::row(out, dialect, self.style, head, &row);
        }
        if !more {
            self.family = None;
        }
    }

    /// The whole family: its length stands before it.
    fn write_family(&mut self) {
        let Some((head, _)) = self.family.take() else { return };
        let mut family = protobuf::Family::new(self.style, &head);
        loop {
            let more = self.walk.rows(&mut self.rows);
            self.rows.drain(..).for_each(|row| family.row(&row));
            if !more {
                break;
            }
        }
        family.finish(self.sink.text());
    }
}

impl Sink {
    fn new(encoding: Encoding) -> io::Result<Sink> {
        Ok(match encoding {
            Encoding::Gzip => {
                let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                Sink::Gzip { text: Vec::new(), encoder: Box::new(encoder) }
            }
            Encoding::Zstd => Sink::Zstd { text: Vec::new(), encoder: Box::new(zstd::Encoder::new(Vec::new(), 1)?) },
            _ => Sink::Plain(Vec::new()),
        })
    }

    /// Where to write.
    fn text(&mut self) -> &mut Vec<u8> {
        match self {
            Sink::Plain(text) | Sink::Gzip { text, .. } | Sink::Zstd { text, .. } => text,
        }
    }

    /// What can be sent, if it is worth it.
    fn part(&mut self) -> io::Result<Vec<u8>> {
        let out = match self {
            Sink::Plain(text) => text,
            Sink::Gzip { text, encoder } => {
                encoder.write_all(text)?;
                text.clear();
                encoder.get_mut()
            }
            Sink::Zstd { text, encoder } => {
                encoder.write_all(text)?;
                text.clear();
                encoder.get_mut()
            }
        };
        Ok(if out.len() < PART { Vec::new() } else { std::mem::take(out) })
    }

    /// The rest.
    fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Sink::Plain(text) => Ok(text),
            Sink::Gzip { text, mut encoder } => {
                encoder.write_all(&text)?;
                encoder.finish()
            }
            Sink::Zstd { text, mut encoder } => {
                encoder.write_all(&text)?;
                encoder.finish()
            }
        }
    }
}
