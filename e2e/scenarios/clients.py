"""Unmodified SDK applications send to the program; every item must arrive exactly once, with the resource edited."""

import functools
import http.client
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from harness import generate, ledger, otlp, parts, ports, send
from harness.backend import Backend
from harness.program import Program
from harness.runner import Run, add
from harness.waiting import until

CLIENT_RESOURCE = "service.name=shop,service.namespace=from-client,deployment.environment=from-client,secret.token=hunter2"


def sdk_environment(program: Program, protocol: str, compression: str) -> dict[str, str]:
    port = program.port("GRPC" if protocol == "grpc" else "HTTP")
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
        "OTEL_RESOURCE_ATTRIBUTES": CLIENT_RESOURCE,
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
        # not less than a busy machine takes: what the SDK gives up at its end is missing here
        "OTEL_METRIC_EXPORT_TIMEOUT": "10000",
        "PATH": os.environ["PATH"],
    }
    if compression != "none":
        environment["OTEL_EXPORTER_OTLP_COMPRESSION"] = compression
    return environment


def check_resource(resource: dict) -> None:
    """What the `resource` processor of configs/pipeline.yaml makes of the clients' resource."""
    expected = {
        "k8s.node.name": "node-1",  # inserted
        "deployment.environment": "from-client",  # insert leaves what is there
        "service.namespace": "shop",  # updated
        "k8s.cluster.name": "production",  # upserted
        "tier": 3,
    }
    found = {key: resource.get(key) for key in expected}
    assert found == expected, f"resource is {resource}"
    assert "never.there" not in resource, "update made an attribute"
    assert "secret.token" not in resource, "delete left the attribute"


def check_arrival(backend: Backend, program: Program, sent: dict) -> None:
    """Everything that the client's exporters were handed is at the backend, once, and the books agree."""
    backend.wait_for("traces", len(sent["spans"]))
    backend.wait_for("logs", len(sent["logs"]))
    backend.wait_for("metrics", sent["points"])
    spans = Counter(item.message.span_id.hex() for item in backend.items("traces"))
    assert spans == Counter(sent["spans"]), "spans differ from those sent"
    records = Counter(item.attributes["seq"] for item in backend.items("logs"))
    assert records == Counter(sent["logs"]), "log records differ from those sent"
    points = Counter((item.metric, str(item.attributes), item.message.time_unix_nano, bytes(item.resource["service.name"], "utf8"))
                     for item in backend.items("metrics"))
    assert sum(points.values()) == sent["points"], f"{sum(points.values())} points arrived, {sent['points']} were sent"
    twice = [point for point, times in points.items() if times > 1]
    assert not twice, f"arrived twice: {twice[:3]}"
    for signal in ("traces", "metrics", "logs"):
        for item in backend.items(signal):
            check_resource(item.resource)
    ledger.assert_balanced(program, traces=len(sent["spans"]), metrics=sent["points"], logs=len(sent["logs"]))


def last_sum(backend: Backend, metric: str, **attributes: object) -> float:
    """The last value of a cumulative counter."""
    points = [item.message for item in backend.items("metrics")
              if item.metric == metric and attributes.items() <= item.attributes.items()]
    last = max(points, key=lambda point: point.time_unix_nano)
    return last.as_int or last.as_double


# --- FastAPI

