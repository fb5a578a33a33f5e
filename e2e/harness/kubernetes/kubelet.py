"""The part of a kubelet that hands out logs: those of the processes that play containers."""

import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable
from urllib.parse import parse_qs, urlsplit


class Kubelet:
    """`logs` is from (namespace, pod) to what its log is by now; `port` is to be written into the status of nodes."""

    def __init__(self, certificate: Path, key: Path):
        self.logs: dict[tuple[str, str], Callable[[], str]] = {}
        kubelet = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                parts = url.path.strip("/").split("/")
                log = kubelet.logs.get((parts[1], parts[2])) if parts[0] == "containerLogs" and len(parts) == 4 else None
                lines = log().splitlines(keepends=True) if log else []
                tail = parse_qs(url.query).get("tailLines")
                body = "".join(lines[-int(tail[0]):] if tail else lines).encode()
                self.send_response(200 if log else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_port

    def __enter__(self) -> "Kubelet":
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
