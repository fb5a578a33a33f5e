//! Taking one resource apart with what came from it.

use bytes::Bytes;
use smallvec::SmallVec;

use super::Filling;
use crate::Signal;
use crate::count::{in_metric, in_scope, is_data};
use crate::fields::{Field, Fields};
use crate::write::varint_len;

/// The messages around the items, from the outside in, and what of them goes into the piece at hand.
pub(super) struct Levels<'f> {
    signal: Signal,
    group: &'f Bytes,
    filling: &'f mut Filling,
    // The messages that are being gone through.
    open: SmallVec<[Level; 4]>,
    // What goes into the piece: headers, with lengths that are known when the message is closed, and runs of the group.
    parts: Vec<Part>,
    items: usize,
}

/// What kind of message a level is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Group,
    Scope,
    Metric,
    Data,
    Item,
}

/// A message around the items.
struct Level {
    number: u32,
    // The field as a whole.
    field: Range,
    // The fields that every piece repeats.
    head: SmallVec<[Range; 6]>,
    head_len: usize,
    // Length of its content in the piece, without the levels inside that are still open.
    len: usize,
    // Which part is its header, if it is in the piece.
    header: Option<usize>,
    // Whether it is in any piece.
    used: bool,
}

/// Bytes of the group, from and to.
type Range = (usize, usize);

enum Part {
    Header { number: u32, len: usize },
    Run(Range),
}

impl Kind {
    /// Whether a field of such a message holds what is inside it, and what kind that is.
    fn child(self, signal: Signal, field: &Field<'_>) -> Option<Kind> {
        field.bytes()?;
        match (self, signal, field.number) {
            (Kind::Group, _, 2) => Some(Kind::Scope),
            (Kind::Scope, Signal::Metrics, 2) => Some(Kind::Metric),
            (Kind::Scope, _, 2) | (Kind::Data, _, 1) => Some(Kind::Item),
            (Kind::Metric, _, number) if is_data(number) => Some(Kind::Data),
            _ => None,
        }
    }

    /// How many items there are in the content of such a message.
    fn count(self, signal: Signal, content: &[u8]) -> usize {
        match self {
            Kind::Group => Fields::new(content).messages(2).map(|scope| in_scope(signal, scope)).sum(),
            Kind::Scope => in_scope(signal, content),
            Kind::Metric => in_metric(content),
            Kind::Data => Fields::new(content).messages(1).count(),
            Kind::Item => 1,
        }
    }

    /// Whether there is nothing in it that could be taken apart. A metric with several members of data is left whole:
    /// which of them counts depends on their order.
    fn is_whole(self, content: &[u8]) -> bool {
        match self {
            Kind::Item => true,
            Kind::Metric => Fields::new(content).filter(|field| is_data(field.number)).count() != 1,
            _ => false,
        }
    }
}

