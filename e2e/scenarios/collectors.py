"""The Go Collector before and behind the program: as its sender and as its receiver, with each compression."""

import functools

from harness import ledger, send
from harness.backend import Backend
from harness.relay import Relay
from harness.runner import Run, add
from scenarios.clients import check_resource

GRPC = ("none", "gzip", "zstd", "snappy")
HTTP = ("none", "gzip", "zstd", "deflate", "snappy", "lz4")


def sender(exporter: str, compression: str, run: Run) -> None:
    """client -> Collector -> program -> backend"""
    backend = run.open(Backend())
    program = run.start(["pipeline.yaml"], backend.env)
    between = run.open(Relay(program.port("GRPC")))
    collector = run.start(["pass.yaml"], {
        "BACKEND_GRPC_PORT": between.port, "BACKEND_HTTP_PORT": program.port("HTTP"),
        "EXPORTER": exporter, compression_of(exporter): compression}, kind="collector")
    items = send.numbered(collector.port("GRPC"))
    check(backend, program, items)
    if exporter == "otlp":
        assert between.seen == expected_marks(compression), f"saw {between.seen} on the wire"


def receiver(exporter: str, compression: str, run: Run) -> None:
    """client -> program -> Collector -> backend"""
    backend = run.open(Backend())
    collector = run.start(["pass.yaml"], {**backend.env, "COMPRESSION": "none"}, kind="collector")
    between = run.open(Relay(collector.port("GRPC")))
    program = run.start(["pipeline.yaml"], {
        "BACKEND_GRPC_PORT": between.port, "BACKEND_HTTP_PORT": collector.port("HTTP"),
        "EXPORTER": exporter, compression_of(exporter): compression})
    items = send.numbered(program.port("GRPC"))
    check(backend, program, items)
    if exporter == "otlp":
        assert between.seen == expected_marks(compression), f"saw {between.seen} on the wire"


def http_encoding(compression: str, run: Run) -> None:
    """client -> program -> backend, which sees the header"""
    backend = run.open(Backend())
    program = run.start(["pipeline.yaml"], {**backend.env, "EXPORTER": "otlphttp", "HTTP_COMPRESSION": compression})
    items = send.numbered(program.port("HTTP"), protocol="http")
    check(backend, program, items)
    encodings = {request.encoding for request in backend.requests}
    assert encodings == {"" if compression == "none" else compression}, f"the backend saw {encodings}"


def check(backend: Backend, program, items: int) -> None:
    send.assert_each_once(backend, items)
    for signal in ("traces", "metrics", "logs"):
        for item in backend.items(signal):
            check_resource(item.resource)
    ledger.assert_balanced(program, traces=items, metrics=items, logs=items)


def compression_of(exporter: str) -> str:
    """The variable by which the configuration files set it."""
    return "COMPRESSION" if exporter == "otlp" else "HTTP_COMPRESSION"


def expected_marks(compression: str) -> set[str]:
    return set() if compression == "none" else {compression}


for _compression in GRPC:
    add(f"collectors/sends otlp {_compression}", functools.partial(sender, "otlp", _compression))
for _compression in HTTP:
    add(f"collectors/sends otlphttp {_compression}", functools.partial(sender, "otlphttp", _compression))
for _compression in GRPC:
    add(f"collectors/receives otlp {_compression}", functools.partial(receiver, "otlp", _compression))
for _compression in HTTP:
    add(f"collectors/receives otlphttp {_compression}", functools.partial(receiver, "otlphttp", _compression))
    add(f"collectors/backend sees otlphttp {_compression}", functools.partial(http_encoding, _compression))
