//! One agent under a load. Processor time is so much a request and so much an item, as measured under full load; a processor
//! that is mostly idle takes several times as long for the same (cold caches, waking up), which was measured at two loads.

use serde::Serialize;

use super::Load;
use super::figures::{BYTES_MEASURED, COST, HEADROOM, IDLE, IDLE_CPU, MEMORY_MIB};
use super::profile::{Limits, Profile};

/// What one agent needs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Need {
    /// Processors.
    pub cpu: f64,
    /// Processor seconds for a million items at this load.
    pub cpu_per_million: f64,
    /// Memory at the end of the outage, MiB.
    pub memory_mib: f64,
    /// Of this, data that is held, MiB.
    pub held_mib: f64,
}

/// What an agent with the batches of a profile needs for so many items a second.
pub(super) fn need(load: &Load, rate: f64, profile: Profile) -> Need {
    let work = rate * full_cost(load) / 1e6;
    let cpu = IDLE_CPU + busy(work);
    let limits = profile.limits();
    let batched = (rate * limits.batch_timeout).min(limits.batch_size);
    let held_mib = (batched + rate * load.outage_seconds) * load.bytes_per_item / f64::from(1 << 20);
    Need { cpu, cpu_per_million: cpu / rate * 1e6, memory_mib: MEMORY_MIB + held_mib, held_mib }
}

/// Limits that carry a need which no profile carries, in steps of a processor and of 256 MiB.
pub(super) fn limits_for(need: &Need) -> Limits {
    let high = Profile::High.limits();
    let cpu = (need.cpu / (1.0 - HEADROOM)).ceil().max(high.cpu);
    let of_limit = high.limiter_mib() / high.memory_mib;
    let memory = (need.memory_mib / (1.0 - HEADROOM) / of_limit / 256.0).ceil() * 256.0;
    Limits { cpu, memory_mib: memory.max(high.memory_mib), ..high }
}

/// Processor seconds for a million items under full load.
fn full_cost(load: &Load) -> f64 {
    let [(few, dear), (many, cheap)] = COST;
    let request = (dear - cheap) / (1.0 / few - 1.0 / many);
    let item = cheap - request / many;
    request / load.items_per_request + item * (load.bytes_per_item / BYTES_MEASURED).max(1.0)
}

/// Processors in use for work that would fill this part of a processor under full load: between what was measured a straight
/// line in logarithms, below it the same factor as at the least load, above one processor no factor.
fn busy(work: f64) -> f64 {
    let full = IDLE[IDLE.len() - 1].1;
    let measured = IDLE.map(|(rate, cost)| (rate * full / 1e6, rate * cost / 1e6));
    let [first, second, last] = measured;
    let (from, to) = match work {
        work if work <= first.0 => return work * first.1 / first.0,
        work if work <= second.0 => (first, second),
        work if work <= last.0 => (second, last),
        work => return work * last.1 / last.0,
    };
    let part = (work / from.0).ln() / (to.0 / from.0).ln();
    from.1 * (to.1 / from.1).powf(part)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sizing::Signal;

    fn load(rate: f64, items_per_request: f64) -> Load {
        let signals = vec![Signal::Metrics];
        Load {
            nodes: 1,
            items_per_second: rate,
            bytes_per_item: BYTES_MEASURED,
            items_per_request,
            signals,
            outage_seconds: 0.0,
        }
    }

    #[test]
    fn the_cost_of_requests_that_were_measured_is_the_measured_one() {
        for (items, cost) in COST {
            assert!((full_cost(&load(1.0, items)) - cost).abs() < 1e-9, "{items}");
        }
    }

    #[test]
    fn loads_that_were_measured_take_what_was_measured() {
        let full = IDLE[2].1;
        for (rate, cost) in IDLE {
            assert!((busy(rate * full / 1e6) - rate * cost / 1e6).abs() < 1e-9, "{rate}");
        }
    }

    #[test]
    fn the_third_measured_size_of_requests_confirms_a_request_and_an_item_as_the_parts_of_the_cost() {
        // The agent alone in 2026-11-22T201812Z.txt: 1.64 at 10, 0.30 at 1000; the line between says 0.35 at 200, measured was 0.34.
        let request = (1.64 - 0.30) / (1.0 / 10.0 - 1.0 / 1000.0);
        let at_200: f64 = request / 200.0 + 0.30 - request / 1000.0;
        assert!((at_200 - 0.34).abs() < 0.02, "{at_200}");
    }

    #[test]
    fn limits_are_raised_until_they_carry() {
        let need = need(&load(5e6, 100.0), 5e6, Profile::High);
        let limits = limits_for(&need);
        assert!(need.cpu <= limits.cpu * (1.0 - HEADROOM), "{need:?} {limits:?}");
    }
}
