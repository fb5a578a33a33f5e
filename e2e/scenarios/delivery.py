"""A backend that is down, busy, slow or picky: nothing that was accepted may be lost, and nothing may come twice."""

import functools
import itertools
import tempfile
import threading
import time

import grpc

from harness import generate, ledger, otlp, raw, send
from harness.backend import INVALID, OK, UNAVAILABLE, Answer, Backend, Request
from harness.configs import changed
from harness.relay import Relay
from harness.runner import Run, add
from harness.waiting import until

EXPORTERS = ("otlp", "otlphttp")


def down_then_up(exporter: str, run: Run) -> None:
    backend = run.open(Backend())
    port = {"otlp": backend.grpc_port, "otlphttp": backend.http_port}[exporter]
    between = run.open(Relay(port, up=False))
    program = run.start(["delivery.yaml"], {
        "BACKEND_GRPC_PORT": between.port, "BACKEND_HTTP_PORT": between.port, "EXPORTER": exporter})
    first = send.numbered(program.port("GRPC"), requests=10)
    time.sleep(1)
    assert not backend.requests
    assert program.healthy(), "a failing exporter must not lower health"
    between.restore()
    send.assert_each_once(backend, first)
    # its answers have come through too, or it would rightly send again
    ledger.assert_balanced(program, traces=first, metrics=first, logs=first)
    between.cut()
    second = send.numbered(program.port("GRPC"), requests=10, first=first)
    time.sleep(0.5)
    between.restore()
    send.assert_each_once(backend, first + second)
    ledger.assert_balanced(program, traces=first + second, metrics=first + second, logs=first + second)


def unavailable_for_a_while(exporter: str, run: Run) -> None:
    refused = []

    def answer(request: Request) -> Answer:
        if len(refused) < 6:
            refused.append(request)
            return UNAVAILABLE
        return OK

    backend = run.open(Backend(answer))
    program = run.start(["delivery.yaml"], {**backend.env, "EXPORTER": exporter})
    items = send.numbered(program.port("GRPC"), requests=5)
    send.assert_each_once(backend, items)
    assert len(refused) == 6
    ledger.assert_balanced(program, traces=items, metrics=items, logs=items)


def throttled(exporter: str, run: Run) -> None:
    """RetryInfo and Retry-After: the program waits as long as it is told before it tries again."""
    first: dict[str, float] = {}

    def answer(request: Request) -> Answer:
        if request.signal not in first:
            first[request.signal] = request.at
            return Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "slow down", retry_after=2)
        return OK

    backend = run.open(Backend(answer))
    program = run.start(["delivery.yaml"], {**backend.env, "EXPORTER": exporter})
    items = send.numbered(program.port("GRPC"), requests=1)
    send.assert_each_once(backend, items)
    for signal in otlp.SIGNALS:
        waited = backend.accepted(signal)[0].at - first[signal]
        assert waited >= 1.9, f"{signal} came again after {waited:.1f} s; the backend asked for 2"
    ledger.assert_balanced(program, traces=items, metrics=items, logs=items)


def partial_success(exporter: str, run: Run) -> None:
    backend = run.open(Backend(lambda _: Answer(message="three are too old", rejected=3)))
    program = run.start(["delivery.yaml"], {**backend.env, "EXPORTER": exporter})
    items = send.numbered(program.port("GRPC"), requests=1)
    send.assert_each_once(backend, items)
    time.sleep(0.5)
    send.assert_each_once(backend, items)  # not sent again
    assert "three are too old" in program.log(), program.tail()
    if program.kind == "agent":
        ledger.assert_balanced(program)
        for signal in otlp.SIGNALS:
            assert ledger.books(program, signal).dropped == 3, ledger.books(program, signal)


def slow(exporter: str, run: Run) -> None:
    backend = run.open(Backend(lambda _: Answer(seconds=0.3)))
    program = run.start(["delivery.yaml"], {**backend.env, "EXPORTER": exporter, "BATCH_SIZE": 50})
    items = send.numbered(program.port("GRPC"), requests=10)
    send.assert_each_once(backend, items)
    ledger.assert_balanced(program, traces=items, metrics=items, logs=items)


# --- what the Collector does not do

