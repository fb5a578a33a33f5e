"""The exporter `prometheus`: beside the Go Collector's with the same OTLP in, and scraped by a real Prometheus."""

import functools
import struct
import time
from typing import Any, Callable, Iterable

import yaml

from harness import configs, otlp, ports, send, shown
from harness.generate import key_value
from harness.prometheus import Prometheus
from harness.runner import Run, scenario
from harness.shown import ACCEPT
from harness.waiting import until

from .oracle import Observed, oracle

SECOND = 1_000_000_000
NOW = 1_700_000_000
DELTA, CUMULATIVE = 1, 2
STALE = 0x7FF0000000000002


def request(metrics: Iterable, resource: dict | None = None, scope: dict | None = None, schema: str = ""):
    """One request with these metrics, made by the functions below."""
    made = otlp.metrics.ExportMetricsServiceRequest()
    group = made.resource_metrics.add()
    group.resource.attributes.extend(key_value(k, v) for k, v in (resource or {}).items())
    scoped = group.scope_metrics.add(schema_url=schema)
    about = {"name": "meter", "version": "1"} if scope is None else scope
    scoped.scope.name, scoped.scope.version = about.get("name", ""), about.get("version", "")
    scoped.scope.attributes.extend(key_value(k, v) for k, v in about.get("attributes", {}).items())
    for make in metrics:
        make(scoped.metrics.add())
    return made


def fill(point, at: float, start: float, attributes: dict, more: dict):
    point.time_unix_nano, point.start_time_unix_nano = int((NOW + at) * SECOND), int((NOW + start) * SECOND) if start else 0
    point.attributes.extend(key_value(k, v) for k, v in attributes.items())
    for trace, value in more.pop("exemplars", []):
        exemplar = point.exemplars.add(as_double=value, time_unix_nano=NOW * SECOND)
        exemplar.trace_id, exemplar.span_id = bytes([trace]) * 16, bytes([trace]) * 8
    for name, value in more.items():
        if name in ("positive", "negative"):
            side = getattr(point, name)
            side.offset = value[0]
            side.bucket_counts.extend(value[1])
        elif name == "quantiles":
            for quantile, said in value:
                point.quantile_values.add(quantile=quantile, value=said)
        elif isinstance(value, list):
            getattr(point, name).extend(value)
        else:
            setattr(point, name, value)


def metric(kind: str, name: str, points: list[dict], unit: str = "", about: str = "", temporality: int = CUMULATIVE,
           monotonic: bool = True) -> Callable:
    def make(target):
        target.name, target.unit, target.description = name, unit, about
        data = getattr(target, kind)
        data.SetInParent()
        if kind in ("sum", "histogram", "exponential_histogram"):
            data.aggregation_temporality = temporality
        if kind == "sum":
            data.is_monotonic = monotonic
        for one in points:
            one = dict(one)
            fill(data.data_points.add(), one.pop("at", 1), one.pop("start", 0), one.pop("attributes", {}), one)
    return make


def value(number: float | int | None, **more) -> dict:
    kind = {} if number is None else {"as_int" if isinstance(number, int) else "as_double": number}
    return kind | more


def gauge(name: str, *points: dict, **more) -> Callable:
    return metric("gauge", name, list(points), **more)


def total(name: str, *points: dict, **more) -> Callable:
    return metric("sum", name, list(points), **more)


def buckets(counts: list[int], bounds: list[float], **more) -> dict:
    return {"count": sum(counts), "sum": float(sum(counts)), "bucket_counts": counts, "explicit_bounds": bounds} | more


def exponential(scale: int, positive, zero: int = 0, negative=(0, []), **more) -> dict:
    count = sum(positive[1]) + sum(negative[1]) + zero
    return {"count": count, "sum": 5.0, "scale": scale, "zero_count": zero, "positive": positive, "negative": negative} | more


SERVICE = {"service.name": "shop", "service.namespace": "eu", "service.instance.id": "7"}


