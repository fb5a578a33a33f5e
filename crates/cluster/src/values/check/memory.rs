//! CPU and memory: a limit that the limiter keeps below, requests that are not above limits.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Check;
use crate::problem::Problem;
use crate::values::{cpu_millis, memory_bytes};
use crate::workload::Amount;

/// From here on of the container's limit, what no budget sees may be too much.
const CLOSE_PERCENT: u64 = 90;
/// What an agent takes without any telemetry, and a little to work with.
const LEAST: u64 = 32 << 20;

pub(super) fn check(check: &Check<'_>, problems: &mut Vec<Problem>) {
    quantities(check, problems);
    let Some(container) = check.values.memory_limit() else { return };
    if container < LEAST {
        let what =
            format!("{} MiB are too little: without any telemetry the agent takes about 12 MiB", container >> 20);
        problems.push(Problem::error(
            "resources.limits.memory",
            what,
            "64Mi is a small agent, 256Mi that of the profile low",
        ));
        return;
    }
    let Some(limiter) = check.workload.limiter else {
        let what = "no pipeline has a `memory_limiter`; the agent keeps itself at 80 % of the container's limit, as if it had one";
        problems.push(Problem::note(
            "config",
            what,
            "add one, and the Collector does the same with this configuration",
        ));
        return;
    };
    let hard = limiter.hard.bytes(container);
    let (limit, mib) = (container >> 20, hard >> 20);
    let remedy = match limiter.hard {
        Amount::Mib(_) => format!("write `limit_mib: {}` (80 %), or raise `resources.limits.memory`", limit * 8 / 10),
        Amount::Percent(_) => "write `limit_percentage: 80`".to_owned(),
    };
    if hard >= container {
        let what = format!(
            "the memory_limiter's limit of {mib} MiB is not below the container's limit of {limit} MiB: the kernel ends the \
             agent before the limiter refuses anything"
        );
        problems.push(Problem::error("config", what, remedy));
    } else if hard > container / 100 * CLOSE_PERCENT {
        let what =
            format!("the memory_limiter's limit of {mib} MiB leaves little below the container's limit of {limit} MiB");
        problems.push(Problem::warning("config", what, remedy));
    }
}

fn quantities(check: &Check<'_>, problems: &mut Vec<Problem>) {
    let resources = check.values.resources();
    let (requests, limits) = (resources.requests.unwrap_or_default(), resources.limits.unwrap_or_default());
    for (name, read) in [("cpu", cpu_millis as fn(&str) -> Option<u64>), ("memory", memory_bytes)] {
        let mut amount = |kind: &str, quantity: Option<&Quantity>| {
            let text = quantity?.0.as_str();
            let amount = read(text);
            if amount.is_none() {
                let path = format!("resources.{kind}.{name}");
                problems.push(Problem::error(
                    &path,
                    format!("`{text}` is not a quantity"),
                    "write for instance `500m` or `256Mi`",
                ));
            }
            amount
        };
        let (request, limit) = (amount("requests", requests.get(name)), amount("limits", limits.get(name)));
        if let (Some(request), Some(limit)) = (request, limit)
            && request > limit
        {
            let texts = (&requests[name].0, &limits[name].0);
            let what = format!("{} are requested and {} are the limit", texts.0, texts.1);
            problems.push(Problem::error(
                &format!("resources.requests.{name}"),
                what,
                "a request is at most the limit",
            ));
        }
    }
}
