//! Figures of this process: memory, CPU time, uptime, heap, open files, tasks.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;

use super::metrics::Metrics;
use super::{cgroup, table};

/// Reads `/proc/self`. A figure that cannot be read is left out.
#[derive(Debug, Clone, Copy)]
pub struct Process {
    started: Instant,
}

/// What the allocator says about the heap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heap {
    /// Bytes that the program has asked for and not given back.
    pub allocated: u64,
    /// Bytes that the allocator has mapped from the system.
    pub mapped: u64,
}

impl Process {
    /// Call at the start of the program: uptime counts from here.
    #[must_use]
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// Shows the figures in `metrics`, read at each scrape.
    pub fn register(self, metrics: &Metrics) {
        metrics.on_collect(move |sink| {
            sink.set_float(&table::PROCESS_UPTIME, &[], self.started.elapsed().as_secs_f64());
            sink.set_float(&table::PROCESS_CLOCK, &[], clock());
            if let Some(seconds) = cpu_seconds() {
                sink.set_float(&table::PROCESS_CPU_SECONDS, &[], seconds);
            }
            if let Some(bytes) = resident_bytes() {
                sink.set(&table::PROCESS_MEMORY_RSS, &[], bytes);
            }
            if let Some(bytes) = cgroup::Limits::of_this_process().memory {
                sink.set(&table::PROCESS_MEMORY_LIMIT, &[], bytes);
            }
            if let Some(heap) = heap() {
                sink.set(&table::PROCESS_HEAP_ALLOC, &[], heap.allocated);
                sink.set(&table::PROCESS_TOTAL_SYS_MEMORY, &[], heap.mapped);
            }
            if let Some(files) = open_files() {
                sink.set(&table::PROCESS_OPEN_FILES, &[], files);
            }
            if let Ok(runtime) = Handle::try_current() {
                sink.set(&table::PROCESS_TASKS, &[], runtime.metrics().num_alive_tasks() as u64);
            }
        });
    }
}

/// What the clock of this machine says, in seconds since 1970.
#[must_use]
pub fn clock() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// An id for this process, a random UUID.
#[must_use]
pub fn instance_id() -> String {
    let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid");
    // Without /proc the id is still different for each start.
    random.map_or_else(|_| format!("{}-{}", std::process::id(), jiff::Timestamp::now()), |id| id.trim().to_owned())
}

/// Resident memory now, in bytes. Cheap: one small file of the kernel.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * u64::try_from(rustix::param::page_size()).ok()?)
}

/// CPU time of all threads so far, in seconds, user and system.
#[must_use]
pub fn cpu_seconds() -> Option<f64> {
    let ticks = cpu_ticks(&std::fs::read_to_string("/proc/self/stat").ok()?)?;
    #[expect(clippy::cast_precision_loss, reason = "ticks of a hundredth of a second fit for millions of years")]
    Some(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// User and system ticks. The second field is the program's name in parentheses and may hold anything, so fields are
/// counted from the last parenthesis.
fn cpu_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn open_files() -> Option<u64> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    // One of them is the directory being read.
    u64::try_from(entries.count().saturating_sub(1)).ok()
}

/// Heap figures; `None` without jemalloc.
#[cfg(feature = "jemalloc")]
#[must_use]
pub fn heap() -> Option<Heap> {
    use tikv_jemalloc_ctl::{epoch, stats};
    // The figures are a copy that stands still until the epoch is advanced.
    epoch::advance().ok()?;
    let allocated = u64::try_from(stats::allocated::read().ok()?).ok()?;
    let mapped = u64::try_from(stats::mapped::read().ok()?).ok()?;
    Some(Heap { allocated, mapped })
}

/// Heap figures; `None` without jemalloc.
#[cfg(not(feature = "jemalloc"))]
#[must_use]
pub fn heap() -> Option<Heap> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_program_may_hold_spaces_and_parentheses() {
        let stat = "42 (a b) c) S 1 42 42 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 4 0 1000 1 2";
        assert_eq!(cpu_ticks(stat), Some(200));
        assert_eq!(cpu_ticks("42 (cut off"), None);
    }

    #[tokio::test]
    async fn every_figure_of_this_process_is_there_and_plausible() {
        let metrics = Metrics::new();
        Process::start().register(&metrics);
        let value = |metric| metrics.value(metric, &[]).unwrap();
        assert!(value(&table::PROCESS_MEMORY_RSS) > 1e6);
        assert!(value(&table::PROCESS_CPU_SECONDS) >= 0.0);
        assert!(value(&table::PROCESS_OPEN_FILES) >= 3.0);
        assert!(value(&table::PROCESS_UPTIME) < 60.0);
        let before = value(&table::PROCESS_TASKS);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(ended);
        assert!((value(&table::PROCESS_TASKS) - before - 1.0).abs() < 0.5);
        end.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert!((value(&table::PROCESS_TASKS) - before).abs() < 0.5);
    }
}
