"""Applications of a cluster: Deployments whose pods are unmodified programs with an OpenTelemetry SDK, started with the environment
of their pod and ended with it, as a kubelet does. While they run they have work, and each tells at its end what its exporters
were handed."""

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Callable, Iterator

from . import otlp, parts, pods, ports
from .backend import Backend
from .kubernetes import ControlPlane
from .kubernetes.plane import PATIENCE
from .waiting import until
from .way import Way

PAUSE = 0.03  # seconds between two pieces of work


@dataclass
class Sent:
    """What the exporters of one process were handed, by the `service.instance.id` of its resource."""

    instance: str
    spans: list[str]
    logs: list[int]
    points: int


class Pod(threading.Thread):
    """What runs in one pod, until the pod is told to end."""

    def __init__(self, application: "Application", pod: dict):
        super().__init__(daemon=True)
        self.name_of_pod, self.node = pod["metadata"]["name"], pod["spec"]["nodeName"]
        self.environment = pods.environment(application.plane, pod)
        self.application = application
        self.ended = threading.Event()
        self.done = 0  # pieces of work
        self.sent: list[Sent] = []
        self.trouble = ""

    @property
    def endpoint(self) -> str:
        return self.environment["OTEL_EXPORTER_OTLP_ENDPOINT"]

    def run(self) -> None:
        resolve = self.application.resolve
        with Way(lambda host, port: resolve(host, port, self.node)) as way:
            try:
                for sent in self.application.work(self, {**self.environment, **way.environment, "PATH": os.environ["PATH"]}):
                    self.sent.append(sent)
            except Exception as error:  # whatever it is, the scenario tells it
                self.trouble = f"{type(error).__name__}: {error}"


Work = Callable[[Pod, dict[str, str]], Iterator[Sent]]


def _named(environment: dict[str, str], instance: str) -> dict[str, str]:
    return {**environment, "OTEL_RESOURCE_ATTRIBUTES": f"service.instance.id={instance}", "OTEL_METRIC_EXPORT_INTERVAL": "300"}


def _told(instance: str, output: str, errors: str) -> Sent:
    assert output.strip(), f"{instance} told nothing at its end: {errors[-2000:]}"
    told = json.loads(output.splitlines()[-1])
    return Sent(instance, told["spans"], told["logs"], told["points"])


def web(pod: Pod, environment: dict[str, str]) -> Iterator[Sent]:
    """A FastAPI application that is asked for something all the time; SIGTERM ends it, as of a kubelet."""
    port = ports.free()
    process = subprocess.Popen(
        [sys.executable, str(parts.E2E / "clients/python/app.py"), str(port)], env=_named(environment, pod.name_of_pod),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        while not pod.ended.wait(PAUSE) and process.poll() is None:
            try:
                _get(port, "/items")
                pod.done += 1
            except OSError as error:
                pod.trouble = f"not asked: {error}"  # it is not up yet
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60 * PATIENCE)
    finally:
        process.kill()
    pod.trouble = ""
    yield _told(pod.name_of_pod, output, errors)


def jobs(pod: Pod, environment: dict[str, str]) -> Iterator[Sent]:
    """The Go program, which does a piece of work, hands over all that it noted, and begins again."""
    while not pod.ended.is_set():
        instance = f"{pod.name_of_pod}-{pod.done}"
        run = subprocess.run([str(parts.go_client()), "-items", "20"], env=_named(environment, instance), capture_output=True,
                             text=True, timeout=60 * PATIENCE)
        assert run.returncode == 0, f"{instance} ended with {run.returncode}: {run.stderr[-2000:]}"
        yield _told(instance, run.stdout, run.stderr)
        pod.done += 1
        pod.ended.wait(10 * PAUSE)


