"""Processes that stand for pods: a real program runs with what the pod's template says, reached through the API server's proxy at
the pod's address, and applications whose pods send for as long as they are there."""

import itertools
import threading
import time
from urllib.parse import urlsplit

from . import generate, otlp, send
from .kubernetes import ControlPlane
from .waiting import until

FIELDS = {"spec.nodeName": ("spec", "nodeName"), "metadata.name": ("metadata", "name"),
          "metadata.namespace": ("metadata", "namespace"), "status.podIP": ("status", "podIP")}


def running(plane: ControlPlane, namespace: str, labels: str) -> list[dict]:
    """Pods with these labels that run and are not ending."""
    return [pod for pod in plane.api.items("Pod", namespace, labelSelector=labels)
            if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")]


def environment(plane: ControlPlane, pod: dict) -> dict[str, str]:
    """The variables of its first container, as a kubelet sets them."""
    container = pod["spec"]["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found.update(plane.api.get("ConfigMap", source["configMapRef"]["name"], pod["metadata"]["namespace"])["data"])
    for variable in container.get("env", ()):
        if field := variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath"):
            section, key = FIELDS[field]
            found[variable["name"]] = pod[section][key]
        else:
            found[variable["name"]] = variable.get("value", "")
    return found


class Application:
    """A Deployment whose pod sends numbered items of every signal without pause, one request after another, each until it is
    accepted, as an SDK does. It looks at its pod's environment once, when the pod starts."""

    def __init__(self, plane: ControlPlane, name: str, namespace: str, number: int, resolve):
        self.plane, self.name, self.namespace = plane, name, namespace
        self.first = number * 10_000_000
        self.resolve = resolve  # (host, port, node) -> a port on 127.0.0.1, or None
        self.sent = 0  # accepted items of each signal
        self.starts: list[tuple[str, str]] = []  # node and endpoint of each pod that sent
        self.trouble: str = ""  # what went wrong last
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Application":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    def stop(self) -> None:
        """No request is begun after this; returns when the one under way is answered."""
        self._over.set()
        self._thread.join(timeout=60)

    @property
    def endpoint(self) -> str:
        return self.starts[-1][1] if self.starts else ""

    def wait_for_more(self, items: int = 50) -> None:
        goal = self.sent + items
        until(lambda: self.sent >= goal, lambda: f"{self.name} sends to {self.endpoint}: {self.sent}, {self.trouble}", 60)

    def _run(self) -> None:
        pod = None
        for at in itertools.count():
            if self._over.is_set():
                return
            if at % 10 == 0 or pod is None:
                pod = self._pod(pod)
            if pod is None:
                time.sleep(0.05)
                continue
            self._send(10)
            time.sleep(0.02)

    def _pod(self, before: dict | None) -> dict | None:
        """The pod that sends now: the newest one; its predecessor is told to end, and does so between two requests."""
        pods = running(self.plane, self.namespace, f"app={self.name}")
        if not pods:
            return before
        newest = max(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
        if before is None or newest["metadata"]["uid"] != before["metadata"]["uid"]:
            endpoint = environment(self.plane, newest)["OTEL_EXPORTER_OTLP_ENDPOINT"]
            self.starts.append((newest["spec"]["nodeName"], endpoint))
        return newest

    def _send(self, items: int) -> None:
        node, endpoint = self.starts[-1]
        address = urlsplit(endpoint)
        protocol = "grpc" if address.port == 4317 else "http"
        for signal in otlp.SIGNALS:
            request = generate.request(signal, self.first + self.sent, items)
            while not self._export(address, node, signal, request, protocol):
                if self._over.wait(0.1):
                    # What was accepted of this round is counted by the caller's comparison, signal by signal.
                    self.partly = signal
                    return
        self.sent += items

    def _export(self, address, node: str, signal: str, request, protocol: str) -> bool:
        port = self.resolve(address.hostname, address.port, node)
        if port is None:
            self.trouble = f"{address.netloc} leads nowhere from {node}"
            return False
        try:
            send.export(port, signal, request, protocol)
            return True
        except (AssertionError, OSError) as error:
            self.trouble = str(error)
            return False
