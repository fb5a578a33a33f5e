"""Faults: the chaos run in its short form, and three faults beside the Go Collector, with the figures of both."""

import os
import random
import tempfile
import time

import grpc

from harness import generate, ledger, otlp, send
from harness.backend import INVALID, OK, Answer, Backend, Request
from harness.configs import changed
from harness.program import Program
from harness.relay import Relay
from harness.runner import Run, scenario
from harness.waiting import until
from reliability import chaos, sink
from reliability.stage import LEFT

BESIDE = ("agent", "collector")
# A backend that is down for an hour, by hand: E2E_DOWN_SECONDS=3600 e2e/run.sh 'reliability/a backend*'
DOWN_SECONDS = float(os.environ.get("E2E_DOWN_SECONDS", "20"))


@scenario("reliability/chaos", 400, agent_only="it loses what its batch processor holds, and batches with something bad in them")
def with_journal(run: Run) -> None:
    chaos.run(60, _seed(), print_events=False).print()


@scenario("reliability/chaos without a journal", 300, agent_only="it has no books to compare with")
def without_journal(run: Run) -> None:
    chaos.run(25, _seed(), journal=False, print_events=False).print()


def _seed() -> int:
    return int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(1 << 32))


def _tell(what: str, figures: dict[str, str]) -> None:
    print(f"    {what}: " + "; ".join(f"{kind}: {text}" for kind, text in figures.items()), flush=True)


def _has_sent_what_it_has(program: Program, backend: Backend) -> None:
    """The Collector's queue is empty, and nothing has come for 4 s. Its connection waits up to two minutes before it dials again."""
    until(lambda: program.samples().sum("otelcol_exporter_queue_size") == 0, "the Collector's queue is empty", 180)
    seen, quiet = -1, time.monotonic()
    while time.monotonic() - quiet < 4:
        if backend.count("logs") != seen:
            seen, quiet = backend.count("logs"), time.monotonic()
        time.sleep(0.1)


@scenario("reliability/a poisoned record in a batch", 120, agent_only="it drops the whole batch")
def poisoned(run: Run) -> None:
    """1 of 1001 records, of 21 requests joined in one batch, is refused by the backend for good."""

    def answer(request: Request) -> Answer:
        return INVALID if any("poison" in item.attributes for item in otlp.items(request.message)) else OK

    figures = {}
    for kind in BESIDE:
        backend = run.open(Backend(answer))
        config = run.open(changed("delivery.yaml", "timeout: 100ms", "timeout: 3s"))
        program = run.start([config], {**backend.env, "BATCH_SIZE": 1001}, kind)
        for at in range(0, 500, 50):
            send.export(program.port("GRPC"), "logs", generate.request("logs", at, 50))
        send.export(program.port("GRPC"), "logs", generate.request("logs", 10_000, 1, poison=True))
        for at in range(500, 1000, 50):
            send.export(program.port("GRPC"), "logs", generate.request("logs", at, 50))
        until(lambda: ledger.books(program, "logs").at_rest and ledger.books(program, "logs").accepted == 1001,
              lambda: f"{kind} is at rest: {ledger.books(program, 'logs')}")
        assert any(request.items > 500 for request in backend.requests), "nothing was joined"
        lost = 1000 - len({item.attributes["seq"] for item in backend.items("logs")})
        figures[kind] = f"of 1000 good records {lost} are lost, in {len(backend.requests)} requests"
        if kind == "agent":
            assert lost == 0 and ledger.books(program, "logs").dropped == 1, ledger.books(program, "logs")
    _tell("1 of 1001 records of a batch is bad", figures)


@scenario("reliability/everything is too large", 60, agent_only="it drops what is too large")
def all_too_large(run: Run) -> None:
    """413 whatever the size, which is the end of what was sent; then 413 for more than 10 items: from there on nothing is lost."""
    backend = run.open(sink.Sink())
    program = run.start(["delivery.yaml"], {**backend.env, "BATCH_SIZE": 400, "EXPORTER": "otlphttp"})

    def offer(first: int, requests: int) -> set[int]:
        for at in range(first, first + 400 * requests, 400):
            send.export(program.port("GRPC"), "logs", generate.request("logs", at, 400))
            until(lambda: ledger.books(program, "logs").at_rest, lambda: f"{ledger.books(program, 'logs')} is at rest")
        return set(range(first, first + 400 * requests))

    backend.mood["http"] = sink.status(413)
    away = offer(1, 10)
    books = ledger.books(program, "logs")
    assert books.reasons == {"too_large": len(away)}, books
    assert backend.refused["http", "logs"] == away, "the backend's books know what it has refused for good"
    backend.mood["http"] = sink.small(10)
    wanted = offer(10_001, 5)
    missing = wanted - backend.taken.get(("http", "logs"), {}).keys()
    assert not missing, f"of {len(wanted)} items {len(missing)} are lost: {ledger.books(program, 'logs')}"
    assert backend.refused["http", "logs"] == away and ledger.books(program, "logs").sent == len(wanted), ledger.books(program, "logs")


