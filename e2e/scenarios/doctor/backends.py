"""Backends that cannot be reached, each in its own way: a real agent sends to them, and the doctor tells the kinds apart."""

import contextlib
import socket
import ssl
from typing import Iterator

import grpc

from harness import ports
from harness.backend import OK, UNAVAILABLE, Answer, Backend
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until
from reliability.gate import Gate

from . import alive
from .alive import CONFIG

SECONDS = 180
PLAIN = "tls: {insecure: true}"
QUICK = CONFIG.replace("retry_on_failure:", "timeout: 1s\n    retry_on_failure:")


def _unreachable(it: alive.Alive, title: str, saying: str = "") -> dict:
    """What is found once it was sent to, with these words in its evidence."""
    assert it.send(it.any(), 3, {"k8s.pod.ip": it.address()}) == 3
    last: list[dict] = []

    def found() -> bool:
        last[:] = [one for one in it.world.doctor().json["findings"] if one["id"] == "exporter-unreachable"]
        return bool(last) and title in last[0]["title"] and saying in str(last[0]["evidence"])

    until(found, lambda: f"{title}, {saying!r}: {last}\n{it.any().tail()}", 60 * PATIENCE)
    it.world.mend(last[0])  # shows what it fails with now, or what is behind the Service
    return last[0]


def _over(it: alive.Alive) -> None:
    """What is sent arrives again, and nothing is found."""
    def over() -> bool:
        it.send(it.any(), 1, {"k8s.pod.ip": it.address()})
        return not it.world.doctor().json["findings"]

    until(over, lambda: f"it is over: {it.world.doctor().json}\n{it.any().tail()}", 90 * PATIENCE)


@scenario("doctor/exporter-unreachable-name", SECONDS)
def name(run: Run) -> None:
    """The name is of no host; a Service of that name is elsewhere."""
    it = alive.start(run, config=CONFIG.replace("127.0.0.1:${env:BACKEND_GRPC_PORT:-4317}", "backend.invalid:4317"))
    it.world.plane.api.create({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "backend", "namespace": it.world.namespace},
        "spec": {"selector": {"app": "backend"}, "ports": [{"name": "otlp-grpc", "port": 4317}]}})
    found = _unreachable(it, "The name of the backend does not resolve", "backend.invalid")
    assert f"write backend.{it.world.namespace}.svc" in str(found["remedy"]), found
    it.write(CONFIG)
    it.restart()
    _over(it)


@scenario("doctor/exporter-unreachable-tls", SECONDS)
def tls(run: Run) -> None:
    """A certificate that nobody here trusts, plain text where TLS is spoken, and TLS where plain text is."""
    backend = run.open(Backend())
    there, _ = alive.world.plane()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(*there.authority.server("otlp-backend", ["127.0.0.1"]))
    gate = run.open(Gate(backend.grpc_port, context))
    it = alive.start(run, backend_port=gate.port, config=CONFIG.replace(PLAIN, "tls: {insecure: false}"))
    found = _unreachable(it, "TLS with the backend fails")
    assert "tls::ca_file" in str(found["remedy"]), found
    it.write(CONFIG)
    it.restart()
    _unreachable(it, "What answers at the backend's address speaks another protocol")
    it.write(CONFIG.replace(PLAIN, f"tls: {{ca_file: {there.authority.file}}}"))
    it.restart()
    _over(it)
    it.backend_port = backend.grpc_port
    it.restart()
    _unreachable(it, "TLS with the backend fails")


@scenario("doctor/exporter-unreachable-mute", SECONDS)
def mute(run: Run) -> None:
    """Something takes the connections, and no answer ever comes."""
    backend = run.open(Backend())
    gate = run.open(Gate(backend.grpc_port))
    gate.freeze()
    it = alive.start(run, backend_port=gate.port, config=QUICK)
    _unreachable(it, "The backend takes connections and does not answer", "no answer from")
    gate.thaw()
    _over(it)


@contextlib.contextmanager
def _deaf() -> Iterator[int]:
    """A port where connections are never made: as many as there is room for wait already, and what comes is dropped."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", ports.free()), backlog=0))
        port = listener.getsockname()[1]
        for _ in range(8):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        yield port


@scenario("doctor/exporter-unreachable-silent", SECONDS)
def silent(run: Run) -> None:
    """Packets are dropped, as by a network policy."""
    with _deaf() as port:
        it = alive.start(run, backend_port=port, config=QUICK)
        _unreachable(it, "The backend does not answer to connections", "no connection to")
    gate = Gate(run.open(Backend()).grpc_port)
    gate.port = port
    run.open(gate)
    _over(it)


@scenario("doctor/exporter-unreachable-busy", SECONDS)
def busy(run: Run) -> None:
    """It answers each attempt, and takes none."""
    answers = [UNAVAILABLE]
    backend = run.open(Backend(lambda _: answers[0]))
    it = alive.start(run, backend_port=backend.grpc_port)
    for answer in (UNAVAILABLE, Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "slow down", retry_after=1)):
        answers[0] = answer
        _unreachable(it, "The backend is too busy", answer.message)
        answers[0] = OK
        _over(it)