def fastapi(protocol: str, compression: str, run: Run) -> None:
    backend = run.open(Backend())
    program = run.start(["pipeline.yaml"], backend.env)
    port = ports.free()
    app = subprocess.Popen(
        [sys.executable, str(parts.E2E / "clients/python/app.py"), str(port)],
        env=sdk_environment(program, protocol, compression), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    run.stack.callback(app.kill)
    drive(app, port)
    app.terminate()
    output, errors = app.communicate(timeout=40)
    assert output, f"the application ended with {app.returncode}:\n{errors}"
    sent = json.loads(output.splitlines()[-1])
    assert len(sent["logs"]) == 36, "the application logs once for each request that it knows"
    assert "error" not in errors.lower(), errors
    check_arrival(backend, program, sent)
    assert last_sum(backend, "fastapi_custom_requests", endpoint="/items") == 12
    assert last_sum(backend, "fastapi_custom_requests", endpoint="/items/{number}") == 24
    servers = [item.message for item in backend.items("traces") if item.message.kind == 2]
    assert len(servers) == 40, f"{len(servers)} server spans for 40 requests"


def drive(app: subprocess.Popen, port: int) -> None:
    """40 requests: 12 lists, 12 items, 12 items that don't exist, 4 paths that don't exist."""
    def up() -> bool:
        if app.poll() is not None:
            raise AssertionError(f"the application ended with {app.returncode}:\n{app.stderr.read()}")
        try:
            get(port, "/")
            return True
        except OSError:
            return False

    until(up, "the application answers", seconds=30)
    for number in range(12):
        assert get(port, "/items") == 200
        assert get(port, f"/items/{number}") == 200
        assert get(port, f"/items/{number + 100}") == 404
    for _ in range(3):  # with the one that waited for it: four
        assert get(port, "/") == 404


def get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


# --- the other SDKs: a small program that sends 200 of each

def node(protocol: str) -> list[str]:
    return ["node", str(parts.node_client() / "send.mjs"), protocol, "200"]


def go(_: str) -> list[str]:
    return [str(parts.go_client()), "-items", "200"]


def java(_: str) -> list[str]:
    target = parts.java_client()
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{target}/classes:{target}/dependency/*", "e2e.Send", "200"]


def sdk(command, protocol: str, compression: str, exporter: str, run: Run) -> None:
    backend = run.open(Backend())
    program = run.start(["pipeline.yaml"], {**backend.env, "EXPORTER": exporter})
    done = subprocess.run(command(protocol), env=sdk_environment(program, protocol, compression),
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout, f"the client ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    sent = json.loads(done.stdout.splitlines()[-1])
    assert len(sent["spans"]) == len(sent["logs"]) == 200, f"the client sent {len(sent['spans'])} spans"
    check_arrival(backend, program, sent)
    assert last_sum(backend, "e2e_requests", endpoint="/items") == 200


def grpc_java(compression: str, run: Run) -> None:
    """grpc-java itself; the Java SDK's exporter brings a gRPC client of its own."""
    backend = run.open(Backend())
    program = run.start(["pipeline.yaml"], backend.env)
    folder = Path(run.open(tempfile.TemporaryDirectory()))
    requests = []
    for at in range(10):
        for signal in otlp.SIGNALS:
            file = folder / f"{signal}-{at}"
            file.write_bytes(generate.request(signal, at * 50, 50).SerializeToString())
            requests.append(f"{signal}={file}")
    target = parts.java_client()
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{target}/classes:{target}/dependency/*", "e2e.Grpc",
         str(program.port("GRPC")), compression, *requests], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and done.stdout.count("answered") == 30, f"{done.stdout}{done.stderr}"
    send.assert_each_once(backend, 500)
    ledger.assert_balanced(program, traces=500, metrics=500, logs=500)


for _compression in ("none", "gzip"):
    add(f"clients/grpc-java {_compression}", functools.partial(grpc_java, _compression))
for _protocol, _compression in [("grpc", "none"), ("grpc", "gzip"),
                                ("http/protobuf", "none"), ("http/protobuf", "gzip"), ("http/protobuf", "deflate")]:
    add(f"clients/fastapi {_protocol} {_compression}", functools.partial(fastapi, _protocol, _compression), 90)

for _name, _command, _ways in [
    ("node", node, [("grpc", "none"), ("grpc", "gzip"), ("http/json", "none"), ("http/json", "gzip"),
                    ("http/protobuf", "none"), ("http/protobuf", "gzip")]),
    ("go", go, [("grpc", "none"), ("grpc", "gzip"), ("http/protobuf", "none"), ("http/protobuf", "gzip")]),
    ("java", java, [("grpc", "none"), ("grpc", "gzip"), ("http/protobuf", "none"), ("http/protobuf", "gzip")]),
]:
    for _protocol, _compression in _ways:
        # out over the same protocol that it came in by, so that both exporters carry every SDK's data
        _exporter = "otlp" if _protocol == "grpc" else "otlphttp"
        add(f"clients/{_name} {_protocol} {_compression}",
            functools.partial(sdk, _command, _protocol, _compression, _exporter), 90)