@functools.cache
def cases() -> dict[str, list]:
    """Requests by case. The names of a case's metrics begin with its own letters."""
    histogram = functools.partial(metric, "histogram")
    native = functools.partial(metric, "exponential_histogram")
    summary = functools.partial(metric, "summary")
    nan, infinity = float("nan"), float("inf")
    one = lambda *made, **more: [request(made, **more)]
    each = lambda *made: [request([m]) for m in made]
    return {
        "aa units": one(*(gauge(f"aa.{i}", value(1), unit=unit) for i, unit in enumerate(
            ["", "1", "s", "ms", "By", "KiBy", "%", "m/s", "By/{op}", "{requests}", "1/s", "foo bar", "_", " s ", "/min", "°C"]))),
        "ab names": one(*(gauge(name, value(1.5)) for name in [
            "ab.x..y", "ab/x-(z)#", "ab__under", "ab:colon", "ab größe", "ab.seconds.s", "ab.total.middle"])),
        "ac counters": one(total("ac.requests", value(5, start=-9), unit="1"), total("ac.total.bytes", value(2.5), unit="By"),
                           total("ac.updown", value(-3), monotonic=False)),
        "ad histograms": one(histogram("ad.time", [buckets([1, 2, 3], [0.5, 1e6]), buckets([4], [], attributes={"k": "no bounds"})], unit="s"),
                             histogram("ad.odd", [buckets([5, 2, 0, 8], [1e7, 1.0, 1.0])])),
        "ae summaries": one(summary("ae.wait", [{"count": 3, "sum": 0.5, "quantiles": [(0.5, 1.0), (0.99, nan), (0.5, 2.0)]}])),
        "af native": one(native("af.plain", [exponential(2, (-3, [1, 0, 0, 0, 2, 3]), 1, (4, [0, 3]))]),
                         native("af.fine", [exponential(10, (-7, [1, 2, 3, 4]))]),
                         native("af.threshold", [exponential(0, (0, [1]), zero_threshold=0.25)]),
                         native("af.empty", [exponential(0, (0, []))])),
        "ag delta sums": each(*(total("ag.sum", value(v, at=at, start=start), temporality=DELTA)
                                for v, start, at in [(5, 1, 2), (7, 2, 3), (9, 5, 6), (1, 6, 7), (100, 1, 2)])),
        "ah delta histograms": each(*(histogram("ah.time", [buckets(counts, [1.0], at=at, start=start)], temporality=DELTA)
                                      for counts, start, at in [([1, 2], 1, 2), ([10, 20], 2, 3), ([100, 200], 2.5, 4)])),
        "ai delta histogram resets": each(*(histogram("ai.time", [buckets(counts, bounds, at=at, start=start)], temporality=DELTA)
                                            for counts, bounds, start, at in [([1, 2], [1.0], 1, 2), ([3, 4], [1.0], 5, 6), ([5, 6], [2.0], 6, 7)])),
        "aj delta native": each(*(native("aj.size", [exponential(3, (offset, counts), at=at, start=start)], temporality=DELTA)
                                  for offset, counts, start, at in [(0, [1, 2], 1, 2), (1, [10, 20], 2, 3)])),
        "ak delta native of two scales": each(*(native("ak.size", [exponential(scale, (1, counts), at=at, start=start)], temporality=DELTA)
                                                for scale, counts, start, at in [(1, [1, 2, 4], 1, 2), (0, [10], 2, 3)])),
        "al no form": one(total("al.falling", value(1), temporality=DELTA, monotonic=False),
                          total("al.unsaid", value(1), temporality=0), native("al.wide", [exponential(-5, (0, [1]))]),
                          native("al.wrong", [exponential(0, (0, [1]), count=9)])),
        "am unsaid histogram": one(histogram("am.time", [buckets([1], [])], temporality=0)),
        "an no value": each(gauge("an.a", value(1, attributes={"k": "1"}), value(2, attributes={"k": "2"})),
                            gauge("an.a", value(None, flags=1, at=2, attributes={"k": "1"}))),
        "ao no value before others": each(gauge("ao.a", value(1, attributes={"k": "1"}), value(2, attributes={"k": "2"})),
                                          gauge("ao.a", value(None, flags=1, at=2, attributes={"k": "1"}),
                                                value(5, at=2, attributes={"k": "2"}))),
        "ap special numbers": one(gauge("ap.a", *(value(v, attributes={"v": str(i)}) for i, v in enumerate(
            [nan, infinity, -infinity, 0.0, -0.0, 1e21, 1e-7, 123456789.0, 5e-324, 2**53 + 1])))),
        "aq out of order": each(*(gauge("aq.a", value(v, at=at)) for v, at in [(1, 5), (2, 4), (3, 5), (4, 1)])),
        "ar falling counter": each(*(total("ar.a", value(v, at=at, start=1)) for v, at in [(10, 2), (3, 3)])),
        "as large label": one(gauge("as.a", value(1, attributes={"large": '"\\\n' * 350_000}))),
        "at escapes": one(gauge("at.a", *(value(1, attributes={"k": text}) for text in
                                          ['a"b', "a\\b", "a\nb", "größe", "{},=", " "]), about='He said "a\\b"\nthen left.')),
        "au label names": one(gauge("au.a", value(1, attributes={
            "2x": "1", "_y": "2", "a..b": "4", "größe": "5", "http.status_code": 200, "c:d": "6"}))),
        "av label values": one(gauge("av.a", value(1, attributes={
            "int": -5, "double": 1.5, "large": 1e21, "true": True, "list": ["a", 1, {"b": None or 1}], "map": {"b": 1, "a": [1.5]},
            "bytes": b"\x00\x01"}))),
        "aw collapsing labels": one(gauge("aw.a", value(1, attributes={"a.b": "1", "a_b": "2"}))),
        "ax taken labels": [request([gauge("ax.a", value(1, attributes={"job": "mine", "otel_scope_name": "x"}))], SERVICE)],
        "ay empty key": one(gauge("ay.a", value(1, attributes={"": "x"}))),
        "az one name twice": one(gauge("az.a", value(1, attributes={"k": "1"})), gauge("az/a", value(2, attributes={"k": "2"}))),
        "ba two pods": [request([total("ba.a", value(v, at=at, start=1))], {"service.name": "ba", "host.name": host})
                        for v, at, host in [(1, 2, "x"), (5, 3, "y"), (2, 4, "x"), (6, 5, "y")]],
        "bb identity": [request([gauge(f"bb.{i}", value(1))], resource) for i, resource in enumerate([
            {"service.name": "a"}, {"service.name": "b", "service.namespace": "n"}, {"service.instance.id": "c"},
            {"service.namespace": "n"}, {"service.name": "d", "service.instance.id": "e", "k8s.pod.name": "p", "k8s_pod_name": "q"}])],
        "bc scopes": [request([gauge("bc.a", value(1))], scope=scope, schema=schema) for scope, schema in [
            ({}, ""), ({"name": "x", "version": "2", "attributes": {"name": "hidden", "kind.of": "y"}}, "https://schema")]],
        "bd exemplars": one(total("bd.sum", value(1, exemplars=[(1, 0.5), (2, 0.7)])),
                            histogram("bd.time", [buckets([1, 1, 1], [1.0, 2.0], exemplars=[(3, 0.5), (4, 1.5), (5, 0.25), (6, 9.0)])]),
                            native("bd.size", [exponential(0, (0, [1]), exemplars=[(7, 1.5)])])),
        "be no name": one(gauge("", value(1)), gauge("...", value(1)), gauge("be.ok", value(1))),
        "bf stale marker": each(gauge("bf.a", value(1)), _stale("bf.a")),
        "bg le as a label": one(histogram("bg.a", [buckets([1], [], attributes={"le": "mine"})])),
        "bi reserved label names": one(gauge("bi.a", value(1, attributes={"__z__": "1", "__name__": "up"}))),
        "bh starts": one(total("bh.a", value(1, start=-100)), histogram("bh.b", [buckets([1], [], start=-100)]),
                         summary("bh.c", [{"count": 1, "sum": 1.0, "start": -100}]), native("bh.d", [exponential(0, (0, [1]), start=-100)])),
    }


