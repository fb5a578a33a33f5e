"""What strangers may do to a listener: each attack runs for so many seconds and tells what became of its connections.

They come from one address of their own. None of them needs a right answer; the scenarios look at the program and at a
client that behaves well.
"""

import contextlib
import gzip
import os
import resource
import selectors
import socket
import ssl
import struct
import threading
import time
import zlib
from collections import Counter
from typing import Callable, Iterator

import hpack
import lz4.frame
import zstandard
from hyperframe.frame import ContinuationFrame, DataFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame, SettingsFrame

from . import raw

ADDRESS = "127.0.0.66"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_GRPC = [(":method", "POST"), (":scheme", "http"), (":path", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
         (":authority", "127.0.0.1"), ("content-type", "application/grpc"), ("te", "trailers")]


def connect(port: int, source: str = ADDRESS, seconds: float = 5) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), seconds, (source, 0))


def many_files() -> None:
    """This process, and what it starts, may have as many files open as the system lets it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# --- slowness and silence


def silent(port: int, seconds: float, connections: int = 10_000) -> Counter:
    """Connections that never say anything."""
    return _held(port, seconds, connections, lambda _: b"")


def slow_headers(port: int, seconds: float, connections: int = 1000) -> Counter:
    """A header of which a few bytes come every half second, without an end."""
    return _held(port, seconds, connections, lambda at: b"POST /v1/logs HTTP/1.1\r\nHost: x\r\n" if at == 0 else b"X-a: b\r\n")


def slow_bodies(port: int, seconds: float, connections: int = 1000) -> Counter:
    """Bodies of which 4 MiB are announced and a byte comes now and then."""
    head = b"POST /v1/logs HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 4194304\r\n\r\n"
    return _held(port, seconds, connections, lambda at: head if at == 0 else b"\n")


def _held(port: int, seconds: float, connections: int, says: Callable[[int], bytes]) -> Counter:
    """Opens connections, lets each say something every half second, and counts how they are at the end."""
    ended, open_now = Counter(), []
    try:
        for _ in range(connections):
            with contextlib.suppress(OSError):
                open_now.append(connect(port))
                open_now[-1].setblocking(False)
        deadline = time.monotonic() + seconds
        at = 0
        while True:
            for one in list(open_now):
                if _over(one, says(at)):
                    open_now.remove(one)
                    one.close()
                    ended["closed"] += 1
            at += 1
            if time.monotonic() >= deadline:
                break
            time.sleep(0.5)
        ended["open"] = len(open_now)
        return ended
    finally:
        for one in open_now:
            one.close()


def _over(one: socket.socket, says: bytes) -> bool:
    """Whether the peer has ended it; otherwise something more is said."""
    try:
        if one.recv(4096) == b"":
            return True
    except BlockingIOError:
        pass
    except OSError:
        return True
    try:
        one.send(says) if says else None
    except BlockingIOError:
        pass
    except OSError:
        return True
    return False


# --- floods


def large_headers(port: int, seconds: float) -> Counter:
    """Requests over HTTP/1.1 with headers without end."""
    line = b"X-flood: " + b"a" * 1000 + b"\r\n"
    return _flood(port, seconds, b"POST /v1/logs HTTP/1.1\r\nHost: x\r\n", lambda _: line * 50)


def many_header_fields(port: int, seconds: float) -> Counter:
    """One list of header fields over HTTP/2 that unpacks to 60 times its size, again and again."""
    encoder = hpack.Encoder()
    first = encoder.encode([*_GRPC, ("x-large", "a" * 4000)])
    again = encoder.encode([*_GRPC, *[("x-large", "a" * 4000)] * 200])

    def frames(turn: int) -> bytes:
        block = first if turn == 0 else again
        return _frame(HeadersFrame(2 * turn + 1, block, flags=["END_HEADERS", "END_STREAM"]))

    return _flood(port, seconds, _start(), frames)


def continuations(port: int, seconds: float) -> Counter:
    """A list of header fields over HTTP/2 that goes on and on."""
    encoder = hpack.Encoder()
    start = _start() + _frame(HeadersFrame(1, encoder.encode(_GRPC)))
    more = b"".join(_frame(ContinuationFrame(1, encoder.encode([(f"x-{n}", "a" * 100)]))) for n in range(50))
    return _flood(port, seconds, start, lambda _: more)


def empty_continuations(port: int, seconds: float) -> Counter:
    """The same without a byte of content in it."""
    start = _start() + _frame(HeadersFrame(1, hpack.Encoder().encode(_GRPC)))
    return _flood(port, seconds, start, lambda _: _frame(ContinuationFrame(1)) * 500)


def rapid_reset(port: int, seconds: float) -> Counter:
    """Calls that are taken back as soon as they are made."""
    encoder = hpack.Encoder()
    encoder.encode(_GRPC)
    block = encoder.encode(_GRPC)

    def frames(turn: int) -> bytes:
        numbers = range(turn * 100, turn * 100 + 100)
        return b"".join(_frame(HeadersFrame(2 * n + 3, block, flags=["END_HEADERS"]))
                        + _frame(RstStreamFrame(2 * n + 3, 8)) for n in numbers)

    first = _frame(HeadersFrame(1, hpack.Encoder().encode(_GRPC), flags=["END_HEADERS", "END_STREAM"]))
    return _flood(port, seconds, _start() + first, frames)


def settings(port: int, seconds: float) -> Counter:
    """Settings that each want an acknowledgement."""
    return _flood(port, seconds, _start(), lambda _: _frame(SettingsFrame(0, {1: 4096})) * 200, reads=False)


def pings(port: int, seconds: float) -> Counter:
    """Pings whose answers nobody reads."""
    return _flood(port, seconds, _start(), lambda _: _frame(PingFrame(0, b"12345678")) * 200, reads=False)


def empty_data(port: int, seconds: float) -> Counter:
    """Parts of a body without a byte in them."""
    start = _start() + _frame(HeadersFrame(1, hpack.Encoder().encode(_GRPC), flags=["END_HEADERS"]))
    return _flood(port, seconds, start, lambda _: _frame(DataFrame(1)) * 500)


def noise(port: int, seconds: float) -> Counter:
    """Bytes without sense, and the first ones of TLS."""
    hello = ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="x")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    starts = [hello.read(), os.urandom(2000), b"\0" * 2000, b"GET / HTTP/9.9\r\n\r\n", _PREFACE + os.urandom(2000)]
    found = Counter()
    for start in starts:
        found += _flood(port, seconds / len(starts), start, lambda _: os.urandom(2000))
    return found


def _start() -> bytes:
    return _PREFACE + _frame(SettingsFrame(0))


def _frame(frame: Frame) -> bytes:
    return frame.serialize()


def _flood(port: int, seconds: float, start: bytes, more: Callable[[int], bytes], reads: bool = True,
           threads: int = 4) -> Counter:
    """Sends `start` and then `more` as fast as it is taken, over connections that are made anew when they are ended."""
    found, lock, deadline = Counter(), threading.Lock(), time.monotonic() + seconds

    def one() -> None:
        while time.monotonic() < deadline:
            sent, ended = _pour(port, start, more, deadline, reads)
            with lock:
                found["connections"] += 1
                found["ended by the program"] += ended
                found["bytes"] += sent

    running = [threading.Thread(target=one) for _ in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return found


def _pour(port: int, start: bytes, more: Callable[[int], bytes], deadline: float, reads: bool) -> tuple[int, bool]:
    """One connection of a flood: the bytes it sent, and whether the program ended it."""
    sent, turn, pending = 0, 0, start
    try:
        with connect(port) as connection, selectors.DefaultSelector() as selector:
            connection.setblocking(False)
            selector.register(connection, selectors.EVENT_WRITE | (selectors.EVENT_READ if reads else 0))
            while time.monotonic() < deadline:
                for _, events in selector.select(0.1):
                    if events & selectors.EVENT_READ and connection.recv(65536) == b"":
                        return sent, True
                    if events & selectors.EVENT_WRITE:
                        size = connection.send(pending)
                        sent, pending = sent + size, pending[size:]
                        if not pending:
                            pending, turn = more(turn), turn + 1
    except OSError:
        return sent, True
    return sent, False


# --- bodies that grow


def bombs() -> Iterator[tuple[str, bytes]]:
    """Content-Encoding and a small body that would take 256 MiB or more."""
    size = 256 << 20
    zeros = bytes(1 << 20)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    yield "gzip", b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()
    packer = zlib.compressobj(9)
    yield "deflate", b"".join(packer.compress(zeros) for _ in range(256)) + packer.flush()
    yield "zstd", zstandard.ZstdCompressor(level=3).compress(bytes(size))
    yield "lz4", lz4.frame.compress(bytes(size), store_size=False)
    yield "snappy", b"\xff\xff\xff\xff\x0f" + b"\xfe\x01\x00" * 100_000  # claims 4 GiB


def bomb_over_http(port: int, encoding: str, body: bytes) -> int:
    """The status that it is answered with."""
    return raw.http_request(port, "/v1/logs", body, {"Content-Type": "application/x-protobuf", "Content-Encoding": encoding},
                            source=ADDRESS).status


def bomb_over_grpc(port: int) -> int | None:
    """The code that it is answered with."""
    body = gzip.compress(bytes(64 << 20))
    return raw.grpc_request(port, _GRPC[2][1], raw.message(body, compressed=True), {"grpc-encoding": "gzip"},
                            source=ADDRESS).code


def claim_over_grpc(port: int) -> int | None:
    """The code for a message that claims to have 4 GiB."""
    return raw.grpc_request(port, _GRPC[2][1], struct.pack(">BI", 0, 0xFFFFFFFF) + b"x" * 100, source=ADDRESS).code