def poisoned(exporter: str, run: Run) -> None:
    """One request of a joined batch is refused for good: the others arrive all the same."""

    def answer(request: Request) -> Answer:
        return INVALID if any("poison" in item.attributes for item in otlp.items(request.message)) else OK

    backend = run.open(Backend(answer))
    # all of it is one batch, however long the sending takes
    config = run.open(changed("delivery.yaml", "timeout: 100ms", "timeout: 3s"))
    program = run.start([config], {**backend.env, "EXPORTER": exporter, "BATCH_SIZE": 2000})
    port = program.port("GRPC")
    good = send.numbered(port, requests=10)
    send.numbered(port, requests=1, first=10_000, items=1, poison=True)
    good += send.numbered(port, requests=10, first=good)
    send.assert_each_once(backend, good)
    assert any(request.items > 100 and not request.answer.ok for request in backend.requests), "nothing was joined"
    ledger.assert_balanced(program, traces=good, metrics=good, logs=good)
    for signal in otlp.SIGNALS:
        assert ledger.books(program, signal).dropped == 1, ledger.books(program, signal)


def too_large(exporter: str, run: Run) -> None:
    """The backend takes at most 40 kB; batches are larger and have to be taken apart."""
    backend = run.open(Backend(max_message=40_000))
    program = run.start(["delivery.yaml"], {**backend.env, "EXPORTER": exporter, "BATCH_SIZE": 5000})
    items = send.numbered(program.port("GRPC"), requests=40, filler="x" * 100)
    send.assert_each_once(backend, items)
    ledger.assert_balanced(program, traces=items, metrics=items, logs=items)


def bounded_by_bytes(run: Run) -> None:
    """12 MiB of logs in one batch's time reach a backend that takes 4 MiB a message."""
    backend = run.open(Backend())
    program = run.start(["delivery.yaml"], {**backend.env, "BATCH_SIZE": 100_000})
    for at in range(12):
        request = generate.request("logs", at * 100, 100, filler="x" * 10_000)
        send.export(program.port("GRPC"), "logs", request)
    backend.wait_for("logs", 1200)
    assert sorted(item.attributes["seq"] for item in backend.items("logs")) == list(range(1200))
    assert max(request.wire_bytes for request in backend.requests) <= 4 << 20
    assert program.samples().sum("otel_agent_exporter_taken_apart") == 0, "batches were refused first"
    ledger.assert_balanced(program, logs=1200)


def memory_bounded(run: Run) -> None:
    """Five times the limit is offered while the backend is down: what does not fit is refused, what was taken arrives."""
    backend = run.open(Backend())
    between = run.open(Relay(backend.grpc_port, up=False))
    config = run.open(changed("delivery.yaml", "limit_mib: 400", "limit_mib: 40\n    spike_limit_mib: 8"))
    program = run.start([config], {**backend.env, "BACKEND_GRPC_PORT": between.port})
    accepted, refused = [], []
    for at in range(0, 20_000, 100):  # 200 requests of 1 MB
        body = generate.request("logs", at, 100, filler="x" * 10_000).SerializeToString()
        answer = raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["logs"].rpc, raw.message(body))
        (accepted if answer.code == 0 else refused).append(at)
        assert answer.code in (0, 14), answer
        if answer.code == 14:
            assert answer.message == "data refused due to high memory usage", answer
            assert "grpc-status-details-bin" in (answer.trailers or answer.headers), "it does not say when to come back"
    # 16 MiB are for payload, 10 of it for new data, of which one sender alone gets seven eighths
    assert len(accepted) >= 8 and len(refused) > 100, f"{len(accepted)} accepted, {len(refused)} refused"
    rss = program.samples().sum("otelcol_process_memory_rss")
    assert rss < 64 << 20, f"{rss / 2**20:.0f} MiB with a limit of 40"
    assert program.healthy(), "being full must not lower health"
    between.restore()
    expected = sorted(at + offset for at in accepted for offset in range(100))
    backend.wait_for("logs", len(expected), 30)
    assert sorted(item.attributes["seq"] for item in backend.items("logs")) == expected
    ledger.assert_balanced(program, logs=len(expected))
    until(lambda: program.samples().sum("otel_agent_budget_used_bytes") == 0, "the budget is free again")
    # the guard of the resident memory looks once a second
    body = generate.request("logs").SerializeToString()
    until(lambda: raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["logs"].rpc, raw.message(body)).code == 0, "the door is open again")


