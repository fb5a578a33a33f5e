"""The way from a pod to a Service, as DNS and kube-proxy make it, for unmodified programs: a proxy on loopback that SDKs find by
`http_proxy` and its sisters. The programs get the address of the Service as it is written in their pod.

gRPC asks it for a tunnel (CONNECT), HTTP clients hand it requests with the whole address. What leads nowhere is answered 502.
"""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import create_connection
from typing import Callable
from urllib.parse import urlsplit

from .kubernetes.network import join

_OWN = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "content-length"}  # of one connection, not of a message


class Way:
    """`resolve` says for host and port to which port on 127.0.0.1 a connection leads, or None."""

    def __init__(self, resolve: Callable[[str, int], int | None]):
        self.resolve = resolve
        self.asked: set[str] = set()  # hosts with ports, as programs asked for them

    def __enter__(self) -> "Way":
        way = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_CONNECT(self) -> None:
                to = way._to(self.path)
                if to is None:
                    self.send_error(502)
                    return
                there = create_connection(("127.0.0.1", to), timeout=10)
                self.send_response(200)
                self.end_headers()
                self.close_connection = True
                join(self.connection, there)

            def do_POST(self) -> None:
                address = urlsplit(self.path)
                body = self.rfile.read(int(self.headers["Content-Length"]))
                to = way._to(address.netloc)
                if to is None:
                    self.send_error(502)
                    return
                there = http.client.HTTPConnection("127.0.0.1", to, timeout=30)
                try:
                    there.request("POST", address.path, body, {k: v for k, v in self.headers.items() if k.lower() not in _OWN})
                    answer = there.getresponse()
                    content = answer.read()
                finally:
                    there.close()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in _OWN:
                        self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def handle(self) -> None:
                try:
                    super().handle()
                except OSError:
                    pass  # one of the two went away; the other one sees its connection end

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def environment(self) -> dict[str, str]:
        here = f"http://127.0.0.1:{self._server.server_port}"
        return {name: here for name in ("http_proxy", "https_proxy", "grpc_proxy", "HTTP_PROXY", "HTTPS_PROXY")}

    def _to(self, address: str) -> int | None:
        self.asked.add(address)
        host, _, port = address.rpartition(":")
        return self.resolve(host, int(port))
