"""Which configurations `validate` takes, in both programs: one change in a good one at a time."""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

from harness import parts
from harness.configs import written
from harness.runner import Run, add
from scenarios.oracle import Observed, oracle

GOOD = (parts.CONFIGS / "delivery.yaml").read_text()
ENV = {"GRPC_PORT": "4317", "HTTP_PORT": "4318", "METRICS_PORT": "8888", "HEALTH_PORT": "13133",
       "BACKEND_GRPC_PORT": "4327", "BACKEND_HTTP_PORT": "4328", "LIST": "[a]", "TEXT": "text", "LOOP": "${env:LOOP}",
       "DATE": "2024-01-02"}


def merged(path: str, value: Any) -> str:
    """delivery.yaml with one value put in at `a::b::c`, or taken out where the value is DELETE."""
    tree = yaml.safe_load(GOOD)
    *way, last = path.split("::")
    node = tree
    for key in way:
        if not isinstance(node.get(key), dict):
            node[key] = {}
        node = node[key]
    if value is DELETE:
        node.pop(last, None)
    else:
        node[last] = value
    return yaml.safe_dump(tree, sort_keys=False)


DELETE = object()
OTLP = "receivers::otlp::protocols::"
TRACES = "service::pipelines::traces"
VARIATIONS: list[tuple[str, Any]] = [
    # top level and service
    ("nonsense", {}), ("receivers", DELETE), ("exporters", DELETE), ("service", DELETE), ("processors", DELETE),
    ("connectors", None), ("service::pipelines", {}), ("service::extensions", ["nope"]), ("service::nonsense", 1),
    (f"{TRACES}::receivers", []), (f"{TRACES}::exporters", []), (f"{TRACES}::processors", []),
    (f"{TRACES}::processors", ["batch", "batch"]), (f"{TRACES}::receivers", ["otlp", "otlp"]),
    (f"{TRACES}::processors", "batch,resource"), (f"{TRACES}::processors", None),
    ("service::pipelines::traces/second", {"receivers": ["otlp"], "exporters": ["otlp"]}),
    ("service::pipelines::trace", {"receivers": ["otlp"], "exporters": ["otlp"]}),
    ("service::pipelines::profiles", {"receivers": ["otlp"], "exporters": ["otlp"]}),
    ("service::pipelines::traces/", {"receivers": ["otlp"], "exporters": ["otlp"]}),
    ("service::telemetry::logs::level", "debug"), ("service::telemetry::logs::level", "loud"),
    ("service::telemetry::logs::encoding", "json"), ("service::telemetry::logs::encoding", "xml"),
    ("service::telemetry::metrics::level", "detailed"), ("service::telemetry::metrics::level", "loud"),
    ("service::telemetry::metrics::level", "none"), ("service::telemetry::metrics::address", "x:1"),
    ("service::telemetry::resource", {"a": "b"}), ("service::telemetry::nonsense", 1),
    # unused components
    ("processors::batch/unused", None), ("processors::batch/unused", {"timeout": "soon"}), ("processors::nope", None),
    ("exporters::debug", {"verbosity": "detailed"}), ("exporters::debug", {"verbosity": "loud"}),
    ("exporters::debug", {"sampling_initial": 5, "sampling_thereafter": 200, "use_internal_logger": True}),
    ("exporters::file", {}), ("exporters::file", {"path": "/tmp/x", "rotation": {"max_megabytes": 10}}),
    ("exporters::file", {"path": "/tmp/x", "format": "nonsense"}), ("exporters::otlp_grpc", {"endpoint": "a:1"}),
    ("exporters::otlp_http", {"endpoint": "http://a:1"}), ("exporters::otlp/", {"endpoint": "a:1"}),
    ("exporters::otlp/ok name", {"endpoint": "a:1"}), ("exporters::otlp/x y", {"endpoint": "a:1"}),
    # receiver
    (OTLP.removesuffix("::"), {}), (OTLP.removesuffix("::"), DELETE), (f"{OTLP}grpc", None), (f"{OTLP}http", None),
    (f"{OTLP}grpc", {"enabled": False}), (f"{OTLP}grpc", {"enabled": True}), (f"{OTLP}grpc", {"enabled": "yes"}),
    (f"{OTLP}grpc::endpoint", ""), (f"{OTLP}grpc::endpoint", "nowhere"), (f"{OTLP}grpc::endpoint", 4317),
    (f"{OTLP}grpc::endpoint", ":4317"), (f"{OTLP}grpc::transport", "unix"), (f"{OTLP}grpc::transport", "pigeon"),
    (f"{OTLP}grpc::max_recv_msg_size_mib", 16), (f"{OTLP}grpc::max_recv_msg_size_mib", -1),
    (f"{OTLP}grpc::max_recv_msg_size_mib", "16"), (f"{OTLP}grpc::max_concurrent_streams", 100),
    (f"{OTLP}grpc::read_buffer_size", 1024), (f"{OTLP}grpc::read_buffer_size", -1), (f"{OTLP}grpc::write_buffer_size", 1024),
    (f"{OTLP}grpc::keepalive", {"server_parameters": {"max_connection_idle": "11s", "max_connection_age": "12s",
                                                       "max_connection_age_grace": "13s", "time": "30s", "timeout": "5s"},
                                "enforcement_policy": {"min_time": "10s", "permit_without_stream": True}}),
    (f"{OTLP}grpc::keepalive", None), (f"{OTLP}grpc::include_metadata", True), (f"{OTLP}grpc::nonsense", 1),
    (f"{OTLP}grpc::auth", {"authenticator": "nope"}), (f"{OTLP}grpc::tls", None),
    (f"{OTLP}grpc::tls", {"cert_file": "/nonexistent", "key_file": "/nonexistent"}),
    (f"{OTLP}grpc::tls", {"cert_file": "/nonexistent"}), (f"{OTLP}grpc::tls", {"min_version": "1.3"}),
    (f"{OTLP}grpc::tls", {"min_version": "0.9"}), (f"{OTLP}http::cors", None),
    (f"{OTLP}http::cors", {"allowed_origins": ["*"], "max_age": 60}), (f"{OTLP}http::max_request_body_size", 1000),
    (f"{OTLP}http::max_request_body_size", "1MiB"), (f"{OTLP}http::traces_url_path", "x"),
    (f"{OTLP}http::response_headers", {"X-A": "b"}), (f"{OTLP}http::compression_algorithms", ["gzip"]),
    (f"{OTLP}http::compression_algorithms", []), (f"{OTLP}http::compression_algorithms", ["br"]),
    (f"{OTLP}http::read_timeout", "5s"), (f"{OTLP}http::idle_timeout", 5), (f"{OTLP}http::keep_alives_enabled", False),
    # processors
    ("processors::batch", None), ("processors::batch::timeout", "-1s"), ("processors::batch::timeout", 5),
    ("processors::batch::timeout", "5"), ("processors::batch::timeout", 1.5), ("processors::batch::timeout", "1m30s"),
    ("processors::batch::timeout", "1h0.5m"), ("processors::batch::timeout", "5 s"), ("processors::batch::timeout", True),
    ("processors::batch::send_batch_size", -1), ("processors::batch::send_batch_size", "8192"),
    ("processors::batch::send_batch_size", 4294967296), ("processors::batch::send_batch_size", 1.0),
    ("processors::batch::send_batch_size", 1.5), ("processors::batch::send_batch_max_size", 10),
    ("processors::batch::send_batch_max_size", 1000), ("processors::batch::metadata_keys", ["a", "A"]),
    ("processors::batch::metadata_keys", "a,b"), ("processors::batch::Timeout", "1s"),
    ("processors::memory_limiter", None), ("processors::memory_limiter::check_interval", "0s"),
    ("processors::memory_limiter::spike_limit_mib", 400), ("processors::memory_limiter::limit_mib", 0),
    ("processors::memory_limiter::limit_percentage", 50), ("processors::memory_limiter::limit_percentage", 101),
    ("processors::memory_limiter", {"check_interval": "1s", "limit_percentage": 80, "spike_limit_percentage": 25}),
    ("processors::memory_limiter", {"check_interval": "1s", "limit_percentage": 25, "spike_limit_percentage": 80}),
    ("processors::memory_limiter::min_gc_interval_when_soft_limited", "1s"),
    ("processors::memory_limiter::min_gc_interval_when_hard_limited", "1h"),
    ("processors::resource", None), ("processors::resource::attributes", []), ("processors::resource::actions", []),
    ("processors::attributes", {"actions": []}), ("processors::attributes", {"attributes": []}),
    *((("processors::resource::attributes"), [action]) for action in (
        {"key": "a", "action": "insert"}, {"key": "a", "value": 1}, {"value": 1, "action": "insert"},
        {"key": "a", "value": 1, "action": "nonsense"}, {"key": "a", "value": 1, "from_attribute": "b", "action": "insert"},
        {"key": "a", "value": None, "action": "insert"}, {"key": "a", "value": 1, "action": "Insert"},
        {"action": "delete"}, {"key": "a", "value": 1, "action": "delete"}, {"pattern": "a", "action": "delete"},
        {"pattern": "(", "action": "delete"}, {"key": "a", "action": "extract"},
        {"key": "a", "pattern": "(x)", "action": "extract"}, {"key": "a", "pattern": "(?P<n>x)", "action": "extract"},
        {"key": "a", "pattern": "x", "action": "extract"}, {"key": "a", "action": "convert"},
        {"key": "a", "converted_type": "int", "action": "convert"}, {"key": "a", "converted_type": "bool", "action": "convert"},
        {"key": "a", "value": 1, "converted_type": "int", "action": "insert"},
        {"key": "a", "value": 1, "pattern": "x", "action": "insert"}, {"key": "a", "action": "hash"},
        {"key": "a", "from_context": "nonsense.b", "action": "insert"}, {"key": "a", "value": 1, "action": "insert", "more": 1})),
    *(("processors::resource::attributes", [{"key": "a", "value": value, "action": "insert"}]) for value in (
        "${ env:TEXT }", "${env:9BAD}", "${env:BAD-NAME}", "${nonsense:x}", "${env:}", "${}", "${env:LIST} in text",
        "${file:/nonexistent}", "${env:TEXT$}", "${env:TEXT", "$", "${env:UNSET}", "${env:LOOP}",
        "2024-01-02", "${env:DATE}", "${yaml:{a: 1}}")),
    *(("processors::attributes", {"actions": [{"key": "a", "value": 1, "action": "insert"}], **filters}) for filters in (
        {"include": {"match_type": "strict", "services": ["a"]}}, {"include": {"services": ["a"]}},
        {"include": {"match_type": "nonsense", "services": ["a"]}}, {"include": {"match_type": "strict"}},
        {"include": {"match_type": "regexp", "services": ["("]}}, {"exclude": {"match_type": "strict", "attributes": [{"key": "a"}]}},
        {"include": {"match_type": "regexp", "span_names": ["a"], "regexp": {"cacheenabled": True, "cachemaxnumentries": 10}}})),
    # exporters
    ("exporters::otlp::endpoint", ""), ("exporters::otlp::endpoint", DELETE), ("exporters::otlp::endpoint", "host"),
    ("exporters::otlp::endpoint", "http://host:1"), ("exporters::otlp::endpoint", "https://host:1"),
    ("exporters::otlp::endpoint", "dns:///host:1"), ("exporters::otlp::endpoint", "host:port"),
    ("exporters::otlp::endpoint", "http://host"), ("exporters::otlp::endpoint", "unix:///tmp/x"),
    ("exporters::otlp::compression", "zstd"), ("exporters::otlp::compression", "none"), ("exporters::otlp::compression", ""),
    ("exporters::otlp::compression", "br"), ("exporters::otlp::compression", "lz4"), ("exporters::otlp::headers", {"a": "b"}),
    ("exporters::otlp::headers", {"a": 5}), ("exporters::otlp::headers", [{"name": "a", "value": "b"}]),
    ("exporters::otlp::timeout", "0s"), ("exporters::otlp::timeout", "-1s"),
    ("exporters::otlp::tls", {"insecure": False}), ("exporters::otlp::tls", {"insecure_skip_verify": True}),
    ("exporters::otlp::tls", {"ca_file": "/nonexistent"}), ("exporters::otlp::tls", {"nonsense": 1}),
    ("exporters::otlp::keepalive", {"time": "10s", "timeout": "5s", "permit_without_stream": True}),
    ("exporters::otlp::keepalive", None), ("exporters::otlp::wait_for_ready", True), ("exporters::otlp::authority", "x"),
    ("exporters::otlp::balancer_name", "pick_first"), ("exporters::otlp::balancer_name", "nonsense"),
    ("exporters::otlp::write_buffer_size", 1000), ("exporters::otlp::auth", {"authenticator": "nope"}),
    ("exporters::otlp::retry_on_failure", {"enabled": False}), ("exporters::otlp::retry_on_failure::initial_interval", "-1s"),
    ("exporters::otlp::retry_on_failure::multiplier", 0), ("exporters::otlp::retry_on_failure::multiplier", -1),
    ("exporters::otlp::retry_on_failure::randomization_factor", 2), ("exporters::otlp::retry_on_failure::max_elapsed_time", "0s"),
    ("exporters::otlp::retry_on_failure::max_elapsed_time", "1ms"), ("exporters::otlp::retry_on_failure::max_interval", "1ms"),
    ("exporters::otlp::sending_queue", None), ("exporters::otlp::sending_queue", {"enabled": False}),
    ("exporters::otlp::sending_queue::queue_size", 0), ("exporters::otlp::sending_queue::num_consumers", 0),
    ("exporters::otlp::sending_queue::sizer", "bytes"), ("exporters::otlp::sending_queue::sizer", "nonsense"),
    ("exporters::otlp::sending_queue::block_on_overflow", True), ("exporters::otlp::sending_queue::wait_for_result", True),
    ("exporters::otlp::sending_queue::storage", "file_storage"), ("exporters::otlp::sending_queue::blocking", True),
    ("exporters::otlp::sending_queue::batch", None), ("exporters::otlp::sending_queue::batch", {"min_size": 100, "max_size": 10}),
    ("exporters::otlp::sending_queue::batch", {"flush_timeout": "0s"}), ("exporters::otlp::sending_queue::batch", {"sizer": "requests"}),
    ("exporters::otlp::sending_queue::batch", {"flush_timeout": "1s", "min_size": 10, "max_size": 100}),
    ("exporters::otlphttp::endpoint", DELETE), ("exporters::otlphttp::endpoint", ""), ("exporters::otlphttp::endpoint", "host:4318"),
    ("exporters::otlphttp::endpoint", "://"), ("exporters::otlphttp::endpoint", "https://host"),
    ("exporters::otlphttp", {"traces_endpoint": "http://a/x", "metrics_endpoint": "http://a/y", "logs_endpoint": "http://a/z"}),
    ("exporters::otlphttp", {"traces_endpoint": "http://a/x"}), ("exporters::otlphttp::encoding", "json"),
    ("exporters::otlphttp::encoding", "xml"), ("exporters::otlphttp::compression", "lz4"),
    ("exporters::otlphttp::compression", "br"), ("exporters::otlphttp::compression_params", {"level": 1}),
    ("exporters::otlphttp::compression_params", {"level": 99}), ("exporters::otlphttp::max_idle_conns", 10),
    ("exporters::otlphttp::idle_conn_timeout", "10s"), ("exporters::otlphttp::proxy_url", "http://p:1"),
    ("exporters::otlphttp::disable_keep_alives", True), ("exporters::otlphttp::headers", {"a": "b"}),
    # extensions
    ("extensions::health_check::path", "/healthz"), ("extensions::health_check::endpoint", ""),
    ("extensions::health_check::response_body", {"healthy": "yes", "unhealthy": "no"}),
    ("extensions::health_check::check_collector_pipeline", {"enabled": False}), ("extensions::health_check::nonsense", 1),
    ("extensions::bearertokenauth", None), ("extensions::bearertokenauth", {"token": "x"}),
    ("extensions::bearertokenauth", {"token": "x", "filename": "/x"}), ("extensions::bearertokenauth", {"filename": "/nonexistent"}),
    ("extensions::bearertokenauth", {"tokens": ["a", "b"], "scheme": "Token", "header": "X-Auth"}),
    ("extensions::basicauth", {"htpasswd": {"inline": "a:b"}}), ("extensions::basicauth", {}),
    ("extensions::basicauth", {"client_auth": {"username": "a", "password": "b"}}),
    ("extensions::basicauth", {"client_auth": {"username": ""}}), ("extensions::zpages_nonsense", None),
]