def unresolvable(run: Run) -> None:
    """An endpoint whose name does not resolve is no reason not to start; it is said, and the data is kept."""
    config = run.open(changed("delivery.yaml", "127.0.0.1:${env:BACKEND_GRPC_PORT}", "no-such-host.invalid:4317"))
    program = run.start([config], {"BACKEND_HTTP_PORT": 1})
    send.numbered(program.port("GRPC"), requests=1)
    until(lambda: "no-such-host.invalid" in program.log(), lambda: f"the log names the host:\n{program.tail()}")
    assert program.healthy()


def journal_kill(run: Run) -> None:
    """kill -9 while clients send and the backend is down, three times: everything acknowledged arrives, also what was in
    a batch that was not full yet. What comes twice is among what was read back, and counted."""
    backend = run.open(Backend())
    between = run.open(Relay(backend.grpc_port, up=False))
    folder = run.open(tempfile.TemporaryDirectory(prefix="e2e-journal-"))
    accepted: dict[str, set[int]] = {name: set() for name in otlp.SIGNALS}
    numbers = itertools.count(0, 10)

    def client(program) -> None:
        sender = send.Client(program.port("GRPC"))
        for at in numbers:
            for name in otlp.SIGNALS:
                try:
                    sender.export(name, generate.request(name, at, 10))
                except grpc.RpcError:
                    return sender.close()
                accepted[name].update(range(at, at + 10))

    for life in range(3):
        program = run.start(["journal.yaml"], {
            **backend.env, "BACKEND_GRPC_PORT": between.port, "STORAGE": folder})
        clients = [threading.Thread(target=client, args=(program,), daemon=True) for _ in range(4)]
        for one in clients:
            one.start()
        if life == 1:
            between.restore()
        time.sleep(0.5 + 0.3 * life)
        program.kill()
        for one in clients:
            one.join(15)
        between.cut()
    assert all(len(items) > 100 for items in accepted.values()), "hardly anything was sent"
    before = {name: backend.count(name) for name in otlp.SIGNALS}
    between.restore()
    program = run.start(["journal.yaml"], {
        **backend.env, "BACKEND_GRPC_PORT": between.port, "STORAGE": folder})

    def missing(name: str) -> set[int]:
        return accepted[name] - {item.attributes["seq"] for item in backend.items(name)}

    lost = lambda: {name: len(missing(name)) for name in otlp.SIGNALS}  # noqa: E731
    until(lambda: not any(lost().values()),
          lambda: f"everything acknowledged arrives; of {[len(a) for a in accepted.values()]} these are missing: {lost()}", 20)
    if program.kind == "agent":
        until(lambda: program.samples().sum("otel_agent_journal_records") == 0, "the journal is empty")
        again = sum(backend.count(name) - before[name] for name in otlp.SIGNALS)
        replayed = program.samples().sum("otel_agent_journal_replayed_items")
        assert again == replayed, f"{again} items came after the last start, {replayed} were read back"
        ledger.assert_balanced(program)


for _exporter in EXPORTERS:
    add(f"delivery/backend down then up {_exporter}", functools.partial(down_then_up, _exporter))
    add(f"delivery/backend unavailable {_exporter}", functools.partial(unavailable_for_a_while, _exporter))
    add(f"delivery/backend throttles {_exporter}", functools.partial(throttled, _exporter))
    add(f"delivery/backend rejects a part {_exporter}", functools.partial(partial_success, _exporter))
    add(f"delivery/backend is slow {_exporter}", functools.partial(slow, _exporter))
    add(f"delivery/one poisoned request {_exporter}", functools.partial(poisoned, _exporter),
        agent_only="it drops the whole batch")
    add(f"delivery/batches too large {_exporter}", functools.partial(too_large, _exporter),
        agent_only="it drops the whole batch")
add("delivery/batches are bounded by bytes", bounded_by_bytes, agent_only="it bounds batches by items only")
add("delivery/memory is bounded", memory_bounded, 120, agent_only="its limiter looks at the heap once a second")
add("delivery/journal-kill", journal_kill, 120, agent_only="what its batch processor holds is in memory alone, and is lost")
add("delivery/endpoint does not resolve", unresolvable, agent_only="its error does not name the host")
