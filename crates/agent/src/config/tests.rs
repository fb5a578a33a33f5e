//! Whole configurations and what is said about them. Each expected text is one line per problem, in the order of the
//! lines they point at.

use super::{Loaded, Request, World, load_in, render};
use crate::settings::Severity;
use wire::Signal;

/// A configuration without any problem; tests add to it by a second source.
const GOOD: &str = "\
receivers:
  otlp: {protocols: {grpc: {}}}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 100}
  batch:
exporters:
  debug:
service:
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, batch], exporters: [debug]}
";

fn load(yamls: &[&str], sets: &[&str]) -> Loaded {
    let variable = |name: &str| (name == "NINE").then(|| "9".to_owned());
    let configs = yamls.iter().map(|yaml| format!("yaml:{yaml}")).collect();
    let request = Request { configs, sets: sets.iter().map(|set| (*set).to_owned()).collect() };
    load_in(&request, &World { variable: &variable, memory_limit: Some(512 << 20) })
}

fn lines(loaded: &Loaded) -> String {
    let lines: Vec<String> = loaded.problems.iter().map(ToString::to_string).collect();
    // Which components there are is told by other tests.
    lines.iter().map(|line| line.split("otel-agent has the ").next().unwrap_or(line)).collect::<Vec<_>>().join("\n")
}

/// Checks what is said about the good configuration with `over` laid over it.
fn check(over: &str, expected: &str) {
    let loaded = load(&[GOOD, over], &[]);
    assert_eq!(lines(&loaded), expected, "{over}");
    assert_eq!(loaded.plan.is_none(), loaded.problems.any_errors());
}

#[test]
fn a_good_configuration_becomes_a_plan() {
    let loaded = load(&[GOOD], &[]);
    assert_eq!(lines(&loaded), "");
    let plan = loaded.plan.unwrap();
    assert_eq!(plan.receivers.len(), 1);
    assert_eq!(plan.processors.len(), 2);
    assert_eq!(plan.pipelines.len(), 1);
    assert_eq!(plan.pipelines[0].signal, Signal::Traces);
    assert_eq!(plan.pipelines[0].processors[0].to_string(), "memory_limiter");
}

#[test]
fn sources_are_merged_and_set_comes_last() {
    let loaded = load(
        &[GOOD, "service::pipelines::traces::processors: [batch]", ""],
        &["processors.batch.send_batch_size=7", "processors.memory_limiter=null", "exporters.debug={}"],
    );
    let plan = format!("{:?}", loaded.plan);
    assert_eq!(
        lines(&loaded),
        "processors::memory_limiter::check_interval: 'check_interval' must be greater than zero; write `check_interval: 1s`\n\
         processors::memory_limiter::limit_mib: 'limit_mib' or 'limit_percentage' must be greater than zero; write `limit_percentage: 80`\n\
         warning: processors::memory_limiter: `memory_limiter` is configured but no pipeline names it, so it is not started; add it to a pipeline, or remove it",
    );
    assert_eq!(plan, "None");
    let loaded =
        load(&[GOOD, "service::pipelines::traces::processors: [batch]"], &["processors.batch.send_batch_size=${NINE}"]);
    assert!(format!("{:?}", loaded.plan.unwrap().processors).contains("send_batch_size: 9"));
}

#[test]
fn every_problem_is_found_in_one_go() {
    check(
        "receivers: {otlpp: }\nprocesors: {}\nexporters: {debug: {verbostiy: x}, '': }\n\
         service: {pipelines: {traces: {exporters: [debug, nowhere]}}, telemetry: {logs: {level: loud}}}",
        "receivers::otlpp: unknown type: \"otlpp\" for id: \"otlpp\"; did you mean `otlp`? \n\
         procesors: unknown section `procesors`; did you mean `processors`?\n\
         exporters::debug::verbostiy: unknown key `verbostiy`; did you mean `verbosity`?\n\
         exporters: id must not be empty; write the id as `type` or `type/name`\n\
         service::pipelines::traces: references exporter \"nowhere\" which is not configured; configured exporters: debug\n\
         service::telemetry::logs::level: expected one of debug, info, warn, warning, error, dpanic, panic, fatal, found the string `loud`",
    );
}

#[test]
fn what_is_missing_is_said_in_the_collectors_words() {
    let check = |yaml: &str, expected: &str| assert_eq!(lines(&load(&[yaml], &[])), expected, "{yaml}");
    check("", "empty configuration file; a configuration has at least `receivers`, `exporters` and `service`");
    check(
        "service:",
        "receivers: no receiver configuration specified in config; add `receivers: {otlp: {protocols: {grpc: {}, http: {}}}}`\n\
         exporters: no exporter configuration specified in config; add an exporter, for instance `exporters: {debug: {}}`\n\
         service::pipelines: service must have at least one pipeline; add one: `service: {pipelines: {traces: {receivers: [otlp], exporters: [debug]}}}`",
    );
    check(
        "[1]",
        "expected a mapping, found a list; a configuration is a mapping: `receivers:`, `exporters:`, `service:`",
    );
    assert_eq!(
        lines(&load(&[], &[])),
        "at least one config flag must be provided; write `otel-agent --config FILE`, or try `otel-agent demo`",
    );
}

