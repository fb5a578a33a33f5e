"""An OTLP backend that shares no code with the agent: grpcio and http.server, decoded by the official classes.

It records every request and answers as it is told to, so that a scenario can be a slow, a full or a picky backend.
"""

import base64
import json
import threading
import time
from concurrent import futures
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Callable

import grpc
from google.protobuf import duration_pb2, json_format
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from . import compression, otlp, ports
from .waiting import until


@dataclass
class Request:
    """One request as it came in, whatever it was answered."""

    protocol: str  # grpc, http
    signal: str
    headers: dict[str, str]
    encoding: str  # Content-Encoding over HTTP; not visible over gRPC, see relay.py
    wire_bytes: int
    raw: bytes
    message: Message | None  # None where the official classes cannot read it
    answer: "Answer" = None
    at: float = field(default_factory=time.monotonic)

    @property
    def items(self) -> int:
        return otlp.count(self.message) if self.message else 0


@dataclass
class Answer:
    """What the backend says. The default is success."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    status: int = 200
    message: str = ""
    retry_after: float | None = None  # RetryInfo over gRPC, Retry-After over HTTP
    rejected: int = 0  # partial success
    seconds: float = 0  # how long it takes

    @property
    def ok(self) -> bool:
        return self.code is grpc.StatusCode.OK and self.status == 200


OK = Answer()
UNAVAILABLE = Answer(grpc.StatusCode.UNAVAILABLE, 503, "try later")
INVALID = Answer(grpc.StatusCode.INVALID_ARGUMENT, 400, "bad data")


class Backend:
    """gRPC and HTTP servers on loopback; `answer` decides what each request is told."""

    def __init__(self, answer: Callable[[Request], Answer] = lambda _: OK, max_message: int = 4 << 20, socket: str = ""):
        self.answer = answer
        self.max_message = max_message
        self.requests: list[Request] = []
        self._lock = threading.Lock()
        self.grpc_port = ports.free()
        self.http_port = ports.free()
        self._grpc = self._grpc_server()
        if socket:  # a path where it listens as well, for programs in other networks
            self._grpc.add_insecure_port(f"unix:{socket}")
        self._http = self._http_server()

    def __enter__(self) -> "Backend":
        self._grpc.start()
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._grpc.stop(None).wait()
        self._http.shutdown()
        self._http.server_close()

    @property
    def env(self) -> dict[str, object]:
        return {"BACKEND_GRPC_PORT": self.grpc_port, "BACKEND_HTTP_PORT": self.http_port}

    # --- what came in

    def accepted(self, signal: str | None = None) -> list[Request]:
        """Requests that were answered with success."""
        with self._lock:
            return [r for r in self.requests if r.answer.ok and signal in (None, r.signal)]

    def items(self, signal: str) -> list[otlp.Item]:
        """Every item of every request that was answered with success."""
        return [item for request in self.accepted(signal) if request.message
                for item in otlp.items(request.message)]

    def count(self, signal: str) -> int:
        return sum(request.items for request in self.accepted(signal))

    def wait_for(self, signal: str, items: int, seconds: float = 15) -> None:
        until(lambda: self.count(signal) >= items,
              lambda: f"{items} {signal} items at the backend; it has {self.count(signal)}", seconds)

    def forget(self) -> None:
        with self._lock:
            self.requests.clear()

    def _take(self, request: Request) -> Answer:
        answer = self.answer(request)
        request.answer = answer
        with self._lock:
            self.requests.append(request)
        if answer.seconds:
            time.sleep(answer.seconds)
        return answer

    # --- gRPC

    def _grpc_server(self) -> grpc.Server:
        server = grpc.server(futures.ThreadPoolExecutor(16), options=[
            ("grpc.max_receive_message_length", self.max_message), ("grpc.so_reuseport", 0)])
        for signal in otlp.SIGNALS.values():
            service, method = signal.rpc[1:].split("/")
            handler = grpc.unary_unary_rpc_method_handler(self._grpc_method(signal))
            server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
        server.add_insecure_port(f"127.0.0.1:{self.grpc_port}")
        return server

    def _grpc_method(self, signal: otlp.Signal):
        def export(body: bytes, context: grpc.ServicerContext) -> bytes:
            headers = {k: v for k, v in context.invocation_metadata() if isinstance(v, str)}
            message = _decoded(signal, body)
            answer = self._take(Request("grpc", signal.name, headers, "", len(body), body, message))
            if not answer.ok:
                if answer.retry_after is not None:
                    context.set_trailing_metadata((("grpc-status-details-bin", _status(answer).SerializeToString()),))
                context.abort(answer.code, answer.message)
            return _success(signal, answer).SerializeToString()
        return export

    # --- HTTP

    def _http_server(self) -> ThreadingHTTPServer:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self._body()
                signal = next((s for s in otlp.SIGNALS.values() if s.path == self.path), None)
                if signal is None:
                    return self._say(404, b"no such path", {"Content-Type": "text/plain"})
                kind = self.headers.get("Content-Type", "")
                encoding = self.headers.get("Content-Encoding", "")
                raw = compression.decompress(encoding, body)
                if len(raw) > backend.max_message:  # as over gRPC: of the message, not of what was on the wire
                    return self._say(413, b"", {})
                message = json_format.Parse(_hex_ids_to_base64(raw), signal.request()) if "json" in kind \
                    else _decoded(signal, raw)
                headers = {k.lower(): v for k, v in self.headers.items()}
                answer = backend._take(Request("http", signal.name, headers, encoding, len(body), raw, message))
                more = {"Content-Type": kind}
                if answer.ok:
                    reply = _success(signal, answer)
                else:
                    reply = status_pb2.Status(code=answer.code.value[0], message=answer.message)
                    if answer.retry_after is not None:
                        more["Retry-After"] = str(int(answer.retry_after))
                text = json_format.MessageToJson(reply).encode() if "json" in kind else reply.SerializeToString()
                self._say(answer.status, text, more)

            def _body(self) -> bytes:
                if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("Content-Length", 0)))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def _say(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", self.http_port), Handler)
        server.daemon_threads = True
        return server


def _decoded(signal: otlp.Signal, body: bytes) -> Message | None:
    try:
        return signal.request.FromString(body)
    except DecodeError:
        return None


def _success(signal: otlp.Signal, answer: Answer) -> Message:
    response = signal.response()
    if answer.rejected or answer.message:
        counted = {"traces": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}
        setattr(response.partial_success, counted[signal.name], answer.rejected)
        response.partial_success.error_message = answer.message
    return response


def _status(answer: Answer) -> status_pb2.Status:
    status = status_pb2.Status(code=answer.code.value[0], message=answer.message)
    delay = duration_pb2.Duration()
    delay.FromNanoseconds(int(answer.retry_after * 1e9))
    status.details.add().Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return status


def _hex_ids_to_base64(text: bytes) -> str:
    """OTLP/JSON writes ids in hex where protobuf's JSON has base64."""
    def walk(node):
        if isinstance(node, dict):
            for key, child in node.items():
                if key in ("traceId", "spanId", "parentSpanId") and isinstance(child, str):
                    node[key] = base64.b64encode(bytes.fromhex(child)).decode()
                else:
                    walk(child)
        elif isinstance(node, list):
            for child in node:
                walk(child)
        return node

    return json.dumps(walk(json.loads(text)))
