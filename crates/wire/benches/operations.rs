//! What the operations cost, in bytes per second and time per request, beside a full decoder doing the same.
//!
//! `cargo bench -p wire` runs all, `cargo bench -p wire -- skim/metrics` some.

use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use testkit::generate::{Request, sdk};
use wire::{Chain, Edits, Level, Limits, Signal, Value};

/// What pods and clusters put on a resource: five attributes from Kubernetes and two from the configuration.
const ATTRIBUTES: [(&str, &str); 7] = [
    ("k8s.namespace.name", "fastapi-metrics"),
    ("k8s.deployment.name", "fastapi-metrics"),
    ("k8s.pod.name", "fastapi-metrics-7d4b9c6f5-x2x8p"),
    ("k8s.pod.uid", "7a3f9a52-3c5b-4d8e-9f10-2b6c1d0e4f77"),
    ("k8s.node.name", "worker-17.eu-central-1.compute.internal"),
    ("k8s.cluster.name", "production"),
    ("deployment.environment.name", "production"),
];

fn request(signal: Signal, items: usize) -> Request {
    match signal {
        Signal::Traces => sdk::traces(1, items),
        Signal::Metrics => sdk::metrics(1, items),
        Signal::Logs => sdk::logs(1, items),
    }
}

fn edits() -> Edits {
    let mut edits = Edits::new();
    ATTRIBUTES.iter().for_each(|(key, value)| edits.upsert(key, &Value::from(*value)));
    edits
}

fn operations(criterion: &mut Criterion) {
    for signal in Signal::ALL {
        for items in [10, 1000] {
            let bytes = Bytes::from(request(signal, items).encode());
            let chain = Chain::from(bytes.clone());
            let edits = edits();
            let mut bench = |name: &str, run: &mut dyn FnMut()| {
                let mut group = criterion.benchmark_group(name);
                group.throughput(Throughput::Bytes(bytes.len() as u64));
                group.bench_function(BenchmarkId::new(signal.name(), items), |bencher| bencher.iter(&mut *run));
                group.finish();
            };
            bench("skim", &mut || {
                let _ = black_box(wire::skim(signal, black_box(&bytes)));
            });
            bench("count", &mut || {
                black_box(wire::count(signal, black_box(&bytes)));
            });
            bench("splice", &mut || drop(black_box(wire::splice(signal, black_box(&chain), &edits))));
            bench("edit_items", &mut || {
                drop(black_box(wire::edit(signal, black_box(&chain), Level::Item, &mut |editor| {
                    editor.upsert("k8s.cluster.name", &Value::Bool(true));
                })));
            });
            let halves = Limits { max_items: Some(items / 2), max_bytes: None };
            bench("split", &mut || drop(black_box(wire::split(signal, black_box(&chain), halves))));
            bench("join", &mut || {
                let mut joined = Chain::new();
                (0..8).for_each(|_| joined.append(black_box(&chain).clone()));
                drop(black_box(joined));
            });
            let json = wire::json::from_protobuf(signal, &chain);
            bench("to_json", &mut || drop(black_box(wire::json::from_protobuf(signal, black_box(&chain)))));
            bench("from_json", &mut || {
                let _ = black_box(wire::json::to_protobuf(signal, black_box(&json)));
            });
            bench("decode_edit_encode", &mut || drop(black_box(decode_edit_encode(signal, black_box(&bytes)))));
        }
    }
}

/// The same road with an object tree.
fn decode_edit_encode(signal: Signal, bytes: &[u8]) -> Vec<u8> {
    match signal {
        Signal::Traces => reencode(bytes, |request: &mut sdk::ExportTraceServiceRequest| {
            request.resource_spans.iter_mut().for_each(|group| upsert(&mut group.resource));
        }),
        Signal::Metrics => reencode(bytes, |request: &mut sdk::ExportMetricsServiceRequest| {
            request.resource_metrics.iter_mut().for_each(|group| upsert(&mut group.resource));
        }),
        Signal::Logs => reencode(bytes, |request: &mut sdk::ExportLogsServiceRequest| {
            request.resource_logs.iter_mut().for_each(|group| upsert(&mut group.resource));
        }),
    }
}

fn reencode<M: Message + Default>(bytes: &[u8], edit: impl FnOnce(&mut M)) -> Vec<u8> {
    let mut request = M::decode(bytes).expect("generated requests are valid");
    edit(&mut request);
    request.encode_to_vec()
}

fn upsert(resource: &mut Option<Resource>) {
    let resource = resource.get_or_insert_default();
    for (key, value) in ATTRIBUTES {
        let value = Some(AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) });
        match resource.attributes.iter_mut().find(|attribute| attribute.key == key) {
            Some(attribute) => attribute.value = value,
            None => resource.attributes.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() }),
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = operations
}
criterion_main!(benches);
