"""A TCP relay in front of a peer: it can be cut and restored, and sees how gRPC messages were compressed."""

import re
import socket
import threading

from . import ports

# A gRPC message that says it is compressed (flag 1, length) followed by the magic bytes of the algorithm.
_COMPRESSED = {
    "gzip": re.compile(rb"\x01.{4}\x1f\x8b\x08", re.DOTALL),
    "zstd": re.compile(rb"\x01.{4}\x28\xb5\x2f\xfd", re.DOTALL),
    "snappy": re.compile(rb"\x01.{4}\xff\x06\x00\x00sNaPpY", re.DOTALL),
}


class Relay:
    """Listens on a port of its own and passes bytes to `target` while it is up, from the address `source`."""

    def __init__(self, target: int, up: bool = True, source: str = "127.0.0.1"):
        self.target = target
        self.source = source
        self.port = ports.free()
        self.seen: set[str] = set()
        self.connections = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        if up:
            self.restore()

    def __enter__(self) -> "Relay":
        return self

    def __exit__(self, *_) -> None:
        self.cut()

    def restore(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def cut(self) -> None:
        """Nothing listens any more, and open connections are reset."""
        listener, self._listener = self._listener, None
        if listener:
            # shutdown wakes the thread that waits in accept; close alone would leave the port open until then
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            for one in self._open:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target), 5, (self.source, 0))
                server.settimeout(None)
            except OSError:
                if self._listener is not listener:
                    return
                client.close()
                continue
            self.connections += 1
            with self._lock:
                self._open.update((client, server))
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, watched: bool) -> None:
        tail = b""
        try:
            while data := source.recv(65536):
                if watched:
                    tail = tail[-32:] + data
                    self.seen.update(name for name, mark in _COMPRESSED.items() if mark.search(tail))
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            with self._lock:
                self._open.discard(one)