def _stale(name: str) -> Callable:
    return gauge(name, value(struct.unpack("<d", struct.pack("<Q", STALE))[0], at=2))


def start(run: Run, kind: str, more: dict[str, Any] | None = None):
    port = ports.free()
    files: list[Any] = ["oracle.yaml", "oracle-prometheus.yaml"]
    if more:
        files.append(run.open(configs.written(yaml.safe_dump({"exporters": {"prometheus": more}}))))
    env = {"PROMETHEUS_PORT": port, "BACKEND_GRPC_PORT": 1, "BACKEND_HTTP_PORT": 1}
    return run.start(files, env, kind), port


def observe(run: Run, kind: str, format: str, more: dict[str, Any] | None = None, chosen: Iterable[str] | None = None,
            prefix: str = "", named: str = "") -> Observed:
    program, port = start(run, kind, more)
    some = {name: made for name, made in cases().items() if chosen is None or name.split()[0] in chosen}
    for made in some.values():
        for one in made:
            send.export(program.port("HTTP"), "metrics", one, "http")
    content_type, body = shown.fetch(port, ACCEPT[format])
    found = shown.parse(format, body)
    label = f"prometheus {format} {named}".rstrip()
    seen = {f"{label} {name}": found.of(prefix + name.split()[0]) for name in some}
    info = "target_info" if not prefix else prefix + "target_info"
    return seen | {f"{label} as a whole": {"content type": content_type, **found.of(info)}}


