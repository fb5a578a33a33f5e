//! Which lines are left out, and how often.
//!
//! In each window the first few lines of a message are written, then one in so many; at the end of the window one line
//! says how many were left out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::line::Line;

/// Which lines are left out when a message is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sampling {
    /// Length of a window.
    pub tick: Duration,
    /// Lines of one message that are written in each window.
    pub initial: u64,
    /// After them, each so-manieth line is written; 0 for none.
    pub thereafter: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { tick: Duration::from_secs(10), initial: 10, thereafter: 100 }
    }
}

/// Counts the lines of the window.
pub(super) struct Sampler {
    sampling: Sampling,
    started: Instant,
    seen: HashMap<Key, Seen>,
}

/// Level, message and component.
type Key = (tracing::Level, String, Option<String>);

struct Seen {
    count: u64,
    left_out: u64,
    /// The last line that was left out.
    last: Option<Line>,
}

/// Messages are words of the program and not of its input, so there are few; should that ever fail, what is more than
/// this is counted as one message.
const MOST_MESSAGES: usize = 1024;

impl Sampler {
    pub(super) fn new(sampling: Sampling, now: Instant) -> Self {
        Self { sampling, started: now, seen: HashMap::new() }
    }

    /// Gives the line back when it is to be written.
    pub(super) fn admit(&mut self, line: Line, now: Instant) -> Option<Line> {
        if self.seen.is_empty() {
            self.started = now;
        }
        let mut key = (line.level, line.message.clone(), line.component().map(str::to_owned));
        if self.seen.len() >= MOST_MESSAGES && !self.seen.contains_key(&key) {
            key = (line.level, String::new(), None);
        }
        let seen = self.seen.entry(key).or_insert(Seen { count: 0, left_out: 0, last: None });
        seen.count += 1;
        let beyond = seen.count.saturating_sub(self.sampling.initial);
        // 0 is a multiple of everything, and the only multiple of 0.
        if beyond.is_multiple_of(self.sampling.thereafter) {
            return Some(line);
        }
        seen.left_out += 1;
        seen.last = Some(line);
        None
    }

    /// When the window has passed: a line for each message of which lines were left out, and a new window.
    pub(super) fn repeats(&mut self, now: Instant) -> Vec<Line> {
        if now.saturating_duration_since(self.started) < self.sampling.tick {
            return Vec::new();
        }
        let seconds = self.sampling.tick.as_secs_f64();
        self.seen
            .drain()
            .filter_map(|(_, seen)| {
                let mut line = seen.last?;
                line.message = format!("{} (repeated {} times in {seconds} s)", line.message, seen.left_out);
                Some(line)
            })
            .collect()
    }
}
