"""A proxy between a client of the Kubernetes API and the API server, which makes the server look faulty.

The client keeps its own token: what the proxy does not answer itself is forwarded as it came, so RBAC stays real.
Requests are counted by verb and resource, as the API server names them (`list pods`, `watch pods`, `get namespaces`).

    proxy = run.open(ApiProxy(plane))
    proxy.fault(429, verb="watch", resource="pods", times=3, retry_after=1)
    agent gets proxy.kubeconfig(account)
"""

import collections
import http.client
import http.server
import json
import re
import socket
import ssl
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from . import ports
from .kubernetes.plane import Account, ControlPlane

_PATH = re.compile(r"^/(?:api/v1|apis/[^/]+/[^/]+)/(?:namespaces/[^/]+/(?=[^/]+))?([^/]+)(?:/([^/]+))?(?:/([^/]+))?$")
_REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 410: "Expired", 429: "TooManyRequests",
            500: "InternalError", 503: "ServiceUnavailable", 504: "Timeout"}


@dataclass
class Fault:
    """What is answered instead of the server's answer, and to which requests; None stands for any."""

    code: int
    verb: str | None = None
    resource: str | None = None
    times: int | None = None  # how often; None: until `heal`
    retry_after: int | None = None  # seconds
    hits: int = 0


@dataclass
class Request:
    """One request that was seen. `code` is 0 until it is answered."""

    verb: str
    resource: str
    path: str
    query: dict[str, str]
    at: float = field(default_factory=time.monotonic)
    code: int = 0


