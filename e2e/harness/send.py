"""Sending generated requests as a plain client, and finding every item again."""

from collections import Counter

import grpc
from google.protobuf.message import Message

from . import generate, otlp, raw
from .backend import Backend


def export(port: int, signal: str, request: Message, protocol: str = "grpc", source: str | None = None) -> None:
    """One request over gRPC or HTTP/protobuf, from that address; an AssertionError unless it is answered with success."""
    kind = otlp.SIGNALS[signal]
    body = request.SerializeToString()
    if protocol == "grpc":
        answer = raw.grpc_request(port, kind.rpc, raw.message(body), source=source)
        assert answer.code == 0, f"{signal} over gRPC: {answer}"
    else:
        answer = raw.http_request(port, kind.path, body, {"Content-Type": "application/x-protobuf"},
                                  source=source)
        assert answer.status == 200, f"{signal} over HTTP: {answer}"


def numbered(port: int, requests: int = 20, items: int = 50, first: int = 0, protocol: str = "grpc", **more) -> int:
    """Numbered items of every signal; returns how many of each."""
    for at in range(requests):
        for signal in otlp.SIGNALS:
            export(port, signal, generate.request(signal, first + at * items, items, **more), protocol)
    return requests * items


def assert_each_once(backend: Backend, items: int, first: int = 0) -> None:
    """Items `first` to `first + items` of every signal are at the backend, each once, and no others."""
    for signal in otlp.SIGNALS:
        backend.wait_for(signal, items)
        found = Counter(item.attributes["seq"] for item in backend.items(signal))
        expected = Counter(range(first, first + items))
        missing, surplus = expected - found, found - expected
        assert not missing and not surplus, \
            f"{signal}: {missing.total()} missing {sorted(missing)[:5]}, {surplus.total()} too many {sorted(surplus)[:5]}"


class Client:
    """A client with a channel of its own, as SDKs have: grpcio, one request after another."""

    def __init__(self, port: int):
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self._calls = {name: self._channel.unary_unary(kind.rpc) for name, kind in otlp.SIGNALS.items()}

    def export(self, signal: str, request: Message) -> None:
        """Returns when the request was accepted; a grpc.RpcError tells otherwise."""
        self._calls[signal](request.SerializeToString(), timeout=10)

    def close(self) -> None:
        self._channel.close()
