"""Agents that are there and do not serve: no room, no image, a crash, and what else a kubelet says of a pod."""

import time

from harness.runner import Run, scenario

from . import kubelet, world

SECONDS = 150


def _ago(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - seconds))


@scenario("doctor/no-room", SECONDS)
def no_room(run: Run) -> None:
    """A full node: the figures are those of the node, and the requests that are printed fit."""
    it = world.new(run, 1)
    small = it.node("small", cpu="1", memory="1Gi")
    it.application(small, containers=["app"])
    filler = {"name": "app", "image": "shop/app:1", "resources": {"requests": {"cpu": "950m", "memory": "512Mi"}}}
    it.plane.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "filler", "namespace": it.namespace},
                         "spec": {"nodeName": small, "containers": [filler]}})
    it.install()
    found = it.finds("no-room")
    assert f"node {small} has 50m cpu left of 1, the agent requests 100m" in found["evidence"], found
    assert "--requests=cpu=50m" in found["remedy"][0]["command"], found
    it.finds("node-unserved")
    it.mend(found)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/no-room-by-priority", SECONDS)
def no_room_by_priority(run: Run) -> None:
    """Nothing is left at all: with a priority class the agent goes before the application."""
    it = world.new(run, 1)
    full = it.node("full", cpu="1", memory="1Gi")
    filler = {"name": "app", "image": "shop/app:1", "resources": {"requests": {"cpu": "1", "memory": "512Mi"}}}
    it.plane.api.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "filler", "namespace": it.namespace},
                         "spec": {"nodeName": full, "containers": [filler], "terminationGracePeriodSeconds": 0}})
    it.install()
    found = it.finds("no-room")
    commands = [remedy["command"] for remedy in found["remedy"]]
    assert len(commands) == 1 and "system-node-critical" in commands[0], found
    it.mend(found)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/pod-pending", SECONDS)
def pod_pending(run: Run) -> None:
    """The agent does not want to be beside an application that is there: what the scheduler says is told."""
    it = world.new(run)
    application = it.application(it.nodes[0])
    avoid = {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "shop"}}}
    it.install(daemon_set=it.daemon_set(
        affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [avoid]}}))
    found = it.finds("pod-pending")
    assert "didn't match pod anti-affinity rules" in found["evidence"][0], found
    it.mend(found)  # shows all that is known of it
    assert "no-room" not in it.doctor().ids
    it.plane.api.delete("Pod", application, it.namespace, grace_seconds=0)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/host-port-taken", SECONDS)
def host_port_taken(run: Run) -> None:
    """A surge with host ports waits for its own predecessor for ever."""
    it = world.new(run)
    daemon_set = it.daemon_set()
    daemon_set["spec"]["template"]["spec"]["containers"][0]["ports"][0]["hostPort"] = 4317
    it.install(daemon_set=daemon_set)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    it.plane.kubectl("rollout", "restart", "daemonset/otel-agent", f"--namespace={it.namespace}")
    found = it.finds("host-port-taken")
    assert "has port 4317" in found["evidence"][0], found
    it.mend(found)
    it.finds_nothing(60)


@scenario("doctor/image-pull", SECONDS)
def image_pull(run: Run) -> None:
    """A rollout to an image that does not exist stands still; back to the one that runs."""
    it = world.new(run)
    refused = 'failed to pull image "registry.test/otel-agent:0.2.0": not found'

    def behaves(pod: dict) -> dict:
        if pod["spec"]["containers"][0]["image"].endswith(":0.2.0"):
            return kubelet.waiting(pod, "ImagePullBackOff", f"Back-off: {refused}")
        return kubelet.running(pod)

    it.kubelet(run, behaves)
    it.install(daemon_set=it.daemon_set(by_hand=True))
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    it.plane.kubectl("set", "image", "daemonset/otel-agent", "otel-agent=registry.test/otel-agent:0.2.0",
                     f"--namespace={it.namespace}")
    found = it.finds("image-pull")
    assert found["remedy"][0]["command"].endswith(f"otel-agent={world.IMAGE}") and refused in str(found["evidence"]), found
    stuck = it.finds("rollout-stuck")
    assert "the rollout stands still" in stuck["title"], stuck
    it.mend(stuck)  # rollout undo
    it.finds_nothing()
    it.plane.kubectl("set", "image", "daemonset/otel-agent", "otel-agent=registry.test/otel-agent:0.2.0",
                     f"--namespace={it.namespace}")
    it.mend(it.finds("image-pull"))
    it.finds_nothing()


@scenario("doctor/crash-loop", SECONDS)
def crash_loop(run: Run) -> None:
    """The last exit code, the last line of the log, and back to what was before."""
    it = world.new(run)

    def behaves(pod: dict) -> dict:
        if not pod["spec"]["containers"][0]["image"].endswith(":0.2.0"):
            return kubelet.running(pod)
        ended = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": began, "startedAt": began, "containerID": "containerd://a"}}
        plays.logs[pod["metadata"]["name"], True] = "starting\nError: cannot bind 0.0.0.0:4317\n"
        return kubelet.waiting(pod, "CrashLoopBackOff", "back-off 40s", restartCount=4, lastState=ended)

    began = _ago(30)
    plays = it.kubelet(run, behaves)
    it.install(daemon_set=it.daemon_set(by_hand=True))
    it.wait_for_agents(it.nodes)
    it.plane.kubectl("set", "image", "daemonset/otel-agent", "otel-agent=registry.test/otel-agent:0.2.0",
                     f"--namespace={it.namespace}")
    found = it.finds("crash-loop")
    assert "4 restarts, last exit code 1 (it could not start)" in found["evidence"][0], found
    assert found["evidence"][1] == "it said last: Error: cannot bind 0.0.0.0:4317", found
    it.mend(found, 0)  # shows the log
    it.mend(found, 1)  # back
    it.finds_nothing()


