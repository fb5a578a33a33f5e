"""Those who send: raw gRPC and HTTP clients and the exporters of the Python SDK, each item with a number of its own, sent again
as OTLP says until it is acknowledged or given up."""

import http.client
import itertools
import logging
import random
import threading
import time
from collections import Counter

import grpc
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from harness import generate, otlp
from reliability.sink import RETRIED, RETRIED_HTTP

TIMEOUT = 5  # seconds of one attempt
GIVES_UP = 8  # seconds; after that the items are the client's loss, not the program's


class Crowd:
    """All clients, and what they know: which items were offered, and which were acknowledged."""

    def __init__(self, grpc_port: int, http_port: int, seed: int):
        self.numbers = {name: itertools.count(1) for name in otlp.SIGNALS}
        self.offered: Counter = Counter()
        self.acknowledged: dict[str, set[int]] = {name: set() for name in otlp.SIGNALS}
        self.again = 0  # requests that were sent again
        self.given_up = 0  # items
        self.refused: Counter = Counter()
        self._lock = threading.Lock()
        self._runs = threading.Event()
        self._over = False
        self._busy = 0
        senders = [Raw(grpc_port, "grpc"), Raw(grpc_port, "grpc"), Raw(http_port, "http"),
                   Sdk(GrpcSpans(endpoint=f"127.0.0.1:{grpc_port}", insecure=True, timeout=TIMEOUT)),
                   Sdk(HttpSpans(endpoint=f"http://127.0.0.1:{http_port}/v1/traces", timeout=TIMEOUT))]
        self._threads = [threading.Thread(target=self._work, args=(sender, random.Random(f"{seed}/{at}")), daemon=True)
                         for at, sender in enumerate(senders)]
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)

    def start(self) -> None:
        self._runs.set()
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Returns when no request is on its way."""
        self._runs.clear()
        deadline = time.monotonic() + 60
        while self._busy:
            assert time.monotonic() < deadline, "a client does not come to an end"
            time.sleep(0.01)

    def go_on(self) -> None:
        self._runs.set()

    def stop(self) -> None:
        self._over = True
        self._runs.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a client does not come to an end"

    def _work(self, sender, chance: random.Random) -> None:
        while not self._over:
            self._runs.wait()
            with self._lock:
                self._busy += 1
                signal = chance.choice(sender.signals)
                items = chance.choice([1, 5, 20, 100])
                numbers = list(itertools.islice(self.numbers[signal], items))
                self.offered[signal] += items
            try:
                acknowledged = self._deliver(sender, signal, sender.request(signal, numbers))
                with self._lock:
                    if acknowledged:
                        self.acknowledged[signal].update(numbers)
                    else:
                        self.given_up += items
            finally:
                with self._lock:
                    self._busy -= 1
            time.sleep(chance.uniform(0, 0.1))

    def _deliver(self, sender, signal: str, request) -> bool:
        began, pause = time.monotonic(), 0.05
        while True:
            answer = sender.send(signal, request)
            if answer == "":
                return True
            with self._lock:
                self.refused[answer] += 1
                self.again += 1
            if answer.startswith("final") or time.monotonic() - began > GIVES_UP or not self._runs.is_set() or self._over:
                return False
            time.sleep(pause)
            pause = min(pause * 2, 1)


class Raw:
    """One request after another with grpcio, or with a connection each over HTTP."""

    signals = ("traces", "metrics", "logs")

    def __init__(self, port: int, protocol: str):
        self.port = port
        self.send = self._grpc if protocol == "grpc" else self._http
        if protocol == "grpc":
            channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[
                ("grpc.initial_reconnect_backoff_ms", 50), ("grpc.min_reconnect_backoff_ms", 50),
                ("grpc.max_reconnect_backoff_ms", 300), ("grpc.use_local_subchannel_pool", 1)])
            self._calls = {name: channel.unary_unary(kind.rpc) for name, kind in otlp.SIGNALS.items()}

    @staticmethod
    def request(signal: str, numbers: list[int]) -> bytes:
        return generate.request(signal, numbers[0], len(numbers)).SerializeToString()

    def _grpc(self, signal: str, body: bytes) -> str:
        """Empty if it was acknowledged, otherwise what was said."""
        try:
            self._calls[signal](body, timeout=TIMEOUT)
            return ""
        except grpc.RpcError as error:
            throttled = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            kind = "again" if error.code() in RETRIED or throttled else "final"
            return f"{kind} grpc {error.code().name}"

    def _http(self, signal: str, body: bytes) -> str:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request("POST", otlp.SIGNALS[signal].path, body, {"Content-Type": "application/x-protobuf"})
            status = connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return "again http no answer"
        finally:
            connection.close()
        return "" if status == 200 else f"{'again' if status in RETRIED_HTTP else 'final'} http {status}"


class Sdk:
    """An exporter of the SDK, which tries again by itself before it says that it failed."""

    signals = ("traces",)

    def __init__(self, exporter):
        self._exporter = exporter
        self._tracer = TracerProvider().get_tracer("chaos")

    def request(self, _: str, numbers: list[int]) -> list[ReadableSpan]:
        spans = []
        for number in numbers:
            span = self._tracer.start_span(f"work {number}", attributes={"seq": number})
            span.end()
            spans.append(span)
        return spans

    def send(self, _: str, spans: list[ReadableSpan]) -> str:
        return "" if self._exporter.export(spans) is SpanExportResult.SUCCESS else "again sdk failed"
