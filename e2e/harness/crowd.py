"""Senders beside each other, each from an address of its own: well-behaved ones as SDKs are, and one that floods."""

import http.client
import math
import multiprocessing
import threading
import time
from dataclasses import dataclass, field

from . import generate, otlp

_PATH = otlp.SIGNALS["logs"].path
_HEADERS = {"Content-Type": "application/x-protobuf"}
# From here on the numbers of a sender's items.
PER_SENDER = 1_000_000


@dataclass
class Told:
    """What one sender was told."""

    accepted: list[range] = field(default_factory=list)  # the numbers of the items
    refused: dict[int, int] = field(default_factory=dict)  # by HTTP status
    given_up: int = 0  # requests that were refused for as long as there was time
    retry_after: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)  # of what was accepted at once, in seconds


class Connection:
    """One connection of HTTP/1.1 that is kept, from a loopback address."""

    def __init__(self, port: int, source: str):
        self._to = lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=30, source_address=(source, 0))
        self._http = self._to()

    def post(self, body: bytes) -> tuple[int, float | None]:
        """The status, and the seconds after which to come back if it says so."""
        try:
            self._http.request("POST", _PATH, body, _HEADERS)
            answer = self._http.getresponse()
            answer.read()
        except (ConnectionError, http.client.HTTPException):
            # what is refused before it is read may end the connection under whoever still sends
            self._http.close()
            self._http = self._to()
            return 0, None
        after = answer.headers.get("Retry-After")
        return answer.status, float(after) if after else None

    def close(self) -> None:
        self._http.close()


class WellBehaved(threading.Thread):
    """A small request four times a second; what is refused is sent again when it was told to."""

    def __init__(self, port: int, index: int, ends: float, items: int = 10):
        super().__init__(daemon=True)
        self.source = f"127.0.1.{index + 1}"
        self.told = Told()
        self._first = (index + 1) * PER_SENDER
        self._items, self._ends = items, ends
        self._connection = Connection(port, self.source)
        self._phase = index / 80

    def run(self) -> None:
        time.sleep(self._phase)
        at, next_time = self._first, time.monotonic()
        while time.monotonic() < self._ends:
            body = generate.request("logs", at, self._items).SerializeToString()
            began = time.perf_counter()
            tries = self._deliver(body)
            if tries == 1:
                self.told.latencies.append(time.perf_counter() - began)
            if tries:
                self.told.accepted.append(range(at, at + self._items))
            else:
                self.told.given_up += 1
            at += self._items
            next_time += 0.25
            time.sleep(max(0.0, next_time - time.monotonic()))
        self._connection.close()

    def _deliver(self, body: bytes) -> int:
        """After how many tries it was accepted; 0: it was given up, long after the others had ended."""
        tries = 0
        while tries == 0 or time.monotonic() < self._ends + 15:
            status, after = self._connection.post(body)
            tries += 1
            if status == 200:
                return tries
            self.told.refused[status] = self.told.refused.get(status, 0) + 1
            time.sleep(after or 1)
        return 0


def well_behaved(port: int, seconds: float, senders: int = 20) -> list[Told]:
    """So many senders beside each other for a while, until all that they sent is accepted. They are in a process of their own, so
    that they do not wait for the backend's work in this one."""
    told = multiprocessing.Queue()
    process = multiprocessing.get_context("fork").Process(
        target=_well_behaved, args=(port, seconds, senders, told), daemon=True)
    process.start()
    result = told.get(timeout=seconds + 120)
    process.join(10)
    return result


def _well_behaved(port: int, seconds: float, senders: int, told) -> None:
    ends = time.monotonic() + seconds
    threads = [WellBehaved(port, index, ends) for index in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put([thread.told for thread in threads])


class Flood:
    """One sender with several connections that sends as fast as it can, whatever it is told. A process of its own."""

    def __init__(self, port: int, source: str = "127.0.2.1", connections: int = 6, items: int = 100, filler: int = 1000):
        self._stop = multiprocessing.Event()
        self._told = multiprocessing.Queue()
        self._process = multiprocessing.get_context("fork").Process(
            target=_flood, args=(port, source, connections, items, filler, self._stop, self._told), daemon=True)

    def __enter__(self) -> "Flood":
        self._process.start()
        return self

    def end(self) -> dict[int, int]:
        """Ends it; how often it was told what, by HTTP status."""
        self._stop.set()
        told = self._told.get(timeout=60)
        self._process.join(10)
        return told

    def __exit__(self, *_) -> None:
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()


def _flood(port: int, source: str, connections: int, items: int, filler: int, stop, told) -> None:
    # Numbers far from those of the others; the same request again and again, as only its size matters.
    body = generate.request("logs", 900 * PER_SENDER, items, filler="x" * filler).SerializeToString()
    counts: dict[int, int] = {}
    lock = threading.Lock()

    def send() -> None:
        connection = Connection(port, source)
        while not stop.is_set():
            status, _ = connection.post(body)
            with lock:
                counts[status] = counts.get(status, 0) + 1
            if status != 200:
                time.sleep(0.02)  # no more than the processor of this machine can spare
        connection.close()

    threads = [threading.Thread(target=send, daemon=True) for _ in range(connections)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told.put(counts)


def percentile(values: list[float], part: float) -> float:
    """The value below which this part of them lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(part * len(ordered)) - 1)]
