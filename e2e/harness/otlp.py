"""OTLP requests as the official protobuf classes, flattened to items, and in a form that can be compared."""

from dataclasses import dataclass
from typing import Any, Iterator

from google.protobuf import json_format
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.common.v1 import common_pb2 as common

__all__ = ["SIGNALS", "Signal", "attributes", "canonical", "common", "items", "logs", "metrics", "traces", "unknown_fields"]


@dataclass(frozen=True)
class Signal:
    """What tells traces, metrics and logs apart on the wire and in the Collector's metric names."""

    name: str
    counted: str  # in metric names: otelcol_receiver_accepted_<counted>
    request: type
    response: type
    rpc: str
    path: str


SIGNALS = {
    "traces": Signal(
        "traces", "spans", traces.ExportTraceServiceRequest, traces.ExportTraceServiceResponse,
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export", "/v1/traces"),
    "metrics": Signal(
        "metrics", "metric_points", metrics.ExportMetricsServiceRequest, metrics.ExportMetricsServiceResponse,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "/v1/metrics"),
    "logs": Signal(
        "logs", "log_records", logs.ExportLogsServiceRequest, logs.ExportLogsServiceResponse,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export", "/v1/logs"),
}


def value(any_value: common.AnyValue) -> Any:
    """An attribute value as the Python value it stands for."""
    kind = any_value.WhichOneof("value")
    if kind == "array_value":
        return [value(v) for v in any_value.array_value.values]
    if kind == "kvlist_value":
        return {kv.key: value(kv.value) for kv in any_value.kvlist_value.values}
    return getattr(any_value, kind) if kind else None


def attributes(pairs) -> dict[str, Any]:
    return {pair.key: value(pair.value) for pair in pairs}


@dataclass
class Item:
    """One span, log record or data point, with the attributes of its resource."""

    resource: dict[str, Any]
    metric: str  # the metric's name; empty for spans and log records
    message: Message

    @property
    def attributes(self) -> dict[str, Any]:
        return attributes(self.message.attributes)


def items(request: Message) -> Iterator[Item]:
    """Every item of a request, in order."""
    name = request.DESCRIPTOR.name
    if name == "ExportTraceServiceRequest":
        for group in request.resource_spans:
            resource = attributes(group.resource.attributes)
            for scope in group.scope_spans:
                for span in scope.spans:
                    yield Item(resource, "", span)
    elif name == "ExportLogsServiceRequest":
        for group in request.resource_logs:
            resource = attributes(group.resource.attributes)
            for scope in group.scope_logs:
                for record in scope.log_records:
                    yield Item(resource, "", record)
    else:
        for group in request.resource_metrics:
            resource = attributes(group.resource.attributes)
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    for point in getattr(metric, kind).data_points if kind else ():
                        yield Item(resource, metric.name, point)


def count(request: Message) -> int:
    return sum(1 for _ in items(request))


# An absent message and an empty one mean the same in these places, and programs differ in which they write.
_SAME_AS_ABSENT = ("resource", "scope", "status", "value", "body")


def canonical(request: Message) -> Any:
    """A request as plain data in which order of attributes and absent-or-empty do not matter."""
    return _plain(json_format.MessageToDict(request, preserving_proto_field_name=True))


def _plain(node: Any) -> Any:
    if isinstance(node, list):
        return [_plain(one) for one in node]
    if not isinstance(node, dict):
        return node
    plain = {}
    for key, child in node.items():
        child = _plain(child)
        if key in ("attributes", "filtered_attributes"):
            child = sorted(child, key=lambda pair: pair.get("key", ""))
        if child == {} and key in _SAME_AS_ABSENT:
            continue
        plain[key] = child
    return plain


def unknown_fields(message: Message) -> int:
    """How many fields the official classes do not know, at any depth."""
    found = len(UnknownFieldSet(message))
    for field, child in message.ListFields():
        if field.message_type is None:
            continue
        children = child if field.is_repeated else [child]
        found += sum(unknown_fields(one) for one in children)
    return found
