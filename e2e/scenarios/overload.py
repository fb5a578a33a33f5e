"""In a real cgroup, at twice the load that the backend takes: never killed, refusals only, and the backend is kept busy.

OVERLOAD_SECONDS=600 makes it ten minutes for each size; OVERLOAD_BESIDE=1 gives the Go Collector the same load in a cgroup of
the same size, for the figures.
"""

import functools
import os
import time
from typing import Callable

from harness import lean, ledger, overload
from harness.cgroup import MemoryGroup
from harness.configs import changed
from harness.overload import Load
from harness.program import Program
from harness.runner import Run, add
from harness.slow import SlowBackend
from harness.waiting import until

SECONDS = float(os.environ.get("OVERLOAD_SECONDS", "21"))
BESIDE = bool(os.environ.get("OVERLOAD_BESIDE"))
LEAST = 0.9  # of the time the backend shall have something to do
RATE = 1_500_000  # bytes a second; small enough that the senders' own work is not what limits

ENDS_WITHIN = lean.PATIENCE + 30  # seconds, of a sender whose time is over: its last requests may get no answer

LOADS = [
    Load("gRPC, 1 connection", "grpc", 1, 100_000),
    Load("gRPC, gzip, 500 connections", "grpc", 500, 20_000, gzip=True),
    Load("HTTP, 500 connections", "http", 500, 20_000),
    Load("HTTP, gzip, 1 connection", "http", 1, 100_000, gzip=True),
    Load("HTTP, gzip, huge", "http", 20, 3_000_000, gzip=True),
    Load("gRPC, huge and tiny", "grpc", 10, 1_500_000, tiny_per_second=300),
    Load("HTTP, slow readers and writers", "http", 50, 20_000, slow=40),
]
REFUSALS = {"OK", "RESOURCE_EXHAUSTED", "UNAVAILABLE", "200", "429", "503", "closed"}


def overloaded(mebibytes: int, run: Run) -> None:
    group = run.open(MemoryGroup(mebibytes << 20))
    backend = run.open(SlowBackend(RATE, keep=False))
    program = run.start(["overload.yaml"], backend.env, group=group)
    idle = program.memory()[0]
    _fill(program)
    figures = [_one(program, backend, load, SECONDS / len(LOADS)) for load in LOADS]
    peak = program.memory()[1]
    print(f"     {mebibytes} MiB: resident at most {peak >> 20} MiB, the group at most {group.peak() >> 20} MiB, "
          f"killed {group.killed()} times")
    assert group.killed() == 0 and program.running(), program.tail()
    assert peak < mebibytes << 20
    for load, busy, told in figures:
        assert set(told) <= REFUSALS, f"{load.name}: {told}"
        assert busy > LEAST, f"{load.name}: the backend was {busy:.0%} busy"
    assert program.healthy(), "being full must not lower health"
    backend.hurry()
    until(lambda: ledger.books(program, "logs").at_rest, lambda: f"{ledger.books(program, 'logs')} is at rest", seconds=60)
    ledger.assert_balanced(program)
    books = ledger.books(program, "logs")
    assert books.accepted > 0 and not books.dropped, books
    until(lambda: program.samples().sum("otel_agent_budget_used_bytes") == 0, "the budget is free again")
    _given_back(program, idle, peak)
    if BESIDE:
        _beside(mebibytes, run)


def connections_alone(run: Run) -> None:
    """500 connections over gRPC take the process past the soft limit by themselves: little is let in then, but not nothing."""
    backend = run.open(SlowBackend(RATE, keep=False))
    with Program("agent", ["overload.yaml"], backend.env) as program:
        idle = program.memory()[0] >> 20
    # they take some 30 MiB
    config = run.open(changed("overload.yaml", "limit_percentage: 80", f"limit_mib: {idle + 50}", "spike_limit_percentage: 25", "spike_limit_mib: 35"))
    program = run.start([config], backend.env)
    sender = overload.start(LOADS[1], _ports(program), 2 * RATE, 30)
    open_ones = lambda: program.samples().sum("otel_agent_budget_beside_bytes") > 490 * 48 << 10  # noqa: E731
    until(lambda: open_ones() and program.memory()[0] >> 20 > idle + 17, lambda: f"the soft limit is passed: {idle} {program.memory()}", 25)
    since = _busy(backend)
    time.sleep(10)
    busy = since()
    resident = program.memory()[0] >> 20
    sender.terminate()
    sender.communicate()
    print(f"     idle {idle} MiB, soft limit {idle + 15}, hard {idle + 50}: {resident} MiB resident, the backend {busy:.0%} busy")
    assert busy > LEAST, f"the backend was {busy:.0%} busy"
    backend.hurry()
    ledger.assert_balanced(program)