def _get(port: int, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, f"{path} answered {answer.status}"
    finally:
        connection.close()


class Application:
    """A Deployment. `resolve` leads from (host, port, node) to a port on 127.0.0.1, or nowhere (None)."""

    def __init__(self, plane: ControlPlane, name: str, namespace: str, work: Work, resolve):
        self.plane, self.name, self.namespace, self.work, self.resolve = plane, name, namespace, work, resolve
        self.pods: dict[str, Pod] = {}  # by UID, in the order in which they came
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Application":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends its pods; returns when all have told what they sent."""
        self._over.set()
        self._thread.join(timeout=60 * PATIENCE)
        for pod in self.pods.values():
            pod.ended.set()
        for pod in self.pods.values():
            pod.join(timeout=60 * PATIENCE)

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            there = {pod["metadata"]["uid"]: pod for pod in pods.running(self.plane, self.namespace, f"app={self.name}")}
            for uid in there.keys() - self.pods.keys():
                self.pods[uid] = Pod(self, there[uid])
                self.pods[uid].start()
            for uid in self.pods.keys() - there.keys():
                self.pods[uid].ended.set()

    @property
    def endpoint(self) -> str:
        """Where the newest pod sends."""
        newest = next(reversed(self.pods.values()), None)
        return newest.endpoint if newest else ""

    def at_work(self, endpoint: str = "") -> None:
        """Waits until one pod is left, sends to this endpoint, and has done some work since now."""
        def alone() -> Pod | None:
            alive = [pod for pod in self.pods.values() if pod.is_alive()]
            return alive[0] if len(alive) == 1 and endpoint in ("", alive[0].endpoint) and not alive[0].ended.is_set() else None

        pod = until(alone, lambda: f"{self.name}: one pod sends to {endpoint}; {self}", 60 * PATIENCE)
        goal = pod.done + 5
        until(lambda: pod.done >= goal, lambda: f"{self.name} works; {self}", 60 * PATIENCE)

    def sent(self) -> list[Sent]:
        """Of all its pods, after `stop`; an AssertionError if one did not end well."""
        troubled = [pod for pod in self.pods.values() if pod.trouble or pod.is_alive()]
        assert not troubled, str(self)
        return [sent for pod in self.pods.values() for sent in pod.sent]

    def __str__(self) -> str:
        return "; ".join(f"{pod.name_of_pod} on {pod.node} to {pod.endpoint}: {'runs' if pod.is_alive() else 'ended'}, "
                         f"{pod.done} done {pod.trouble}" for pod in self.pods.values())


def assert_all_arrived(backend: Backend, sent: list[Sent]) -> dict[str, int]:
    """Everything that the exporters were handed is at the backend exactly once; how many items that is, for each signal."""
    expected = {
        "traces": Counter((one.instance, span) for one in sent for span in one.spans),
        "logs": Counter((one.instance, number) for one in sent for number in one.logs),
        "metrics": Counter({one.instance: one.points for one in sent}),
    }
    of = {
        "traces": lambda item: item.message.span_id.hex(),
        "logs": lambda item: item.attributes["seq"],
    }

    def found(kind: str) -> Counter:
        instance = "service.instance.id"
        if kind == "metrics":  # points have no name of their own: as many as were handed over, and none twice
            return Counter(item.resource[instance] for item in backend.items(kind))
        return Counter((item.resource[instance], of[kind](item)) for item in backend.items(kind))

    for kind in otlp.SIGNALS:
        until(lambda: not expected[kind] - found(kind),
              lambda: f"{kind}: {(expected[kind] - found(kind)).total()} items are missing: {list(expected[kind] - found(kind))[:5]}",
              30 * PATIENCE)
        surplus = found(kind) - expected[kind]
        assert not surplus, f"{kind}: {surplus.total()} too many: {list(surplus)[:5]}"
    points = Counter((item.resource["service.instance.id"], item.metric, str(item.attributes), item.message.time_unix_nano)
                     for item in backend.items("metrics"))
    twice = [point for point, times in points.items() if times > 1]
    assert not twice, f"points arrived twice: {twice[:3]}"
    return {kind: items.total() for kind, items in expected.items()}