#[test]
fn conditions_fit_the_signal_of_the_pipeline() {
    check(
        "processors: {attributes: {actions: [{key: a, action: delete}], include: {match_type: strict, log_bodies: [x]}}}\n\
         service: {pipelines: {traces: {processors: [memory_limiter, attributes, batch]}}}",
        "processors::attributes::include: log_bodies should not be specified for trace spans; attributes is in a \
         pipeline of traces; give that one an `attributes` of its own",
    );
}

#[test]
fn pipelines_name_what_is_configured() {
    check(
        "service: {pipelines: {metrics: {}}}",
        "service::pipelines::metrics: must have at least one receiver; add `receivers: [otlp]`\n\
         service::pipelines::metrics: must have at least one exporter; add `exporters: [debug]`",
    );
    check(
        "service: {pipelines: {traces: {processors: [memory_limiter, batch, batch]}}}",
        "service::pipelines::traces: references processor \"batch\" multiple times; keep one; a second one of its kind needs a name, for instance `batch/2`",
    );
    check(
        "service: {pipelines: {traces: {processors: [memory_limiter, batsh]}}}",
        "warning: processors::batch: `batch` is configured but no pipeline names it, so it is not started; add it to a pipeline, or remove it\n\
         service::pipelines::traces: references processor \"batsh\" which is not configured; did you mean `batch`?",
    );
    check(
        "service: {pipelines: {trace: {receivers: [otlp], exporters: [debug]}, profiles: {receivers: [otlp], exporters: [debug]}}}",
        "service::pipelines::trace: in \"trace\" id: unknown pipeline signal: \"trace\"; did you mean `traces`?\n\
         service::pipelines::profiles: pipeline \"profiles\": profiling signal support is at alpha level, gated under the \"service.profilesSupport\" feature gate; remove the pipeline; otel-agent carries traces, metrics and logs",
    );
}

#[test]
fn components_of_the_collector_that_are_missing_are_told_apart_from_slips() {
    check(
        "receivers: {filelog: }\nprocessors: {otlp: }\nconnectors: {forward: }",
        "receivers::filelog: the Collector has the receiver `filelog`, otel-agent does not yet; run a Collector with this receiver beside the agent and let it send OTLP to the agent\n\
         processors::otlp: unknown type: \"otlp\" for id: \"otlp\"; `otlp` is a kind of receiver; move it under `receivers:`\n\
         connectors::forward: the Collector has the connector `forward`, otel-agent does not yet; remove it; do this in a Collector behind the agent, where the `otlp_grpc` exporter sends to",
    );
}

#[test]
fn what_is_not_indented_is_sent_to_its_section() {
    check(
        "batch:\npipelines: {}\nextra: 1",
        "batch: unknown section `batch`; `batch` is a kind of processor; indent it below `processors:`\n\
         pipelines: unknown section `pipelines`; indent it below `service:`\n\
         extra: unknown section `extra`; the sections are receivers, processors, exporters, connectors, extensions, service",
    );
}

#[test]
fn former_names_work_with_a_note_and_are_kept() {
    let loaded = load(
        &[
            GOOD,
            "exporters: {otlp/a: {endpoint: 'localhost:4317'}}\nservice: {pipelines: {traces: {exporters: [otlp/a, debug]}}}",
        ],
        &[],
    );
    assert_eq!(
        lines(&loaded),
        "note: exporters::otlp/a: \"otlp\" alias is deprecated; use \"otlp_grpc\" instead; both work; the id stays in metrics and logs as it is written here",
    );
    assert!(loaded.plan.unwrap().exporters.keys().any(|id| id.to_string() == "otlp/a"));
}

#[test]
fn ports_do_not_clash() {
    check(
        "extensions: {health_check: {endpoint: '0.0.0.0:4317'}}\nservice: {extensions: [health_check]}",
        "extensions::health_check::endpoint: port 4317 is already taken by receivers::otlp (localhost:4317); give one of them another port, for instance 0.0.0.0:4318",
    );
    check(
        "receivers: {otlp: {protocols: {grpc: {endpoint: ':8888'}}}}",
        "receivers::otlp::protocols::grpc::endpoint: port 8888 is already taken by service::telemetry::metrics (localhost:8888); give one of them another port, for instance :8889",
    );
    check(
        "receivers: {otlp: {protocols: {grpc: {endpoint: ':8888'}}}}\nservice: {telemetry: {metrics: {level: none}}}",
        "",
    );
}