impl<'f> Levels<'f> {
    pub(super) fn new(signal: Signal, group: &'f Bytes, filling: &'f mut Filling) -> Levels<'f> {
        Levels { signal, group, filling, open: SmallVec::new(), parts: Vec::new(), items: 0 }
    }

    /// Puts the group into this piece and as many more as it takes.
    pub(super) fn take_apart(mut self) {
        let group = self.group;
        self.enter(Kind::Group, 1, (0, group.len()), (0, group.len()));
        self.emit();
    }

    /// Goes through a message: a child that fits is taken whole, another is entered.
    fn enter(&mut self, kind: Kind, number: u32, field: Range, content: Range) {
        let bytes = slice(self.group, content);
        let mut level = Level::new(number, field);
        for field in Fields::new(bytes).filter(|field| kind.child(self.signal, field).is_none()) {
            level.repeat((content.0 + field.start, content.0 + field.end));
        }
        self.open.push(level);
        for field in Fields::new(bytes) {
            if let (Some(child), Some(inside)) = (kind.child(self.signal, &field), field.bytes()) {
                let end = content.0 + field.end;
                self.take(child, field.number, (content.0 + field.start, end), (end - inside.len(), end));
            }
        }
        self.leave();
    }

    fn take(&mut self, kind: Kind, number: u32, field: Range, content: Range) {
        let bytes = slice(self.group, content);
        let items = kind.count(self.signal, bytes);
        if kind.is_whole(bytes) || self.fits(items, field.1 - field.0) {
            self.place(field, items);
        } else {
            self.enter(kind, number, field, content);
        }
    }

    /// Puts a field into the piece, or into the next one if there is no room.
    fn place(&mut self, field: Range, items: usize) {
        if !self.fits(items, field.1 - field.0) && !self.is_empty() {
            self.cut();
        }
        for level in &mut self.open {
            level.include(&mut self.parts);
        }
        match self.parts.last_mut() {
            Some(Part::Run(run)) if run.1 == field.0 => run.1 = field.1,
            _ => self.parts.push(Part::Run(field)),
        }
        if let Some(level) = self.open.last_mut() {
            level.len += field.1 - field.0;
        }
        self.items += items;
    }

    /// Whether there is room in the piece for so much more at this level, with all that has to stand around it.
    fn fits(&self, items: usize, bytes: usize) -> bool {
        let around = self.open.iter().rev().fold(bytes, |inside, level| field_len(level.len + inside));
        self.filling.fits(self.items + items, around)
    }

    fn is_empty(&self) -> bool {
        self.parts.is_empty() && self.filling.bytes == 0
    }

    /// Ends the innermost message. One that is in no piece, because there are no items in it, goes in as it is.
    fn leave(&mut self) {
        let Some(level) = self.open.pop() else {
            return;
        };
        let inside = level.close(&mut self.parts);
        if let Some(around) = self.open.last_mut() {
            around.len += inside;
        }
        if !level.used {
            self.place(level.field, 0);
        }
    }

    /// Ends the piece: closes what is open, and opens it anew for the next.
    fn cut(&mut self) {
        let mut inside = 0;
        for level in self.open.iter_mut().rev() {
            level.len += inside;
            inside = level.close(&mut self.parts);
        }
        self.emit();
        self.filling.cut();
        self.open.iter_mut().for_each(Level::restart);
    }

    /// Writes the parts into the piece.
    fn emit(&mut self) {
        let mut bytes = 0;
        for part in self.parts.drain(..) {
            match part {
                Part::Header { number, len } => bytes += header(&mut self.filling.piece, number, len),
                Part::Run((start, end)) => {
                    self.filling.piece.run(self.group, start, end);
                    bytes += end - start;
                }
            }
        }
        self.filling.bytes += bytes;
        self.filling.items += std::mem::take(&mut self.items);
    }
}

impl Level {
    fn new(number: u32, field: Range) -> Level {
        Level { number, field, head: SmallVec::new(), head_len: 0, len: 0, header: None, used: false }
    }

    /// A field that every piece repeats.
    fn repeat(&mut self, field: Range) {
        self.head_len += field.1 - field.0;
        self.len = self.head_len;
        match self.head.last_mut() {
            Some(last) if last.1 == field.0 => last.1 = field.1,
            _ => self.head.push(field),
        }
    }

    /// Puts the header and the head into the piece, if they are not there yet.
    fn include(&mut self, parts: &mut Vec<Part>) {
        if self.header.is_none() {
            self.header = Some(parts.len());
            self.used = true;
            parts.push(Part::Header { number: self.number, len: 0 });
            parts.extend(self.head.iter().copied().map(Part::Run));
        }
    }

    /// Writes the length of the message into its header. Gives how long the whole field is, 0 if it is not in the piece.
    fn close(&self, parts: &mut [Part]) -> usize {
        let Some(part) = self.header.and_then(|index| parts.get_mut(index)) else {
            return 0;
        };
        *part = Part::Header { number: self.number, len: self.len };
        field_len(self.len)
    }

    /// Stands at the start of a new piece.
    fn restart(&mut self) {
        self.header = None;
        self.len = self.head_len;
    }
}

/// Writes a field's tag and length; gives how many bytes that takes.
fn header(out: &mut crate::assemble::Assembly, number: u32, len: usize) -> usize {
    let mut header = SmallVec::<[u8; 12]>::new();
    header.push((number << 3 | 2) as u8);
    let mut rest = len;
    while rest >= 0x80 {
        header.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    header.push(rest as u8);
    out.copy(&header);
    header.len()
}

/// Length of a field with content of this length; all fields around items have tags of one byte.
fn field_len(content: usize) -> usize {
    1 + varint_len(content as u64) + content
}

fn slice(bytes: &Bytes, range: Range) -> &[u8] {
    bytes.get(range.0..range.1).unwrap_or_default()
}