class ApiProxy:
    """Listens on a loopback port with a certificate of the control plane's authority, or in plain HTTP (`tls=False`)."""

    def __init__(self, plane: ControlPlane, tls: bool = True):
        self.plane = plane
        self.requests: list[Request] = []
        self._tls = tls
        self._faults: list[Fault] = []
        self._delay = 0.0
        self._lock = threading.Lock()
        self._watches: set[_Watch] = set()
        self.port = ports.free()

    def __enter__(self) -> "ApiProxy":
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", self.port), handler, self._context())
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self.cut_watches()
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def kubeconfig(self, account: Account) -> Path:
        """A kubeconfig of that account which points here."""
        return self.plane.write_kubeconfig(f"proxy-{account.role}", {"tokenFile": str(account.token_file)}, self.url)

    # --- faults

    def fault(self, code: int, verb: str | None = None, resource: str | None = None, times: int | None = None,
              retry_after: int | None = None) -> Fault:
        """From now on such requests are answered with this code and a Status object, as often as `times` says."""
        fault = Fault(code, verb, resource, times, retry_after)
        with self._lock:
            self._faults.append(fault)
        return fault

    def heal(self) -> None:
        """No faults and no delay any more."""
        with self._lock:
            self._faults.clear()
            self._delay = 0.0

    def delay(self, seconds: float) -> None:
        """Every answer waits that long before it begins."""
        self._delay = seconds

    def cut_watches(self, resource: str | None = None) -> int:
        """Ends open watches in the middle, without the last chunk; how many there were."""
        return self._each_watch(resource, _Watch.cut)

    def expire_watches(self, resource: str | None = None) -> int:
        """Sends into open watches what the server sends when their version is gone: an ERROR event with code 410."""
        event = {"type": "ERROR", "object": status(410, "too old resource version: 1 (2)")}
        return self._each_watch(resource, lambda watch: watch.end_with(event))

    # --- what was seen

    def counts(self) -> collections.Counter:
        """How many requests there were, by "verb resource"."""
        with self._lock:
            return collections.Counter(f"{one.verb} {one.resource}" for one in self.requests)

    def watching(self, resource: str | None = None) -> int:
        """How many watches are open now."""
        with self._lock:
            return sum(1 for watch in self._watches if not watch.ended and resource in (None, watch.resource))

    # --- for the handler

    def seen(self, request: Request) -> Fault | None:
        """Notes the request; the fault that it meets."""
        with self._lock:
            self.requests.append(request)
            for fault in self._faults:
                if fault.verb not in (None, request.verb) or fault.resource not in (None, request.resource):
                    continue
                if fault.times is None or fault.hits < fault.times:
                    fault.hits += 1
                    return fault
        return None

    def _each_watch(self, resource: str | None, do) -> int:
        with self._lock:
            chosen = [watch for watch in self._watches if resource in (None, watch.resource)]
        for watch in chosen:
            do(watch)
        return len(chosen)

    def _context(self) -> ssl.SSLContext | None:
        if not self._tls:
            return None
        certificate, key = self.plane.authority.server(f"proxy-{self.port}", ["127.0.0.1", "localhost"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context


def status(code: int, message: str) -> dict:
    """A Status object as the API server answers with."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": _REASONS.get(code, "Unknown"), "code": code}


# === impl


class _Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024

    def __init__(self, address, handler, context: ssl.SSLContext | None):
        self._context = context
        super().__init__(address, handler)

    def finish_request(self, request, client_address) -> None:
        # in the connection's own thread, so that a client that is slow to shake hands holds up nobody
        if not self._context:
            return super().finish_request(request, client_address)
        with self._context.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request, client_address) -> None:
        """A client that goes away in the middle is what scenarios do on purpose."""


class _Watch:
    """An open watch; `cut` and `end_with` are called from other threads than its own."""

    def __init__(self, handler: "_Handler", resource: str):
        self.resource = resource
        self._handler = handler
        self._lock = threading.Lock()
        self.ended = False

    def write(self, data: bytes) -> bool:
        with self._lock:
            if not self.ended:
                self._handler.write_chunk(data)
            return not self.ended

    def end_with(self, event: dict) -> None:
        with self._lock:
            if not self.ended:
                self.ended = True
                self._handler.write_chunk(json.dumps(event).encode() + b"\n")
                self._handler.write_chunk(b"")
        self._close()

    def cut(self) -> None:
        with self._lock:
            self.ended = True
        self._close()

    def _close(self) -> None:
        for end in (self._handler.upstream, self._handler.connection):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except (OSError, AttributeError):
                pass


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: ApiProxy
    upstream: socket.socket | None = None

    def do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = _parsed(self.command, self.path)
        fault = self.proxy.seen(request)
        if self.proxy._delay:
            time.sleep(self.proxy._delay)
        if fault:
            request.code = fault.code
            return self._answer_with(fault)
        self._forward(request, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do

    def _answer_with(self, fault: Fault) -> None:
        body = json.dumps(status(fault.code, f"the scenario answers {fault.code}")).encode()
        self.send_response(fault.code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if fault.retry_after is not None:
            self.send_header("Retry-After", str(fault.retry_after))
        self.end_headers()
        self.wfile.write(body)

    def _forward(self, request: Request, body: bytes) -> None:
        plane = self.proxy.plane
        connection = http.client.HTTPSConnection(
            "127.0.0.1", urlsplit(plane.server).port, timeout=None,
            context=ssl.create_default_context(cafile=str(plane.authority.file)))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        try:
            connection.request(self.command, self.path, body or None, headers)
            answer = connection.getresponse()
        except OSError:
            # the server is down: what a client of it would see is a connection that ends
            self.close_connection = True
            connection.close()
            return
        self.upstream = connection.sock
        request.code = answer.status
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        try:
            if request.verb == "watch" and answer.status == 200:
                self._stream(request, answer)
            else:
                data = answer.read()
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
        finally:
            connection.close()

    def _stream(self, request: Request, answer: http.client.HTTPResponse) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        watch = _Watch(self, request.resource)
        with self.proxy._lock:
            self.proxy._watches.add(watch)
        self.close_connection = True
        try:
            while data := answer.read1(65536):
                if not watch.write(data):
                    return
            watch.write(b"")  # the server's own end
        except (OSError, http.client.HTTPException):
            pass  # cut on purpose, or the server went away: the client sees the stream end in the middle
        finally:
            with self.proxy._lock:
                self.proxy._watches.discard(watch)

    def write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def log_message(self, *_) -> None:
        pass


def _parsed(method: str, path: str) -> Request:
    url = urlsplit(path)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    match = _PATH.match(url.path)
    resource, name, sub = match.groups() if match else (url.path, None, None)
    verb = {"GET": "get" if name else "list", "POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, "delete")
    if not match:
        verb = method.lower()
    elif query.get("watch") in ("true", "1"):
        verb = "watch"
    return Request(verb, f"{resource}/{sub}" if sub else resource, url.path, query)
