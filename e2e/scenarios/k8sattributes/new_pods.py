"""Data that comes before its pod is known, and data of addresses that are no pod's: held or passed on, and counted by reason."""

import threading
import time

from harness.backend import Backend
from harness.kubernetes import objects, shared
from harness.program import Program
from harness.runner import Run, scenario
from harness.waiting import until

from .common import PATIENCE, Sent, agent_account, namespace, send, start

HELD = 2.0  # seconds, as the agent does unless told otherwise
PATIENT = 15  # seconds, where it shall not be over
SOON = 1.5  # what takes no longer was not held
AGENT_ONLY = "the Collector holds nothing and does not say why no pod was found"
SETTINGS = {"extract": {"metadata": ["k8s.pod.name", "k8s.pod.uid", "k8s.namespace.name"]}}
A = "127.69.0."


class Sending:
    """A request in a thread of its own, and how long it took."""

    def __init__(self, program: Program, backend: Backend, address: str, resource: dict | None = None):
        self.sent: Sent | None = None
        self.seconds = 0.0
        self._thread = threading.Thread(target=self._run, args=(program, backend, address, resource))
        self._thread.start()

    def _run(self, *arguments) -> None:
        began = time.monotonic()
        self.sent = send(*arguments)
        self.seconds = time.monotonic() - began

    def done(self) -> "Sending":
        self._thread.join(20)
        assert self.sent, "the request was not answered"
        return self


def misses(program: Program) -> dict[tuple[str, str], float]:
    """How often no pod was found, by method and reason."""
    found: dict[tuple[str, str], float] = {}
    for sample in program.samples().of("otel_agent_k8s_association_misses"):
        if sample.value:
            found[sample.labels["method"], sample.labels["reason"]] = sample.value
    return found


def waited(program: Program) -> dict[str, float]:
    return {one.labels["outcome"]: one.value for one in program.samples().of("otel_agent_k8s_waited_requests") if one.value}


def waiting(program: Program) -> float:
    return program.samples().sum("otel_agent_k8s_waiting_requests")


@scenario("kubernetes/new-pod", seconds=120, agent_only=AGENT_ONLY)
def new_pod(run: Run) -> None:
    plane = shared.plane()
    [node] = plane.nodes(1, prefix="new-pod")
    space = run.open(namespace(plane, "new-pod"))
    account = agent_account(plane, "new-pod")
    backend = run.open(Backend())
    plane.run_pod(objects.pod("old", space, node), [A + "9"])
    # the first part has time to happen in
    patient = start(run, backend, account.kubeconfig, SETTINGS | {"new_pod_wait": f"{PATIENT}s"}, node)
    program = start(run, backend, account.kubeconfig, SETTINGS, node)

    def name(sending: Sending) -> str | None:
        return sending.done().sent.resource.get("k8s.pod.name")

    # data of a pod whose status is written a moment later
    plane.api.create(objects.pod("late", space, node, annotations={objects.BY_HAND: "true"}))
    early = [Sending(patient, backend, A + "10") for _ in range(3)]
    until(lambda: waiting(patient) == 3, lambda: f"{waiting(patient)} wait", PATIENT / 3)
    others = Sending(patient, backend, A + "9")
    assert name(others) == "old" and others.seconds < SOON, f"others waited {others.seconds} s, too"
    plane.api.patch_status("Pod", "late", objects.running([A + "10"]), space)
    for one in early:
        assert name(one) == "late", f"not enriched: {one.sent}"
        assert one.seconds < PATIENT - 1, f"took {one.seconds:.1f} s"
    assert waited(patient) == {"found": 3}, waited(patient)
    assert waiting(patient) == 0 and not misses(patient)

    # nobody comes
    vain = Sending(program, backend, A + "11")
    assert name(vain) is None and HELD - 0.1 <= vain.seconds < HELD + 1 * PATIENCE, f"held for {vain.seconds:.1f} s"
    again = Sending(program, backend, A + "11")
    assert name(again) is None and again.seconds < SOON, f"held again, for {again.seconds:.1f} s"
    assert waited(program) == {"vain": 1}, waited(program)
    assert sum(misses(program).values()) == 2, misses(program)
    # and comes after all
    plane.run_pod(objects.pod("very-late", space, node), [A + "11"])
    until(lambda: name(Sending(program, backend, A + "11")) == "very-late", "the pod is known in the end", 5 * PATIENCE)

    # the resource says who it is: nothing to wait for
    held = waited(program)
    told = Sending(program, backend, A + "12", {"k8s.pod.ip": A + "9"})
    assert name(told) == "old" and told.seconds < SOON and waited(program) == held, f"waited {told.seconds:.1f} s for {told.sent}"
    assert "Telemetry from" in program.log() and A + "11" in program.log(), program.tail()


@scenario("kubernetes/classes", seconds=120, agent_only=AGENT_ONLY)
def classes(run: Run) -> None:
    """Addresses that are no pod's, each counted by what it is, and told in the log with what to do."""
    plane = shared.plane()
    [node] = plane.nodes(1, prefix="classes")
    space = run.open(namespace(plane, "classes"))
    account = agent_account(plane, "classes")
    backend = run.open(Backend())
    host, shared_by = "127.70.0.200", "127.70.0.201"
    plane.run_pod(objects.pod("pod", space, node), ["127.70.0.10"], node_ip=host)
    plane.run_pod(objects.pod("ended", space, node), ["127.70.0.11"], node_ip=host)
    plane.run_pod(objects.pod("gone", space, node), ["127.70.0.12"], node_ip=host)
    plane.run_pod(objects.pod("host", space, node, hostNetwork=True), [shared_by], node_ip=shared_by)
    program = start(run, backend, account.kubeconfig, SETTINGS, node)
    for address in ("127.70.0.10", "127.70.0.11", "127.70.0.12"):
        assert "k8s.pod.name" in send(program, backend, address).resource
    plane.api.patch_status("Pod", "ended", {"phase": "Failed"}, space)
    plane.api.delete("Pod", "gone", space, grace_seconds=0)
    for address in ("127.70.0.11", "127.70.0.12"):
        until(lambda: "k8s.pod.name" not in send(program, backend, address).resource, f"{address} is given up", 5 * PATIENCE)
    before = misses(program)
    expected = {
        # address: reason; none of these is waited for
        "127.0.0.1": "loopback", "127.0.0.6": "mesh", host: "node", shared_by: "host_network",
        "127.70.0.11": "ended", "127.70.0.12": "ended",
    }
    for address, reason in expected.items():
        sent = send(program, backend, address, {"service.name": "stays"})
        assert sent.resource.get("service.name") == "stays" and "k8s.pod.name" not in sent.resource, sent
        found = {key[1] for key, number in misses(program).items() if number != before.get(key, 0)}
        assert found == {reason}, f"{address} is {found}, not {reason}"
        before = misses(program)
    # what another node's pod, or nothing at all, looks like: it may be a new pod and is waited for once
    sent = send(program, backend, "127.70.0.10", {"k8s.pod.ip": "10.9.8.7"})
    assert sent.resource["k8s.pod.name"] == "pod", "the address of the connection is looked at, too"
    log = program.log()
    for what in ("service mesh", "host's network", "has ended"):
        assert what in log, f"{what!r} is not told:\n{program.tail()}"
    assert not waited(program), waited(program)