for _format in ACCEPT:
    oracle(f"prometheus-{_format}", lambda run, kind, format=_format: observe(run, kind, format))

KEYS: dict[str, tuple[dict[str, Any], str]] = {
    "namespace": ({"namespace": "my-shop", "const_labels": {"cluster": "eu", "a b": "c"}, "send_timestamps": True}, "my_shop_"),
    "resource": ({"resource_to_telemetry_conversion": {"enabled": True}}, ""),
    "resource-but-service": ({"resource_to_telemetry_conversion": {"enabled": True, "exclude_service_attributes": True}}, ""),
    "constant-labels": ({"resource_constant_labels": {"included": ["k8s*", "host.nam?"], "excluded": ["k8s_*"]}}, ""),
    "no-scope": ({"without_scope_info": True}, ""),
    "no-suffixes": ({"add_metric_suffixes": False}, ""),
    "without-suffixes": ({"translation_strategy": "UnderscoreEscapingWithoutSuffixes"}, ""),
    "utf8-suffixes": ({"translation_strategy": "NoUTF8EscapingWithSuffixes"}, ""),
    "no-translation": ({"translation_strategy": "NoTranslation"}, ""),
}
# what the keys have to do with; the rest would only be the same again
FEW = ["aa", "ab", "ac", "ad", "ae", "af", "au", "bb", "bd"]


def observe_keys(run: Run, kind: str) -> Observed:
    seen: Observed = {}
    for format in ("text", "openmetrics", "protobuf"):
        for named, (more, prefix) in KEYS.items():
            seen |= observe(run, kind, format, more, FEW, prefix, f"with {named}:")
    return seen


oracle("prometheus-keys", observe_keys, seconds=300)


def observe_escaping(run: Run, kind: str) -> Observed:
    """Names with any character, for clients that take them, and for those that do not."""
    program, port = start(run, kind, {"translation_strategy": "NoTranslation"})
    for made in [m for name, m in cases().items() if name.split()[0] in FEW]:
        for one in made:
            send.export(program.port("HTTP"), "metrics", one, "http")
    seen: Observed = {}
    for format, accept in ACCEPT.items():
        for scheme in ("allow-utf-8", "underscores", "dots", "values", "unheard-of"):
            content_type, body = shown.fetch(port, f"{accept};escaping={scheme}")
            seen[f"prometheus escaping {scheme} in {format}"] = {"content type": content_type, **shown.parse(format, body).of("")}
    return seen


oracle("prometheus-escaping", observe_escaping)


