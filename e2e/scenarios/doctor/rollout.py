"""Rollouts that do not go on, and the variable that every agent needs."""

import contextlib
import time

from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until

from . import kubelet, world

SECONDS = 120


@scenario("doctor/rollout-by-hand", SECONDS)
def by_hand(run: Run) -> None:
    """`OnDelete`: the change stays in the DaemonSet until the strategy is another."""
    it = world.new(run)
    daemon_set = it.daemon_set()
    daemon_set["spec"]["updateStrategy"] = {"type": "OnDelete"}
    it.install(daemon_set=daemon_set)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    it.plane.kubectl("set", "image", "daemonset/otel-agent", "otel-agent=registry.test/otel-agent:0.2.0", f"--namespace={it.namespace}")
    found = it.finds("rollout-by-hand")
    assert found["title"] == "2 of 2 agents are of an older kind", found
    it.mend(found)
    it.finds_nothing(60)


@scenario("doctor/surge-without-room", SECONDS)
def surge(run: Run) -> None:
    """There is room for one agent and not for two: the rollout waits until it is told to do without a surge."""
    it = world.new(run, 0)
    for _ in range(2):
        it.node("tight", cpu="150m", memory="1Gi")
    it.install()
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    it.plane.kubectl("set", "image", "daemonset/otel-agent", "otel-agent=registry.test/otel-agent:0.2.0", f"--namespace={it.namespace}")
    found = it.finds("no-room")
    assert found["cause"].startswith("During a rollout with maxSurge"), found
    it.mend(found)
    it.finds_nothing(60)


@scenario("doctor/rollout-misplaced", SECONDS)
def misplaced(run: Run) -> None:
    """A node gets a taint while its agent runs: the agent stays, and is not where it is to be until it tolerates that."""
    it = world.new(run)
    it.install()
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    there, [first, second] = it.agents(), it.nodes
    it.plane.kubectl("taint", "node", first, "team=a:NoSchedule")
    it.node("worker")  # with the next change of anything the controller counts
    found = it.finds("rollout-misplaced")
    told = f"the agent on {first} does not tolerate its taint team=a:NoSchedule"
    assert found["severity"] == "note" and found["evidence"] == ["numberMisscheduled is 1", told], found
    assert it.finds("node-taint")["title"] == "1 node has the last agent because of a taint"
    # what is said is so: the agent stays, and when a rollout has ended it there is no other
    assert it.agents()[first]["metadata"]["uid"] == there[first]["metadata"]["uid"]
    it.plane.kubectl("rollout", "restart", f"daemonset/{world.NAME}", f"--namespace={it.namespace}")
    until(lambda: first not in it.agents() and second in it.agents(), lambda: f"it is ended: {list(it.agents())}", 60 * PATIENCE)
    found = it.finds("node-taint")
    assert found["title"] == "1 node has no agent because of a taint", found
    it.mend(found)
    it.wait_for_agents(it.nodes)
    it.finds_nothing(60)
    it.plane.kubectl("taint", "node", second, "team=b:NoSchedule")
    it.node("worker")
    it.mend(it.finds("rollout-misplaced"))
    it.wait_for_agents(it.nodes)
    it.finds_nothing(60)


@scenario("doctor/rollout-of-a-deployment", SECONDS)
def deployment(run: Run) -> None:
    """Kubernetes counts a new pod as up to date before it runs: one that has no image is still seen to hold the old one."""
    it = world.new(run)

    def behaves(pod: dict) -> dict:
        if pod["spec"]["containers"][0]["image"].endswith(":0.2.0"):
            return kubelet.waiting(pod, "ImagePullBackOff", "Back-off: not found")
        return kubelet.running(pod)

    it.kubelet(run, behaves)
    gateway = it.daemon_set(by_hand=True)
    gateway["kind"], gateway["spec"]["replicas"] = "Deployment", 1
    del gateway["spec"]["updateStrategy"]
    it.install(daemon_set=gateway, service=it.service(internalTrafficPolicy="Cluster"))
    status = lambda: it.plane.api.get("Deployment", world.NAME, it.namespace)["status"]  # noqa: E731
    until(lambda: status().get("readyReplicas") == 1, lambda: str(status()), 30 * PATIENCE)
    it.finds_nothing()
    time.sleep(1.1)  # the newest pod is known by its time, which has whole seconds
    it.plane.kubectl("set", "image", "deployment/otel-agent", "otel-agent=registry.test/otel-agent:0.2.0", f"--namespace={it.namespace}")
    # its controller may count it a moment after it was made
    until(lambda: (status()["replicas"], status().get("updatedReplicas")) == (2, 1), lambda: str(status()), 30 * PATIENCE)
    found = it.finds("rollout-stuck")
    assert "UP-TO-DATE 1" in found["evidence"][0] and found["title"].endswith("0 of 1 agents are new and ready"), found
    it.mend(found)
    it.finds_nothing(60)


@scenario("doctor/rollout-slow", SECONDS)
def slow(run: Run) -> None:
    """One node after another, and there are more than a hundred; with a tenth at a time it is over."""
    it = world.new(run, 101)
    daemon_set = it.daemon_set()
    daemon_set["spec"]["updateStrategy"] = {"type": "RollingUpdate"}
    it.install(daemon_set=daemon_set)
    found = it.finds("rollout-slow", 60)
    assert found["title"] == "101 agents are replaced one after another", found
    it.wait_for_agents(it.nodes)
    it.mend(found)
    it.finds_nothing()


@scenario("doctor/rollout-not-observed", SECONDS)
def not_observed(run: Run) -> None:
    """The kube-controller-manager has ended: a change of the DaemonSet is seen by nobody until it is back."""
    it = world.new(run, 1)
    it.install()
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    controllers = it.plane.children["kube-controller-manager"]
    controllers.stop()
    with contextlib.ExitStack() as stack:
        stack.callback(controllers.start)
        it.plane.kubectl("set", "image", "daemonset/otel-agent", "otel-agent=registry.test/otel-agent:0.2.0", f"--namespace={it.namespace}")
        assert "rollout-not-observed" not in it.doctor().ids, "a minute is given to the controllers"
        found = it.finds("rollout-not-observed", 90)
        assert found["evidence"][0].startswith("generation 2, observed 1; the last pod was made "), found
        it.mend(found)  # shows whether it runs
    it.finds_nothing(60)


@scenario("doctor/node-name-wrong", SECONDS)
def node_name(run: Run) -> None:
    """The variable is not there, or holds something else."""
    wrong = ([], [{"name": "K8S_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
             [{"name": "K8S_NODE_NAME", "value": "worker"}])
    for env in wrong:
        it = world.new(run, 1)
        daemon_set = it.daemon_set()
        daemon_set["spec"]["template"]["spec"]["containers"][0]["env"] = env
        it.install(daemon_set=daemon_set)
        it.wait_for_agents(it.nodes)
        it.mend(it.finds("node-name-wrong"))
        it.finds_nothing()
        it.remove()
