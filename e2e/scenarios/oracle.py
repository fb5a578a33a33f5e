"""The same requests through the agent and through the Go Collector, with the same configuration files.

An `observe` function runs one program and returns what can be seen of it: {case: {aspect: value}}. Both programs'
observations must be equal but for the differences listed in differences.yaml.
"""

import base64
import functools
import json
import pprint
import re
from typing import Any, Callable

import grpc
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from harness import corpus, generate, otlp, raw, send
from harness.backend import Answer, Backend, OK
from harness.program import Program
from harness.runner import Run, add
from harness.waiting import until

Observed = dict[str, dict[str, Any]]


def oracle(name: str, observe: Callable[[Run, str], Observed], seconds: float = 120) -> None:
    def compare(run: Run) -> None:
        expected = observe(run, "collector")
        if run.show:
            pprint.pprint(expected, width=160, sort_dicts=False)
        run.differences.compare(expected, observe(run, run.kind))

    add(f"oracle/{name}", compare, seconds)


# --- how an answer looks

# Texts that people and programs may depend on; of all others only that there is one is compared.
_FIXED = re.compile(r"http: request body too large|unsupported Content-Encoding: .*|unknown service .*|unknown method .*")


def text(message: str) -> str:
    return message if not message or _FIXED.fullmatch(message) else "(some text)"


def http_answer(answer: raw.HttpAnswer) -> dict[str, Any]:
    kind = answer.headers.get("content-type", "")
    seen = {
        "status": answer.status,
        "content type": kind,
        "retry-after": answer.headers.get("retry-after"),
        "allow": answer.headers.get("allow"),
    }
    try:
        if answer.status != 200 and "protobuf" in kind:
            status = status_pb2.Status.FromString(answer.body)
        elif answer.status != 200 and "json" in kind:
            status = json_format.Parse(answer.body, status_pb2.Status(), ignore_unknown_fields=True)
        else:
            return seen | {"body": answer.body}
        return seen | {"code": status.code, "message": text(status.message)}
    except Exception:
        return seen | {"body": answer.body}


def grpc_answer(answer: raw.GrpcAnswer) -> dict[str, Any]:
    return {
        "code": answer.code,
        "message": text(answer.message),
        "http status": answer.http_status,
        "content type": answer.headers.get("content-type"),
        "body": answer.message_bytes,
        "ended": "reset" if answer.reset is not None else "closed" if answer.closed else "not" if answer.silent else "normally",
    }


def arrivals(backend: Backend) -> dict[str, Any]:
    """What the backend got since it was last asked."""
    got = backend.accepted()
    backend.forget()
    return {
        "arrives": [otlp.canonical(request.message) if request.message else "undecodable" for request in got],
        "arrives unknown": [otlp.unknown_fields(request.message) if request.message else 0 for request in got],
    }


# --- the corpus

def observe_http(run: Run, kind: str) -> Observed:
    backend = run.open(Backend())
    program = run.start(["oracle.yaml"], backend.env, kind)
    seen = {}
    for name, case in corpus.http_cases().items():
        answer = raw.http_request(program.port("HTTP"), case.path, case.body, case.headers, case.method)
        seen[f"http {name}"] = http_answer(answer) | arrivals(backend)
    return seen


def observe_grpc(run: Run, kind: str) -> Observed:
    backend = run.open(Backend(max_message=8 << 20))
    program = run.start(["oracle.yaml"], backend.env, kind)
    seen = {}
    for name, case in corpus.grpc_cases().items():
        answer = raw.grpc_request(program.port("GRPC"), case.path, case.framed, case.headers, case.without, case.end,
                                  seconds=4)
        seen[f"grpc {name}"] = grpc_answer(answer) | arrivals(backend)
    return seen


