//! The walk itself.

use super::plan::{MESSAGES, Op, PLAN, Step, Table, unknown_field};
use super::text::{is_utf8, skip_plain_attributes};
use super::{Fault, MAX_DEPTH, Malformed, Skim};
use crate::Signal;
use crate::fields::varint;

/// Walks a request.
pub(super) fn request(signal: Signal, request: &[u8]) -> Result<Skim, Malformed> {
    let mut walk = Walk { items: 0, resources: 0 };
    match walk.message(request, table(signal.index() as u8), MAX_DEPTH - 1) {
        Ok(()) => Ok(Skim { items: walk.items, resources: walk.resources }),
        Err(stop) => Err(Malformed { offset: request.len().saturating_sub(stop.behind), what: stop.what }),
    }
}

struct Walk {
    items: usize,
    resources: usize,
}

/// Where the walk stopped: how many bytes stand behind that place, in the message at hand and then, on the way out, in
/// all messages around it.
struct Stop {
    behind: usize,
    what: Fault,
}

#[inline]
fn table(index: u8) -> &'static Table {
    &PLAN.tables[index as usize % MESSAGES]
}

fn stop(what: Fault, rest: &[u8]) -> Stop {
    Stop { behind: rest.len(), what }
}

impl Walk {
    /// Walks the content of a message; `levels` is how many more messages may be nested in it.
    fn message(&mut self, content: &[u8], table: &'static Table, levels: usize) -> Result<(), Stop> {
        let mut rest = content;
        let mut data = Data::default();
        while let [tag, after @ ..] = rest {
            let (step, after) = match table.steps.get(usize::from(*tag)) {
                Some(step) => (*step, after),
                None => long_tag(table, rest)?,
            };
            rest = match step.op {
                Op::Fixed64 => after.get(8..).ok_or_else(|| stop(Fault::Length, rest))?,
                Op::Fixed32 => after.get(4..).ok_or_else(|| stop(Fault::Length, rest))?,
                Op::Varint => skip_varint(after)?,
                Op::Bytes => delimited(after)?.1,
                Op::Text => {
                    let (text, next) = delimited(after)?;
                    if !is_utf8(text) {
                        return Err(stop(Fault::Utf8, after));
                    }
                    next
                }
                Op::Id => {
                    let (id, next) = delimited(after)?;
                    if !id.is_empty() && id.len() != usize::from(step.next) {
                        return Err(stop(Fault::Id, after));
                    }
                    next
                }
                Op::Packed64 => {
                    let (numbers, next) = delimited(after)?;
                    if !numbers.len().is_multiple_of(8) {
                        return Err(stop(Fault::Length, after));
                    }
                    next
                }
                Op::PackedVarints => {
                    let (numbers, next) = delimited(after)?;
                    packed_varints(numbers).map_err(|stop| stop.before(next))?;
                    next
                }
                Op::KeyValue => {
                    // An attribute and its value are two levels.
                    let next = if levels >= 2 { skip_plain_attributes(*tag, rest) } else { rest };
                    if next.len() < rest.len() { next } else { self.nested(after, step.next, levels)? }
                }
                Op::Message => self.nested(after, step.next, levels)?,
                Op::Resource => {
                    self.resources += 1;
                    self.nested(after, step.next, levels)?
                }
                Op::Item => {
                    self.items += 1;
                    self.nested(after, step.next, levels)?
                }
                Op::Data => {
                    // The low seven bits are all of the tag, also if it is written longer than it needs to be.
                    data.begin(tag & 0x7f, &mut self.items);
                    self.nested(after, step.next, levels)?
                }
                Op::Refuse => return Err(refuse(rest)),
            };
        }
        Ok(())
    }

    /// Walks the message whose length stands at the front of `rest`; gives what stands behind it.
    #[inline]
    fn nested<'a>(&mut self, rest: &'a [u8], next: u8, levels: usize) -> Result<&'a [u8], Stop> {
        let (content, behind) = delimited(rest)?;
        let levels = levels.checked_sub(1).ok_or_else(|| stop(Fault::Depth, rest))?;
        self.message(content, table(next), levels).map_err(|stop| stop.before(behind))?;
        Ok(behind)
    }
}

impl Stop {
    /// The same place, seen from the message around, in which `behind` follows.
    fn before(self, behind: &[u8]) -> Stop {
        Stop { behind: self.behind + behind.len(), what: self.what }
    }
}

/// Which member of a metric's data was seen last, and how many items there were before it. As in every decoder, another
/// member replaces it, and the same one again is merged with it.
#[derive(Default)]
struct Data {
    tag: u8,
    before: usize,
}

impl Data {
    fn begin(&mut self, tag: u8, items: &mut usize) {
        if self.tag == 0 {
            self.before = *items;
        } else if self.tag != tag {
            *items = self.before;
        }
        self.tag = tag;
    }
}

/// Splits a length-delimited value off.
#[inline]
fn delimited(rest: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    let (len, after) = match rest {
        [len, after @ ..] if *len < 0x80 => (usize::from(*len), after),
        [low, high, after @ ..] if *high < 0x80 => (usize::from(*low & 0x7f) | usize::from(*high) << 7, after),
        _ => long_length(rest)?,
    };
    after.split_at_checked(len).ok_or_else(|| stop(Fault::Length, rest))
}

fn long_length(rest: &[u8]) -> Result<(usize, &[u8]), Stop> {
    let (len, end) = varint(rest, 0).ok_or_else(|| stop(Fault::Varint, rest))?;
    let len = usize::try_from(len).map_err(|_| stop(Fault::Length, rest))?;
    Ok((len, rest.get(end..).unwrap_or_default()))
}

fn long_tag<'a>(table: &Table, rest: &'a [u8]) -> Result<(Step, &'a [u8]), Stop> {
    let (tag, end) = varint(rest, 0).ok_or_else(|| stop(Fault::Varint, rest))?;
    // A field number has 29 bits and is not zero.
    let tag = u32::try_from(tag).ok().filter(|tag| tag >> 3 != 0).ok_or_else(|| stop(Fault::Tag, rest))?;
    let step = table.long_step(tag >> 3, tag & 7);
    if step.op == Op::Refuse {
        return Err(refuse(rest));
    }
    Ok((step, rest.get(end..).unwrap_or_default()))
}

/// Why a tag was refused.
#[cold]
fn refuse(rest: &[u8]) -> Stop {
    let known = varint(rest, 0).is_some_and(|(tag, _)| tag >> 3 != 0 && unknown_field(tag as u32 & 7) != Op::Refuse);
    stop(if known { Fault::WireType } else { Fault::Tag }, rest)
}

#[inline]
fn skip_varint(rest: &[u8]) -> Result<&[u8], Stop> {
    match rest {
        [byte, after @ ..] if *byte < 0x80 => Ok(after),
        _ => {
            let (_, end) = varint(rest, 0).ok_or_else(|| stop(Fault::Varint, rest))?;
            Ok(rest.get(end..).unwrap_or_default())
        }
    }
}

fn packed_varints(mut rest: &[u8]) -> Result<(), Stop> {
    while !rest.is_empty() {
        rest = skip_varint(rest)?;
    }
    Ok(())
}
