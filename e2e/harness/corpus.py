"""The raw requests of the oracle run: right, wrong and strange ones, each with a name."""

import base64
import gzip
import json
from dataclasses import dataclass, field

from google.protobuf import json_format
from google.protobuf.message import Message

from . import generate, otlp
from .compression import COMPRESS
from .raw import message

PROTOBUF = {"Content-Type": "application/x-protobuf"}
JSON = {"Content-Type": "application/json"}


@dataclass
class Http:
    body: bytes
    path: str = "/v1/traces"
    headers: dict[str, str] = field(default_factory=lambda: PROTOBUF)
    method: str = "POST"


@dataclass
class Grpc:
    framed: bytes
    path: str = otlp.SIGNALS["traces"].rpc
    headers: dict[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()
    end: bool = True


# --- protobuf by hand, for what the official classes would not write

def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def nested(number: int, *content: bytes) -> bytes:
    body = b"".join(content)
    return tag(number, 2) + varint(len(body)) + body


def text(number: int, value: str | bytes) -> bytes:
    return nested(number, value.encode() if isinstance(value, str) else value)


def attribute(number: int, key: str | bytes, value: str | bytes) -> bytes:
    return nested(number, text(1, key), nested(2, text(1, value)))


RESOURCE = nested(1, attribute(1, "service.name", "by-hand"))
SPAN = nested(2, text(1, b"\x01" * 16), text(2, b"\x02" * 8), text(5, "span"))
SCOPE = nested(2, SPAN)
RECORD = nested(2, nested(5, text(1, "body")))


def strange() -> dict[str, bytes]:
    """Trace requests (one also fits logs) as bytes that are unusual or broken."""
    good = nested(1, RESOURCE, SCOPE)
    return {
        "resource last": nested(1, SCOPE, RESOURCE),
        "resource absent": nested(1, SCOPE),
        "resource empty": nested(1, nested(1), SCOPE),
        "resource twice": nested(1, RESOURCE, SCOPE, nested(1, attribute(1, "second", "too"))),
        "resource between": nested(1, SCOPE, RESOURCE, SCOPE),
        "scope absent": nested(1, RESOURCE),
        "schema urls": nested(1, RESOURCE, nested(2, SPAN, text(3, "https://example.com/scope")), text(3, "https://example.com/1")),
        "attribute twice": nested(1, nested(1, attribute(1, "k", "1"), attribute(1, "k", "2")), SCOPE),
        "attribute without value": nested(1, nested(1, nested(1, text(1, "k"))), SCOPE),
        "attribute without key": nested(1, nested(1, nested(1, nested(2, text(1, "v")))), SCOPE),
        "empty group": nested(1),
        "no groups": b"",
        "two groups": good + good,
        "unknown field in request": good + text(99, "more"),
        "unknown field in resource": nested(1, nested(1, attribute(1, "k", "v"), text(77, "more")), SCOPE),
        "unknown field in span": nested(1, RESOURCE, nested(2, nested(2, text(5, "span"), text(123, "more"), tag(124, 0) + b"\x05"))),
        "unknown fixed fields": good + tag(90, 1) + b"\0" * 8 + tag(91, 5) + b"\0" * 4,
        "unknown group": good + tag(50, 3) + tag(1, 0) + b"\x05" + tag(50, 4),
        "group not ended": good + tag(50, 3) + tag(1, 0) + b"\x05",
        "group ended twice": good + tag(50, 4),
        "group wrongly ended": good + tag(50, 3) + tag(51, 4),
        "length as long varint": tag(1, 2) + b"\x80\x80\x00",
        "wire type of groups wrong": tag(1, 0) + b"\x05",
        "wire type of resource wrong": nested(1, tag(1, 0) + b"\x05", SCOPE),
        "wire type of span name wrong": nested(1, RESOURCE, nested(2, nested(2, tag(5, 0) + b"\x05"))),
        "wire type of time wrong": nested(1, RESOURCE, nested(2, nested(2, tag(7, 0) + b"\x05"))),
        "wire type 6": good + tag(99, 6),
        "wire type 7": good + tag(99, 7),
        "field number 0": good + b"\x02\x00",
        "truncated in a span": good[:-3],
        "truncated in a tag": good + b"\x80",
        "truncated length": good + b"\x0a",
        "nested beyond its parent": tag(1, 2) + varint(6) + tag(2, 2) + varint(40) + b"abcd",
        "length of 1 GiB": tag(1, 2) + varint(1 << 30) + b"abcd",
        "length of 2^63": tag(1, 2) + varint(1 << 63) + b"abcd",
        "varint of 11 bytes": tag(99, 0) + b"\xff" * 10 + b"\x01",
        "varint of 10 bytes, too large": tag(99, 0) + b"\xff" * 9 + b"\x7f",
        "random": bytes((i * 167 + 13) & 0xFF for i in range(200)),
        "invalid UTF-8 in a key": nested(1, nested(1, attribute(1, b"\xff\xfe", "v")), SCOPE),
        "invalid UTF-8 in a value": nested(1, nested(1, attribute(1, "k", b"\xff\xfe")), SCOPE),
        "invalid UTF-8 in a span name": nested(1, RESOURCE, nested(2, nested(2, text(5, b"caf\xe9")))),
        "invalid UTF-8, surrogate": nested(1, nested(1, attribute(1, "k", b"\xed\xa0\x80")), SCOPE),
        "trace id of 3 bytes": nested(1, RESOURCE, nested(2, nested(2, text(1, b"abc"), text(5, "span")))),
        "trace id empty": nested(1, RESOURCE, nested(2, nested(2, text(1, b""), text(5, "span")))),
        "span name twice": nested(1, RESOURCE, nested(2, nested(2, text(5, "first"), text(5, "second")))),
        "deep value": nested(1, nested(1, nested(1, text(1, "k"), deep(20))), SCOPE),
    }


def deep(levels: int) -> bytes:
    """An AnyValue (field 2) of arrays in arrays."""
    value = text(1, "x")
    for _ in range(levels):
        value = nested(5, nested(1, value))
    return nested(2, value)


def to_json(request: Message) -> dict:
    """A request as OTLP/JSON: as protobuf's own JSON, but with ids in hex and enums as numbers."""
    def walk(node):
        if isinstance(node, dict):
            return {k: base64.b64decode(v).hex() if k in ("traceId", "spanId", "parentSpanId") else walk(v)
                    for k, v in node.items()}
        return [walk(one) for one in node] if isinstance(node, list) else node

    return walk(json.loads(json_format.MessageToJson(request, use_integers_for_enums=True)))


def span_json(**fields) -> bytes:
    return json.dumps({"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": [fields]}]}]}).encode()


