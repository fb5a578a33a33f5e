"""Senders beside each other, each from an address of its own: well-behaved ones as SDKs are, and one that floods.

Both are programs of their own (`python -m harness.crowd`), so that they do not wait for the backend's work in this one. They
end when their input does.
"""

import asyncio
import json
import math
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass

from . import generate, lean, parts
from .waiting import until

# From here on the numbers of a sender's items; the flood's are beyond those of all others.
PER_SENDER = 1_000_000
FLOOD = 900 * PER_SENDER
ITEMS = 10  # in a request of a well-behaved sender
EVERY = 0.25  # seconds between them


@dataclass
class Told:
    """What became of one request of a well-behaved sender."""

    first: int  # the number of its first item
    began: float  # by time.monotonic, which is the same in all processes
    seconds: float  # until the last answer
    refused: list[int]  # the statuses that it was told before
    accepted: bool  # False: it was refused for as long as there was time


class _Program:
    def __init__(self, *arguments: object):
        self._arguments = [str(argument) for argument in arguments]

    def __enter__(self):
        self._process = subprocess.Popen([sys.executable, "-m", "harness.crowd", *self._arguments], text=True, bufsize=1,
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=parts.E2E)
        return self

    def __exit__(self, *_) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


class WellBehaved(_Program):
    """So many senders, each with a small request four times a second; what is refused is sent again when it was told to."""

    def __init__(self, port: int, senders: int = 20):
        super().__init__("well-behaved", port, senders)
        self.senders = senders
        self.told: list[Told] = []

    def __enter__(self) -> "WellBehaved":
        super().__enter__()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until(lambda: len({told.first // PER_SENDER for told in self.told}) == self.senders, "all senders send", 30)
        return self

    def _read(self) -> None:
        for line in self._process.stdout:
            self.told.append(Told(*json.loads(line)))

    def during(self, seconds: float) -> list[Told]:
        """What was told of the requests that begin from now on, for so long."""
        begins = time.monotonic()
        ends = begins + seconds
        past = lambda: {told.first // PER_SENDER for told in self.told[-50 * self.senders:] if told.began > ends}  # noqa: E731
        until(lambda: len(past()) == self.senders, "every sender has had its answers", seconds + 60)
        return [told for told in self.told if begins <= told.began <= ends]

    def end(self) -> list[Told]:
        """Ends them when what they have sent is accepted; everything that they were told."""
        self._process.stdin.close()
        self._reader.join(60)
        assert not self._reader.is_alive(), "the well-behaved senders do not come to an end"
        return self.told


class Flood(_Program):
    """One sender with several connections that, while it is on, sends as fast as it can whatever it is told."""

    def __init__(self, port: int):
        super().__init__("flood", port)

    def on(self) -> None:
        self._process.stdin.write("on\n")

    def off(self) -> None:
        self._process.stdin.write("off\n")

    def end(self) -> Counter:
        """Ends it; how often it was told what, by HTTP status."""
        out, _ = self._process.communicate(timeout=60)
        return Counter({int(status): times for status, times in json.loads(out).items()})


def p99(told: list[Told]) -> float:
    """The seconds in which 99 of 100 requests were accepted, with all that they were refused before."""
    ordered = sorted(one.seconds if one.accepted else math.inf for one in told)
    return ordered[math.ceil(0.99 * len(ordered)) - 1] if ordered else math.inf


# --- the programs

async def _well_behaved(over: asyncio.Event, _: asyncio.Event, port: int, senders: int) -> None:
    await asyncio.gather(*(_one(over, port, index, EVERY * index / senders) for index in range(senders)))


async def _one(over: asyncio.Event, port: int, index: int, phase: float) -> None:
    connection, first = lean.Connection(port, f"127.0.1.{index + 1}"), (index + 1) * PER_SENDER
    due = time.monotonic() + phase
    while not over.is_set():
        request = lean.request(generate.request("logs", first, ITEMS).SerializeToString())
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        began, refused = time.monotonic(), []
        while (answer := await connection.post(request))[0] != 200 and time.monotonic() < began + 20:
            refused.append(answer[0])
            await asyncio.sleep(answer[1] or 1)
        print(json.dumps([first, began, time.monotonic() - began, refused, answer[0] == 200]), flush=True)
        first += ITEMS
        due = max(due + EVERY, time.monotonic())


async def _flood(over: asyncio.Event, runs: asyncio.Event, port: int) -> None:
    # The same request again and again, as only its size matters.
    request = lean.request(generate.request("logs", FLOOD, 100, filler="x" * 1000).SerializeToString())
    counts = Counter()

    async def send() -> None:
        connection = lean.Connection(port, "127.0.2.1")
        while not over.is_set():
            if not runs.is_set():
                await asyncio.sleep(0.02)
                continue
            status, _ = await connection.post(request)
            counts[status] += 1
            if status != 200:
                await asyncio.sleep(0.02)  # no more than the processor of this machine can spare

    await asyncio.gather(*(send() for _ in range(6)))
    print(json.dumps(counts))


async def _main(role: str, *arguments: str) -> None:
    over, runs, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()

    def listen() -> None:
        for line in sys.stdin:
            loop.call_soon_threadsafe(runs.set if line == "on\n" else runs.clear)
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=listen, daemon=True).start()
    await {"well-behaved": _well_behaved, "flood": _flood}[role](over, runs, *map(int, arguments))


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