def observe_validate(run: Run, kind: str) -> Observed:
    """Whether `validate` takes a configuration; one change in a good one at a time."""
    binary = {"agent": parts.agent, "collector": parts.collector}[kind]()
    seen: Observed = {"validate the good one": {"exit code": exit_code(binary, GOOD)}}
    for path, value in VARIATIONS:
        text = "taken out" if value is DELETE else json.dumps(value)
        seen[f"validate {path} = {text}"] = {"exit code": exit_code(binary, merged(path, value))}
    assert seen["validate the good one"]["exit code"] == 0
    return seen


def exit_code(binary: Path, config: str) -> int:
    with written(config) as file:
        return subprocess.run([str(binary), "validate", "--config", str(file)], env={"PATH": "/usr/bin:/bin", **ENV},
                              capture_output=True, timeout=20).returncode


def refuses_with_a_remedy(run: Run) -> None:
    """Every configuration that the agent refuses is refused with the file, a line and no panic."""
    silent = []
    for path, value in VARIATIONS:
        with written(merged(path, value)) as file:
            done = subprocess.run([str(parts.agent()), "validate", "--config", str(file)], env={"PATH": "/usr/bin:/bin", **ENV},
                                  capture_output=True, text=True, timeout=20)
            output = done.stdout + done.stderr
            if done.returncode not in (0, 1) or "panicked" in output or (done.returncode == 1 and f"{file}" not in output):
                silent.append(f"{path} = {value!r}: exit code {done.returncode}\n{output[:500]}")
    assert not silent, f"{len(silent)} bad messages:\n" + "\n".join(silent)


oracle("validate", observe_validate, seconds=240)
add("validate/every refusal names its place", refuses_with_a_remedy, 120, agent_only="its messages have no places")