def point_json(text_of_point: str) -> bytes:
    return ('{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":['
            + text_of_point + ']}}]}]}]}').encode()


def json_cases() -> dict[str, tuple[str, bytes]]:
    """OTLP/JSON bodies: the signal and the text."""
    ids = {"traceId": "0102030405060708090a0b0c0d0e0f10", "spanId": "0102030405060708"}
    return {
        "snake case": ("traces", json.dumps({"resource_spans": [{"scope_spans": [
            {"spans": [{"trace_id": ids["traceId"], "name": "x"}]}]}]}).encode()),
        "upper case ids": ("traces", span_json(**{k: v.upper() for k, v in ids.items()}, name="x")),
        "id of wrong length": ("traces", span_json(traceId="0102", name="x")),
        "id not hex": ("traces", span_json(traceId="zz" * 16, name="x")),
        "id empty": ("traces", span_json(traceId="", spanId="", name="x")),
        "enum by name": ("traces", span_json(**ids, kind="SPAN_KIND_SERVER")),
        "enum by number": ("traces", span_json(**ids, kind=2)),
        "enum by unknown name": ("traces", span_json(**ids, kind="SPAN_KIND_NONSENSE")),
        "enum by unknown number": ("traces", span_json(**ids, kind=99)),
        "time as string": ("traces", span_json(**ids, startTimeUnixNano="1700000000000000000")),
        "time as number": ("traces", span_json(**ids, startTimeUnixNano=1700000000000000000)),
        "time negative": ("traces", span_json(**ids, startTimeUnixNano="-5")),
        "time not a number": ("traces", span_json(**ids, startTimeUnixNano="soon")),
        "time fraction": ("traces", span_json(**ids, startTimeUnixNano=1.5)),
        "null span name": ("traces", span_json(**ids, name=None)),
        "null time": ("traces", span_json(**ids, startTimeUnixNano=None)),
        "null lists": ("traces", b'{"resourceSpans":[{"resource":null,"scopeSpans":null}]}'),
        "null request": ("traces", b"null"),
        "unknown field": ("traces", span_json(**ids, name="x", futureField={"a": [1, {}]})),
        "attribute values": ("traces", span_json(**ids, attributes=[
            {"key": "s", "value": {"stringValue": "x"}}, {"key": "i", "value": {"intValue": "5"}},
            {"key": "n", "value": {"intValue": 5}}, {"key": "d", "value": {"doubleValue": 1.5}},
            {"key": "b", "value": {"boolValue": True}}, {"key": "y", "value": {"bytesValue": "AQID"}},
            {"key": "a", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}},
            {"key": "m", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}},
            {"key": "empty", "value": {}}, {"key": "none"}])),
        "bytes not base64": ("traces", span_json(**ids, attributes=[{"key": "y", "value": {"bytesValue": "!!"}}])),
        "empty array value": ("traces", span_json(**ids, attributes=[{"key": "a", "value": {"arrayValue": {}}}])),
        "double as string": ("metrics", point_json('{"asDouble":"2.5"}')),
        "double NaN": ("metrics", point_json('{"asDouble":"NaN"}')),
        "double Infinity": ("metrics", point_json('{"asDouble":"-Infinity"}')),
        "double bare NaN": ("metrics", point_json('{"asDouble":NaN}')),
        "double exponent": ("metrics", point_json('{"asDouble":1e300}')),
        "double too large": ("metrics", point_json('{"asDouble":1e999}')),
        "int as string": ("metrics", point_json('{"asInt":"-7"}')),
        "int too large": ("metrics", point_json('{"asInt":"9223372036854775808"}')),
        "int fraction": ("metrics", point_json('{"asInt":1.5}')),
        "int exponent": ("metrics", point_json('{"asInt":1e3}')),
        "int leading zero": ("metrics", point_json('{"asInt":007}')),
        "int plus": ("metrics", point_json('{"asInt":"+7"}')),
        "log body map": ("logs", json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": [
            {"body": {"kvlistValue": {"values": [{"key": "k", "value": {"stringValue": "v"}}]}}, "severityNumber": 9}]}]}]}).encode()),
        "log severity by name": ("logs", b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"SEVERITY_NUMBER_WARN"}]}]}]}'),
        "empty object": ("traces", b"{}"),
        "empty body": ("traces", b""),
        "empty list": ("traces", b'{"resourceSpans":[]}'),
        "list of empty": ("traces", b'{"resourceSpans":[{}]}'),
        "a list": ("traces", b"[]"),
        "a string": ("traces", b'"x"'),
        "a number": ("traces", b"5"),
        "truncated": ("traces", b'{"resourceSpans":[{"scopeSpans":'),
        "trailing text": ("traces", b'{"resourceSpans":[]} x'),
        "two values": ("traces", b'{}{}'),
        "trailing comma": ("traces", b'{"resourceSpans":[],}'),
        "wrong shape": ("traces", b'{"resourceSpans":{"a":1}}'),
        "span not an object": ("traces", b'{"resourceSpans":[{"scopeSpans":[{"spans":[5]}]}]}'),
        "name not a string": ("traces", span_json(**ids, name=5)),
        "duplicate member": ("traces", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"a","name":"b"}]}]}]}'),
        "escapes": ("traces", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\\u00e9\\ud83d\\ude00\\n\\u0000"}]}]}]}'),
        "lone surrogate": ("traces", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\\ud800"}]}]}]}'),
        "invalid UTF-8": ("traces", b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"\xff"}]}]}]}'),
        "byte order mark": ("traces", b"\xef\xbb\xbf{}"),
        "10000 levels": ("traces", b'{"x":' * 10_000 + b"1" + b"}" * 10_000),
        "10000 levels of values": ("traces", span_json(**ids, attributes=[]).replace(
            b'"attributes": []', b'"attributes":[{"key":"k","value":' + b'{"arrayValue":{"values":[' * 5000
            + b'{"intValue":"1"}' + b"]}}" * 5000 + b"}]")),
    }


