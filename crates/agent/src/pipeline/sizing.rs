//! How large the memory budget is: from a limit on the whole process to the bytes of payload that may be held.
//!
//! The reasons for the figures are in `docs/decisions/0004-memory-budget.md`.

use super::Budget;

/// What the process uses without any payload: code, allocator, connections. Idle it is at 10 to 12 MiB.
pub const BASE: u64 = 16 << 20;
/// So much of that is for what grows with use: the first connections, pods and series.
const WITHIN_BASE: usize = 4 << 20;
/// What a connection takes: 26 KiB when it is new and idle over HTTP/1.1, 20 KiB over gRPC, 48 KiB with the buffers that a body
/// of 90 kB leaves, measured with a thousand of them.
pub const CONNECTION: usize = 48 << 10;
/// What a pod takes at most, with its entries in indexes; a test of the directory holds that.
pub const POD: usize = 4 << 10;
/// For each byte of payload, the process uses this many percent: what the allocator rounds up and keeps for a second, bodies
/// that are being inflated or compressed, frames in buffers of connections.
pub const OVERHEAD_PERCENT: u64 = 150;
/// A budget is never smaller, whatever the limit: below it, not one usual request could come in.
const LEAST: u64 = 1 << 20;
/// Without any limit around the process, it takes no more than this.
const MOST_BY_DEFAULT: u64 = 1 << 30;

/// Two marks on the memory of the whole process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// Never to be passed.
    pub hard: u64,
    /// From here on new data is refused.
    pub soft: u64,
}

impl Marks {
    /// The marks of an agent without a memory limiter: as if it had one with the limits that are usual in Kubernetes, 80 % and
    /// a spike of 25 % of what the process may use.
    #[must_use]
    pub fn by_default(total: Option<u64>) -> Marks {
        let total = total.unwrap_or(MOST_BY_DEFAULT).min(MOST_BY_DEFAULT);
        Marks { hard: total / 100 * 80, soft: total / 100 * 55 }
    }

    /// The budget for payload that keeps the process below the marks. `before` is that of the configuration that this
    /// one takes over from, which may hold something for a while.
    #[must_use]
    pub fn budget(self, before: Option<&Budget>) -> Budget {
        let bytes = |mark| usize::try_from(payload(mark)).unwrap_or(usize::MAX);
        let (limit, soft) = (bytes(self.hard), bytes(self.soft));
        match before {
            Some(before) => Budget::succeeding(before, limit, soft),
            None => Budget::with_soft(limit, soft),
        }
    }
}

/// The payload that can be held in a process of so many bytes. Where the limit is so small that the base takes most of it, a
/// quarter is for payload all the same.
fn payload(process: u64) -> u64 {
    let above_base = process.saturating_sub(BASE) * 100 / OVERHEAD_PERCENT;
    above_base.max(process / 4).max(LEAST)
}

/// What payload has to give up for so many bytes of other things: those that are above the base, and less than they are, as
/// each byte of payload stands for more than one.
#[must_use]
pub fn taken_from_payload(beside: usize) -> usize {
    let above = beside.saturating_sub(WITHIN_BASE);
    usize::try_from(above as u64 * 100 / OVERHEAD_PERCENT).unwrap_or(above)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(hard_mib: u64, soft_mib: u64, expected: (usize, usize)) {
        let budget = Marks { hard: hard_mib << 20, soft: soft_mib << 20 }.budget(None);
        assert_eq!((budget.limit() >> 20, budget.soft() >> 20), expected, "{hard_mib} {soft_mib}");
    }

    #[test]
    fn the_budget_leaves_room_for_the_process_and_its_overhead() {
        check(400, 320, (256, 202));
        check(102, 70, (57, 36));
        check(24, 20, (6, 5));
        check(1, 1, (1, 1));
    }

    #[test]
    fn without_a_limiter_the_total_decides_up_to_a_gigabyte() {
        let mib = |marks: Marks| (marks.hard >> 20, marks.soft >> 20);
        assert_eq!(mib(Marks::by_default(Some(128 << 20))), (102, 70));
        assert_eq!(mib(Marks::by_default(Some(64 << 30))), mib(Marks::by_default(None)));
        assert_eq!(mib(Marks::by_default(None)), (819, 563));
    }
}
