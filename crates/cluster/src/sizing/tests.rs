//! What holds for every plan, and the text of some.

use proptest::prelude::*;

use super::*;

fn load(nodes: u32, items_per_second: f64) -> Load {
    let signals = vec![Signal::Traces, Signal::Metrics, Signal::Logs];
    Load { nodes, items_per_second, bytes_per_item: 250.0, items_per_request: 50.0, signals, outage_seconds: 30.0 }
}

#[test]
fn the_answer_for_a_usual_cluster() {
    insta::assert_snapshot!(plan(&load(50, 2000.0), &Choices::default()).text());
}

#[test]
fn the_answer_for_a_large_quiet_cluster() {
    insta::assert_snapshot!(plan(&load(1000, 5.0), &Choices::default()).text());
}

#[test]
fn the_answer_where_one_node_sends_more_than_a_profile_carries() {
    insta::assert_snapshot!(
        plan(&load(10, 200_000.0), &Choices { pool_replicas: Some(5), ..Choices::default() }).text()
    );
}

#[test]
fn what_a_daemonset_is_wrong_for_gets_a_deployment_with_the_reason() {
    let external = plan(&load(50, 2000.0), &Choices { external_senders: true, ..Choices::default() }).advice;
    assert_eq!(external.pattern, Pattern::Deployment);
    assert!(external.reasons[0].contains("outside of the cluster") && external.command.contains("--mode deployment"));
    let central = plan(&load(50, 2000.0), &Choices { central_processing: true, ..Choices::default() }).advice;
    assert_eq!(central.pattern, Pattern::DaemonsetAndCentral);
    assert!(central.reasons[0].contains("tail sampling"));
    assert_eq!(plan(&load(1000, 5.0), &Choices::default()).advice.pattern, Pattern::Deployment);
    assert_eq!(plan(&load(1000, 5000.0), &Choices::default()).advice.pattern, Pattern::Daemonset);
    assert_eq!(plan(&load(5, 5.0), &Choices::default()).advice.pattern, Pattern::Daemonset);
}

#[test]
fn the_pool_takes_the_published_cost_unless_told_another() {
    let published = plan(&load(50, 2000.0), &Choices::default()).collector_pool;
    // 100 000 items/s in three equal parts: (66.7 + 50 + 100) / 3 s for a million, 30 % free.
    assert!((published.cpu_used - 7.222).abs() < 0.001, "{published:?}");
    assert_eq!(published.pods, 11);
    let told = plan(&load(50, 2000.0), &Choices { collector_cpu_per_million: Some(10.0), ..Choices::default() });
    assert!((told.collector_pool.cpu_used - 1.0).abs() < 1e-9);
    assert_eq!(told.collector_pool.cost_from, "--collector-cpu-per-million");
}

#[test]
fn questions_that_cannot_be_answered_are_told_all_at_once() {
    let wrong = Load {
        items_per_request: 0.5,
        bytes_per_item: f64::NAN,
        signals: vec![],
        outage_seconds: -1.0,
        ..load(0, -5.0)
    };
    let problems = problems(&wrong, &Choices { pool_replicas: Some(0), ..Choices::default() });
    assert_eq!(problems.len(), 7, "{problems:#?}");
    assert!(super::problems(&load(1, 1.0), &Choices::default()).is_empty());
}

#[test]
fn the_run_files_that_are_named_are_there_and_hold_the_figures() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../");
    let read = |run: figures::Run| std::fs::read_to_string(format!("{root}{}", run.file)).unwrap();
    let pods = read(figures::PODS);
    for (items, cost) in figures::COST {
        let row = format!("| 200 pods, {items} points a request | with k8s_attributes | {cost:.2} (");
        assert!(pods.contains(&row), "{row}");
    }
    assert!(pods.contains(&format!("RSS {} MiB", figures::MEMORY_MIB)));
    let loads = read(figures::LOADS);
    let [(_, slow), (_, faster), (rate, full)] = figures::IDLE;
    for row in [
        format!("| 10 000 points/s, 200 points a request | otel-agent | {slow:.2} ("),
        format!("| 50 000 points/s, 200 points a request | otel-agent | {faster:.2} ("),
        format!("| saturation, 200 points a request | otel-agent | {full:.2} ("),
        format!("{rate} items/s"),
        "CPU 0.024 % of a core".to_owned(),
    ] {
        assert!(loads.contains(&row), "{row}");
    }
}