def http_cases() -> dict[str, Http]:
    cases: dict[str, Http] = {}
    for signal in otlp.SIGNALS.values():
        request = generate.request(signal.name, 0, 30)
        body = request.SerializeToString()
        cases[f"protobuf {signal.name}"] = Http(body, signal.path)
        cases[f"json {signal.name}"] = Http(json.dumps(to_json(request)).encode(), signal.path, JSON)
        cases[f"empty {signal.name}"] = Http(b"", signal.path)
        cases[f"no items {signal.name}"] = Http(generate.request(signal.name, 0, 0).SerializeToString(), signal.path)
        cases[f"malformed {signal.name}"] = Http(body[:-5], signal.path)
        cases[f"other signal's body {signal.name}"] = Http(
            generate.request("logs" if signal.name == "traces" else "traces").SerializeToString(), signal.path)
    for name, body in strange().items():
        cases[f"strange {name}"] = Http(body)
    for name, (signal, body) in json_cases().items():
        cases[f"json {name}"] = Http(body, otlp.SIGNALS[signal].path, JSON)
    cases |= _transport_cases() | _encoding_cases()
    return cases


def _transport_cases() -> dict[str, Http]:
    body = generate.request("traces", 0, 3).SerializeToString()
    return {
        "content type absent": Http(body, headers={}),
        "content type empty": Http(body, headers={"Content-Type": ""}),
        "content type text": Http(body, headers={"Content-Type": "text/plain"}),
        "content type grpc": Http(body, headers={"Content-Type": "application/grpc"}),
        "content type protobuf with parameters": Http(body, headers={"Content-Type": "application/x-protobuf; v=1"}),
        "content type in upper case": Http(body, headers={"Content-Type": "Application/X-Protobuf"}),
        "content type application/protobuf": Http(body, headers={"Content-Type": "application/protobuf"}),
        "content type json with charset": Http(b"{}", headers={"Content-Type": "application/json; charset=utf-8"}),
        "content type broken": Http(body, headers={"Content-Type": "application/x-protobuf; ="}),
        "content type json for protobuf": Http(body, headers=JSON),
        "content type protobuf for json": Http(b'{"resourceSpans":[]}'),
        "method GET": Http(b"", method="GET"),
        "method PUT": Http(body, method="PUT"),
        "method HEAD": Http(b"", method="HEAD"),
        "method OPTIONS": Http(b"", method="OPTIONS"),
        "method DELETE": Http(b"", method="DELETE"),
        "method GET without content type": Http(b"", method="GET", headers={}),
        "path /": Http(body, "/"),
        "path unknown": Http(body, "/v1/nonsense"),
        "path with slash": Http(body, "/v1/traces/"),
        "path with query": Http(body, "/v1/traces?a=b"),
        "path in upper case": Http(body, "/V1/TRACES"),
        "path doubled slash": Http(body, "//v1/traces"),
        "path profiles": Http(body, "/v1development/profiles"),
        "body over the limit": Http(generate.request("traces", 0, 10, filler="x" * 150_000).SerializeToString()),
        "body over the limit json": Http(b'{"a":"' + b"x" * 1_200_000 + b'"}', headers=JSON),
        "body just under the limit": Http(generate.request("traces", 0, 1, filler="x" * 1_000_000).SerializeToString()),
    }