#[test]
fn the_order_of_processors_is_judged() {
    check(
        "service: {pipelines: {traces: {processors: [batch, memory_limiter]}}}",
        "warning: service::pipelines::traces: `memory_limiter` is not the first processor, so data is already worked on when it refuses; put it first in the list",
    );
    let over = "processors: {k8sattributes: }\nservice: {pipelines: {traces: {processors: [memory_limiter, batch, k8sattributes]}}}";
    let said = lines(&load(&[GOOD, over], &[]));
    assert!(said.contains("warning: service::pipelines::traces: `batch` stands before `k8s_attributes`"), "{said}");
}

#[test]
fn a_limit_for_pods_that_nobody_knows_is_a_warning() {
    let limits = |list: &str| format!("processors: {{memory_limiter: {{fair_share: {{limits: [{list}]}}}}}}");
    check(&limits("{pod: '*', items_per_second: 5}"), "");
    check(
        &limits("{pod: '*', items_per_second: 5}, {namespace: shop, items_per_second: 5}"),
        "warning: processors::memory_limiter::fair_share::limits::1: the limit for `shop` limits nobody: no `k8s_attributes` \
         processor says which pod sends; add a `k8s_attributes` processor, or limit every sender with `pod: \"*\"` alone",
    );
    check(
        &limits("{items_per_second: 5}"),
        "processors::memory_limiter::fair_share::limits::0::namespace: a limit must say for whom it is: `namespace`, `pod` \
         or both; write `namespace: NAME`, `pod: \"NAME-*\"` or both; `pod: \"*\"` is every sender",
    );
}

#[test]
fn a_limit_that_the_kernel_enforces_first_is_a_warning() {
    check(
        "processors: {memory_limiter: {limit_mib: 512}}",
        "warning: processors::memory_limiter::limit_mib: the limit of 512 MiB is not below the container's memory limit of 512 MiB: \
         the kernel kills the agent before the limiter refuses anything; write `limit_mib: 409` (80 %), or raise the container's limit",
    );
}

#[test]
fn extensions_are_configured_listed_and_fit() {
    check(
        "extensions: {health_check: }\nservice: {extensions: [healthcheck, health_chek]}",
        "warning: extensions::health_check: the extension `health_check` is configured but not listed in `service::extensions`, so it is not started; add it to `service::extensions`, or remove it\n\
         service::extensions: references extension \"healthcheck\" which is not configured; did you mean `health_check`?\n\
         service::extensions: references extension \"health_chek\" which is not configured; did you mean `health_check`?",
    );
    let auth = "receivers: {otlp: {protocols: {grpc: {auth: {authenticator: bearertokenauth}}}}}\n";
    check(
        auth,
        "receivers::otlp::protocols::grpc::auth::authenticator: references extension \"bearertokenauth\" which is not configured; add `bearertokenauth:` under `extensions:` and to `service::extensions`",
    );
    check(
        &format!("{auth}extensions: {{bearertokenauth: {{token: x}}}}"),
        "receivers::otlp::protocols::grpc::auth::authenticator: the extension \"bearertokenauth\" is not started; add it to `service::extensions: [bearertokenauth]`\n\
         warning: extensions::bearertokenauth: the extension `bearertokenauth` is configured but not listed in `service::extensions`, so it is not started; add it to `service::extensions`, or remove it",
    );
}

#[test]
fn ids_that_are_equal_after_trimming_are_refused() {
    check(
        "exporters: {'debug / a': {}, debug/a: {}}",
        "warning: exporters::debug/a: `debug/a` is configured but no pipeline names it, so it is not started; add it to a pipeline, or remove it\n\
         exporters::debug/a: duplicate name \"debug/a\" after unmarshaling; first in line 1; rename one of them: `type/name`",
    );
}

#[test]
fn sources_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    std::fs::write(path("latin1.yaml"), b"a: 1\nb: \xe9\n").unwrap();
    let check = |config: String, expected: &str| {
        let request = Request { configs: vec![config], sets: Vec::new() };
        let loaded = load_in(&request, &World { variable: &|_| None, memory_limit: None });
        let lines = loaded.problems.lines().replace(&folder.path().display().to_string(), "DIR");
        let lines = lines.split("; check the path").next().unwrap_or_default();
        assert_eq!(lines, expected);
        assert!(loaded.plan.is_none());
    };
    check(path("missing.yaml"), "cannot read `DIR/missing.yaml`: there is no such file");
    check(path(""), "cannot read `DIR/`: it is a directory; pass a file in it; `--config` can be given several times");
    check(
        path("latin1.yaml"),
        "cannot read `DIR/latin1.yaml`: it is not UTF-8 text (line 2); save it as UTF-8, without binary data",
    );
    check(
        "env:NOWHERE".to_owned(),
        "`--config env:NOWHERE`: the environment variable `NOWHERE` is not set; set it to the YAML text of the configuration",
    );
    check(
        "https://host/x".to_owned(),
        "the Collector reads `https://host/x` over the network, otel-agent does not; fetch it to a file first (an init container, a ConfigMap) and pass the path",
    );
    check(
        "s3:x".to_owned(),
        "scheme \"s3\" is not supported for uri \"s3:x\"; otel-agent reads `file:`, `env:` and `yaml:`; a plain path is a file",
    );
}

