//! Counting items in a request that was checked: the structure down to the items, and nothing in them.

use crate::Signal;
use crate::fields::Fields;
use crate::view::last_member;

/// Spans, data points or log records in a request that [`crate::skim`] has accepted.
#[must_use]
pub fn count(signal: Signal, request: &[u8]) -> usize {
    Fields::new(request).messages(1).map(|group| in_group(signal, group)).sum()
}

/// Items in the content of a `ResourceSpans`, `ResourceMetrics` or `ResourceLogs`.
fn in_group(signal: Signal, group: &[u8]) -> usize {
    Fields::new(group).messages(2).map(|scope| in_scope(signal, scope)).sum()
}

/// Items in the content of a `ScopeSpans`, `ScopeMetrics` or `ScopeLogs`.
pub(crate) fn in_scope(signal: Signal, scope: &[u8]) -> usize {
    let children = Fields::new(scope).messages(2);
    match signal {
        Signal::Metrics => children.map(in_metric).sum(),
        Signal::Traces | Signal::Logs => children.count(),
    }
}

/// Data points in the content of a `Metric`.
pub(crate) fn in_metric(metric: &[u8]) -> usize {
    let Some((from, number)) = last_member(metric, is_data) else {
        return 0;
    };
    let members = Fields::new(metric.get(from..).unwrap_or_default());
    members.messages(number).map(|data| Fields::new(data).messages(1).count()).sum()
}

/// Whether a field of `Metric` holds its data.
pub(crate) fn is_data(number: u32) -> bool {
    matches!(number, 5 | 7 | 9 | 10 | 11)
}
