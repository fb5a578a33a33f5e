"""Strangers at the door: whatever they do, memory stays bounded, the program goes on, and those who behave are served."""

import functools
import http.client
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable

from harness import attacks, generate, ledger, otlp, raw
from harness.backend import Backend
from harness.kubernetes.plane import PATIENCE
from harness.program import Program
from harness.runner import Run, add
from harness.waiting import until

SECONDS = 5
# what connections, their buffers and the rest of a process of Rust may take beside the memory for payload
BESIDES = 96 << 20
LIMIT = 100 << 20  # of memory_limiter in hostile.yaml


class Witness(threading.Thread):
    """A client that behaves: one small request after the other, over HTTP on one connection and over gRPC on new ones."""

    def __init__(self, program: Program):
        super().__init__(daemon=True)
        self.program, self.ended = program, threading.Event()
        self.body = generate.request("logs", 0, 1).SerializeToString()
        self.taken, self.refused, self.longest, self.trouble = 0, 0, 0.0, []

    def run(self) -> None:
        connection = http.client.HTTPConnection(
            "127.0.0.1", self.program.port("HTTP"), timeout=20, source_address=("127.0.0.9", 0))
        kind = otlp.SIGNALS["logs"]
        while not self.ended.is_set():
            began = time.monotonic()
            try:
                connection.request("POST", kind.path, self.body, {"Content-Type": "application/x-protobuf"})
                answer = connection.getresponse()
                answer.read()
                self._note(answer.status == 200, answer.status in (429, 503), f"HTTP {answer.status}")
                called = raw.grpc_request(self.program.port("GRPC"), kind.rpc, raw.message(self.body), source="127.0.0.9")
                self._note(called.code == 0, called.code in (8, 14), f"gRPC {called}")
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self.trouble.append(repr(error))
            self.longest = max(self.longest, time.monotonic() - began)
            self.ended.wait(0.05)
        connection.close()

    def _note(self, taken: bool, refused: bool, otherwise: str) -> None:
        if taken:
            self.taken += 1
        elif refused:
            self.refused += 1
        else:
            self.trouble.append(otherwise)

    def end(self) -> None:
        self.ended.set()
        self.join(60)


def attacked(run: Run, attack: Callable[[Program], object], may_refuse: bool = False) -> object:
    """Runs the attack against a program that serves a witness meanwhile; what the attack returned."""
    attacks.many_files()
    backend = run.open(Backend())
    program = run.start(["hostile.yaml"], backend.env)
    witness = Witness(program)
    witness.start()
    until(lambda: witness.taken >= 4, lambda: f"the witness is served: {witness.trouble}", 20)
    _forget_peak(program)
    cpu, began = _cpu(program), time.monotonic()
    try:
        found = attack(program)
    finally:
        seconds = time.monotonic() - began
        witness.end()
    peak = _peak(program)
    print(f"{found}; in {seconds:.1f} s {_cpu(program) - cpu:.1f} s of processor time; memory at most {peak >> 20} MiB; "
          f"the witness had {witness.taken} requests taken and {witness.refused} refused, the longest took {witness.longest * 1000:.0f} ms")
    assert program.running(), program.tail()
    assert not witness.trouble, f"{len(witness.trouble)} of the witness's requests failed: {witness.trouble[:3]}"
    assert may_refuse or not witness.refused, f"{witness.refused} of the witness's requests were refused"
    assert witness.taken > witness.refused, f"{witness.taken} taken, {witness.refused} refused"
    assert witness.longest < 5 * PATIENCE, f"the witness waited {witness.longest:.1f} s"
    assert peak < LIMIT + BESIDES, f"{peak >> 20} MiB of memory"
    assert "panicked" not in program.log(), program.tail()
    ledger.assert_balanced(program, logs=witness.taken)
    return found


def flooded(port: str, flood: Callable[[int, float], Counter], run: Run) -> None:
    attacked(run, lambda program: flood(program.port(port), SECONDS))


