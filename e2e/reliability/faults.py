"""Every fault of the chaos run: how it begins, how it ends, and when each happens, drawn from a seed.

A fault is a list of steps: after how many seconds, what is done, and what the event log says of it. Equal seeds and lengths
give equal lists; what the program and its clients do meanwhile is theirs.
"""

import random
from dataclasses import dataclass
from typing import Callable, Iterator

import grpc

from reliability import sink

CODES = [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
STATUSES = [400, 401, 403, 404, 408, 413, 429, 500, 501, 502, 503, 504]


@dataclass
class Step:
    at: float
    kind: str
    says: str
    do: Callable[[], None]


def plan(stage, chance: random.Random, seconds: float, kinds: list[str]) -> list[Step]:
    """What happens in so many seconds. Each kind comes once before any comes twice."""
    steps: list[Step] = []
    at, deck = 1.0, []
    while True:
        if not deck:
            deck = chance.sample(kinds, len(kinds))
        kind = deck.pop()
        made = list(getattr(_Kinds, kind)(stage, chance))
        length = made[-1][0]
        if at + length > seconds:
            return sorted(steps, key=lambda step: step.at)
        steps += [Step(at + after, kind if first else "", says, do)
                  for first, (after, says, do) in zip([True] + [False] * len(made), made)]
        # They overlap more often than not.
        at += chance.uniform(0.3, 1.0) * length + chance.uniform(0.2, 0.8)


class _Kinds:
    """One function for each kind: yields (seconds after its begin, what the log says, what is done)."""

    # --- what the backend says

    def code(stage, chance) -> Iterator:
        which = chance.choice(CODES)
        yield from _mood(stage, "grpc", sink.code(which), f"gRPC answers are {which.name}", chance.uniform(0.3, 1.5))

    def status(stage, chance) -> Iterator:
        which = chance.choice(STATUSES)
        yield from _mood(stage, "http", sink.status(which), f"HTTP answers are {which}", chance.uniform(0.3, 1.5))

    def throttle(stage, chance) -> Iterator:
        protocol = chance.choice(["grpc", "http"])
        yield from _mood(stage, protocol, sink.throttling(), f"{protocol} is throttled, 1 s", chance.uniform(0.5, 2))

    def partial(stage, chance) -> Iterator:
        protocol, rejected = chance.choice(["grpc", "http"]), chance.randint(1, 3)
        yield from _mood(stage, protocol, sink.partly(rejected), f"{protocol} rejects {rejected} of each request", chance.uniform(0.3, 1))

    def too_large(stage, chance) -> Iterator:
        protocol, most = chance.choice(["grpc", "http"]), chance.choice([10, 40, 150])
        yield from _mood(stage, protocol, sink.small(most), f"{protocol} takes {most} items at most", chance.uniform(0.5, 2))

    def slow(stage, chance) -> Iterator:
        protocol, seconds = chance.choice(["grpc", "http"]), chance.uniform(0.1, 1)
        yield from _mood(stage, protocol, sink.slow(seconds), f"{protocol} takes {seconds:.1f} s for each answer", chance.uniform(1, 3))

    # --- the network

    def reset(stage, chance) -> Iterator:
        gate = chance.choice(["grpc", "http"])
        yield 0, f"connections of {gate} are cut", stage.gates[gate].reset

    def down(stage, chance) -> Iterator:
        gate = chance.choice(["grpc", "http"])
        yield from _between(f"{gate} is down", stage.gates[gate].down, f"{gate} is back", stage.gates[gate].restore,
                            chance.uniform(0.5, 4), stage.gates[gate])

    def stall(stage, chance) -> Iterator:
        gate = stage.gates[chance.choice(["grpc", "http"])]
        yield 0, "a gate is frozen", gate.freeze
        yield chance.uniform(0.5, 4), "it passes again", gate.thaw

    def lost_answers(stage, chance) -> Iterator:
        which = chance.choice(["grpc", "http"])
        gate = stage.gates[which]
        yield 0, f"answers of {which} get lost", lambda: gate.lose_answers(True)
        yield chance.uniform(0.5, 2), f"answers of {which} arrive", lambda: gate.lose_answers(False)

    def name_gone(stage, chance) -> Iterator:
        yield 0, "the backend's name does not resolve", lambda: stage.rename(None)
        yield chance.uniform(1, 4), "it resolves", lambda: stage.rename("127.0.0.1")

    def name_elsewhere(stage, chance) -> Iterator:
        yield 0, "the backend's name leads to a wrong address", lambda: stage.rename("127.9.9.9")
        yield chance.uniform(0.5, 3), "it leads to the right one", lambda: stage.rename("127.0.0.1")

    def certificate_expires(stage, chance) -> Iterator:
        yield 0, "the certificate is valid for 2 s more", lambda: stage.certify(2)
        yield 2.5, "it has expired, and connections are cut", stage.gates["grpc"].reset
        yield 2.5 + chance.uniform(1, 3), "there is a new one", lambda: stage.certify(3600)

    # --- the disk and the clock

    def disk_full(stage, chance) -> Iterator:
        yield 0, "the disk is full", lambda: stage.disk("full", True)
        yield chance.uniform(0.5, 3), "the disk has room", lambda: stage.disk("full", False)

    def disk_read_only(stage, chance) -> Iterator:
        yield 0, "the disk is read-only", lambda: stage.disk("read-only", True)
        yield chance.uniform(0.5, 3), "the disk can be written", lambda: stage.disk("read-only", False)

    def clock_jumps(stage, chance) -> Iterator:
        offset = chance.choice(["+1h", "-1h", "+40d", "-2d", "+5y"])
        yield 0, f"the clock jumps by {offset}", lambda: stage.house.clock(offset)
        yield chance.uniform(0.5, 4), "the clock jumps back", lambda: stage.house.clock("+0")

    # --- the program

    def good_file(stage, chance) -> Iterator:
        yield 0, "SIGHUP with a good file", stage.reload_good

    def bad_file(stage, chance) -> Iterator:
        yield 0, "SIGHUP with a bad file", stage.reload_bad

    def kill(stage, chance) -> Iterator:
        yield 0, "kill -9", stage.kill
        yield chance.uniform(0, 1), "it is started again", stage.start

    def terminate(stage, chance) -> Iterator:
        yield 0, "SIGTERM", stage.terminate
        yield chance.uniform(2, 4), "it is started again", stage.start


KINDS = [name for name in vars(_Kinds) if not name.startswith("_")]


def _mood(stage, protocol: str, mood, says: str, seconds: float) -> Iterator:
    def calm() -> None:
        # Another mood may have come over it meanwhile; that one ends by itself.
        if stage.sink.mood[protocol] is mood:
            stage.sink.mood[protocol] = None

    yield 0, says, lambda: stage.sink.mood.update({protocol: mood})
    yield seconds, f"{protocol} answers as it should", calm


def _between(begins: str, begin, ends: str, end, seconds: float, gate) -> Iterator:
    """Not twice at one time."""
    def first() -> None:
        gate.faults = getattr(gate, "faults", 0) + 1
        if gate.faults == 1:
            begin()

    def last() -> None:
        gate.faults -= 1
        if gate.faults == 0:
            end()

    yield 0, begins, first
    yield seconds, ends, last