def observe_wrong_door(run: Run, kind: str) -> Observed:
    """HTTP/1 on the gRPC port, gRPC on the HTTP port, TLS on either: the connection must not hang."""
    program = run.start(["oracle.yaml"], {"BACKEND_GRPC_PORT": 1, "BACKEND_HTTP_PORT": 1}, kind)
    hello = bytes.fromhex("16030100c8010000c40303") + bytes(190)
    post = b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    body = generate.request("traces").SerializeToString()
    return {
        "door http1 on the gRPC port": {"served": b" 200 " in raw.exchange(program.port("GRPC"), post, 3)},
        "door TLS on the gRPC port": {"served": b" 200 " in raw.exchange(program.port("GRPC"), hello, 3)},
        "door TLS on the HTTP port": {"served": b" 200 " in raw.exchange(program.port("HTTP"), hello, 3)},
        "door gRPC on the HTTP port": {
            "code": raw.grpc_request(program.port("HTTP"), otlp.SIGNALS["traces"].rpc, raw.message(body), seconds=3).code},
    }


# --- the processors

EDITED = {
    "insert.there": "old", "update.there": "old", "upsert.there": "old", "delete.there": "old",
    "temp.a": "x", "temp.b": 1, "not.temp.c": "stays", "service.name": "shop", "number.int": 42,
    "some.list": ["a", 1], "hash.string": "secret", "hash.int": 42, "hash.double": 1.5, "hash.bool": True,
    "hash.empty": "", "hash.list": ["x"], "pii.name": "Ada", "pii.age": 36,
    "url": "https://example.com:8080/path", "convert.string.int": "12", "convert.string.double": "1.25",
    "convert.bad": "twelve", "convert.fraction": "12.5", "convert.int.string": 12, "convert.double.string": 1.25,
    "convert.bool.string": True, "convert.bool.int": True, "convert.double.int": 2.75, "convert.int.double": 2,
    "convert.spaces": " 12", "convert.list.string": ["a", 1], "host.cpus": 8,
}
RESOURCES = {
    "all keys": EDITED,
    "no keys": {},
    "bakery": {"service.name": "bakery", "host.cpus": 4},
    "shop with 4": {"service.name": "shop", "host.cpus": 4},
    "url of two parts": {"service.name": "shop", "url": "http://example.com"},
    "url that does not match": {"url": "nothing"},
    "url that is a number": {"url": 5},
    "numbers as text": {"convert.string.int": "-0", "convert.string.double": "1e3", "convert.bool.int": False,
                        "convert.double.string": 1e21, "convert.double.int": -2.75},
    "numbers of other kinds": {"convert.string.int": "0x10", "convert.string.double": "NaN",
                               "convert.double.string": 100.0, "convert.int.string": -5},
}


def observe_edits(run: Run, kind: str) -> Observed:
    backend = run.open(Backend())
    program = run.start(["oracle.yaml", "oracle-edits.yaml"], backend.env, kind)
    seen: Observed = {}
    for name, resource in RESOURCES.items():
        for signal in otlp.SIGNALS:
            request = generate.request(signal, 0, 5, resource, **resource)
            send.export(program.port("GRPC"), signal, request)
            items = backend.items(signal)
            backend.forget()
            seen[f"edits {signal}, {name}: resource"] = attribute_aspects(items[0].resource if items else {})
            for number, item in enumerate(items):
                seen[f"edits {signal}, {name}: item {number}"] = attribute_aspects(item.attributes)
    keys = {key for aspects in seen.values() for key in aspects}
    return {case: {key: aspects.get(key) for key in keys} for case, aspects in seen.items()}


def attribute_aspects(attributes: dict[str, Any]) -> dict[str, Any]:
    # the type belongs to the value: True is not 1
    return {key: f"{type(value).__name__} {value!r}" for key, value in attributes.items()}


BATCHES = {
    # name: (timeout, size, maximum, items of each request)
    "size reached exactly": ("30s", 100, 0, [50, 50, 50]),
    "size passed": ("30s", 100, 0, [60, 60, 60, 10]),
    "one large": ("30s", 100, 0, [350]),
    "maximum": ("30s", 100, 100, [60, 60, 60, 10]),
    "maximum above size": ("30s", 100, 150, [90, 200, 10]),
    "maximum, one large": ("30s", 100, 120, [350]),
    "no timeout": ("0s", 100, 0, [10, 20, 30]),
    "no timeout, maximum": ("0s", 10, 25, [60, 5]),
    "size 0": ("30s", 0, 0, [10, 20]),
    "single items": ("30s", 3, 3, [1, 1, 1, 1, 1]),
    "empty requests between": ("30s", 20, 0, [10, 0, 10, 0]),
}