def observe_negotiation(run: Run, kind: str) -> Observed:
    seen: Observed = {}
    accepts = ["", "*/*", "text/html", "text/plain", "application/json,text/plain;q=0.1", *ACCEPT.values(),
               f"{ACCEPT['text']};q=0.5,{ACCEPT['protobuf']};q=0.4", f"{ACCEPT['text']};q=0.3,{ACCEPT['openmetrics']};q=0.4",
               "application/openmetrics-text", "application/openmetrics-text;version=0.0.1", "text/plain;version=1.0.0"]
    for enabled in (True, False):
        _, port = start(run, kind, {"enable_open_metrics": enabled})
        for accept in accepts:
            content_type, _ = shown.fetch(port, accept)
            seen[f"prometheus negotiation {enabled} {accept}"] = {"content type": content_type}
    return seen


oracle("prometheus-negotiation", observe_negotiation)


# --- a real Prometheus

PROTOCOLS = {"text": "PrometheusText0.0.4", "openmetrics": "OpenMetricsText1.0.0", "protobuf": "PrometheusProto"}


def _scraped(run: Run, format: str) -> None:
    program, port = start(run, run.kind, {"resource_to_telemetry_conversion": {"enabled": True}})
    resource = SERVICE | {"service.instance.id": "8", "k8s.pod.name": "shop-1", "k8s.namespace.name": "fastapi-metrics"}
    send.export(program.port("HTTP"), "metrics", request([
        total("fastapi.custom.requests", value(42, attributes={"endpoint": "/items"})),
        metric("histogram", "request.time", [buckets([1, 2, 3], [0.5, 1.0])], unit="s"),
        metric("exponential_histogram", "size", [exponential(0, (0, [1, 2]), 3)]),
        metric("summary", "wait", [{"count": 3, "sum": 1.5, "quantiles": [(0.99, 0.25)]}]),
        gauge("odd", value(1, attributes={"k": 'a"b\\c\nd größe'})),
    ], resource), "http")
    for made in cases().values():
        for one in made:
            send.export(program.port("HTTP"), "metrics", one, "http")
    server = Prometheus({"shop": [(f"127.0.0.1:{port}", {})]})
    server.config["global"] |= {"scrape_interval": "2s", "scrape_timeout": "2s"}
    server.config["scrape_configs"][0] |= {
        "honor_labels": True, "scrape_protocols": [PROTOCOLS[format]], "scrape_native_histograms": True}
    run.open(server)

    def trouble() -> list[str]:
        return [target["lastError"] for target in server.api("targets")["activeTargets"] if target["lastError"]]

    def up() -> bool:
        return [value for _, value in server.query('up{job="shop"}')] == [1]

    until(up, lambda: f"up == 1: {trouble()}", 20)
    labels = 'k8s_namespace_name="fastapi-metrics",k8s_pod_name="shop-1",endpoint="/items",job="eu/shop",instance="8"'
    assert server.value("fastapi_custom_requests_total{%s}" % labels) == 42
    assert server.value('request_time_seconds_bucket{le=~"1|1.0"}') == 3
    assert server.value("request_time_seconds_count") == 6
    assert server.value("histogram_quantile(1, request_time_seconds_bucket)") == 1
    assert server.value('wait{quantile="0.99"}') == 0.25
    assert server.value('odd{k="a\\"b\\\\c\\nd größe"}') == 1
    assert server.value('target_info{job="eu/shop",k8s_pod_name="shop-1"}') == 1
    large = server.query("as_a")[0][0]["large"]
    assert large == '"\\\n' * 350_000, f"{len(large)} characters"
    if format == "protobuf":
        histogram = server.api("query", query="size")["result"][0]["histogram"][1]
        assert histogram["count"] == "6" and len(histogram["buckets"]) == 3, histogram
    else:
        assert server.value("size_count") == 6
    # A second scrape, so that whatever depends on the first one is seen, too.
    time.sleep(2.5)
    until(up, trouble)
    series = server.value("scrape_samples_post_metric_relabeling")
    assert series == server.value("scrape_samples_scraped") and series > 100, series
    if format == "text":
        for encoding in ("gzip", "zstd", "identity"):
            shown.check_metrics(shown.fetch(port, ACCEPT["text"], encoding)[1])


for _format in PROTOCOLS:
    scenario(f"prometheus/parser-{_format}", seconds=90,
             agent_only="it shows what Prometheus refuses: a label twice")(functools.partial(_scraped, format=_format))