#[test]
fn a_set_without_an_equal_sign_is_refused() {
    assert_eq!(
        lines(&load(&[GOOD], &["a.b"])),
        "missing equal sign; write `--set key.key=value`, for instance `--set processors.batch.timeout=2s`"
    );
    assert_eq!(lines(&load(&[GOOD], &["a..b=1"])), "the key `a..b` has an empty part; write `key.key=value`");
}

#[test]
fn problems_are_shown_where_they_stand() {
    let over = "processors:\n  batch:\n    tiemout: 1s\n    send_batch_size: '${NINE}0x'\n";
    let loaded = load(&[GOOD, over], &["exporters.debug.sampling_initial=many"]);
    insta::assert_snapshot!(render::render(&loaded.problems, &loaded.sources, false));
}

#[test]
fn text_of_every_kind_can_be_pointed_at() {
    for text in [
        "a: é\tb: x",
        "\"é\n b\": [",
        "a:\n\t- 1",
        "receivers: {ü: {}, ü: {}}",
        "- |\n  x\n  y\n",
        "\u{feff}a: 1\r\nb: 2\r\n",
    ] {
        let loaded = load(&[text], &[]);
        assert_eq!(loaded.problems.any_errors(), loaded.plan.is_none(), "{text}");
        let shown = render::render(&loaded.problems, &loaded.sources, true);
        assert!(shown.contains("error"), "{shown}");
    }
}

#[test]
fn warnings_alone_do_not_stop_the_agent() {
    let loaded = load(&[GOOD], &["exporters.debug/2={}"]);
    assert_eq!(loaded.problems.count(Severity::Warning), 1);
    assert!(loaded.plan.is_some());
    assert_eq!(render::count(&loaded.problems), "1 warning");
}

#[test]
fn the_effective_configuration_shows_defaults_origins_and_no_secrets() {
    let over = "exporters: {otlp_grpc: {endpoint: 'gw:${NINE}', headers: {x-key: hunter2}}}\n\
                service: {pipelines: {traces: {exporters: [otlp_grpc]}}}";
    let loaded = load(&[GOOD, over], &["processors.batch.timeout=60s"]);
    let yaml = super::effective::yaml(&loaded.config, &loaded.sources, super::effective::Mode::Redacted);
    let line = |needle: &str| {
        let line = yaml.lines().find(|line| line.contains(needle)).unwrap_or(&yaml);
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("timeout: 1m"), "timeout: 1m0s # --set");
    assert_eq!(line("send_batch_size:"), "send_batch_size: 8192 # default");
    assert_eq!(line("endpoint: gw:9"), "endpoint: gw:9 # --config:1, environment variable NINE");
    assert_eq!(line("x-key"), "x-key: \"[REDACTED]\" # --config:1");
    assert!(!yaml.contains("hunter2"));
    let open = super::effective::yaml(&loaded.config, &loaded.sources, super::effective::Mode::Unredacted);
    assert!(open.contains("hunter2"));
    // What is printed is a configuration that means the same.
    let again = load(&[&open], &[]);
    assert_eq!(again.problems.lines(), loaded.problems.lines());
    assert_eq!(again.plan, loaded.plan);
    let json = super::effective::json(&loaded.config, super::effective::Mode::Unredacted);
    assert_eq!(load(&[&json], &[]).plan, loaded.plan);
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_text_makes_it_panic(text in "[ -~\\n\\t\u{e9}\\[\\]{}&*<:$#'\"|>%-]{0,200}") {
        let loaded = load(&[&text], &[]);
        let _ = render::render(&loaded.problems, &loaded.sources, true);
    }

    #[test]
    fn no_change_to_a_good_configuration_makes_it_panic(at in 0usize..400, cut in 0usize..40, put in "[ -~\\n]{0,20}") {
        let mut text: String = GOOD.chars().take(at).collect();
        text.push_str(&put);
        text.extend(GOOD.chars().skip(at + cut));
        let loaded = load(&[&text], &[]);
        let _ = render::render(&loaded.problems, &loaded.sources, false);
        proptest::prop_assert_eq!(loaded.problems.any_errors(), loaded.plan.is_none());
    }
}