def observe_batches(run: Run, kind: str) -> Observed:
    seen: Observed = {}
    for name, (timeout, size, maximum, requests) in BATCHES.items():
        backend = Backend()
        with backend, Program(kind, ["oracle.yaml", "oracle-batch.yaml"], {
                **backend.env, "BATCH_TIMEOUT": timeout, "BATCH_SIZE": size, "BATCH_MAX": maximum}) as program:
            first = 0
            for items in requests:
                for signal in otlp.SIGNALS:
                    send.export(program.port("GRPC"), signal, generate.request(signal, first, items))
                first += items
            assert program.terminate() == 0, program.tail()
            for signal in otlp.SIGNALS:
                got = backend.accepted(signal)
                numbers = sorted(item.attributes["seq"] for item in backend.items(signal))
                seen[f"batch {name}: {signal}"] = {
                    "sizes": [request.items for request in got],
                    "each once": numbers == list(range(first)),
                }
    return seen


# --- a backend's errors, as the client sees them

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
STATUSES = [400, 401, 403, 404, 408, 413, 429, 500, 501, 502, 503, 504]


def observe_errors(exporter: str, run: Run, kind: str) -> Observed:
    told: list[Answer] = [OK]
    backend = run.open(Backend(lambda _: told[0]))
    program = run.start(["oracle.yaml"], {**backend.env, "EXPORTER": exporter}, kind)
    if exporter == "otlp":
        answers = {f"code {code.name}": Answer(code, message="because") for code in CODES}
        answers |= {f"code {code.name} with RetryInfo": Answer(code, message="because", retry_after=3)
                    for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)}
    else:
        answers = {f"status {status}": Answer(status=status, message="because") for status in STATUSES}
        answers |= {f"status {status} with Retry-After": Answer(status=status, message="because", retry_after=3)
                    for status in (429, 503)}
    answers["partial success"] = Answer(message="partly", rejected=2)
    body = generate.request("traces").SerializeToString()
    seen: Observed = {}
    for name, answer in answers.items():
        told[0] = answer
        over_http = raw.http_request(program.port("HTTP"), "/v1/traces", body, corpus.PROTOBUF)
        over_grpc = raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["traces"].rpc, raw.message(body))
        seen[f"errors {exporter} {name}, over http"] = http_answer(over_http)
        seen[f"errors {exporter} {name}, over grpc"] = grpc_answer(over_grpc)
        if retry_info(over_grpc) is not None or answer.retry_after:
            seen[f"errors {exporter} {name}, over grpc"]["retry info"] = retry_info(over_grpc)
    return seen


def retry_info(answer: raw.GrpcAnswer) -> float | None:
    packed = answer.trailers.get("grpc-status-details-bin") or answer.headers.get("grpc-status-details-bin")
    if not packed:
        return None
    status = status_pb2.Status.FromString(base64.b64decode(packed + "=" * (-len(packed) % 4)))
    for detail in status.details:
        info = error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            return info.retry_delay.ToNanoseconds() / 1e9
    return None


# --- auth

