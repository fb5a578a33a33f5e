//! The three sizes of an agent.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ResourceRequirements;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::macros::choice;

choice! {
    /// How large the agent is.
    pub enum Profile {
        /// For nodes with little telemetry.
        Low = "low",
        /// For most.
        Default = "default",
        /// For nodes with much.
        High = "high",
    }
}

/// The figures of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figures {
    /// CPU and memory that are reserved.
    pub requests: [&'static str; 2],
    /// The most CPU and memory.
    pub limits: [&'static str; 2],
    /// How long the `batch` processor waits, in seconds.
    pub batch_seconds: u32,
    /// From how many items on it does not wait.
    pub batch_items: u32,
    /// How much memory the series of the exporter `prometheus` may take, in MiB.
    pub series_mib: u32,
}

/// The hard limit of the `memory_limiter`, in percent of the container's limit. The rest is for what no budget sees: code,
/// stacks, the allocator, the kernel's socket buffers that count for the container. Percent rather than MiB, so that the limiter
/// follows when somebody changes the container's limit alone.
pub const LIMIT_PERCENTAGE: u32 = 80;
/// How far below it refusing begins, in percent of the container's limit: what may come in before the next look.
pub const SPIKE_LIMIT_PERCENTAGE: u32 = 25;

impl Profile {
    /// Its figures. The series of `prometheus` take a quarter of the container at most, so that they and the payload fit below
    /// the limiter.
    #[must_use]
    pub fn figures(self) -> Figures {
        match self {
            Profile::Low => Figures {
                requests: ["50m", "64Mi"],
                limits: ["200m", "256Mi"],
                batch_seconds: 30,
                batch_items: 512,
                series_mib: 64,
            },
            Profile::Default => Figures {
                requests: ["100m", "128Mi"],
                limits: ["500m", "512Mi"],
                batch_seconds: 10,
                batch_items: 1024,
                series_mib: 128,
            },
            Profile::High => Figures {
                requests: ["200m", "256Mi"],
                limits: ["1000m", "1Gi"],
                batch_seconds: 5,
                batch_items: 2048,
                series_mib: 256,
            },
        }
    }
}

impl Figures {
    /// As a container has them.
    #[must_use]
    pub fn resources(self) -> ResourceRequirements {
        let quantities = |[cpu, memory]: [&str; 2]| {
            let pairs = [("cpu", cpu), ("memory", memory)];
            Some(
                pairs
                    .map(|(name, text)| (name.to_owned(), Quantity(text.to_owned())))
                    .into_iter()
                    .collect::<BTreeMap<_, _>>(),
            )
        };
        ResourceRequirements {
            requests: quantities(self.requests),
            limits: quantities(self.limits),
            ..ResourceRequirements::default()
        }
    }
}