#[test]
fn profiles_are_those_of_the_manifests() {
    use crate::values::{self, cpu_millis, memory_bytes};
    let theirs = [values::Profile::Low, values::Profile::Default, values::Profile::High].map(values::Profile::figures);
    for (profile, theirs) in Profile::ALL.into_iter().zip(theirs) {
        let own = profile.limits();
        let cpu = |text: &str| cpu_millis(text).unwrap() as f64 / 1000.0;
        let mib = |text: &str| memory_bytes(text).unwrap() as f64 / f64::from(1 << 20);
        assert_eq!([own.cpu_request, own.cpu], [cpu(theirs.requests[0]), cpu(theirs.limits[0])]);
        assert_eq!([own.memory_request_mib, own.memory_mib], [mib(theirs.requests[1]), mib(theirs.limits[1])]);
        assert_eq!([own.batch_timeout, own.batch_size], [theirs.batch_seconds, theirs.batch_items].map(f64::from));
    }
    assert_eq!((values::LIMIT_PERCENTAGE, values::SPIKE_LIMIT_PERCENTAGE), (80, 25));
}

prop_compose! {
    fn any_load()(
        nodes in 1u32..5000, rate in 0.1f64..1e6, bytes in 10.0f64..10_000.0, items in 1.0f64..5000.0, outage in 0.0f64..600.0,
    ) -> Load {
        Load { bytes_per_item: bytes, items_per_request: items, outage_seconds: outage, ..load(nodes, rate) }
    }
}

proptest! {
    #[test]
    fn more_of_anything_never_needs_less(load in any_load(), times in 1.0f64..20.0) {
        let before = plan(&load, &Choices::default());
        let more = [
            Load { items_per_second: load.items_per_second * times, ..load.clone() },
            Load { bytes_per_item: load.bytes_per_item * times, ..load.clone() },
            Load { outage_seconds: load.outage_seconds * times, ..load.clone() },
            Load { nodes: load.nodes * 2, ..load.clone() },
        ];
        for more in more {
            let after = plan(&more, &Choices::default());
            for (before, after) in [(&before.daemonset, &after.daemonset), (&before.collector_pool, &after.collector_pool)] {
                prop_assert!(after.cpu_used >= before.cpu_used * 0.999_999, "{more:?}");
                prop_assert!(after.cpu_requested >= before.cpu_requested * 0.999_999, "{more:?}");
                prop_assert!(after.memory_requested_mib >= before.memory_requested_mib * 0.999_999, "{more:?}");
            }
            prop_assert!(after.network.saved_bytes_per_second >= before.network.saved_bytes_per_second);
        }
    }

    #[test]
    fn larger_requests_never_need_more(load in any_load(), times in 1.0f64..20.0) {
        let larger = Load { items_per_request: load.items_per_request * times, ..load.clone() };
        let (before, after) = (plan(&load, &Choices::default()), plan(&larger, &Choices::default()));
        prop_assert!(after.each_agent.cpu <= before.each_agent.cpu * 1.000_001);
    }

    #[test]
    fn what_is_recommended_carries_the_load_with_headroom(load in any_load(), replicas in proptest::option::of(1u32..50)) {
        let report = plan(&load, &Choices { pool_replicas: replicas, ..Choices::default() });
        let enough = figures::HEADROOM - 1e-9;
        prop_assert!(report.daemonset.cpu_headroom >= enough, "{:?}", report.daemonset);
        prop_assert!(report.daemonset.memory_headroom.unwrap() >= enough, "{:?}", report.daemonset);
        prop_assert!(report.agent_pool.cpu_headroom >= enough, "{:?}", report.agent_pool);
        prop_assert!(report.agent_pool.memory_headroom.unwrap() >= enough, "{:?}", report.agent_pool);
        prop_assert!(report.collector_pool.cpu_headroom >= enough, "{:?}", report.collector_pool);
        prop_assert_eq!(report.raised.is_some(), !Profile::High.carries(&load, load.items_per_second));
        let least = if replicas.is_some() { 1 } else { LEAST_REPLICAS };
        prop_assert!(report.agent_pool.pods >= least);
    }

    #[test]
    fn a_pool_without_given_replicas_is_never_smaller_than_it_must_be(load in any_load()) {
        let pool = plan(&load, &Choices::default()).agent_pool;
        let fewer = pool.pods - 1;
        if fewer >= LEAST_REPLICAS {
            let profile = pool.profile.unwrap();
            prop_assert!(!profile.carries(&load, total(&load) / f64::from(fewer)));
        }
    }
}
