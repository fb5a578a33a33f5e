"""A real Prometheus watches the agent: queries, alerts, the dashboard, who sends what; and it takes remote writes."""

import functools
import http.client
import json
import re
import subprocess
import sys
import time
import urllib.request
import uuid
from dataclasses import dataclass
from typing import Any

import yaml

from harness import exposition, generate, ledger, otlp, parts, ports, send
from harness.backend import INVALID, OK, Backend
from harness.configs import changed, written
from harness.prometheus import Prometheus
from harness.relay import Relay
from harness.runner import Run, scenario
from harness.waiting import until
from scenarios.clients import get, sdk_environment
from scenarios.oracle import Observed, oracle

RULES = parts.ROOT / "deploy" / "prometheus" / "rules.yaml"
DASHBOARD = parts.ROOT / "deploy" / "grafana" / "otel-agent.json"


# --- rules

@scenario("prometheus/rules", agent_only="the rules are the agent's")
def rules(run: Run) -> None:
    """promtool finds no fault with the alerts, and each fires and stays silent as its examples say."""
    for command in (["check", "rules", "--lint=all", "--lint-fatal", RULES.name], ["test", "rules", "rules.test.yaml"]):
        done = subprocess.run([str(parts.promtool()), *command], cwd=RULES.parent, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"promtool {' '.join(command)}:\n{done.stdout}{done.stderr}"


# --- queries

# What the questions of an operator look like, and what the answer has to be; None: any number.
POSITIVE, ZERO = (lambda value: value > 0), (lambda value: value == 0)
QUERIES = {
    'count(up{job="otel-agent"})': lambda value: value == 1,
    "rate(otelcol_processor_batch_batch_send_size_sum[5m])": POSITIVE,
    "rate(otelcol_exporter_send_failed_metric_points[5m])": ZERO,
    "rate(otelcol_exporter_send_failed_spans[5m])": ZERO,
    "rate(otelcol_exporter_send_failed_log_records[5m])": ZERO,
    "sum(rate(otelcol_receiver_accepted_metric_points[5m]))": POSITIVE,
    "sum(rate(otelcol_receiver_refused_metric_points[5m]))": ZERO,
    "sum(rate(otel_agent_receiver_refused_requests[5m]))": ZERO,
    "sum(rate(otelcol_exporter_sent_metric_points[5m]))": POSITIVE,
    'otelcol_exporter_queue_size{data_type="metrics"}': None,
    'otelcol_exporter_queue_capacity{data_type="metrics"}': POSITIVE,
    "otelcol_process_memory_rss": POSITIVE,
    "rate(otelcol_process_cpu_seconds[5m])": POSITIVE,
    "otelcol_process_uptime": POSITIVE,
    "sum(otel_agent_ledger_accepted_items) - sum(otel_agent_ledger_sent_items) - sum(otel_agent_ledger_dropped_items)"
    " - sum(otel_agent_ledger_held_items)": ZERO,
    'sum(otel_agent_ledger_dropped_items{reason="unaccounted"})': ZERO,
    "otel_agent_budget_used_bytes / otel_agent_budget_limit_bytes": None,
    'target_info{service_name="otel-agent"}': POSITIVE,
    "sum(otel_agent_sender_items)": POSITIVE,
}


@scenario("prometheus/queries", 90, agent_only="it has no ledger, and its failure counters come with the first failure")
def queries(run: Run) -> None:
    """Every question of the list is answered with data by a Prometheus that scrapes a running agent."""
    refuse: list[bool] = []
    backend = run.open(Backend(lambda _: INVALID if refuse else OK))
    program = run.start(["pipeline.yaml"], backend.env)
    prometheus = run.open(Prometheus(
        {"otel-agent": [(f"127.0.0.1:{program.port('METRICS')}", {"node": "n1"})]}, [RULES]))
    prometheus.answer("otelcol_process_uptime")
    first = 0
    for _ in range(6):
        first += send.numbered(program.port("GRPC"), requests=2, first=first)
        time.sleep(0.5)
    send.assert_each_once(backend, first)
    for expression, holds in QUERIES.items():
        prometheus.answer(expression)
        if holds:
            until(lambda: all(holds(value) for _, value in prometheus.query(expression)),
                  lambda: f"{expression} is as expected: {prometheus.query(expression)}")
    check_rules(prometheus)
    check_dashboard(prometheus, "Pods known", "Pods found", "Pods not found, by reason")
    refuse.append(True)
    send.numbered(program.port("GRPC"), requests=2, first=first)
    until(lambda: prometheus.value("sum(rate(otelcol_exporter_send_failed_metric_points[5m]))") > 0, "the failure is seen")
    until(lambda: prometheus.value('sum(otel_agent_ledger_dropped_items{reason="refused"})') > 0, "the ledger has it")


def check_rules(prometheus: Prometheus) -> None:
    """Prometheus has loaded every alert and can evaluate it; none of those that are always bad is firing."""
    def evaluated() -> list[dict[str, Any]]:
        found = [rule for group in prometheus.api("rules")["groups"] for rule in group["rules"]]
        return found if found and all(rule["health"] != "unknown" for rule in found) else []

    found = until(evaluated, "the alerts are evaluated")
    assert len(found) > 10, found
    wrong = [(rule["name"], rule["lastError"]) for rule in found if rule["health"] != "ok"]
    assert not wrong, wrong
    # An evaluation before the first scrape finds no agent; the next one puts that right.
    active = lambda: [rule["name"] for rule in evaluated() if rule["state"] != "inactive"]  # noqa: E731
    until(lambda: not active(), lambda: f"no alert is active while nothing is wrong: {active()}")


def check_dashboard(prometheus: Prometheus, *without: str) -> None:
    """Every expression of the dashboard can be evaluated, and all have data but those of some panels."""
    panels = [panel for panel in json.loads(DASHBOARD.read_text())["panels"] if panel["type"] != "row"]
    # the container may have no limit, and no queue need grow
    without = {"Memory of its limit", "Time to a full queue", *without}

    def empty(panel: dict[str, Any]) -> bool:
        expressions = [target["expr"].replace("$job", "otel-agent").replace("$node", ".*").replace("$__rate_interval", "1m")
                       for target in panel["targets"]]
        return not all([prometheus.query(expression) for expression in expressions])

    # a rate needs two scrapes
    missing = lambda: [panel["title"] for panel in panels if empty(panel) and panel["title"] not in without]  # noqa: E731
    until(lambda: not missing(), lambda: f"every panel has data: {missing()} have none")


# --- who sends what

@scenario("prometheus/who", 90, agent_only="it does not count senders")
def who(run: Run) -> None:
    """Of twenty senders one makes too many series: the metrics and the page name its pod, the metric and the attribute."""
    backend = run.open(Backend())
    program = run.start(["pipeline.yaml"], backend.env)

    def export(number: int, values: range) -> None:
        resource = {"service.name": "shop", "k8s.namespace.name": "shop", "k8s.pod.name": f"cart-{number}"}
        resource = resource if number != 3 else {"service.name": "shop"}
        request = sums("http.requests", 1, {"user_id": [str(value) for value in values]}, resource)
        send_from(f"127.0.0.{number}", program.port("HTTP"), request)

    for number in range(2, 22):
        export(number, range(3))
    turn = 0
    # as applications do, each series comes again and again; not every request is looked into
    while program.samples().sum("otel_agent_metric_series", metric_name="http.requests") < 7000:
        export(9, range(turn % 3 * 3000, (turn % 3 + 1) * 3000))
        export(2 + turn % 20, range(3))
        turn += 1
        time.sleep(0.1)
    prometheus = run.open(Prometheus({"otel-agent": [(f"127.0.0.1:{program.port('METRICS')}", {"node": "n1"})]}))
    worst = prometheus.answer("topk(1, otel_agent_sender_series)")[0]
    assert worst[0]["sender"] == "shop/cart-9" and 7000 < worst[1] < 11000, worst
    metric = prometheus.answer("topk(1, otel_agent_metric_series)")[0]
    assert metric[0]["metric_name"] == "http.requests" and metric[1] > 7000, metric
    shown = lambda: prometheus.query("otel_agent_sender_series")  # noqa: E731
    until(lambda: len(shown()) == 5, lambda: f"only the five largest are shown: {shown()}")
    with urllib.request.urlopen(f"http://127.0.0.1:{program.port('METRICS')}/who", timeout=5) as answer:
        page = answer.read().decode()
    if run.show:
        print(page)
    row = next(line for line in page.splitlines() if "http.requests" in line)
    assert "user_id (" in row and row.endswith("shop/cart-9"), page
    assert "127.0.0.3 " in page, "a sender without a pod's name has its address"
    cost = program.samples().sum("otel_agent_inspection_seconds")
    uptime = program.samples().sum("otelcol_process_uptime")
    assert cost < uptime * 0.02, f"{cost:.3f} s of {uptime:.1f} s were spent on looking"


def send_from(address: str, port: int, request) -> None:
    """One request over HTTP, over a connection that comes from this address of loopback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(address, 0))
    try:
        connection.request("POST", "/v1/metrics", request.SerializeToString(), {"Content-Type": "application/x-protobuf"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
    finally:
        connection.close()


def sums(name: str, value: int, attributes: dict[str, list[str]], resource: dict[str, Any]):
    """A request with a cumulative counter that has a point for each value of one attribute."""
    request = otlp.metrics.ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(generate.key_value(k, v) for k, v in resource.items())
    metric = group.scope_metrics.add().metrics.add(name=name)
    metric.sum.aggregation_temporality = 2
    metric.sum.is_monotonic = True
    for key, values in attributes.items():
        for one in values:
            point = metric.sum.data_points.add(time_unix_nano=time.time_ns(), as_int=value)
            point.attributes.append(generate.key_value(key, one))
    return request


# --- remote write

def every_kind(now: int):
    """A request with every kind of metric, at `now`."""
    request = otlp.metrics.ExportMetricsServiceRequest()
    group = request.resource_metrics.add()
    group.resource.attributes.extend(generate.key_value(k, v) for k, v in {
        "service.name": "shop", "service.namespace": "eu", "service.instance.id": "7", "k8s.pod.name": "cart-1",
        "host.cpus": 8, "k8s.labels": {"app": "cart"}, "empty": ""}.items())
    scope = group.scope_metrics.add()
    scope.scope.name, scope.scope.version = "meter", "1.2"
    scope.scope.attributes.append(generate.key_value("library.kind", "x"))

    def point(points, **fields):
        made = points.add(time_unix_nano=now, start_time_unix_nano=now - 60 * 10**9, **fields)
        made.attributes.extend(generate.key_value(k, v) for k, v in {"endpoint": "/items", "http.method": "GET"}.items())
        return made

    metric = scope.metrics.add(name="fastapi.custom.requests", description="Requests.")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 2, True
    made = point(metric.sum.data_points, as_int=42)
    made.exemplars.add(time_unix_nano=now, as_double=1.0, trace_id=b"\xab" * 16, span_id=b"\xcd" * 8)
    other = point(metric.sum.data_points, as_double=0.5)
    other.attributes.extend(generate.key_value(k, v) for k, v in {
        "zone": "inner", "a.b": "1", "a_b": "2", "list": [1, "x"], "truth": True, "2nd": 2.5}.items())
    metric = scope.metrics.add(name="queue.length", unit="{items}")
    metric.sum.aggregation_temporality = 2
    point(metric.sum.data_points, as_int=-3)
    metric = scope.metrics.add(name="cpu.utilization", unit="1")
    point(metric.gauge.data_points, as_double=0.25)
    metric = scope.metrics.add(name="ended", unit="s")
    point(metric.gauge.data_points, as_double=1.0, flags=1)
    metric = scope.metrics.add(name="deltas")
    metric.sum.aggregation_temporality, metric.sum.is_monotonic = 1, True
    point(metric.sum.data_points, as_int=5)
    metric = scope.metrics.add(name="http.server.duration", unit="ms", description="How long.")
    metric.histogram.aggregation_temporality = 2
    made = point(metric.histogram.data_points, count=6, sum=12.5, explicit_bounds=[0.5, 10, 1e21], bucket_counts=[1, 2, 0, 3])
    made.exemplars.add(time_unix_nano=now, as_double=7.0, trace_id=b"\x01" * 16)
    metric = scope.metrics.add(name="no.sum", unit="By/s")
    metric.histogram.aggregation_temporality = 2
    point(metric.histogram.data_points, count=3, explicit_bounds=[1], bucket_counts=[1, 2])
    metric = scope.metrics.add(name="sizes", unit="By")
    metric.exponential_histogram.aggregation_temporality = 2
    made = point(metric.exponential_histogram.data_points, count=17, sum=99.5, scale=10, zero_count=2)
    made.positive.offset, made.negative.offset = -5, 700
    made.positive.bucket_counts.extend([1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5])
    made.negative.bucket_counts.extend([3, 4])
    metric = scope.metrics.add(name="latency", unit="s")
    made = point(metric.summary.data_points, count=2, sum=3.0)
    made.quantile_values.add(quantile=0.5, value=1.0)
    made.quantile_values.add(quantile=0.99, value=2.0)
    return request


def observe_remote_write(run: Run, kind: str, message: str = "") -> Observed:
    """What a Prometheus holds after every kind of metric was written to it."""
    prometheus = run.open(Prometheus())
    config = "remote-write.yaml"
    if message:
        config = run.open(changed(config, "send_metadata: true", f"protobuf_message: {message}"))
    program = run.start([config], {"PROMETHEUS_PORT": prometheus.port}, kind)
    now = (time.time_ns() - 2 * 10**9) // 10**6 * 10**6
    send.export(program.port("GRPC"), "metrics", every_kind(now))
    prometheus.answer("latency_seconds_count")
    seen: Observed = {}
    for series in prometheus.api("query", query='{__name__=~".+"}')["result"]:
        labels = dict(series["metric"])
        name = labels.pop("__name__")
        value = series["histogram"][1] if "histogram" in series else series["value"][1]
        at = series["histogram" if "histogram" in series else "value"][0]
        case = seen.setdefault(f"remote write {name}", {})
        case[f"value {sorted(labels.items())}"] = value
        assert abs(at - time.time()) < 30, at
    found = prometheus.api("query_exemplars", query='{__name__=~".+"}', start=str(now / 1e9 - 10), end=str(now / 1e9 + 10))
    for entry in found:
        name = entry["seriesLabels"]["__name__"]
        seen.setdefault(f"remote write {name}", {})[f"exemplars {entry['seriesLabels'].get('le', '')}"] = [
            (exemplar["labels"], exemplar["value"], round(exemplar["timestamp"] - now / 1e9)) for exemplar in entry["exemplars"]]
    if kind == "agent":
        # Prometheus shows it before its answer is here
        books = lambda: ledger.books(program, "metrics")  # noqa: E731
        until(lambda: books().reasons == {"partially_rejected": 1}, lambda: f"one is rejected: {books()}")
    return seen


@scenario("prometheus/remote write 2.0", agent_only="it needs a feature gate for 2.0")
def remote_write_2(run: Run) -> None:
    """2.0 leaves the same series as 1.0 does."""
    first = observe_remote_write(run, "agent")
    second = observe_remote_write(run, "agent", "io.prometheus.write.v2.Request")
    assert len(first) > 10 and first == second, [case for case in first if first[case] != second.get(case)]


# --- series of pods

@dataclass(frozen=True)
class Pod:
    name: str
    deployment: str
    node: str
    address: str
    asked: int  # how often it is asked for /items


PODS = [
    Pod("fastapi-metrics-7d9f8b6c5d-x2x9k", "fastapi-metrics", "node-a", "127.0.0.17", 12),
    Pod("fastapi-metrics-7d9f8b6c5d-q8zrl", "fastapi-metrics", "node-b", "127.0.0.23", 5),
    Pod("fastapi-worker-5c67d89b4f-m4t7w", "fastapi-worker", "node-b", "127.0.0.24", 7),
]


def manifest() -> str:
    """The pods as `kubectl get pods -o yaml` prints them."""
    def item(pod: Pod) -> dict[str, Any]:
        replicaset = pod.name.rsplit("-", 1)[0]
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": replicaset, "controller": True,
                 "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, replicaset))}
        return {
            "metadata": {"name": pod.name, "namespace": "fastapi-metrics", "uid": str(uuid.uuid5(uuid.NAMESPACE_DNS, pod.name)),
                         "labels": {"pod-template-hash": replicaset.rsplit("-", 1)[1]}, "ownerReferences": [owner]},
            "spec": {"nodeName": pod.node},
            "status": {"podIP": pod.address, "hostIP": "192.0.2.1", "phase": "Running"}}

    return yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [item(pod) for pod in PODS]})


@scenario("prometheus/pods", 120, agent_only="it reads pods from an API server only")
def pods(run: Run) -> None:
    """FastAPI applications as pods of two deployments on two nodes: Prometheus holds what each counted, under its labels."""
    nodes = sorted({pod.node for pod in PODS})
    exporters = {node: ports.free() for node in nodes}
    # one is written to; one scrapes the agents' exporters on their nodes, and the agents themselves
    written_to = run.open(Prometheus())
    pods_file = run.open(written(manifest()))
    agents = {node: run.start(["watch-pods.yaml"], {
        "PODS_FILE": pods_file, "NODE": node, "PROMETHEUS_PORT": written_to.port, "EXPORTER_PORT": exporters[node]})
        for node in nodes}
    scraping = run.open(Prometheus({
        "otel-agent": [(f"127.0.0.1:{agents[node].port('METRICS')}", {"node": node}) for node in nodes],
        "pods": [(f"127.0.0.1:{exporters[node]}", {}) for node in nodes]}, [RULES]))
    for pod in PODS:
        between = run.open(Relay(agents[pod.node].port("HTTP"), source=pod.address))
        port = ports.free()
        environment = sdk_environment(agents[pod.node], "http/protobuf", "none")
        environment |= {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{between.port}",
                        "OTEL_RESOURCE_ATTRIBUTES": "service.name=shop"}
        app = subprocess.Popen([sys.executable, str(parts.E2E / "clients/python/app.py"), str(port)], env=environment,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        run.stack.callback(app.kill)
        until(functools.partial(_answers, port), "the application answers", seconds=40)
        for _ in range(pod.asked):
            assert get(port, "/items") == 200
    for prometheus in (written_to, scraping):
        for pod in PODS:
            series = (f'fastapi_custom_requests_total{{k8s_namespace_name="fastapi-metrics", '
                      f'k8s_deployment_name="{pod.deployment}", k8s_pod_name="{pod.name}", k8s_node_name="{pod.node}", '
                      f'endpoint="/items"}}')
            until(lambda: prometheus.value(series) == pod.asked,
                  lambda: f"{series} is {pod.asked}: {prometheus.query(series)}", 30)
        total, asked = 'sum(fastapi_custom_requests_total{endpoint="/items"})', sum(pod.asked for pod in PODS)
        until(lambda: prometheus.value(total) == asked, lambda: f"{total} is {asked}: {prometheus.query(total)}")
    for expression, expected in {'count(up{job="otel-agent"} == 1)': 2, "sum(otelcol_k8s_watcher_pod_cache_size)": len(PODS)}.items():
        until(lambda: scraping.value(expression) == expected, lambda: f"{expression} is {expected}: {scraping.query(expression)}")
    check_rules(scraping)
    check_dashboard(scraping, "Pods not found, by reason")
    for pod in PODS:
        name = f"fastapi-metrics/{pod.name}"
        seen = agents[pod.node].samples().of("otel_agent_sender_items", otel_signal="metrics")
        assert name in {sample.labels["sender"] for sample in seen}, seen


def _answers(port: int) -> bool:
    try:
        return get(port, "/") == 404
    except OSError:
        return False


# --- own metrics as readers show them

READERS = ("METRICS", "TYPE", "UNIT", "SCOPE", "LABELS", "EXCLUDED")


def observe_readers(level: str, run: Run, kind: str) -> Observed:
    """Names and labels of the own metrics, as each reader of one configuration shows them."""
    backend = run.open(Backend())
    more = {f"{reader}_PORT": ports.free() for reader in READERS[1:]}
    program = run.start(["pipeline.yaml", "metrics-readers.yaml"], {**backend.env, **more, "LEVEL": level}, kind)
    items = send.numbered(program.port("GRPC"), requests=2)
    send.assert_each_once(backend, items)
    sent = "otelcol_exporter_sent_log_records"
    until(lambda: program.samples().sum(sent) == items, "all is counted as sent")
    seen: Observed = _Anything()
    for reader in READERS:
        port = program.port("METRICS") if reader == "METRICS" else more[f"{reader}_PORT"]
        for sample in exposition.scrape(port):
            if sample.name.startswith("otel_agent_"):
                continue
            name = re.sub(r"_bucket$|_sum$|_count$", "", sample.name)
            labels = " ".join(sorted(label for label, value in sample.labels.items() if label != "le" and value))
            case = seen.setdefault(f"reader {reader.lower()} at {level}: {name}", {"present": True, "labels": set()})
            case["labels"].add(labels)
    return seen


class _Anything(dict):
    """Observations in which a case that is absent has no aspects."""

    def __missing__(self, key: str) -> dict:
        return {}


oracle("remote write", observe_remote_write)
for _level in ("basic", "normal", "detailed"):
    oracle(f"metrics readers {_level}", functools.partial(observe_readers, _level))
