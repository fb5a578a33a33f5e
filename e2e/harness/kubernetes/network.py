"""The way from the API server to pods and kubelets, as a cluster's own tunnel does it: every connection that the server makes
to the cluster (proxy to a pod, logs of a container) is a CONNECT to a unix socket, and here it is decided where it leads.

So pods may have addresses as in any cluster, while what answers for them is a process on loopback. What leads nowhere is
refused at once, as by a pod that does not listen.
"""

import socket
import socketserver
import tempfile
import threading
from pathlib import Path

_CONFIGURATION = """\
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection:
      proxyProtocol: HTTPConnect
      transport: {{uds: {{udsName: {socket}}}}}
"""


class Network:
    """Give `flags` to the control plane's API server; `routes` is from (address, port) to a port on 127.0.0.1."""

    def __init__(self):
        self.routes: dict[tuple[str, int], int] = {}
        self.refused: list[tuple[str, int]] = []  # what was asked for and led nowhere

    def __enter__(self) -> "Network":
        self._folder = tempfile.TemporaryDirectory(prefix="e2e-net-")
        path = Path(self._folder.name) / "s"
        self.configuration = Path(self._folder.name) / "egress.yaml"
        self.configuration.write_text(_CONFIGURATION.format(socket=path))
        network = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                network._connect(self)

        class Server(socketserver.ThreadingUnixStreamServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(str(path), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._folder.cleanup()

    @property
    def flags(self) -> list[str]:
        return [f"--egress-selector-config-file={self.configuration}"]

    def lead(self, address: str, port: int, to: int) -> None:
        """What is sent to that address of a pod or node arrives at this port on 127.0.0.1."""
        self.routes[address, port] = to

    def _connect(self, handler: socketserver.StreamRequestHandler) -> None:
        request = handler.rfile.readline().decode("latin-1").split()
        while handler.rfile.readline().strip():
            pass
        if len(request) != 3 or request[0] != "CONNECT":
            handler.wfile.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            return
        host, _, port = request[1].rpartition(":")
        asked = (host.strip("[]"), int(port))
        to = self.routes.get(asked)
        try:
            if to is None:
                raise ConnectionRefusedError
            there = socket.create_connection(("127.0.0.1", to), timeout=5)
        except OSError:
            self.refused.append(asked)
            handler.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        handler.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        handler.wfile.flush()
        join(handler.connection, there)


def join(one: socket.socket, other: socket.socket) -> None:
    """Passes bytes between two connections until both have ended; closes the second."""
    other.settimeout(None)
    back = threading.Thread(target=_copy, args=(other, one), daemon=True)
    back.start()
    _copy(one, other)
    back.join(timeout=60)
    other.close()


def _copy(source: socket.socket, to: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            to.sendall(data)
        to.shutdown(socket.SHUT_WR)
    except OSError:
        pass