def _encoding_cases() -> dict[str, Http]:
    body = generate.request("traces", 0, 30).SerializeToString()
    large = generate.request("traces", 0, 10, filler="x" * 300_000).SerializeToString()
    cases = {}
    for name, compress in COMPRESS.items():
        encoded = {**PROTOBUF, "Content-Encoding": name}
        cases[f"encoding {name or 'empty'}"] = Http(compress(body), headers=encoded)
        if name:
            cases[f"encoding {name} inflates over the limit"] = Http(compress(large), headers=encoded)
            cases[f"encoding {name} truncated"] = Http(compress(body)[:-12], headers=encoded)
            cases[f"encoding {name} is garbage"] = Http(b"this is not compressed at all", headers=encoded)
            cases[f"encoding {name} of nothing"] = Http(b"", headers=encoded)
    cases |= {
        "encoding unknown": Http(body, headers={**PROTOBUF, "Content-Encoding": "br"}),
        "encoding unknown json": Http(b"{}", headers={**JSON, "Content-Encoding": "br"}),
        "encoding unknown, no content type": Http(body, headers={"Content-Encoding": "br"}),
        "encoding unknown, text": Http(body, headers={"Content-Type": "text/plain", "Content-Encoding": "br"}),
        "encoding identity": Http(body, headers={**PROTOBUF, "Content-Encoding": "identity"}),
        "encoding in upper case": Http(gzip.compress(body), headers={**PROTOBUF, "Content-Encoding": "GZIP"}),
        "encoding twice": Http(gzip.compress(gzip.compress(body)), headers={**PROTOBUF, "Content-Encoding": "gzip, gzip"}),
        "encoding gzip of json": Http(gzip.compress(b'{"resourceSpans":[]}'), headers={**JSON, "Content-Encoding": "gzip"}),
        "encoding gzip in two members": Http(
            gzip.compress(body[:100]) + gzip.compress(body[100:]), headers={**PROTOBUF, "Content-Encoding": "gzip"}),
        "encoding gzip with a tail": Http(gzip.compress(body) + b"tail", headers={**PROTOBUF, "Content-Encoding": "gzip"}),
        "encoding gzip bomb": Http(gzip.compress(bytes(50_000_000)), headers={**PROTOBUF, "Content-Encoding": "gzip"}),
    }
    return cases


