"""Agents that refuse, or that are refused: data at their door, a configuration, and what they send. Each is a real process."""

import contextlib
import socket
import threading
from typing import Iterator

import grpc

from harness import generate, otlp, raw
from harness.backend import OK, UNAVAILABLE, Answer, Backend
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until

from . import alive
from .alive import CONFIG

SECONDS = 180


@contextlib.contextmanager
def _all_the_time(send) -> Iterator[None]:
    """Calls it again and again within the block."""
    over = threading.Event()

    def play() -> None:
        while not over.wait(0.1):
            send()

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(timeout=30)


def _post(program, body: bytes) -> int:
    return raw.http_request(program.port("HTTP"), otlp.SIGNALS["traces"].path, body,
                            {"Content-Type": "application/x-protobuf"}).status


@scenario("doctor/receiver-refusing", SECONDS)
def receiver_refusing(run: Run) -> None:
    """Something that is no OTLP, and a queue that is full: each with its own reason, and over when it ends."""
    answers = [OK]
    backend = run.open(Backend(lambda _: answers[0]))
    it = alive.start(run, backend_port=backend.grpc_port)
    program = it.any()
    with _all_the_time(lambda: _post(program, b"this is no message")):
        found = it.world.finds("receiver-refusing")
    assert found["severity"] == "warning" and "they are not valid OTLP" in found["title"], found
    it.world.mend(found)  # shows the log
    it.world.finds_nothing()
    answers[0] = UNAVAILABLE
    with _all_the_time(lambda: it.send(program, 1, {"k8s.pod.ip": "127.0.0.1"})):
        until(lambda: it.send(program, 1) == 0, "senders are refused", 30 * PATIENCE)
        found = it.world.finds("receiver-refusing")
        assert found["severity"] == "error" and "a pipeline does not take them" in found["title"], found
    answers[0] = OK
    until(lambda: not {"receiver-refusing", "exporter-queue"} & it.world.doctor().ids, "it is taken again", 60 * PATIENCE)


@scenario("doctor/limiter-refusing", SECONDS)
def limiter_refusing(run: Run) -> None:
    """A backend that takes nothing, and little memory: told as it happens, and afterwards as what has been; new agents count anew."""
    answers = [UNAVAILABLE]
    backend = run.open(Backend(lambda _: answers[0]))
    config = CONFIG.replace("limit_percentage: 75, spike_limit_percentage: 20", "limit_mib: 64, spike_limit_mib: 12")
    it = alive.start(run, backend_port=backend.grpc_port, config=config.replace("queue_size: 200", "queue_size: 1000000"))
    body = generate.request("traces", 0, 100, {"k8s.pod.ip": it.address()}, filler="x" * 10_000).SerializeToString()
    program = it.any()
    until(lambda: _post(program, body) != 200, "memory is used up", 60 * PATIENCE)
    with _all_the_time(lambda: _post(program, body)):
        found = it.world.finds("receiver-refusing")
    assert "the memory budget is used up" in found["title"], found
    answers[0] = OK
    found = it.world.finds("limiter-refusing")
    assert found["severity"] == "note" and "requests at the door, none within the last" in found["evidence"][0], found
    assert "since it started" in found["evidence"][0] and "no longer grow" in found["remedy"][-1]["explanation"], found
    before = set(it.programs)
    it.world.mend(found)
    it.replaced(before)
    it.world.finds_nothing()


@scenario("doctor/exporter-failing", SECONDS)
def exporter_failing(run: Run) -> None:
    """A backend that answers each attempt with what nobody has a word for: told from the log, and without a log from the figures."""
    answers = [Answer(grpc.StatusCode.ABORTED, 409, "not now")]
    backend = run.open(Backend(lambda _: answers[0]))
    it = alive.start(run, backend_port=backend.grpc_port)
    address = it.address()
    assert it.send(it.any(), 3, {"k8s.pod.ip": address}) == 3
    found = it.world.finds("exporter-failing", saying="not now")
    it.world.mend(found)  # shows what it fails with
    logs = dict(it.kubelet.logs)
    it.kubelet.logs.clear()
    found = it.world.finds("exporter-failing")
    assert "attempts made again, none sent" in found["evidence"][0], found
    it.kubelet.logs.update(logs)
    answers[0] = OK
    with _all_the_time(lambda: it.send(it.any(), 1, {"k8s.pod.ip": address})):
        it.world.finds_nothing()


@scenario("doctor/config-refused", SECONDS)
def config_refused(run: Run) -> None:
    """A good text with a port that is in use where it runs: the agent goes on as it was, and when the port is free the command
    brings the new text to it."""
    it = alive.start(run)
    it.world.finds_nothing()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = CONFIG.replace("0.0.0.0:${env:HTTP_PORT:-4318}", f"127.0.0.1:{port}")
        it.write(text)
        program = it.any()
        program.configs[0].write_text(text)  # as the kubelet does
        program.hang_up()
        found = it.world.finds("config-refused")
    assert "; 1 reload refused" in found["evidence"][0], found
    before = set(it.programs)
    it.world.mend(found)
    it.replaced(before)
    until(lambda: "config-refused" not in it.world.doctor().ids, "the new text runs", 30 * PATIENCE)
