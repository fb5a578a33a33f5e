"""What an exporter shows to Prometheus, read by parsers of our own, and by promtool."""

import gzip
import math
import re
import subprocess
import urllib.request
from typing import Any

import zstandard
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from . import parts

ACCEPT = {
    "text": "text/plain;version=0.0.4",
    "openmetrics": "application/openmetrics-text;version=1.0.0",
    "protobuf": "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
}


def fetch(port: int, accept: str, encoding: str = "identity", path: str = "/metrics") -> tuple[str, bytes]:
    """The content type and the inflated body."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers={"Accept": accept, "Accept-Encoding": encoding})
    with urllib.request.urlopen(request, timeout=30) as answer:
        body = answer.read()
        used = answer.headers.get("Content-Encoding", "identity")
        body = {"gzip": gzip.decompress, "zstd": lambda b: zstandard.ZstdDecompressor().decompressobj().decompress(b),
                "identity": lambda b: b}[used](body)
        return answer.headers["Content-Type"], body


class Shown:
    """One scrape. Labels without a value are left out: to Prometheus they are no labels."""

    def __init__(self):
        self.types: dict[str, str] = {}
        self.help: dict[str, str] = {}
        self.samples: dict[tuple, Any] = {}

    def put(self, name: str, labels: list[tuple[str, str]], value: Any) -> None:
        key = (name, tuple(sorted((k, v) for k, v in labels if v)))
        assert key not in self.samples, f"shown twice: {key}"
        self.samples[key] = value

    def of(self, prefix: str) -> dict[str, Any]:
        """What belongs to the metrics whose names begin like this."""
        mine = lambda name: name.strip('"').startswith(prefix)
        return {
            "types": {name: kind for name, kind in sorted(self.types.items()) if mine(name)},
            "help": {name: text for name, text in sorted(self.help.items()) if mine(name)},
            "samples": {key: value for key, value in sorted(self.samples.items(), key=repr) if mine(key[0])},
        }


def number(text: str | float) -> str:
    """A value so that NaN is equal to NaN and 1 to 1.0."""
    value = float(text)
    return "NaN" if math.isnan(value) else repr(value)


def parse(kind: str, body: bytes) -> Shown:
    return protobuf(body) if kind == "protobuf" else text(body.decode())


# --- text

_ESCAPE = re.compile(r"\\(.)", re.S)
_NAME = re.compile(r'"(?:[^"\\]|\\.)*"|[a-zA-Z_:][a-zA-Z0-9_:]*', re.S)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda m: "\n" if m.group(1) == "n" else m.group(1), text)


def _name(text: str, at: int) -> tuple[str, int]:
    match = _NAME.match(text, at)
    assert match, f"no name at {at} of {text[:200]!r}"
    name = match.group()
    return (_unescape(name[1:-1]) if name.startswith('"') else name), match.end()


def text(body: str) -> Shown:
    shown = Shown()
    for line in body.split("\n"):
        if not line or line == "# EOF":
            continue
        if line.startswith("# "):
            word = line[2:6]
            name, at = _name(line, 7)
            store = {"HELP": shown.help, "TYPE": shown.types}[word]
            assert name not in store, f"{word} twice: {name}"
            store[name] = _unescape(line[at + 1:]) if word == "HELP" else line[at + 1:]
            continue
        name, at, labels = "", 0, []
        if line[0] != "{":
            name, at = _name(line, 0)
        if line[at] == "{":
            at += 1
            while line[at] != "}":
                label, at = _name(line, at)
                if line[at] != "=":
                    name = label
                else:
                    value, at = _name(line, at + 1)
                    labels.append((label, value))
                at += line[at] == ","
            at += 1
        values, _, exemplar = line[at + 1:].partition(" # ")
        value, *time = values.split(" ")
        seen = {"value": number(value)}
        if time:
            seen["time"] = round(float(time[0]) * (1000 if "." in time[0] or "e" in time[0] else 1))
        if exemplar:
            ids, _, rest = exemplar.partition("} ")
            seen["exemplar"] = (sorted(ids[1:].split(",")), *map(number, rest.split(" ")))
        shown.put(name, labels, seen)
    return shown


# --- protobuf

def _message(name: str, *fields: str) -> descriptor_pb2.DescriptorProto:
    """Fields as "label type name number"; `s:` before a type stands for repeated."""
    made = descriptor_pb2.DescriptorProto(name=name)
    for one in fields:
        kind, field, at = one.split()
        repeated, kind = kind.startswith("s:"), kind.removeprefix("s:")
        added = made.field.add(name=field, number=int(at), label=3 if repeated else 1)
        if kind[0].isupper():
            added.type, added.type_name = 11, f".io.prometheus.client.{kind}"
        else:
            added.type = getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{kind.upper()}")
    return made


_FILE = descriptor_pb2.FileDescriptorProto(name="prometheus_metrics.proto", package="io.prometheus.client", syntax="proto2")
_FILE.message_type.extend([
    _message("Time", "int64 seconds 1", "int32 nanos 2"),
    _message("LabelPair", "string name 1", "string value 2"),
    _message("Exemplar", "s:LabelPair label 1", "double value 2", "Time timestamp 3"),
    _message("Gauge", "double value 1"),
    _message("Counter", "double value 1", "Exemplar exemplar 2", "Time created_timestamp 3"),
    _message("Quantile", "double quantile 1", "double value 2"),
    _message("Summary", "uint64 sample_count 1", "double sample_sum 2", "s:Quantile quantile 3", "Time created_timestamp 4"),
    _message("Bucket", "uint64 cumulative_count 1", "double upper_bound 2", "Exemplar exemplar 3"),
    _message("Span", "sint32 offset 1", "uint32 length 2"),
    _message("Histogram", "uint64 sample_count 1", "double sample_sum 2", "s:Bucket bucket 3", "sint32 schema 5",
             "double zero_threshold 6", "uint64 zero_count 7", "s:Span negative_span 9", "s:sint64 negative_delta 10",
             "s:Span positive_span 12", "s:sint64 positive_delta 13", "Time created_timestamp 15", "s:Exemplar exemplars 16"),
    _message("Metric", "s:LabelPair label 1", "Gauge gauge 2", "Counter counter 3", "Summary summary 4", "Histogram histogram 7",
             "int64 timestamp_ms 6"),
    _message("MetricFamily", "string name 1", "string help 2", "int32 type 3", "s:Metric metric 4"),
])
_POOL = descriptor_pool.DescriptorPool()
_POOL.Add(_FILE)
MetricFamily = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("io.prometheus.client.MetricFamily"))
_KINDS = ["counter", "gauge", "summary", "untyped", "histogram"]


def families(body: bytes):
    at = 0
    while at < len(body):
        size, shift = 0, 0
        while True:
            byte = body[at]
            at += 1
            size |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        yield MetricFamily.FromString(body[at:at + size])
        at += size


def _buckets(spans, deltas) -> dict[int, int]:
    found, index, count, at = {}, 0, 0, 0
    for span in spans:
        index += span.offset
        for _ in range(span.length):
            count += deltas[at]
            at += 1
            if count:
                found[index] = count
            index += 1
    return found


def _exemplar(one) -> tuple:
    time = number(one.timestamp.seconds + one.timestamp.nanos / 1e9)
    return (sorted(f'{l.name}="{l.value}"' for l in one.label), number(one.value), time)


def protobuf(body: bytes) -> Shown:
    shown = Shown()
    for family in families(body):
        shown.types[family.name], shown.help[family.name] = _KINDS[family.type], family.help
        for metric in family.metric:
            labels = [(pair.name, pair.value) for pair in metric.label]
            kind = _KINDS[family.type]
            said = getattr(metric, kind)
            seen: dict[str, Any] = {"time": metric.timestamp_ms or None}
            created = getattr(said, "created_timestamp", None)
            if created is not None and created.seconds > 0:
                seen["created"] = (created.seconds, created.nanos)
            if kind in ("counter", "gauge"):
                seen["value"] = number(said.value)
                if kind == "counter" and said.HasField("exemplar"):
                    seen["exemplar"] = _exemplar(said.exemplar)
            elif kind == "summary":
                seen |= {"count": said.sample_count, "sum": number(said.sample_sum),
                         "quantiles": {number(q.quantile): number(q.value) for q in said.quantile}}
            else:
                seen |= {"count": said.sample_count, "sum": number(said.sample_sum),
                         "buckets": {number(b.upper_bound): b.cumulative_count for b in said.bucket},
                         "exemplars": {number(b.upper_bound): _exemplar(b.exemplar) for b in said.bucket if b.HasField("exemplar")},
                         "native exemplars": [_exemplar(e) for e in said.exemplars]}
                if said.HasField("schema"):
                    seen["native"] = {
                        "schema": said.schema, "zero": (said.zero_count, said.zero_threshold),
                        "positive": _buckets(said.positive_span, said.positive_delta),
                        "negative": _buckets(said.negative_span, said.negative_delta)}
            shown.put(family.name, labels, seen)
    return shown


# --- promtool

def check_metrics(body: bytes) -> str:
    """What promtool says about a text exposition; an AssertionError unless it can be read."""
    done = subprocess.run([str(parts.promtool()), "check", "metrics"], input=body, capture_output=True, timeout=60)
    said = (done.stdout + done.stderr).decode()
    assert done.returncode in (0, 3), said  # 3: it would have named things otherwise
    return said
