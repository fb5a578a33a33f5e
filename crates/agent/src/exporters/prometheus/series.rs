//! One series, and one family of them.

use std::sync::Arc;

use super::labels::Pairs;
use super::source::Base;
use super::value::{Exemplars, Span, Value};
use crate::exporters::series::points::Kind;

/// One series. There may be a hundred thousand, so it is small; what it shares with others it points to.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) base: Arc<Base>,
    /// The labels that its base does not have.
    pub(super) own: Pairs,
    pub(super) value: Value,
    pub(super) exemplars: Exemplars,
    pub(super) span: Span,
    /// When it was last written, in ticks of the table.
    pub(super) seen: u32,
    /// The how-manieth series it is.
    pub(super) born: u32,
    /// Its family, and its place among the family's members.
    pub(super) family: u32,
    pub(super) member: u32,
    /// From which OTLP name and unit it is made.
    pub(super) origin: u32,
    /// Which base has written it last, and which other one before.
    pub(super) writer: u32,
    pub(super) writer_before: u32,
    /// `own` has all labels, those of the base too.
    pub(super) whole: bool,
    /// Some names in `own` are not classic.
    pub(super) odd: bool,
}

/// The series of one name.
#[derive(Debug)]
pub(super) struct Family {
    pub(super) name: Arc<str>,
    pub(super) help: Arc<str>,
    pub(super) kind: Kind,
    /// Places of its series.
    pub(super) members: Vec<u32>,
    /// The OTLP metric that it was first made from, and by whom, for reports.
    pub(super) metric: String,
    pub(super) by: String,
    /// Bounds of its last histogram; most others have the same.
    pub(super) bounds: Option<Arc<[f64]>>,
}

impl Family {
    pub(super) fn size(&self) -> usize {
        size_of::<Family>() + self.name.len() + self.help.len() + self.metric.len() + self.by.len() + 128
    }
}
