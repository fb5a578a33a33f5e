//! Borrowing readers: from a request down to the attributes of a data point, without allocating.
//!
//! They are for requests that [`crate::skim`] has accepted; on anything else they end early and never panic. Each
//! accessor looks its field up anew, so whoever wants many fields of one message in a hot place walks its `fields()`
//! once. A field that may stand once and stands several times is read as protobuf says: the last scalar wins, messages
//! are merged. Only the value of a `KeyValue` given twice is not merged: the last one is read.

mod common;
mod logs;
mod metrics;
mod part;
mod text;
mod traces;

pub(crate) use common::last_member;
pub use common::{
    AnyValue, ArrayValue, Attributes, EntityRef, KeyValue, Request, Resource, ResourceGroup, Scope, ScopeGroup,
};
pub use logs::LogRecord;
pub use metrics::{
    Buckets, Data, Exemplar, ExponentialHistogram, ExponentialHistogramPoint, Gauge, Histogram, HistogramPoint, Metric,
    Number, NumberPoint, Point, Quantile, Sum, Summary, SummaryPoint,
};
pub use part::{MessageFields, Numbers, Part};
pub use text::Double;
pub use traces::{Event, Link, Span, Status};
