"""Pods come, go, change labels and take over addresses, while data is sent from their addresses all the time.

The agent knows the pods of one node of 20. Every answer is held against what the API server had at that moment. What changes
and who sends is drawn from a seed.
"""

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

from harness import generate, otlp, raw
from harness.backend import Backend
from harness.kubernetes import ControlPlane, objects
from harness.program import Program
from harness.runner import Run, scenario
from harness.waiting import until

from .common import PATIENCE, POD_RULES, PROTOBUF, send, start
from .truth import Truth

NODES, PODS, OWN, CHANGES, SENDERS = 20, 1000, 50, 500, 16
SEEDS = (1, 20261122)
LAG = 1.0  # seconds in which a watch brings a change, on a machine that is busy with other things
ADDRESSES = [f"127.67.0.{number}" for number in range(10, 80)]
NAMESPACE = "storm"
SETTINGS = {"extract": {"metadata": ["k8s.pod.uid", "k8s.pod.name", "k8s.node.name"], "labels": [{"tag_name": "turn", "key": "turn"}]}}


class Storm:
    """Makes changes on one node, each noted in the truth."""

    def __init__(self, plane: ControlPlane, node: str, seed: int):
        self.plane, self.node, self.random = plane, node, random.Random(seed)
        self.truth = Truth()
        self.pods: dict[str, str] = {}  # by address: the name of its owner
        self.over: list[str] = []  # names of pods that are over and still there
        self.done = Counter()
        self._serial = 0

    def begin(self, pods: int) -> None:
        for address in self.random.sample(ADDRESSES, pods):
            self._create(address)

    def change(self) -> None:
        """One change of those that are possible."""
        kind = self.random.choices(["create", "delete", "relabel", "replace", "end", "take_over", "fail"],
                                   [18, 12, 30, 12, 10, 10, 8])[0]
        free = [address for address in ADDRESSES if address not in self.pods]
        if kind == "create" and not free or kind != "create" and not self.pods:
            kind = "relabel" if self.pods else "create"
        self.done[kind] += 1
        if kind == "create":
            return self._create(self.random.choice(free))
        getattr(self, f"_{kind}")(self.random.choice(sorted(self.pods)))

    # --- the changes

    def _create(self, address: str) -> None:
        self._serial += 1
        name, turn = f"pod-{self._serial}", "0"
        pod = objects.pod(name, NAMESPACE, self.node, labels={"turn": turn}, annotations={objects.BY_HAND: "true"})
        uid = self.plane.api.create(pod)["metadata"]["uid"]
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        with self.truth.changing(address, (uid, turn)):
            self.plane.api.patch_status("Pod", name, objects.running([address], started=started), NAMESPACE)
        self.pods[address] = name

    def _delete(self, address: str) -> None:
        with self.truth.changing(address):
            self.plane.api.delete("Pod", self.pods.pop(address), NAMESPACE, grace_seconds=0)

    def _relabel(self, address: str) -> None:
        before = self.truth.now(address)
        turn = str(int(before.turn) + 1)
        with self.truth.changing(address, (before.uid, turn)):
            self.plane.api.patch("Pod", self.pods[address], {"metadata": {"labels": {"turn": turn}}}, NAMESPACE)

    def _replace(self, address: str) -> None:
        """The address goes to a new pod as soon as the old one is gone."""
        self._delete(address)
        self._create(address)

    def _end(self, address: str, phase: str = "Succeeded") -> None:
        """The pod is over; its address is not its own any more, though it is still written in its status."""
        name = self.pods.pop(address)
        with self.truth.changing(address):
            self.plane.api.patch_status("Pod", name, {"phase": phase}, NAMESPACE)
        self.over.append(name)

    def _fail(self, address: str) -> None:
        """It failed and a new pod gets its address, while the old one is still there with the address in its status."""
        self._end(address, "Failed")
        self._create(address)

    def _take_over(self, address: str) -> None:
        """A pod that is being deleted keeps its address until a new one has it."""
        old = self.pods[address]
        self.plane.api.delete("Pod", old, NAMESPACE)  # by the grace period; nobody ends it
        self._create(address)
        self.plane.api.delete("Pod", old, NAMESPACE, grace_seconds=0)


class Senders:
    """Threads that send from addresses drawn from the seed, and note when."""

    def __init__(self, program: Program, seed: int):
        self.sent: list[tuple[int, str, float, float]] = []  # number, address, sent, answered
        self.refused: list[str] = []
        self._program, self._stop, self._next = program, threading.Event(), iter(range(10**9))
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(random.Random(seed + one),)) for one in range(SENDERS)]

    def __enter__(self) -> "Senders":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(20)

    def _run(self, chance: random.Random) -> None:
        port, path = self._program.port("HTTP"), otlp.SIGNALS["logs"].path
        while not self._stop.is_set():
            with self._lock:
                number = next(self._next)
            address = chance.choice(ADDRESSES)
            body = generate.request("logs", number, 1, {}).SerializeToString()
            began = time.monotonic()
            answer = raw.http_request(port, path, body, PROTOBUF, source=address)
            self.sent.append((number, address, began, time.monotonic()))
            if answer.status != 200:
                self.refused.append(f"{answer.status} to {address}")


