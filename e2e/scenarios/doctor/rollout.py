"""Rollouts that do not go on, and the variable that every agent needs."""

import contextlib

from harness.runner import Run, scenario

from . import world

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
    it.plane.kubectl("taint", "node", it.nodes[0], "team=a:NoSchedule")
    it.node("worker")  # with the next change of anything the controller counts
    found = it.finds("rollout-misplaced")
    assert found["severity"] == "note" and found["evidence"] == ["numberMisscheduled is 1"], found
    it.mend(it.finds("node-taint"))
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
