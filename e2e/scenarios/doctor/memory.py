"""Memory: a limiter that comes too late, agents that were killed, and a real agent whose own metrics say that it is near its limit."""

import time

from harness import ports
from harness.kubernetes import objects
from harness.runner import Run, scenario

from . import kubelet, world

SECONDS = 150
ADDRESS = "10.246.0.1"  # of the real agent's pod


@scenario("doctor/limiter-too-high", SECONDS)
def limiter_too_high(run: Run) -> None:
    """At the container's limit, as the description of many a chart has it; mended in the configuration, or by a larger limit."""
    for number, expected in ((0, "limit_mib: 384"), (1, "limit_mib: 512")):
        it = world.new(run, 1)
        it.install(config_map=it.config_map(world.CONFIG.replace("limit_mib: 384", "limit_mib: 512")))
        it.wait_for_agents(it.nodes)
        found = it.finds("limiter-too-high")
        assert found["severity"] == "error", found
        it.mend(found, number)
        it.finds_nothing()
        text = it.plane.api.get("ConfigMap", world.NAME, it.namespace)["data"]["agent.yaml"]
        assert expected in text and "spike_limit_mib: 96" in text, text


@scenario("doctor/limiter-missing", SECONDS)
def limiter_missing(run: Run) -> None:
    it = world.new(run, 1)
    lines = [line for line in world.CONFIG.splitlines() if not line.startswith("  memory_limiter:")]
    it.install(config_map=it.config_map("\n".join(lines).replace("[memory_limiter, ", "[") + "\n"))
    it.wait_for_agents(it.nodes)
    it.finds("limiter-missing")
    it.plane.api.apply(it.config_map())
    it.finds_nothing()


@scenario("doctor/memory-limit-missing", SECONDS)
def memory_limit_missing(run: Run) -> None:
    it = world.new(run, 1)
    daemon_set = it.daemon_set()
    del daemon_set["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]
    it.install(daemon_set=daemon_set)
    it.wait_for_agents(it.nodes)
    it.mend(it.finds("memory-limit-missing"))
    it.finds_nothing()


@scenario("doctor/oom-killed", SECONDS)
def oom_killed(run: Run) -> None:
    """Killed at 512 MiB: twice as much is what it takes."""
    it = world.new(run)
    when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 60))
    ended = {"terminated": {"exitCode": 137, "reason": "OOMKilled", "finishedAt": when, "startedAt": when, "containerID": "containerd://a"}}

    def behaves(pod: dict) -> dict:
        small = pod["spec"]["containers"][0]["resources"]["limits"]["memory"] == "512Mi"
        return kubelet.running(pod, container={"restartCount": 1, "lastState": ended}) if small else kubelet.running(pod)

    it.kubelet(run, behaves)
    it.install(daemon_set=it.daemon_set(by_hand=True))
    kubelet.wait(it, "run", lambda pod: pod["status"].get("podIP"), 2)
    found = it.finds("oom-killed")
    assert "OOMKilled" in found["evidence"][0] and "its container may have 512 MiB" in found["evidence"], found
    assert "limit_mib be 768" in found["remedy"][0]["explanation"], found
    it.mend(found)
    it.finds_nothing(60)


@scenario("doctor/memory-near-limit", SECONDS, agent_only="the agent's own metrics of its memory are asked for")
def near_limit(run: Run) -> None:
    """A real agent is behind the pod's address: its metrics, health and log come through the API server."""
    it = world.new(run, 1)
    nowhere = {"BACKEND_GRPC_PORT": ports.free(), "BACKEND_HTTP_PORT": ports.free()}
    agent = run.start(["pipeline.yaml"], nowhere)
    used = agent.samples().sum("otelcol_process_memory_rss")
    it.network.lead(ADDRESS, 8888, agent.port("METRICS"))
    it.network.lead(ADDRESS, 13133, agent.port("HEALTH"))
    config = world.CONFIG.replace("limit_mib: 384, spike_limit_mib: 96", "limit_percentage: 75, spike_limit_percentage: 20")
    daemon_set = it.daemon_set()
    template = daemon_set["spec"]["template"]
    template["metadata"]["annotations"][objects.POD_IP] = ADDRESS
    resources = template["spec"]["containers"][0]["resources"]
    resources["limits"]["memory"] = f"{int(used / 2**20)}Mi"
    resources["requests"]["memory"] = "4Mi"
    it.install(daemon_set=daemon_set, config_map=it.config_map(config))
    it.wait_for_agents(it.nodes)
    found = it.finds("memory-near-limit")
    assert f"of {int(used / 2**20)} MiB" in found["evidence"][0], found
    it.mend(found)
    it.finds_nothing()
    unseen = [one["what"] for one in it.doctor().json["unseen"]]
    assert not any("answers at port" in what for what in unseen), unseen
