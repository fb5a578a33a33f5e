"""The permissions that the processor needs, and no more: granted by the very commands that the agent prints, and missing one by one."""

import functools
import json
import os
import subprocess
from dataclasses import dataclass

from harness import parts
from harness.backend import Backend
from harness.kubernetes import Account, ControlPlane, shared
from harness.program import Program
from harness.runner import Run, add
from harness.waiting import until

from . import world
from .common import PATIENCE, send, start
from .oracle import EVERY_FIELD
from .world import ADDRESSES

KINDS = ("namespace", "node", "deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob")
SETTINGS = {"extract": {
    "metadata": EVERY_FIELD,
    "labels": [{"key_regex": ".*", "from": kind} for kind in KINDS],
    "annotations": [{"key": "note", "from": kind} for kind in KINDS],
}}
# what this takes: the rules of RBAC as the commands make them, by resource, and the attributes that depend on each
NEEDED = {
    "pods": ("", {"list", "watch"}, ("k8s.pod.name", "k8s.deployment.name", "container.id")),
    "namespaces": ("", {"get"}, ("k8s.cluster.uid", "k8s.namespace.annotation.note", "k8s.namespace.label.team")),
    "nodes": ("", {"get"}, ("k8s.node.uid", "k8s.node.annotation.note")),
    "replicasets": ("apps", {"get"}, ("k8s.replicaset.annotation.note",)),
    "deployments": ("apps", {"get"}, ("k8s.deployment.annotation.note",)),
    "statefulsets": ("apps", {"get"}, ("k8s.statefulset.annotation.note",)),
    "daemonsets": ("apps", {"get"}, ("k8s.daemonset.annotation.note",)),
    "jobs": ("batch", {"get"}, ("k8s.job.label.app",)),
    "cronjobs": ("batch", {"get"}, ("k8s.cronjob.annotation.note",)),
}
SENDERS = ("web", "bare", "db", "logs", "once", "report")
PREFIX = "otel-agent-"  # of the names that the commands choose
RECOVERS = 90  # seconds from the grant


@dataclass
class Missing:
    """A line of the log that says which permission is missing."""

    right: str
    why: str
    remedy: str

    @property
    def resource(self) -> str:
        return self.right.split()[-1].split(".")[0]


def told(program: Program) -> list[Missing]:
    """What the log says of missing permissions."""
    lines = [line for line in program.log().splitlines() if "lacks a permission" in line]
    fields = [json.loads(line[line.index("{"):]) for line in lines]
    return [Missing(one["right"], one["why"], one["remedy"]) for one in fields]


def grant(plane: ControlPlane, commands: str) -> None:
    """Runs what was printed, as an administrator who copies it into a shell."""
    tools = parts.kubernetes() / plane.minor
    done = subprocess.run(["bash", "-ec", commands], capture_output=True, text=True, timeout=60 * PATIENCE,
                          env={"PATH": f"{tools}:{os.environ['PATH']}", "KUBECONFIG": str(plane.kubeconfig), "HOME": str(plane.folder)})
    assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"


def forget(plane: ControlPlane) -> None:
    """Takes back what the commands granted."""
    for kind in ("ClusterRoleBinding", "ClusterRole"):
        for item in plane.api.items(kind):
            if item["metadata"]["name"].startswith(PREFIX):
                plane.api.delete(kind, item["metadata"]["name"])


def granted(plane: ControlPlane) -> dict[str, tuple[str, set[str]]]:
    """What the commands granted, by resource."""
    found: dict[str, tuple[str, set[str]]] = {}
    for role in plane.api.items("ClusterRole"):
        if role["metadata"]["name"].startswith(PREFIX):
            for rule in role["rules"]:
                for resource in rule["resources"]:
                    verbs = found.get(resource, ("", set()))[1] | set(rule["verbs"])
                    found[resource] = (rule["apiGroups"][0], verbs)
    return found


def seen(program: Program, backend: Backend) -> dict[str, dict]:
    """What is added for a pod of each kind of workload."""
    resources = {}
    for name in SENDERS:
        sent = send(program, backend, ADDRESSES[name])
        assert sent.status == 200 and sent.resource is not None, f"{name} was not served: {sent}"
        resources[name] = sent.resource
    backend.forget()
    return resources


def lacking(resources: dict[str, dict], resource: str) -> list[str]:
    """Which of the attributes that depend on a permission are nowhere."""
    everywhere = set().union(*resources.values())
    return [name for name in NEEDED[resource][2] if name not in everywhere]