@scenario("reliability/no storage, and the program's own books", 60, agent_only="it has no books to compare with")
def as_the_books_say(run: Run) -> None:
    """Without a storage, what an end takes with it is, item by item, what the program said it held or left."""
    for ends in ("SIGKILL", "SIGTERM"):
        backend = run.open(Backend())
        between = run.open(Relay(backend.grpc_port))
        program = run.start(["delivery.yaml"], {**backend.env, "BACKEND_GRPC_PORT": between.port}, arguments=["--drain-timeout", "2s"])
        arrives = send.numbered(program.port("GRPC"), requests=7)
        ledger.assert_balanced(program)
        between.cut()
        acknowledged = arrives + send.numbered(program.port("GRPC"), requests=11, first=arrives)
        if ends == "SIGKILL":
            said = sum(int(ledger.books(program, signal).held) for signal in otlp.SIGNALS)
            program.kill()
        else:
            assert program.terminate() == 0, program.tail()
            said = sum(int(items) for items in LEFT.findall(program.log()))
        lost = sum(acknowledged - len({item.attributes["seq"] for item in backend.items(signal)}) for signal in otlp.SIGNALS)
        assert lost == said == 3 * (acknowledged - arrives), f"{ends}: {lost} are lost, the program said {said}"


@scenario("reliability/a crash with a filled batch", 120, agent_only="what its batch processor holds is in memory alone")
def crash(run: Run) -> None:
    """kill -9 while the batch holds 900 records of each signal that were acknowledged; the storage is configured."""
    figures = {}
    for kind in BESIDE:
        backend = run.open(Backend())
        folder = run.open(tempfile.TemporaryDirectory(prefix="e2e-journal-"))
        config = run.open(changed("journal.yaml", "timeout: 2s", "timeout: 60s"))
        program = run.start([config], {**backend.env, "STORAGE": folder}, kind)
        items = send.numbered(program.port("GRPC"), requests=18)
        assert items == 900 and not backend.requests
        program.kill()
        config.write_text(config.read_text().replace("timeout: 60s", "timeout: 200ms"))
        began = time.monotonic()
        program = run.start([config], {**backend.env, "STORAGE": folder}, kind)
        if kind == "agent":
            until(lambda: all(backend.count(name) >= items for name in otlp.SIGNALS), "all of it arrives", 20)
            took = time.monotonic() - began
            ledger.assert_balanced(program)
        else:
            _has_sent_what_it_has(program, backend)
        lost = 3 * items - sum(len({item.attributes["seq"] for item in backend.items(name)}) for name in otlp.SIGNALS)
        figures[kind] = f"of {3 * items} acknowledged items {lost} are lost"
        if kind == "agent":
            figures[kind] += f", all are sent {took:.1f} s after the start"
            assert lost == 0
    _tell("kill -9 with a filled batch, a storage configured", figures)


@scenario("reliability/a backend down for long", DOWN_SECONDS * 3 + 300, agent_only="what its batch processor holds is lost by the kill")
def down_for_long(run: Run) -> None:
    """Nothing listens at the backend's port; clients send; half-way the program is killed and started again."""
    figures = {}
    for kind in BESIDE:
        backend = run.open(Backend())
        between = run.open(Relay(backend.grpc_port, up=False))
        folder = run.open(tempfile.TemporaryDirectory(prefix="e2e-journal-"))
        env = {**backend.env, "BACKEND_GRPC_PORT": between.port, "STORAGE": folder}
        program = run.start(["journal.yaml"], env, kind)
        acknowledged, refused = set(), 0
        began, at = time.monotonic(), 0
        for life in range(2):
            client = send.Client(program.port("GRPC"))
            while time.monotonic() - began < DOWN_SECONDS / 2 * (life + 1):
                try:
                    client.export("logs", generate.request("logs", at, 50))
                    acknowledged.update(range(at, at + 50))
                except grpc.RpcError:
                    refused += 50
                at += 50
                time.sleep(0.02 if DOWN_SECONDS < 600 else 0.5)
            client.close()
            if life == 0:
                program.kill()
                program = run.start(["journal.yaml"], env, kind)
        between.restore()
        missing = lambda: acknowledged - {item.attributes["seq"] for item in backend.items("logs")}  # noqa: E731
        if kind == "agent":
            until(lambda: not missing(), lambda: f"of {len(acknowledged)} acknowledged {len(missing())} are missing", 60)
            ledger.assert_balanced(program)
        else:
            _has_sent_what_it_has(program, backend)
        twice = backend.count("logs") - len({item.attributes["seq"] for item in backend.items("logs")})
        figures[kind] = f"of {len(acknowledged)} acknowledged {len(missing())} are lost, {twice} came twice, {refused} were refused"
    _tell(f"backend down for {DOWN_SECONDS:g} s, killed half-way, a storage configured", figures)
