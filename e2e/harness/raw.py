"""Clients that send exactly the bytes they are given, right or wrong, and tell all of the answer."""

import http.client
import socket
import struct
from dataclasses import dataclass, field
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from . import compression


@dataclass
class HttpAnswer:
    status: int
    headers: dict[str, str]
    body: bytes


def http_request(port: int, path: str, body: bytes, headers: dict[str, str], method: str = "POST",
                 source: str | None = None) -> HttpAnswer:
    """One request over a connection of its own; `source` is the loopback address that it comes from."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=source and (source, 0))
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, text in headers.items():
            connection.putheader(name, text)
        if "Content-Length" not in headers and "Transfer-Encoding" not in headers:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        try:
            connection.send(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server answered without reading all; the answer is what counts
        answer = connection.getresponse()
        return HttpAnswer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


def exchange(port: int, data: bytes, seconds: float = 5) -> bytes:
    """Sends bytes over TCP and returns all that comes back until the peer closes or is silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        connection.sendall(data)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except (TimeoutError, ConnectionResetError):
            pass
        return received


# what gRPC calls snappy is the framed format
_HTTP_NAMES = {"gzip": "gzip", "zstd": "zstd", "snappy": "x-snappy-framed", "deflate": "deflate"}


@dataclass
class GrpcAnswer:
    """`code` is the gRPC status, or None where the peer did not answer as gRPC."""

    code: int | None = None
    message: str = ""
    http_status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    trailers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""  # with the 5-byte prefix

    @property
    def message_bytes(self) -> bytes | None:
        """The one message of the body, decompressed."""
        if not self.body:
            return None
        compressed, length = struct.unpack_from(">BI", self.body)
        assert length == len(self.body) - 5, f"claims {length} of {len(self.body) - 5} bytes"
        return compression.decompress(_HTTP_NAMES[self.headers.get("grpc-encoding", "")] if compressed else "", self.body[5:])

    reset: int | None = None
    closed: bool = False
    silent: bool = False  # nothing more came in the time that was given


def message(body: bytes, compressed: bool = False, claim: int | None = None) -> bytes:
    """A gRPC message: flag, length (or the length that is claimed), bytes."""
    return struct.pack(">BI", int(compressed), len(body) if claim is None else claim) + body


def grpc_request(port: int, path: str, framed: bytes, headers: dict[str, str] | None = None,
                 without: tuple[str, ...] = (), end: bool = True, seconds: float = 10,
                 source: str | None = None) -> GrpcAnswer:
    """One gRPC call over a connection of its own. `framed` is sent as it is; `end` says whether the stream is closed."""
    fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": f"127.0.0.1:{port}",
              "content-type": "application/grpc", "te": "trailers", **(headers or {})}
    answer = GrpcAnswer()
    protocol = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    with socket.create_connection(("127.0.0.1", port), seconds, source and (source, 0)) as connection:
        protocol.initiate_connection()
        stream = protocol.get_next_available_stream_id()
        protocol.send_headers(stream, [(k, v) for k, v in fields.items() if k not in without],
                              end_stream=end and not framed)
        pending = framed
        over = False
        try:
            while not over:
                pending = _send_some(protocol, stream, pending, end)
                connection.sendall(protocol.data_to_send())
                data = connection.recv(65536)
                if not data:
                    answer.closed = True
                    break
                over = _note(protocol, answer, protocol.receive_data(data))
            connection.sendall(protocol.data_to_send())
        except (ConnectionResetError, BrokenPipeError, h2.exceptions.ProtocolError):
            answer.closed = True  # h2 takes no frames after GOAWAY
        except TimeoutError:
            answer.silent = True
    found = answer.trailers or answer.headers
    if "grpc-status" in found:
        answer.code = int(found["grpc-status"])
        answer.message = unquote(found.get("grpc-message", ""))
    return answer


def _send_some(protocol, stream: int, pending: bytes, end: bool) -> bytes:
    while pending:
        room = min(protocol.local_flow_control_window(stream), protocol.max_outbound_frame_size, len(pending))
        if room <= 0:
            return pending
        last = room == len(pending)
        protocol.send_data(stream, pending[:room], end_stream=end and last)
        pending = pending[room:]
    return pending


def _note(protocol, answer: GrpcAnswer, events) -> bool:
    for event in events:
        if isinstance(event, h2.events.ResponseReceived):
            fields = dict(event.headers)
            answer.http_status = int(fields.pop(":status"))
            answer.headers = fields
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            protocol.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.StreamReset):
            answer.reset = event.error_code
            return True
        elif isinstance(event, h2.events.StreamEnded):
            return True
        elif isinstance(event, h2.events.ConnectionTerminated):
            answer.closed = True
            return True
    return False