def judged(storm: Storm, senders: Senders, backend: Backend) -> str:
    """Holds every answer against the truth; what was counted, in one line."""
    assert not senders.refused, senders.refused[:5]
    found = {item.attributes["seq"]: item.resource for item in backend.items("logs")}
    verdicts, wrong, stale = Counter(), [], [0.0]
    for number, address, began, ended in senders.sent:
        resource = found[number]
        pod = (resource["k8s.pod.uid"], resource.get("turn", "")) if "k8s.pod.uid" in resource else None
        verdict = storm.truth.verdict(address, began, ended, pod, LAG * PATIENCE)
        verdicts[verdict] += 1
        if verdict == "late":
            stale.append(storm.truth.staleness(address, began, pod))
        if verdict not in ("exact", "late", "gap"):
            wrong.append(f"{verdict}: {address} sent at {began:.3f}, answered at {ended:.3f}, got {resource}; "
                         f"it was {storm.truth.states.get(address, [])[-4:]}")
    assert not wrong, f"{len(wrong)} of {len(senders.sent)} answers are wrong:\n" + "\n".join(wrong[:5])
    assert verdicts["exact"] > len(senders.sent) / 4, verdicts
    counts = ", ".join(f"{number} {kind}" for kind, number in sorted(verdicts.items()))
    return f"{len(senders.sent)} answers: {counts}; the latest {max(stale) * 1000:.0f} ms late; changes: {dict(storm.done)}"


def settle(program: Program, plane: ControlPlane, node: str) -> None:
    """Waits until the agent knows as many pods as the API server has on the node."""
    expected = len(plane.api.items("Pod", fieldSelector=f"spec.nodeName={node}"))
    known = lambda: program.samples().sum("otelcol_k8s_watcher_pod_cache_size")  # noqa: E731
    until(lambda: known() == expected, lambda: f"{known()} pods are known of {expected} on {node}", 10 * PATIENCE)


def exactly_its_own(storm: Storm, program: Program, backend: Backend, foreign: list[dict]) -> None:
    """After a storm every address has the answer that the API server would give, and pods of other nodes have none."""
    settle(program, storm.plane, storm.node)
    everywhere = ADDRESSES + [pod["status"]["podIP"] for pod in foreign]
    with ThreadPoolExecutor(SENDERS) as pool:  # side by side, since what is not known is held for two seconds
        resources = list(pool.map(lambda address: send(program, backend, address, signal="logs").resource, everywhere))
    for address, resource in zip(everywhere, resources):
        state = storm.truth.now(address)
        expected = {"k8s.pod.uid": state.uid, "turn": state.turn, "k8s.node.name": storm.node} if state else {}
        resource.pop("k8s.pod.name", None)
        assert resource == expected, f"{address}: {resource} instead of {expected}"


@scenario("kubernetes/storm", seconds=240, agent_only="the Collector keeps an address for two minutes after its pod is gone")
def storm(run: Run) -> None:
    plane = run.open(ControlPlane(controllers=False, scheduler=False))
    node, *others = plane.nodes(NODES)
    plane.namespace(NAMESPACE)
    plane.pods(PODS - OWN, nodes=others)
    foreign = plane.api.items("Pod", "default")
    account = plane.service_account("monitoring", "agent", POD_RULES)
    backend = run.open(Backend())
    program = start(run, backend, account.kubeconfig, SETTINGS, node)
    for seed in SEEDS:
        # its changes begin where a run with only this seed would begin
        plane.api.call("DELETE", plane.api.path("Pod", NAMESPACE), {"gracePeriodSeconds": 0})
        storm = Storm(plane, node, seed)
        storm.begin(OWN)
        exactly_its_own(storm, program, backend, random.Random(seed).sample(foreign, 20))
        backend.forget()
        began = time.monotonic()
        with Senders(program, seed) as senders:
            for _ in range(CHANGES):
                storm.change()
        seconds = time.monotonic() - began
        print(f"     seed {seed}: {CHANGES} changes in {seconds:.1f} s; {judged(storm, senders, backend)}", flush=True)
        exactly_its_own(storm, program, backend, [])
    lists = program.samples().sum("otel_agent_kubernetes_lists")
    assert lists == 1, f"{lists} lists of pods"
