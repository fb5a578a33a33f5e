//! What compressing an export costs and saves: CPU and size for each encoding and level, on requests as SDKs make them.
//!
//! `cargo bench -p otel-agent --bench export_compression`; the decision page 0003 rests on it.

use std::time::{Duration, Instant};

use otel_agent::net::compression::{Encoding, compress};
use testkit::generate::{Request, sdk};

/// The candidates: what the Collector does (gzip 6), what is faster, and the other encodings at their usual level.
const CANDIDATES: [(Encoding, Option<i32>); 9] = [
    (Encoding::Gzip, Some(1)),
    (Encoding::Gzip, Some(2)),
    (Encoding::Gzip, Some(3)),
    (Encoding::Gzip, Some(6)),
    (Encoding::Gzip, Some(9)),
    (Encoding::Zstd, Some(1)),
    (Encoding::Zstd, Some(3)),
    (Encoding::SnappyFramed, None),
    (Encoding::Lz4, None),
];

/// Each is measured for this long, three times; the median counts.
const RUN: Duration = Duration::from_millis(500);

/// Items in one SDK's request, and in a batch of the default size.
const SIZES: [(&str, usize); 2] = [("one request", 100), ("a batch", 8192)];

/// Makes the request of one application: a seed, and how many items.
type Make = fn(u64, usize) -> Request;

fn main() -> anyhow::Result<()> {
    println!(
        "{:<8} {:<12} {:<18} {:>8} {:>10} {:>10} {:>10}",
        "signal", "size", "encoding", "ratio", "bytes/item", "MB/s", "CPU ns/item"
    );
    let signals: [(&str, Make); 3] = [("metrics", sdk::metrics), ("traces", sdk::traces), ("logs", sdk::logs)];
    for (signal, make) in signals {
        for (size, items) in SIZES {
            measure(signal, size, &joined(make, items))?;
        }
    }
    Ok(())
}

/// Requests of different applications, joined as the batch processor joins them.
fn joined(make: Make, items: usize) -> (Vec<u8>, usize) {
    let requests: Vec<Request> = (0..items.div_ceil(100) as u64).map(|seed| make(seed, 100)).collect();
    (requests.iter().flat_map(Request::encode).collect(), requests.iter().map(Request::items).sum())
}

fn measure(signal: &str, size: &str, (body, items): &(Vec<u8>, usize)) -> anyhow::Result<()> {
    let bytes = body.len() as f64;
    println!("{signal:<8} {size:<12} {:<18} {:>8.2} {:>10.1}", "none", 1.0, bytes / *items as f64);
    for (encoding, level) in CANDIDATES {
        let compressed = compress(encoding, level, [&body[..]])?.len() as f64;
        let mut runs = [0.0; 3];
        for run in &mut runs {
            *run = cpu_ns(|| compress(encoding, level, [&body[..]]).map(|body| body.len()))?;
        }
        runs.sort_by(f64::total_cmp);
        let name = level.map_or_else(|| encoding.to_string(), |level| format!("{encoding} {level}"));
        println!(
            "{signal:<8} {size:<12} {name:<18} {:>8.2} {:>10.1} {:>10.0} {:>10.0}",
            bytes / compressed,
            compressed / *items as f64,
            bytes * 1000.0 / runs[1],
            runs[1] / *items as f64,
        );
    }
    Ok(())
}

/// CPU time of one call: what others do on this machine does not count.
fn cpu_ns<T>(mut call: impl FnMut() -> std::io::Result<T>) -> anyhow::Result<f64> {
    let (begun, began) = (Instant::now(), on_cpu()?);
    let mut calls = 0.0;
    while begun.elapsed() < RUN {
        std::hint::black_box(call()?);
        calls += 1.0;
    }
    Ok((on_cpu()? - began) / calls)
}

fn on_cpu() -> anyhow::Result<f64> {
    let schedstat = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    Ok(schedstat.split(' ').next().unwrap_or_default().parse()?)
}
