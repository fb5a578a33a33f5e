//! Exponential histograms as native histograms of Prometheus.

use wire::view::{Buckets, ExponentialHistogramPoint};
use wire::write;

use super::request::{Message, Time};
use crate::exporters::series::points::{NO_RECORDED_VALUE, STALE_NAN};

/// A native histogram.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Native {
    pub(super) time: Time,
    count: u64,
    sum: f64,
    schema: i32,
    zero_threshold: f64,
    zero_count: u64,
    positive: Runs,
    negative: Runs,
}

/// Buckets in runs without large gaps: each run with its distance to the one before, and the difference of each bucket's
/// count to that of the bucket before.
#[derive(Debug, Clone, Default, PartialEq)]
struct Runs {
    spans: Vec<(i32, u32)>,
    deltas: Vec<i64>,
}

/// What Prometheus takes.
const SCALES: std::ops::RangeInclusive<i32> = -4..=8;
/// For senders that do not say what counts as zero.
const ZERO_THRESHOLD: f64 = 1e-128;
/// Up to so many empty buckets stay in a run.
const GAP: i64 = 2;

impl Native {
    /// Translates a point; buckets finer than Prometheus has are joined.
    ///
    /// # Errors
    /// The buckets are coarser than Prometheus has, or beyond its range.
    pub(super) fn of(point: &ExponentialHistogramPoint<'_>, time: Time) -> Result<Native, &'static str> {
        let stale = point.flags() & NO_RECORDED_VALUE != 0;
        let scale = point.scale();
        if scale < *SCALES.start() {
            return Err("cannot convert exponential to native histogram: its scale is below -4");
        }
        let schema = scale.min(*SCALES.end());
        let coarser = u32::try_from(scale - schema).unwrap_or_default();
        let runs = |buckets| Runs::of(&buckets, coarser).ok_or("the index of a bucket is out of range");
        let threshold = point.zero_threshold();
        Ok(Native {
            time,
            count: if stale { STALE_NAN } else { point.count() },
            sum: if stale { f64::from_bits(STALE_NAN) } else { point.sum().unwrap_or_default() },
            schema,
            zero_threshold: if threshold == 0.0 { ZERO_THRESHOLD } else { threshold },
            zero_count: point.zero_count(),
            positive: runs(point.positive())?,
            negative: runs(point.negative())?,
        })
    }

    /// As a `Histogram` of either message; they differ in the start only.
    pub(super) fn written(&self, message: Message) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 + 4 * (self.positive.deltas.len() + self.negative.deltas.len()));
        write::varint_field(&mut out, 1, self.count);
        write::fixed64_field(&mut out, 3, self.sum.to_bits());
        write::varint_field(&mut out, 4, zigzag(i64::from(self.schema)));
        write::fixed64_field(&mut out, 5, self.zero_threshold.to_bits());
        write::varint_field(&mut out, 6, self.zero_count);
        self.negative.write(&mut out, 8, 9);
        self.positive.write(&mut out, 11, 12);
        write::varint_field(&mut out, 15, self.time.at.cast_unsigned());
        if message == Message::V2 && self.time.start != 0 {
            write::varint_field(&mut out, 17, self.time.start.cast_unsigned());
        }
        out
    }
}

impl Runs {
    /// 2^`coarser` buckets are joined into one. Bucket 0 of OTLP lies above 1, that of Prometheus below.
    fn of(buckets: &Buckets<'_>, coarser: u32) -> Option<Runs> {
        let mut joined: Vec<(i64, u64)> = Vec::new();
        let offset = i64::from(buckets.offset());
        for (index, count) in (offset..).zip(buckets.bucket_counts()).filter(|(_, count)| *count > 0) {
            let index = (index >> coarser) + 1;
            match joined.last_mut() {
                Some((last, sum)) if *last == index => *sum = sum.saturating_add(count),
                _ => joined.push((index, count)),
            }
        }
        let mut runs = Runs::default();
        let (mut next, mut before) = (0, 0);
        for (index, count) in joined {
            let gap = index - next;
            match runs.spans.last_mut() {
                Some((_, length)) if gap <= GAP => {
                    *length = length.checked_add(u32::try_from(gap).ok()? + 1)?;
                    for _ in 0..gap {
                        runs.deltas.push(-before);
                        before = 0;
                    }
                }
                _ => runs.spans.push((i32::try_from(gap).ok()?, 1)),
            }
            let count = i64::try_from(count).ok()?;
            runs.deltas.push(count - before);
            before = count;
            next = index + 1;
        }
        Some(runs)
    }

    fn write(&self, out: &mut Vec<u8>, spans: u32, deltas: u32) {
        for (offset, length) in &self.spans {
            write::message_field(out, spans, |out| {
                write::varint_field(out, 1, zigzag(i64::from(*offset)));
                write::varint_field(out, 2, u64::from(*length));
            });
        }
        if !self.deltas.is_empty() {
            write::message_field(out, deltas, |out| {
                self.deltas.iter().for_each(|delta| write::varint(out, zigzag(*delta)));
            });
        }
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}
