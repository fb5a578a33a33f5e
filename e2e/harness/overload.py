"""Sends more than there is room for, at a fixed rate whatever it is told, and says what it was told.

A program of its own, so that it takes no time of the backend's process: `python -m harness.overload '{"port": …}'`. Its last
line is what it has counted, as JSON. It ends by itself, `lean.PATIENCE` after its time at the latest, also where nobody answers.
"""

import asyncio
import gzip
import json
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass

import grpc

from . import generate, lean, otlp, parts

_KIND = otlp.SIGNALS["logs"]


@dataclass(frozen=True)
class Load:
    """One kind of load. Sizes are of the bodies before compression, in bytes."""

    name: str
    protocol: str  # grpc, http
    connections: int
    size: int
    gzip: bool = False
    tiny_per_second: int = 0  # so many requests of one record each beside the others
    slow: int = 0  # so many connections that never read their answers, and as many whose bodies trickle


def start(load: Load, ports: dict[str, int], bytes_per_second: float, seconds: float) -> subprocess.Popen:
    """Begins to send, in another process."""
    more = {"ports": ports, "bytes_per_second": bytes_per_second, "seconds": seconds}
    return subprocess.Popen([sys.executable, "-m", "harness.overload", json.dumps(asdict(load) | more)],
                            stdout=subprocess.PIPE, text=True, cwd=parts.E2E)


def counted(process: subprocess.Popen, seconds: float) -> dict:
    """What it has counted, when it is done."""
    out, _ = process.communicate(timeout=seconds)
    assert process.returncode == 0, f"the sender ended with {process.returncode}"
    return json.loads(out.splitlines()[-1])


def _body(size: int) -> bytes:
    """A request of about this size whose text is as compressible as text is."""
    items = max(1, size // 1000)
    words = random.Random(size)
    request = generate.request("logs", 0, items)
    for record in request.resource_logs[0].scope_logs[0].log_records:
        record.body.string_value = " ".join(f"{words.getrandbits(32):x}" for _ in range(min(size, 1000) // 9))
    return request.SerializeToString()


class _Http:
    """One connection of HTTP/1.1."""

    def __init__(self, port: int, source: str):
        self._connection = lean.Connection(port, source)

    async def send(self, request: bytes) -> str:
        status, _ = await self._connection.post(request)
        return {lean.CLOSED: "closed", lean.UNANSWERED: "no answer"}.get(status, str(status))


class _Grpc:
    """One connection of gRPC."""

    def __init__(self, port: int, compressed: bool):
        own = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        how = grpc.Compression.Gzip if compressed else grpc.Compression.NoCompression
        self._call = grpc.aio.insecure_channel(f"127.0.0.1:{port}", own, compression=how).unary_unary(_KIND.rpc)

    async def send(self, request: bytes) -> str:
        try:
            await self._call(request, timeout=lean.PATIENCE)
            return "OK"
        except grpc.aio.AioRpcError as error:
            return error.code().name


def _connection(load: Load, ports: dict[str, int], index: int):
    if load.protocol == "grpc":
        return _Grpc(ports["grpc"], load.gzip)
    return _Http(ports["http"], f"127.0.{3 + index // 250}.{index % 250 + 1}")


async def _paced(connection, request: bytes, every: float, phase: float, ends: float, told: Counter) -> None:
    due = time.monotonic() + phase
    while max(due, time.monotonic()) < ends:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        told[await connection.send(request)] += 1
        due += every


async def _never_reads(port: int, request: bytes, ends: float) -> None:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port, limit=1), lean.PATIENCE)
        while time.monotonic() < ends:
            writer.write(request)
            await asyncio.wait_for(writer.drain(), max(0.1, ends - time.monotonic()))
            await asyncio.sleep(0.2)
    except (OSError, TimeoutError):
        pass


async def _trickles(port: int, request: bytes, ends: float) -> None:
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), lean.PATIENCE)
        for at in range(0, len(request), 500):
            if time.monotonic() > ends:
                return
            writer.write(request[at:at + 500])
            await asyncio.sleep(0.1)
    except OSError:
        pass


async def _main(settings: dict) -> None:
    ports, rate, seconds = (settings.pop(key) for key in ("ports", "bytes_per_second", "seconds"))
    load = Load(**settings)
    body = _body(load.size)
    sent = gzip.compress(body, 6) if load.gzip and load.protocol == "http" else body
    request = sent if load.protocol == "grpc" else lean.request(sent, load.gzip)
    ends = time.monotonic() + seconds
    # A single connection of gRPC has several calls under way, as SDKs do; one of HTTP/1.1 can have one.
    streams = 4 if load.protocol == "grpc" and load.connections == 1 else 1
    every = load.connections * streams * len(body) / rate
    told, tiny = Counter(), Counter()
    work = []
    for index in range(load.connections):
        connection = _connection(load, ports, index)
        work += [_paced(connection, request, every, every * (index * streams + stream) / (load.connections * streams), ends, told)
                 for stream in range(streams)]
    if load.tiny_per_second:
        small = _body(1)
        for index in range(10):
            one = small if load.protocol == "grpc" else lean.request(small)
            work.append(_paced(_connection(load, ports, 600 + index), one, 10 / load.tiny_per_second, 0, ends, tiny))
    plain = lean.request(body)
    for _ in range(load.slow):
        work += [_never_reads(ports["http"], plain, ends), _trickles(ports["http"], plain, ends)]
    await asyncio.gather(*work)
    print(json.dumps({"told": told, "tiny": tiny, "bytes": len(body) * sum(told.values())}))


if __name__ == "__main__":
    asyncio.run(_main(json.loads(sys.argv[1])))