def ended_floods(port: str, flood: Callable[[int, float], Counter], run: Run) -> None:
    """Floods that are against the protocol, or against sense, cost their connection."""
    found = attacked(run, lambda program: flood(program.port(port), SECONDS))
    assert found["ended by the program"] > 0, found


def silent(run: Run) -> None:
    """Ten thousand connections from one address: it gets half of the places and no more."""
    def attack(program: Program) -> Counter:
        found = attacks.silent(program.port("HTTP"), SECONDS)
        assert 1800 <= found["open"] <= 2048 and found["closed"] > 7000, found
        assert program.samples().sum("otel_agent_receiver_connections_refused") > 7000
        return found

    attacked(run, attack)


def bombs(run: Run) -> None:
    def attack(program: Program) -> dict[str, object]:
        found = {}
        with ThreadPoolExecutor(8) as pool:
            for encoding, body in attacks.bombs():
                bomb = functools.partial(attacks.bomb_over_http, program.port("HTTP"), encoding, body)
                # what the bombs before took may still be on its way back
                alone = until(lambda bomb=bomb: (answer := bomb()) not in (429, 503) and answer, f"{encoding} has room to be tried", 20)
                assert alone in (413, 400), f"{encoding}: {alone}"
                answers = [alone, *pool.map(lambda _, bomb=bomb: bomb(), range(16))]
                # several at once may find no room before they are seen to be too large
                assert set(answers) <= {413, 400, 429, 503}, f"{encoding}: {Counter(answers)}"
                found[encoding] = dict(Counter(answers))
            for name, bomb in (("gRPC gzip", attacks.bomb_over_grpc), ("gRPC claim", attacks.claim_over_grpc)):
                alone = until(lambda b=bomb: (answer := b(program.port("GRPC"))) != 14 and answer, f"{name} has room to be tried", 20)
                assert alone == 8, f"{name}: {alone}"  # RESOURCE_EXHAUSTED
                answers = [alone, *pool.map(lambda _, b=bomb: b(program.port("GRPC")), range(16))]
                assert set(answers) <= {8, 14}, f"{name}: {Counter(answers)}"
                found[name] = dict(Counter(answers))
        return found

    # they fill the memory for payload, which others then wait for
    attacked(run, attack, may_refuse=True)


def _status(program: Program) -> dict[str, str]:
    lines = Path(f"/proc/{program.process.pid}/status").read_text().splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line)


def _forget_peak(program: Program) -> None:
    Path(f"/proc/{program.process.pid}/clear_refs").write_text("5")


def _peak(program: Program) -> int:
    return int(_status(program)["VmHWM"].split()[0]) << 10


def _cpu(program: Program) -> float:
    fields = Path(f"/proc/{program.process.pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


WHY = "the Collector has no such bounds"
add("hostile/silent", silent, 120, WHY)
add("hostile/bombs", bombs, 120, WHY)
for name, port, flood in (
        ("slow-headers", "HTTP", attacks.slow_headers), ("slow-bodies", "HTTP", attacks.slow_bodies),
        ("rapid-reset", "GRPC", attacks.rapid_reset), ("empty-data", "GRPC", attacks.empty_data),
        ("settings", "GRPC", attacks.settings), ("pings", "GRPC", attacks.pings)):
    add(f"hostile/{name}", functools.partial(flooded, port, flood), 120, WHY)
for name, port, flood in (
        ("large-headers", "HTTP", attacks.large_headers), ("header-fields", "GRPC", attacks.many_header_fields),
        ("continuations", "GRPC", attacks.continuations), ("empty-continuations", "GRPC", attacks.empty_continuations),
        ("noise-http", "HTTP", attacks.noise), ("noise-grpc", "GRPC", attacks.noise)):
    add(f"hostile/{name}", functools.partial(ended_floods, port, flood), 120, WHY)