def _fill(program: Program) -> None:
    """So much at once that it has to refuse: from then on what comes is what the backend takes, and as much again."""
    sender = overload.start(Load("fill", "http", 8, 200_000), _ports(program), 20 * RATE, 20)
    until(lambda: sender.poll() is not None or _has_refused(program), f"{program.kind} has no room any more", seconds=20 + ENDS_WITHIN)
    sender.terminate()
    sender.communicate()
    if program.kind == "agent":
        assert _has_refused(program), "it was not filled, so that nothing is shown here"


def _has_refused(program: Program) -> bool:
    counted = ("otel_agent_receiver_refused_requests", "otelcol_processor_memory_limiter_refused")
    try:
        return any(sample.value for sample in program.samples() if sample.name.startswith(counted))
    except OSError:  # a Collector at its limit may not answer any more; its sender has an end
        return not program.running()


def _ports(program: Program) -> dict[str, int]:
    return {"grpc": program.port("GRPC"), "http": program.port("HTTP")}


def _one(program: Program, backend: SlowBackend, load: Load, seconds: float) -> tuple[Load, float, dict]:
    """Twice what the backend takes."""
    sender = overload.start(load, _ports(program), 2 * RATE, seconds)
    since = _busy(backend)
    until(lambda: sender.poll() is not None, f"{load.name} is over", seconds=2 * seconds + ENDS_WITHIN)
    # The sender's last requests may have waited for their answers: the time is what it really took.
    busy = since()
    counted = overload.counted(sender, 10)
    told = {**counted["told"]}
    offered = counted["bytes"] / seconds / RATE
    memory = program.memory()[0] >> 20 if program.running() else 0
    print(f"     {program.kind}: {load.name}: offered {offered:.1f} times the rate, backend {busy:.0%} busy, "
          f"{memory} MiB resident, told {told}{' and ' + str(counted['tiny']) if counted['tiny'] else ''}")
    return load, busy, told | counted["tiny"]


def _busy(backend: SlowBackend) -> Callable[[], float]:
    """Asked later: of the time since now, the part in which the backend had something to do. What it has taken says less of a short
    time, as a few batches are all of it."""
    began, idle = time.monotonic(), backend.idle()
    return lambda: 1 - (backend.idle() - idle) / (time.monotonic() - began)


def _given_back(program: Program, idle: int, peak: int) -> None:
    """What a burst has taken goes back to the system."""
    kept = lambda: (program.memory()[0] - idle) / (peak - idle)
    until(lambda: kept() < 0.35, lambda: f"of what the burst took, {1 - kept():.0%} was given back", seconds=30)
    print(f"     idle {idle >> 20} MiB, at most {peak >> 20}, after the burst {program.memory()[0] >> 20}: {1 - kept():.0%} given back")


def _beside(mebibytes: int, run: Run) -> None:
    group = run.open(MemoryGroup(mebibytes << 20))
    backend = run.open(SlowBackend(RATE, keep=False))
    collector = run.open(Program("collector", ["overload.yaml"], backend.env, group=group))
    _fill(collector)
    for load in LOADS:
        if collector.running():
            _one(collector, backend, load, SECONDS / len(LOADS))
    state = f"has ended with {collector.process.returncode}"
    if collector.running():
        state = "runs" if collector.healthy() else "runs, and its health check does not answer with 200"
    print(f"     collector: {mebibytes} MiB: the group at most {group.peak() >> 20} MiB, killed {group.killed()} times, it {state}")


add("reliability/overload-by-connections", connections_alone, 120, agent_only="its limiter looks at the heap alone")
LIMIT = SECONDS * 2 + 120
if BESIDE:  # the Collector may answer nothing at all any more
    LIMIT += SECONDS * 2 + (len(LOADS) + 1) * ENDS_WITHIN
for size in (128, 64):
    add(f"reliability/overload-{size}", functools.partial(overloaded, size), LIMIT,
        agent_only="for the figures of both: OVERLOAD_BESIDE=1")