def observe_auth(authenticator: str, run: Run, kind: str) -> Observed:
    backend = run.open(Backend())
    program = run.start(["oracle.yaml", "oracle-auth.yaml"], {**backend.env, "AUTHENTICATOR": authenticator}, kind)
    right = {"bearertokenauth": "Bearer right", "basicauth": "Basic " + base64.b64encode(b"user:pass").decode()}[authenticator]
    scheme = right.split()[0]
    headers = {
        "absent": None, "right": right, "empty": "", "wrong": f"{scheme} d3Jvbmc=", "scheme only": scheme,
        "scheme in lower case": scheme.lower() + right[len(scheme):], "without scheme": right.split()[1],
        "trailing space": right + " ", "other scheme": "Digest x",
    }
    body = generate.request("traces").SerializeToString()
    seen: Observed = {}
    for name, header in headers.items():
        more = {} if header is None else {"authorization": header}
        for media, kind_of_body, data in (("protobuf", corpus.PROTOBUF, body), ("json", corpus.JSON, b"{}")):
            answer = raw.http_request(program.port("HTTP"), "/v1/traces", data, {**kind_of_body, **more})
            seen[f"auth {authenticator} {name}, {media}"] = http_answer(answer) | {
                "www-authenticate": answer.headers.get("www-authenticate")}
        answer = raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["traces"].rpc, raw.message(body), more)
        seen[f"auth {authenticator} {name}, grpc"] = grpc_answer(answer)
    return seen


# --- own metrics, health

def observe_metrics(run: Run, kind: str) -> Observed:
    """Every metric that the Collector has, with its labels; and the counts, which follow from what was sent."""
    backend = run.open(Backend())
    program = run.start(["pipeline.yaml"], backend.env, kind)
    items = send.numbered(program.port("GRPC"), requests=4) + send.numbered(program.port("HTTP"), requests=2, first=200, protocol="http")
    send.assert_each_once(backend, items)
    for signal in otlp.SIGNALS.values():
        until(lambda: program.samples().sum(f"otelcol_exporter_sent_{signal.counted}") == items, f"all {signal.counted} are counted as sent")
    samples = program.samples()
    seen: Observed = _Anything()
    for sample in samples:
        if sample.name.startswith("otel_agent_"):
            continue
        name = re.sub(r"_bucket$|_sum$|_count$", "", sample.name)
        case = seen.setdefault(f"metrics {name}", {"present": True, "labels": set()})
        case["labels"].add(" ".join(sorted(label for label in sample.labels if label != "le")))
        if sample.name.startswith(("otelcol_receiver_", "otelcol_exporter_sent", "otelcol_exporter_send_failed",
                                   "otelcol_exporter_queue_capacity", "otelcol_exporter_queue_size")):
            where = " ".join(f"{k}={v}" for k, v in sorted(sample.labels.items()) if not k.startswith("server_"))
            case[f"value {where}"] = sample.value
    return seen


class _Anything(dict):
    """Observations in which a case that is absent has no aspects."""

    def __missing__(self, key: str) -> dict:
        return {}


def observe_health(run: Run, kind: str) -> Observed:
    program = run.start(["oracle.yaml"], {"BACKEND_GRPC_PORT": 1, "BACKEND_HTTP_PORT": 1}, kind)
    seen: Observed = {}
    for method, path in [("GET", "/"), ("HEAD", "/"), ("POST", "/"), ("GET", "/health"), ("GET", "/?x")]:
        answer = raw.http_request(program.port("HEALTH"), path, b"", {}, method)
        try:
            keys = sorted(json.loads(answer.body))
            status = json.loads(answer.body)["status"]
        except ValueError:
            keys, status = None, answer.body
        seen[f"health {method} {path}"] = {
            "status": answer.status, "content type": answer.headers.get("content-type"), "keys": keys, "says": status}
    for method, path in [("GET", "/metrics"), ("GET", "/"), ("POST", "/metrics")]:
        answer = raw.http_request(program.port("METRICS"), path, b"", {}, method)
        seen[f"metrics page {method} {path}"] = {
            "status": answer.status, "content type": answer.headers.get("content-type") if path == "/metrics" else None}
    return seen


oracle("http", observe_http)
oracle("grpc", observe_grpc)
oracle("wrong door", observe_wrong_door)
oracle("edits", observe_edits)
oracle("batches", observe_batches)
oracle("errors otlp", functools.partial(observe_errors, "otlp"))
oracle("errors otlphttp", functools.partial(observe_errors, "otlphttp"))
oracle("auth bearertokenauth", functools.partial(observe_auth, "bearertokenauth"))
oracle("auth basicauth", functools.partial(observe_auth, "basicauth"))
oracle("metrics", observe_metrics)
oracle("health", observe_health)
