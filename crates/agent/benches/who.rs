//! What counting who sends what costs on the way of a request: the counting of each, and the looks into some.
//!
//! `cargo bench -p otel-agent --bench who`; the section `service::telemetry::senders` is on by default because of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use otel_agent::telemetry::settings::SendersConfig;
use otel_agent::telemetry::who::{Passed, Who};
use testkit::generate::sdk;
use wire::Signal;

/// Each is measured for this long, three times; the median counts.
const RUN: Duration = Duration::from_millis(700);
/// Pods that send in turn.
const PODS: u32 = 110;

fn main() {
    println!("{:<28} {:>12} {:>14} {:>12}", "request of metrics", "bytes", "ns/request", "of a skim");
    for items in [10, 100, 1000, 8192] {
        let request = sdk::metrics(1, items).encode();
        let skim = median(|_| assert!(wire::skim(Signal::Metrics, &request).is_ok()));
        println!("{:<28} {:>12} {:>14.0} {:>12}", format!("{items} points: skim"), request.len(), skim, "");
        for enabled in [false, true] {
            let who = Who::new();
            who.configure(&SendersConfig { enabled, ..SendersConfig::default() });
            let cost = median(|number| pass(&who, number, items, &request));
            let name = format!("{items} points: {}", if enabled { "counted" } else { "switched off" });
            println!("{name:<28} {:>12} {cost:>14.0} {:>11.1}%", "", cost * 100.0 / skim);
        }
    }
}

fn pass(who: &Who, number: u32, items: usize, request: &[u8]) {
    let peer = Some(SocketAddr::from((Ipv4Addr::from(0x0a01_0000 + number % PODS), 40_000)));
    who.look(peer, Signal::Metrics, items, request);
    who.count(Passed { peer, signal: Signal::Metrics, items, bytes: request.len(), taken: true });
}

/// Nanoseconds for one call.
fn median(mut call: impl FnMut(u32)) -> f64 {
    let mut runs: Vec<f64> = (0..3).map(|_| nanoseconds(&mut call)).collect();
    runs.sort_by(f64::total_cmp);
    runs.get(1).copied().unwrap_or_default()
}

fn nanoseconds(call: &mut impl FnMut(u32)) -> f64 {
    let begun = Instant::now();
    let mut calls = 0_u32;
    while begun.elapsed() < RUN {
        for _ in 0..64 {
            call(calls);
            calls += 1;
        }
    }
    begun.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}
