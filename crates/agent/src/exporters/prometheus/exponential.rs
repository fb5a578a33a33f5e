//! Exponential histograms: adding up deltas of different scales, and the form that native histograms have.
//!
//! The bucket with index `i` at scale `s` holds values above `base^i` up to `base^(i+1)`, where `base = 2^(2^-s)`. A scale
//! less makes one bucket of two neighbours.

use wire::view::{Buckets, ExponentialHistogramPoint};

use super::refusal::Refusal;

/// An exponential histogram.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Exponential {
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    pub(super) positive: Run,
    pub(super) negative: Run,
}

/// Neighbouring buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Run {
    /// Index of the first one.
    pub(super) offset: i32,
    pub(super) counts: Box<[u64]>,
}

/// The form of a native histogram.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Native {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive: Spans,
    pub(super) negative: Spans,
}

/// Buckets as a native histogram has them: runs with their distance from the run before, and each bucket's count as the
/// difference from the bucket before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Spans {
    /// Distance and length of each run.
    pub(super) spans: Vec<(i32, u32)>,
    pub(super) deltas: Vec<i64>,
}

/// Scales that a native histogram can have.
const SCHEMAS: std::ops::RangeInclusive<i32> = -4..=8;
/// What is so near to zero counts as zero, if the sender does not say.
const ZERO_THRESHOLD: f64 = 1e-128;
/// Gaps of up to this many buckets are written as empty buckets rather than as the end of a run.
const SMALL_GAP: i64 = 2;
/// Merging two histograms must not make one of a billion buckets: beyond this, the scale goes down.
const MOST_BUCKETS: i64 = 4096;

impl Exponential {
    /// Reads a data point.
    ///
    /// # Errors
    ///
    /// No native histogram can be made of it: its buckets are too wide, or do not add up to its count.
    pub(super) fn read(point: &ExponentialHistogramPoint<'_>) -> Result<Exponential, Refusal> {
        let read = Exponential {
            count: point.count(),
            sum: point.sum().unwrap_or_default(),
            scale: point.scale(),
            zero_count: point.zero_count(),
            zero_threshold: point.zero_threshold(),
            positive: Run::read(&point.positive()),
            negative: Run::read(&point.negative()),
        };
        let mut in_buckets = read.positive.counts.iter().chain(&read.negative.counts).copied();
        let in_buckets = in_buckets.try_fold(read.zero_count, |total: u64, count| total.checked_add(count));
        let fits = match in_buckets {
            // Values that are not a number are in no bucket.
            Some(total) if read.sum.is_nan() => total <= read.count,
            Some(total) => total == read.count,
            None => false,
        };
        let ends = [&read.positive, &read.negative].iter().all(|run| run.last_index() < i64::from(i32::MAX));
        if read.scale < *SCHEMAS.start() || read.scale > 64 || !fits || !ends {
            return Err(Refusal::Invalid);
        }
        Ok(read)
    }

    /// Adds what came before: at the lower scale, with the wider zero bucket.
    pub(super) fn add(&mut self, before: &Exponential) {
        let mut before = before.clone();
        let mut scale = self.scale.min(before.scale);
        loop {
            self.lower_to(scale);
            before.lower_to(scale);
            let width = |a: &Run, b: &Run| a.merged_range(b).map_or(0, |(first, last)| last - first + 1);
            let widest = width(&self.positive, &before.positive).max(width(&self.negative, &before.negative));
            if widest <= MOST_BUCKETS || scale <= *SCHEMAS.start() {
                break;
            }
            scale -= 1;
        }
        let threshold = self.zero_threshold.max(before.zero_threshold);
        self.widen_zero(threshold);
        before.widen_zero(threshold);
        self.positive = self.positive.merged(&before.positive);
        self.negative = self.negative.merged(&before.negative);
        self.zero_count = self.zero_count.saturating_add(before.zero_count);
        self.count = self.count.saturating_add(before.count);
        self.sum += before.sum;
    }

    fn lower_to(&mut self, scale: i32) {
        let steps = self.scale.saturating_sub(scale);
        if steps > 0 {
            self.positive.lower(steps);
            self.negative.lower(steps);
            self.scale = scale;
        }
    }

    /// Buckets that lie within the zero bucket become part of it.
    fn widen_zero(&mut self, threshold: f64) {
        if threshold > self.zero_threshold {
            let within =
                self.positive.take_up_to(threshold, self.scale) + self.negative.take_up_to(threshold, self.scale);
            self.zero_count = self.zero_count.saturating_add(within);
            self.zero_threshold = threshold;
        }
    }