def rights(run: Run, minor: str) -> None:
    plane = shared.plane(minor)
    it = world.of(plane)
    forget(plane)
    run.stack.callback(forget, plane)
    complete = _from_nothing(run, plane, it.node)
    # one verb of the two that pods take, another one with each minor
    without = {"pods": {"watch" if minor == parts.minors()[0] else "list"}}
    missing = {resource: without.get(resource, verbs) for resource, (_, verbs, _) in NEEDED.items()}
    forget(plane)
    # all side by side, each with a backend and an account of its own
    tried = {resource: _lacking_one(run, plane, it.node, resource, verbs) for resource, verbs in missing.items()}
    for resource, (program, backend, _) in tried.items():
        _goes_on(program, backend, resource, complete)
    for resource, (program, _, _) in tried.items():
        [line] = [line for line in told(program) if line.resource == resource and "kube-system" not in line.right]
        grant(plane, line.remedy)
    for resource, (program, backend, _) in tried.items():
        until(lambda: seen(program, backend) == complete,
              lambda: f"all is added after {resource} were granted; {lacking(seen(program, backend), resource)}", RECOVERS * PATIENCE)
        until(lambda: not _count(program), f"no permission is missing any more after {resource}", 10 * PATIENCE)


def _from_nothing(run: Run, plane: ControlPlane, node: str) -> dict[str, dict]:
    """An agent without any permission says what it lacks until all is there; what it then adds."""
    account = plane.service_account("monitoring", "without-any", [])
    backend = run.open(Backend())
    program = start(run, backend, account.kubeconfig, SETTINGS, node, wait=False)
    done: set[str] = set()

    def complete() -> bool:
        for line in told(program):
            if line.remedy not in done:
                done.add(line.remedy)
                grant(plane, line.remedy)
        return not _count(program) and not any(lacking(seen(program, backend), resource) for resource in NEEDED)

    until(complete, lambda: f"all is added; granted {granted(plane)}\n{program.tail()}", 2 * RECOVERS * PATIENCE)
    found, expected = granted(plane), {resource: (group, verbs) for resource, (group, verbs, _) in NEEDED.items()}
    assert found == expected, f"asked for {found}, needed are {expected}"
    assert all(line.why for line in told(program))
    resources = seen(program, backend)
    program.kill()
    return resources


def _lacking_one(run: Run, plane: ControlPlane, node: str, resource: str, verbs: set[str]) -> tuple[Program, Backend, Account]:
    rules = [{"apiGroups": [group], "resources": [one], "verbs": sorted(has - (verbs if one == resource else set()))}
             for one, (group, has, _) in NEEDED.items()]
    account = plane.service_account("monitoring", f"without-{resource}", [rule for rule in rules if rule["verbs"]])
    backend = run.open(Backend())
    return start(run, backend, account.kubeconfig, SETTINGS, node, wait=False), backend, account


def _goes_on(program: Program, backend: Backend, resource: str, complete: dict[str, dict]) -> None:
    """It says what is missing, and all that does not depend on it is added."""
    until(lambda: resource in [line.resource for line in told(program)],
          lambda: f"{resource} told missing\n{program.tail()}", 30 * PATIENCE)
    assert _count(program) >= 1
    if resource == "pods":
        assert seen(program, backend), "nothing is served"
        return

    def all_else() -> bool:
        resources = seen(program, backend)
        lost = {name for pod in complete for name in complete[pod].keys() - resources[pod].keys()}
        more = {name for pod in complete for name in resources[pod].keys() - complete[pod].keys()}
        depend = {name for name in lost if name in NEEDED[resource][2] or name.startswith(f"k8s.{resource.removesuffix('s')}.")}
        return not more and lost == depend and set(NEEDED[resource][2]) <= lost

    until(all_else, lambda: f"all but what depends on {resource} is added: "
          f"{ {pod: sorted(complete[pod].keys() - found.keys()) for pod, found in seen(program, backend).items()} }", 30 * PATIENCE)


def _count(program: Program) -> float:
    return program.samples().sum("otel_agent_kubernetes_missing_rights")


for _minor in parts.minors():
    add(f"kubernetes/rights-{_minor}", functools.partial(rights, minor=_minor), 400,
        agent_only="the Collector watches all of the cluster's objects and prints no command")
