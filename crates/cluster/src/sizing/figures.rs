//! The figures behind a plan, each with where it is from: runs of ours that are kept in `bench/runs`, figures that others
//! published, and what is assumed because nobody measured it.

use serde::Serialize;

use super::Signal;

/// One run that was measured and kept.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The file, with the line that the figures stand in.
    pub file: &'static str,
    /// What was run.
    pub what: &'static str,
}

/// 200 pods send at once, `k8s_attributes` on: the pipeline that is deployed.
pub const PODS: Run = Run {
    file: "bench/runs/pods-2026-11-22T233534Z.txt",
    what: "200 pods that send as fast as one processor takes it, k8s_attributes on; median of 9",
};

/// The agent alone at three loads: what a processor that is mostly idle adds.
pub const LOADS: Run = Run {
    file: "bench/runs/2026-11-22T201812Z.txt",
    what: "200 data points a request at 10 000/s, at 50 000/s and as fast as one processor takes it; median of 3",
};

/// Points a request, and processor seconds for a million points: from [`PODS`].
pub const COST: [(f64, f64); 2] = [(10.0, 3.98), (1000.0, 0.56)];

/// Points a second with 200 a request, and processor seconds for a million points: from [`LOADS`]. The last is saturation.
pub const IDLE: [(f64, f64); 3] = [(10_000.0, 2.01), (50_000.0, 1.30), (2_445_409.0, 0.34)];

/// Bytes of a data point of these runs (33.7 µs at 7.1 GiB/s for a request of 1000, in `bench/README.md`).
pub const BYTES_MEASURED: f64 = 253.0;

/// Resident memory with `k8s_attributes`, 500 pods of 20 labels each having sent once, in MiB: the last line of [`PODS`].
pub const MEMORY_MIB: f64 = 17.9;

/// What an idle agent takes of a processor: from [`LOADS`].
pub const IDLE_CPU: f64 = 0.000_24;

/// Figures that somebody else published.
#[derive(Clone, Copy, Debug)]
pub struct Published {
    /// Who.
    pub source: &'static str,
    /// What.
    pub what: &'static str,
}

/// The Collector's items a second for one processor.
pub const SPLUNK: Published = Published {
    source: "Splunk's sizing page for the Collector",
    what: "one processor and 2 GB for 15 000 spans/s, or 20 000 data points/s, or 10 000 log records/s",
};

/// Memory of a Collector for each processor, MiB: from [`SPLUNK`].
pub const COLLECTOR_MIB_PER_PROCESSOR: f64 = 2048.0;

/// Of the processor limit and of the limiter's limit, the part that a load has to leave free.
pub const HEADROOM: f64 = 0.3;

/// Processor seconds of a Collector for a million items, as published, signals in equal parts.
#[must_use]
pub fn published_cost(signals: &[Signal]) -> f64 {
    let cost = |signal: &Signal| match signal {
        Signal::Traces => 1e6 / 15_000.0,
        Signal::Metrics => 1e6 / 20_000.0,
        Signal::Logs => 1e6 / 10_000.0,
    };
    signals.iter().map(cost).sum::<f64>() / signals.len().max(1) as f64
}

/// Which figure is what, for the reader of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Sources {
    /// Runs of ours.
    pub measured: Vec<String>,
    /// Figures of others, not repeated by us.
    pub published: Vec<String>,
    /// What nobody measured.
    pub assumed: Vec<String>,
}

/// Which figure is what.
#[must_use]
pub fn sources() -> Sources {
    let [(few, dear), (many, cheap)] = COST;
    let [(_, slow), (_, faster), (_, full)] = IDLE;
    Sources {
        measured: vec![
            format!(
                "processor time of the agent: {dear} s for a million items at {few} a request, {cheap} s at {many} ({}: {})",
                PODS.file, PODS.what
            ),
            format!(
                "an agent that is mostly idle pays more for an item: {slow} s at 10 000/s and {faster} s at 50 000/s where it is {full} s under full load ({}: {})",
                LOADS.file, LOADS.what
            ),
            format!(
                "memory of the agent before it holds data: {MEMORY_MIB} MiB with 500 pods of 20 labels ({}, last line)",
                PODS.file
            ),
        ],
        published: vec![format!(
            "a Collector takes {} ({}; not measured by us; replace it with --collector-cpu-per-million)",
            SPLUNK.what, SPLUNK.source
        )],
        assumed: vec![
            "between and beyond the measured sizes of requests, cost is so much a request and so much an item"
                .to_owned(),
            format!("an item of more than {BYTES_MEASURED} bytes costs as much more as it is longer"),
            "spans and log records cost the agent what data points do".to_owned(),
            "what is held in an outage takes the bytes that it had on the wire; applications send without compression"
                .to_owned(),
            format!(
                "{:.0} % of a processor limit, of a memory limiter's limit and of a Collector's processor stay free",
                HEADROOM * 100.0
            ),
            "a pool behind a Service gets each request on any of its pods, wherever the sender is".to_owned(),
        ],
    }
}