    /// The form of a native histogram: at a scale that it can have.
    pub(super) fn native(&self) -> Native {
        let mut lowered = self.clone();
        lowered.lower_to(*SCHEMAS.end());
        let zero_threshold = if self.zero_threshold == 0.0 { ZERO_THRESHOLD } else { self.zero_threshold };
        Native {
            schema: lowered.scale,
            zero_threshold,
            positive: lowered.positive.spans(),
            negative: lowered.negative.spans(),
        }
    }

    pub(super) fn size(&self) -> usize {
        size_of::<Exponential>() + 16 + 8 * (self.positive.counts.len() + self.negative.counts.len())
    }
}

impl Run {
    fn read(buckets: &Buckets<'_>) -> Run {
        Run { offset: buckets.offset(), counts: buckets.bucket_counts().collect() }
    }

    /// One before the first for an empty run.
    fn last_index(&self) -> i64 {
        i64::from(self.offset) + self.counts.len() as i64 - 1
    }

    /// Makes one bucket of `2^steps` neighbours.
    fn lower(&mut self, steps: i32) {
        let steps = steps.clamp(0, 31);
        let Some(last) = self.counts.len().checked_sub(1) else { return };
        let first = self.offset >> steps;
        let last = (i64::from(self.offset) + last as i64) >> steps;
        let mut counts = vec![0_u64; usize::try_from(last - i64::from(first) + 1).unwrap_or_default()];
        for (index, count) in (i64::from(self.offset)..).zip(&self.counts) {
            let at = usize::try_from((index >> steps) - i64::from(first)).ok();
            if let Some(sum) = at.and_then(|at| counts.get_mut(at)) {
                *sum = sum.saturating_add(*count);
            }
        }
        *self = Run { offset: first, counts: counts.into() };
    }

    /// Takes off the buckets whose upper end is at or below `threshold`, and says how many values were in them.
    fn take_up_to(&mut self, threshold: f64, scale: i32) -> u64 {
        let end = |index: i64| (index as f64 * (-f64::from(scale)).exp2()).exp2();
        let indices = i64::from(self.offset) + 1..;
        let within = indices.zip(&self.counts).take_while(|(index, _)| end(*index) <= threshold).count();
        let (taken, left) = self.counts.split_at(within);
        let taken = taken.iter().fold(0_u64, |total, count| total.saturating_add(*count));
        let offset = i32::try_from(i64::from(self.offset) + within as i64).unwrap_or_default();
        *self = if left.is_empty() { Run::default() } else { Run { offset, counts: left.into() } };
        taken
    }

    /// The first and the last index of both.
    fn merged_range(&self, other: &Run) -> Option<(i64, i64)> {
        let runs = [self, other].into_iter().filter(|run| !run.counts.is_empty());
        let ranges = runs.map(|run| (i64::from(run.offset), run.last_index()));
        ranges.reduce(|(first, last), (other_first, other_last)| (first.min(other_first), last.max(other_last)))
    }

    fn merged(&self, other: &Run) -> Run {
        let Some((first, last)) = self.merged_range(other) else { return Run::default() };
        let mut counts = vec![0_u64; usize::try_from(last - first + 1).unwrap_or_default()];
        for run in [self, other] {
            for (index, count) in (i64::from(run.offset)..).zip(&run.counts) {
                let at = usize::try_from(index - first).ok();
                if let Some(sum) = at.and_then(|at| counts.get_mut(at)) {
                    *sum = sum.saturating_add(*count);
                }
            }
        }
        Run { offset: i32::try_from(first).unwrap_or_default(), counts: counts.into() }
    }

    /// As runs of a native histogram, where a bucket has its upper end in its index: one more than here.
    fn spans(&self) -> Spans {
        let mut spans = Spans::default();
        let (mut next, mut before) = (0_i64, 0_i64);
        for (index, count) in (i64::from(self.offset) + 1..).zip(&self.counts) {
            // The ends of a run are often empty; a native histogram does without them.
            if *count == 0 {
                continue;
            }
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            let gap = index - next;
            match spans.spans.last_mut() {
                Some((_, length)) if gap <= SMALL_GAP => {
                    for _ in 0..gap {
                        *length += 1;
                        spans.deltas.push(-before);
                        before = 0;
                    }
                    *length += 1;
                }
                _ => spans.spans.push((i32::try_from(gap).unwrap_or_default(), 1)),
            }
            spans.deltas.push(count - before);
            (before, next) = (count, index + 1);
        }
        spans
    }
}
