"""What further keys of a configuration do, in both programs: expansion, reception by header, files, sharded batches."""

import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from harness import corpus, generate, otlp, parts, raw, send
from harness.backend import Backend
from harness.configs import written
from harness.program import Program
from harness.runner import Run
from scenarios.oracle import Observed, arrivals, attribute_aspects, grpc_answer, http_answer, oracle

VARIABLES = {
    "TEXT": "text", "NUMBER": "12", "OCTAL": "0123", "HEX": "0xff", "BOOLEAN": "true", "WORD_YES": "yes", "FLOAT": "1e3",
    "LIST": "[a, 1]", "MAP": "{a: 1}", "QUOTED": '"12"', "NOT_YAML": "a: b: c", "EMPTY": "", "NAME_OF_NAME": "TEXT",
    "REFERS": "${env:TEXT}", "LINES_OF_TEXT": "one\ntwo", "NULL_WORD": "null",
}


def observe_expansion(run: Run, kind: str) -> Observed:
    backend = run.open(Backend())
    value = run.open(written("from the file\n"))
    program = run.start(["oracle.yaml", "oracle-expansion.yaml"], {**backend.env, **VARIABLES, "VALUE_FILE": value}, kind)
    send.export(program.port("GRPC"), "logs", generate.request("logs", 0, 1, {}))
    found = attribute_aspects(backend.items("logs")[0].resource)
    keys = [action["key"] for action in
            yaml.safe_load((parts.CONFIGS / "oracle-expansion.yaml").read_text())["processors"]["resource"]["attributes"]]
    return {f"expansion {key}": {"value": found.get(str(key))} for key in keys}


def observe_reception(run: Run, kind: str) -> Observed:
    backend = run.open(Backend())
    program = run.start(["oracle.yaml", "oracle-reception.yaml"], backend.env, kind)
    body = generate.request("traces", 0, 1, {}).SerializeToString()
    seen: Observed = {}
    for name, path, headers in [
        ("custom path", "/custom/traces", {}), ("custom path without slash", "/custom/logs", {}),
        ("default path", "/v1/traces", {}), ("other signal's default path", "/v1/metrics", {}),
        ("one header", "/custom/traces", {"x-tenant": "a"}),
        ("header in capitals", "/custom/traces", {"X-TENANT": "a"}),
        ("empty header", "/custom/traces", {"x-tenant": ""}),
        ("header of several values", "/custom/traces", {"x-several": "a, b"}),
    ]:
        answer = raw.http_request(program.port("HTTP"), path, body, {**corpus.PROTOBUF, **headers})
        came = {k: v for k, v in arrivals(backend).items() if k == "arrives"}
        seen[f"reception http {name}"] = http_answer(answer) | came | {"x-served-by": answer.headers.get("x-served-by")}
    for name, headers in {"no header": {}, "one header": {"x-tenant": "a"}, "empty header": {"x-tenant": ""}}.items():
        answer = raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["traces"].rpc, raw.message(body), headers)
        seen[f"reception grpc {name}"] = grpc_answer(answer) | arrivals(backend)
    large = generate.request("traces", 0, 1, {}, filler="x" * 1_100_000).SerializeToString()
    answer = raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["traces"].rpc, raw.message(large))
    seen["reception grpc over its own limit"] = grpc_answer(answer) | arrivals(backend)
    return seen | cors(program, body)


def cors(program: Program, body: bytes) -> Observed:
    seen: Observed = {}
    for origin in ("https://a.example.com", "https://exact.test", "https://other.test", "http://a.example.com"):
        asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        for name, method, headers, data in [
            ("preflight for no header", "OPTIONS", asked, b""),
            ("preflight for x-custom", "OPTIONS", {**asked, "Access-Control-Request-Headers": "x-custom"}, b""),
            ("preflight for x-other", "OPTIONS", {**asked, "Access-Control-Request-Headers": "x-other"}, b""),
            ("preflight for content-type", "OPTIONS", {**asked, "Access-Control-Request-Headers": "content-type,x-custom"}, b""),
            ("request", "POST", {"Origin": origin, **corpus.PROTOBUF}, body),
        ]:
            answer = raw.http_request(program.port("HTTP"), "/custom/traces", data, headers, method)
            seen[f"cors {name} from {origin}"] = {"status": answer.status} | {
                header: answer.headers.get(f"access-control-{header}")
                for header in ("allow-origin", "allow-methods", "allow-headers", "allow-credentials", "max-age")}
    return seen


# Taken by one of the two programs only, which the comparison of answers covers; here their lines would shift all others.
_TAKEN_BY_ONE = ("null time", "int exponent", "duplicate member", "invalid UTF-8", "10000 levels of values", "10000 levels")


def observe_file(run: Run, kind: str) -> Observed:
    folder = Path(run.open(tempfile.TemporaryDirectory()))
    output = folder / "out.json"
    program = run.start(["oracle.yaml", "oracle-file.yaml"], {"BACKEND_GRPC_PORT": 1, "BACKEND_HTTP_PORT": 1, "OUTPUT": output}, kind)
    for name, (signal, body) in corpus.json_cases().items():
        if name not in _TAKEN_BY_ONE:
            raw.http_request(program.port("HTTP"), otlp.SIGNALS[signal].path, body, corpus.JSON)
    for signal in otlp.SIGNALS.values():
        resource = {**generate.RESOURCE, "list": ["a", 1, True, 1.5, b"\x01"], "map": {"a": {"b": 1}}, "none": None}
        request = generate.request(signal.name, 0, 50, resource)
        answer = raw.http_request(program.port("HTTP"), signal.path, request.SerializeToString(), corpus.PROTOBUF)
        assert answer.status == 200, answer
    assert program.terminate() == 0, program.tail()
    lines = output.read_text(errors="surrogateescape").splitlines()
    return {f"file {number}": {"line": shape(line)} for number, line in enumerate(lines)} | {"file": {"lines": len(lines)}}


def shape(line: str) -> Any:
    """A line of OTLP/JSON with attributes in order of their keys: names, types and values count, their order does not."""

    def walk(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: sorted(walk(child), key=json.dumps) if key == "attributes" else walk(child)
                    for key, child in node.items() if child != {} or key not in ("resource", "scope", "status")}
        return [walk(child) for child in node] if isinstance(node, list) else node

    return walk(json.loads(line))


def observe_sharded(run: Run, kind: str) -> Observed:
    backend = run.open(Backend())
    program = run.start(["oracle.yaml", "oracle-sharded.yaml"], backend.env, kind)
    seen: Observed = {}
    senders = [{}, {"x-tenant": "a"}, {"x-tenant": "b"}, {"x-tenant": "a"}, {"x-tenant": "a", "x-zone": "1"}, {"x-tenant": "c"}]
    for number, headers in enumerate(senders):
        body = generate.request("traces", number * 10, 10, {}).SerializeToString()
        answer = raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["traces"].rpc, raw.message(body), headers)
        seen[f"sharded {number}"] = grpc_answer(answer)
    assert program.terminate() == 0, program.tail()
    got = backend.accepted()
    seen["sharded batches"] = {
        "sizes": dict(Counter(request.items for request in got)),
        "fixed header": [request.headers.get("x-fixed") for request in got],
    }
    return seen


oracle("expansion", observe_expansion)
oracle("reception", observe_reception)
oracle("file", observe_file)
oracle("sharded", observe_sharded)