def grpc_cases() -> dict[str, Grpc]:
    cases: dict[str, Grpc] = {}
    for signal in otlp.SIGNALS.values():
        body = generate.request(signal.name, 0, 30).SerializeToString()
        cases[f"plain {signal.name}"] = Grpc(message(body), signal.rpc)
        cases[f"gzip {signal.name}"] = Grpc(message(gzip.compress(body), True), signal.rpc, {"grpc-encoding": "gzip"})
        cases[f"empty {signal.name}"] = Grpc(message(b""), signal.rpc)
        cases[f"malformed {signal.name}"] = Grpc(message(body[:-5]), signal.rpc)
    for name, body in strange().items():
        cases[f"strange {name}"] = Grpc(message(body))
    body = generate.request("traces", 0, 3).SerializeToString()
    packed = gzip.compress(body)
    cases |= {
        "zstd": Grpc(message(COMPRESS["zstd"](body), True), headers={"grpc-encoding": "zstd"}),
        "snappy": Grpc(message(COMPRESS["x-snappy-framed"](body), True), headers={"grpc-encoding": "snappy"}),
        "encoding unknown": Grpc(message(packed, True), headers={"grpc-encoding": "br"}),
        "encoding deflate": Grpc(message(COMPRESS["deflate"](body), True), headers={"grpc-encoding": "deflate"}),
        "encoding identity": Grpc(message(body), headers={"grpc-encoding": "identity"}),
        "encoding named, not used": Grpc(message(body), headers={"grpc-encoding": "gzip"}),
        "encoding used, not named": Grpc(message(packed, True)),
        "gzip broken": Grpc(message(packed[:-12], True), headers={"grpc-encoding": "gzip"}),
        "gzip garbage": Grpc(message(b"not gzip at all", True), headers={"grpc-encoding": "gzip"}),
        "gzip bomb": Grpc(message(gzip.compress(bytes(50_000_000)), True), headers={"grpc-encoding": "gzip"}),
        "flag 2": Grpc(b"\x02" + message(body)[1:]),
        "no message": Grpc(b""),
        "two messages": Grpc(message(body) + message(body)),
        "half a prefix": Grpc(b"\x00\x00"),
        "shorter than claimed": Grpc(message(body, claim=len(body) + 10)),
        "claims 1 GiB": Grpc(message(body, claim=1 << 30)),
        "claims 1 GiB and waits": Grpc(message(body, claim=1 << 30), end=False),
        "claims 4 GiB": Grpc(message(body, claim=(1 << 32) - 1)),
        "larger than 4 MiB": Grpc(message(generate.request("traces", 0, 10, filler="x" * 500_000).SerializeToString())),
        "just under 4 MiB": Grpc(message(generate.request("traces", 0, 1, filler="x" * 4_190_000).SerializeToString())),
        "service unknown": Grpc(message(body), "/nonsense.Service/Export"),
        "method unknown": Grpc(message(body), "/opentelemetry.proto.collector.trace.v1.TraceService/Nonsense"),
        "path without a method": Grpc(message(body), "/nonsense"),
        "profiles": Grpc(message(body), "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"),
        "health": Grpc(message(b""), "/grpc.health.v1.Health/Check"),
        "content type grpc+proto": Grpc(message(body), headers={"content-type": "application/grpc+proto"}),
        "content type grpc+json": Grpc(message(b"{}"), headers={"content-type": "application/grpc+json"}),
        "content type json": Grpc(message(body), headers={"content-type": "application/json"}),
        "content type absent": Grpc(message(body), without=("content-type",)),
        "te absent": Grpc(message(body), without=("te",)),
        "method GET": Grpc(b"", headers={":method": "GET"}),
        "timeout": Grpc(message(body), headers={"grpc-timeout": "5S"}),
        "timeout malformed": Grpc(message(body), headers={"grpc-timeout": "soon"}),
    }
    return cases