@scenario("doctor/volume-missing", SECONDS)
def volume_missing(run: Run) -> None:
    """The ConfigMap is not there: the pod waits with what the kubelet says, until it is made."""
    it = world.new(run)

    def behaves(pod: dict) -> dict:
        there = it.plane.api.find("ConfigMap", world.NAME, it.namespace)
        return kubelet.running(pod) if there else kubelet.waiting(pod, "ContainerCreating")

    it.kubelet(run, behaves)
    it.install(daemon_set=it.daemon_set(by_hand=True), config_map=None)
    for pod in kubelet.wait(it, "wait", lambda pod: pod["status"].get("containerStatuses"), 2):
        it.event("Pod", pod["metadata"]["name"], "FailedMount",
                 'MountVolume.SetUp failed for volume "config" : configmap "otel-agent" not found', pod["metadata"]["uid"])
    found = it.finds("volume-missing")
    (it.plane.folder / "agent.yaml").write_text(world.CONFIG)
    it.mend(found)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/container-not-made", SECONDS)
def container_not_made(run: Run) -> None:
    """The environment names a ConfigMap that is not there."""
    it = world.new(run)

    def behaves(pod: dict) -> dict:
        there = it.plane.api.find("ConfigMap", "more", it.namespace)
        return kubelet.running(pod) if there else kubelet.waiting(pod, "CreateContainerConfigError", 'configmap "more" not found')

    it.kubelet(run, behaves)
    it.install(daemon_set=it.daemon_set(by_hand=True))
    kubelet.wait(it, "wait", lambda pod: pod["status"].get("containerStatuses"), 2)
    (it.plane.folder / "agent.yaml").write_text("a: b\n")
    it.mend(it.finds("container-not-made"))
    it.finds_nothing()


@scenario("doctor/liveness-kills", SECONDS)
def liveness_kills(run: Run) -> None:
    """A slow start without a startup probe: the one that is printed lets it start."""
    it = world.new(run)
    daemon_set = it.daemon_set(by_hand=True)
    del daemon_set["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
    daemon_set["spec"]["updateStrategy"]["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": "100%"}
    ended = {"terminated": {"exitCode": 137, "reason": "Error", "finishedAt": _ago(20), "startedAt": _ago(60), "containerID": "containerd://a"}}

    def behaves(pod: dict) -> dict:
        if pod["spec"]["containers"][0].get("startupProbe"):
            return kubelet.running(pod)
        return kubelet.unready(pod, restartCount=5, lastState=ended)

    it.kubelet(run, behaves)
    it.install(daemon_set=daemon_set)
    for pod in kubelet.wait(it, "run", lambda pod: pod["status"].get("containerStatuses"), 2):
        about = (pod["metadata"]["name"], pod["metadata"]["uid"])
        it.event("Pod", about[0], "Unhealthy", "Liveness probe failed: connect: connection refused", about[1])
        it.event("Pod", about[0], "Killing", "Container otel-agent failed liveness probe, will be restarted", about[1])
    found = it.finds("liveness-kills")
    it.mend(found)
    it.finds_nothing(60)


@scenario("doctor/not-ready", SECONDS)
def not_ready(run: Run) -> None:
    """It runs and does not become ready: what the probe says, and on its node nothing is served."""
    it = world.new(run)
    ready = []

    def behaves(pod: dict) -> dict:
        return kubelet.running(pod) if ready or pod["spec"]["nodeName"] != it.nodes[0] else kubelet.unready(pod)

    it.kubelet(run, behaves)
    it.install(daemon_set=it.daemon_set(by_hand=True))
    pod = kubelet.wait(it, "run", lambda pod: pod["spec"].get("nodeName") == it.nodes[0] and pod["status"].get("podIP"), 1)[0]
    it.event("Pod", pod["metadata"]["name"], "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503",
             pod["metadata"]["uid"])
    it.application(it.nodes[0])
    found = it.finds("not-ready")
    assert "statuscode: 503" in found["evidence"][0], found
    it.finds("node-unserved")
    ready.append(True)
    it.finds_nothing()


@scenario("doctor/pod-evicted", SECONDS)
def pod_evicted(run: Run) -> None:
    """What the node said when it ended the agent, while the new one already runs."""
    it = world.healthy(run)
    gone = list(it.agents().values())[0]
    it.event("Pod", gone["metadata"]["name"], "Evicted", "The node was low on resource: memory.", gone["metadata"]["uid"])
    found = it.finds("pod-evicted")
    assert "low on resource: memory" in found["evidence"][0], found
    it.mend(found)
    for event in it.plane.api.items("Event", it.namespace):
        if event["reason"] == "Evicted":  # an hour later
            it.plane.api.delete("Event", event["metadata"]["name"], it.namespace)
    it.finds_nothing(60)
