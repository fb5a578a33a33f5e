"""Valid requests with numbered items, so that each can be found again exactly once."""

from google.protobuf.message import Message

from . import otlp
from .otlp import common

_TIME = 1_700_000_000_000_000_000
RESOURCE = {
    "service.name": "generated",
    "service.namespace": "from-client",
    "deployment.environment": "from-client",
    "secret.token": "hunter2",
    "host.cpus": 8,
}


def key_value(key: str, value) -> common.KeyValue:
    pair = common.KeyValue(key=key)
    _set(pair.value, value)
    return pair


def _set(target: common.AnyValue, value) -> None:
    if isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, int):
        target.int_value = value
    elif isinstance(value, float):
        target.double_value = value
    elif isinstance(value, bytes):
        target.bytes_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, list):
        target.array_value.SetInParent()
        for one in value:
            _set(target.array_value.values.add(), one)
    elif isinstance(value, dict):
        target.kvlist_value.SetInParent()
        target.kvlist_value.values.extend(key_value(k, v) for k, v in value.items())


def request(signal: str, first: int = 0, items: int = 10, resource: dict | None = None, **more) -> Message:
    """One request with `items` items numbered from `first`; `more` are further attributes of each item."""
    made = otlp.SIGNALS[signal].request()
    group = {"traces": "resource_spans", "metrics": "resource_metrics", "logs": "resource_logs"}[signal]
    entry = getattr(made, group).add()
    pairs = RESOURCE if resource is None else resource
    entry.resource.attributes.extend(key_value(k, v) for k, v in pairs.items())
    fill = {"traces": _spans, "metrics": _points, "logs": _records}[signal]
    fill(entry, range(first, first + items), more)
    return made


def _spans(entry, numbers: range, more: dict) -> None:
    scope = entry.scope_spans.add()
    scope.scope.name = "generate"
    for seq in numbers:
        span = scope.spans.add(
            trace_id=(seq + 1).to_bytes(16, "big"), span_id=(seq + 1).to_bytes(8, "big"), name=f"work {seq}", kind=2,
            start_time_unix_nano=_TIME + seq, end_time_unix_nano=_TIME + seq + 1000)
        span.attributes.extend(key_value(k, v) for k, v in {"seq": seq, **more}.items())
        span.status.code = 1


def _records(entry, numbers: range, more: dict) -> None:
    scope = entry.scope_logs.add()
    scope.scope.name = "generate"
    for seq in numbers:
        record = scope.log_records.add(
            time_unix_nano=_TIME + seq, observed_time_unix_nano=_TIME + seq, severity_number=9, severity_text="INFO")
        record.body.string_value = f"worked on {seq}"
        record.attributes.extend(key_value(k, v) for k, v in {"seq": seq, **more}.items())


def _points(entry, numbers: range, more: dict) -> None:
    scope = entry.scope_metrics.add()
    scope.scope.name = "generate"
    kinds = (_sum, _gauge, _histogram, _exponential, _summary)
    for at in range(0, len(numbers), 10):
        chunk = numbers[at:at + 10]
        metric = scope.metrics.add(name=f"metric_{chunk[0]}", unit="1", description="generated")
        points = kinds[(at // 10) % len(kinds)](metric)
        for seq in chunk:
            point = points.add(time_unix_nano=_TIME + seq, start_time_unix_nano=_TIME)
            if hasattr(point, "as_int"):
                point.as_int = seq
            else:
                point.count = 3
                point.sum = 6.5
            point.attributes.extend(key_value(k, v) for k, v in {"seq": seq, **more}.items())


def _sum(metric):
    metric.sum.aggregation_temporality = 2
    metric.sum.is_monotonic = True
    return metric.sum.data_points


def _gauge(metric):
    return metric.gauge.data_points


def _histogram(metric):
    metric.histogram.aggregation_temporality = 2
    return metric.histogram.data_points


def _exponential(metric):
    metric.exponential_histogram.aggregation_temporality = 1
    return metric.exponential_histogram.data_points


def _summary(metric):
    return metric.summary.data_points
