"""What the scenarios share: configurations, a program that runs on a node, and requests from the addresses of pods."""

import contextlib
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness import generate, otlp, raw
from harness.backend import Backend
from harness.configs import written
from harness.kubernetes import Account, ControlPlane
from harness.kubernetes.plane import PATIENCE
from harness.program import Program
from harness.runner import Run

PROTOBUF = {"Content-Type": "application/x-protobuf"}
READ = ["get", "list", "watch"]
# for both programs where rights are not the subject: the Collector lists and watches what the agent gets one by one
ALL_RULES = [
    {"apiGroups": [""], "resources": ["pods", "namespaces", "nodes"], "verbs": READ},
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "statefulsets", "daemonsets"], "verbs": READ},
    {"apiGroups": ["batch"], "resources": ["jobs", "cronjobs"], "verbs": READ},
]
POD_RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": READ}]
_numbers = itertools.count()


def text(settings: dict) -> str:
    """What oracle.yaml needs beside it to have the processor with these settings."""
    processors = {"processors": ["k8sattributes"]}
    return yaml.safe_dump({
        "processors": {"k8sattributes": settings},
        "service": {"pipelines": {signal: processors for signal in otlp.SIGNALS}},
    }, sort_keys=False)


def start(run: Run, backend: Backend, kubeconfig: Path, settings: dict, node: str = "", kind: str | None = None,
          wait: bool = True) -> Program:
    """A program that knows the pods of its node before it is ready, unless `wait` is false."""
    file = run.open(written(text(complete(settings, node, wait))))
    return run.start(["oracle.yaml", file], {**backend.env, **environment(kubeconfig, node)}, kind)


def complete(settings: dict, node: str, wait: bool = True) -> dict:
    more = {"auth_type": "kubeConfig"}
    if node:
        more["filter"] = {"node_from_env_var": "KUBE_NODE_NAME"}
    if wait and not settings.get("passthrough"):
        more |= {"wait_for_metadata": True, "wait_for_metadata_timeout": "30s"}
    return more | settings


def environment(kubeconfig: Path, node: str = "") -> dict[str, str]:
    return {"KUBECONFIG": str(kubeconfig), **({"KUBE_NODE_NAME": node} if node else {})}


@dataclass
class Sent:
    """What became of the resource of one request."""

    status: int
    resource: dict | None  # None: it did not arrive


def send(program: Program, backend: Backend, source: str | None = None, resource: dict | None = None,
         signal: str = "traces", protocol: str = "http", within: float = 0) -> Sent:
    """One request from that address. Without queue and batch it is answered when it has arrived, so it is found at once; else it
    is looked for `within` so many seconds after the answer."""
    number = next(_numbers)
    message = generate.request(signal, number, 1, resource or {})
    kind, body = otlp.SIGNALS[signal], message.SerializeToString()
    if protocol == "grpc":
        answer = raw.grpc_request(program.port("GRPC"), kind.rpc, raw.message(body), source=source)
        status = 200 if answer.code == 0 else 500
    else:
        status = raw.http_request(program.port("HTTP"), kind.path, body, PROTOBUF, source=source).status
    deadline = time.monotonic() + within
    while (found := arrived(backend, signal, number)) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    return Sent(status, found)


def arrived(backend: Backend, signal: str, number: int) -> dict | None:
    """The resource of the item with that number. The latest requests are looked at first."""
    with backend._lock:
        requests = list(backend.requests[-200:])
    for request in reversed(requests):
        if request.signal == signal and request.message:
            for item in otlp.items(request.message):
                if item.attributes.get("seq") == number:
                    return item.resource
    return None


def agent_account(plane: ControlPlane, name: str, rules: list[dict] | None = None) -> Account:
    """An account of one scenario, allowed to list and watch pods if nothing else is said."""
    return plane.service_account("monitoring", name, POD_RULES if rules is None else rules)


@contextlib.contextmanager
def namespace(plane: ControlPlane, name: str, **more):
    """A namespace for the time of a scenario; its pods are gone at once, so that the next scenario does not see them."""
    plane.namespace(name, **more)
    try:
        yield name
    finally:
        remove_pods(plane, name)
        plane.api.delete("Namespace", name)


def remove_pods(plane: ControlPlane, namespace: str) -> None:
    """Deletes all pods, without waiting for a kubelet."""
    path = plane.api.path("Pod", namespace)
    plane.api.call("DELETE", path, {"gracePeriodSeconds": 0})


def nodes(plane: ControlPlane, count: int, prefix: str, **settings) -> list[str]:
    """Nodes of one scenario."""
    return plane.nodes(count, prefix=prefix, **settings)


__all__ = ["ALL_RULES", "PATIENCE", "POD_RULES", "Sent", "agent_account", "arrived", "complete", "environment", "namespace",
           "nodes", "remove_pods", "send", "start", "text"]
