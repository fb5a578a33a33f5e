//! Any request comes out as it does when it is decoded, enriched and encoded.

use std::collections::BTreeMap;

use proptest::prelude::*;
use testkit::generate::{Random, Request, wild};

use super::*;

/// What the Collector does to an attribute: it is set if it is not there or an empty text.
fn fill(attributes: &mut Vec<KeyValue>, key: &str, value: &Any) {
    match attributes.iter_mut().find(|entry| entry.key == key) {
        None => attributes.push(entry(key, value.clone())),
        Some(found) if is_empty_text(found) => {
            found.value = Some(AnyValue { value: Some(value.clone()) });
        }
        Some(_) => {}
    }
}

fn is_empty_text(entry: &KeyValue) -> bool {
    matches!(entry.value.as_ref().and_then(|value| value.value.as_ref()), Some(Any::StringValue(text)) if text.is_empty())
}

fn is_text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|entry| entry.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Any::StringValue(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    }
}

/// The naive enrichment, on decoded attributes: the pod of `k8s.pod.ip`, or else that of the connection.
fn enriched(attributes: &mut Vec<KeyValue>, peer: u8, known: u8) {
    let named = is_text(attributes, "k8s.pod.ip").and_then(|text| text.strip_prefix("10.0.0.")?.parse().ok());
    let is_pod = |number: &u8| (1..=known).contains(number);
    let Some(number) = named.filter(is_pod).or(Some(peer).filter(is_pod)) else { return };
    let text = |text: &str| Any::StringValue(text.to_owned());
    let pod = pod(number);
    fill(attributes, "k8s.pod.name", &text(&pod.name));
    fill(attributes, "k8s.namespace.name", &text("shop"));
    fill(attributes, "k8s.pod.uid", &text(&pod.uid));
    fill(attributes, "k8s.deployment.name", &text("web"));
}

/// One attribute of each key: what the sender gives twice is another test's.
fn once(attributes: Vec<KeyValue>) -> Vec<KeyValue> {
    let mut seen = BTreeMap::new();
    attributes.into_iter().filter(|entry| seen.insert(entry.key.clone(), ()).is_none()).collect()
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    let key = prop_oneof![
        Just("k8s.pod.name".to_owned()),
        Just("k8s.pod.uid".to_owned()),
        Just("k8s.namespace.name".to_owned()),
        Just("k8s.pod.ip".to_owned()),
        "[a-z.]{0,12}",
    ];
    let value = prop_oneof![
        Just(Some(Any::StringValue(String::new()))),
        "10\\.0\\.0\\.[1-9]".prop_map(|text| Some(Any::StringValue(text))),
        "[a-z]{0,200}".prop_map(|text| Some(Any::StringValue(text))),
        any::<i64>().prop_map(|number| Some(Any::IntValue(number))),
    ];
    let entry =
        (key, value).prop_map(|(key, value)| KeyValue { key, value: Some(AnyValue { value }), ..KeyValue::default() });
    prop::collection::vec(entry, 0..8).prop_map(once)
}

const FIELDS: &str = "extract: {metadata: [k8s.pod.name, k8s.namespace.name, k8s.pod.uid, k8s.deployment.name]}";

proptest! {
    #[test]
    fn a_request_comes_out_as_if_it_had_been_decoded_and_enriched(
        resources in prop::collection::vec(attributes(), 0..4),
        peer in 1_u8..9,
        known in 0_u8..9,
    ) {
        let scene = Scene::new(FIELDS, (1..=known).map(pod).collect());
        let group = |attributes: Vec<KeyValue>| ResourceLogs {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_logs: vec![ScopeLogs { log_records: vec![LogRecord::default()], ..ScopeLogs::default() }],
            ..ResourceLogs::default()
        };
        let mut request = ExportLogsServiceRequest { resource_logs: resources.into_iter().map(group).collect() };
        let mut batch = testing::batch(Signal::Logs, request.encode_to_vec(), 1);
        batch.origin.peer = Some(([10, 0, 0, peer], 1).into());
        let mut done = scene.processor.process(batch).unwrap().unwrap();
        done.ticket.accept();
        done.ticket.sent();
        for group in &mut request.resource_logs {
            enriched(&mut group.resource.as_mut().unwrap().attributes, peer, known);
        }
        prop_assert_eq!(ExportLogsServiceRequest::decode(done.body.contiguous()).unwrap(), request);
    }

    #[test]
    fn nothing_else_of_any_request_changes(seed in any::<u64>(), which in 0..3_usize) {
        let signal = Signal::ALL[which];
        let request = wild_request(signal, seed);
        let scene = Scene::new(FIELDS, vec![pod(5)]);
        let send = |peer: &str, body: Vec<u8>| {
            let mut batch = testing::batch(signal, body, 1);
            batch.origin.peer = Some((peer.parse::<IpAddr>().unwrap(), 1).into());
            let mut done = scene.processor.process(batch).unwrap().unwrap();
            done.ticket.accept();
            done.ticket.sent();
            done.body.to_vec()
        };
        let body = request.encode();
        prop_assert!(send("10.0.0.9", body.clone()) == body, "without a pod, not a byte changes");
        let once = send("10.0.0.5", body.clone());
        prop_assert_eq!(wire::count(signal, &once), wire::count(signal, &body));
        prop_assert!(wire::skim(signal, &once).is_ok());
        prop_assert!(send("10.0.0.5", once.clone()) == once, "what is there is not added again");
    }
}

fn wild_request(signal: Signal, seed: u64) -> Request {
    let random = &mut Random::new(seed);
    match signal {
        Signal::Traces => wild::traces(random),
        Signal::Metrics => wild::metrics(random),
        Signal::Logs => wild::logs(random),
    }
}
