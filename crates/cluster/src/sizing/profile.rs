//! The three profiles: what an agent may take, and how large its batches are.

use serde::Serialize;

use super::{Load, agent, figures};

/// A profile of `otel-agent manifests --profile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Profile {
    /// Little traffic: development, edge.
    Low,
    /// What most clusters need.
    Default,
    /// Much traffic.
    High,
}

/// What the pod of a profile requests and may take.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Processors requested.
    pub cpu_request: f64,
    /// Processors at most.
    pub cpu: f64,
    /// Memory requested, MiB.
    pub memory_request_mib: f64,
    /// Memory at most, MiB.
    pub memory_mib: f64,
    /// How long a batch waits, seconds.
    pub batch_timeout: f64,
    /// Items that a batch waits for.
    pub batch_size: f64,
}

impl Limits {
    /// How much the agent may take before its memory limiter refuses, MiB: the rendered limiter begins at 80 % of the
    /// container's limit less 25 % of it for what comes in before the next look.
    #[must_use]
    pub fn limiter_mib(&self) -> f64 {
        self.memory_mib * (0.80 - 0.25)
    }
}

impl Profile {
    /// All, smallest first.
    pub const ALL: [Profile; 3] = [Profile::Low, Profile::Default, Profile::High];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Profile::Low => "low",
            Profile::Default => "default",
            Profile::High => "high",
        }
    }

    /// What its pod may take.
    #[must_use]
    pub fn limits(self) -> Limits {
        let (cpu_request, cpu, memory_request_mib, memory_mib, batch_timeout, batch_size) = match self {
            Profile::Low => (0.05, 0.2, 64.0, 256.0, 30.0, 512.0),
            Profile::Default => (0.1, 0.5, 128.0, 512.0, 10.0, 1024.0),
            Profile::High => (0.2, 1.0, 256.0, 1024.0, 5.0, 2048.0),
        };
        Limits { cpu_request, cpu, memory_request_mib, memory_mib, batch_timeout, batch_size }
    }

    /// Whether it carries this rate with headroom, in processor time and in memory.
    #[must_use]
    pub fn carries(self, load: &Load, rate: f64) -> bool {
        let (need, limits) = (agent::need(load, rate, self), self.limits());
        let most = 1.0 - figures::HEADROOM;
        need.cpu <= limits.cpu * most && need.memory_mib <= limits.limiter_mib() * most
    }

    /// The smallest that carries what one node sends; `High` if none does.
    #[must_use]
    pub fn for_load(load: &Load) -> Profile {
        let carries = |profile: &Profile| profile.carries(load, load.items_per_second);
        Profile::ALL.into_iter().find(carries).unwrap_or(Profile::High)
    }
}
