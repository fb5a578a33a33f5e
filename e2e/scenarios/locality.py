"""Traffic stays on its node: the Service with `internalTrafficPolicy: Local`, in network namespaces with kube-proxy's rules.

What is not shown: a kube-proxy, a kubelet and a network plugin themselves. The rules are written as kube-proxy writes them, and
the steps of a rollout are made in the order in which the control plane makes them.
"""

import time
from collections import Counter

from harness import ledger, otlp
from harness.rollout import ADDRESS, PATIENCE, Agent, Cluster
from harness.runner import Run, scenario
from harness.waiting import until

PRE_STOP = 1.0  # the pause before SIGTERM, in which the kube-proxies learn that the pod goes; in clusters 2 to 5 s


@scenario("locality/own-node", seconds=90)
def own_node(run: Run) -> None:
    """Three nodes: with Local everything goes to the agent beside it and no packet leaves a node. With Cluster, which is the
    proof that the test would see it, packets do leave, and the pod of a foreign node is not known."""
    cluster = Cluster(run, 3)
    # the pods first: agents look into their file at the start, and then every now and then
    pods = [cluster.application_pod(node, f"shop-{node.number}-{kind}") for node in cluster.nodes for kind in "gh"]
    for node in cluster.nodes:
        cluster.agent(node)
    cluster.agents_ready()
    applications = [cluster.application(pod, "grpc" if pod.name.endswith("g") else "http") for pod in pods]
    for one in applications:
        one.started()
    enough(cluster, 60 * len(pods))
    results = cluster.stop_applications()
    assert_each_once(cluster, results)
    assert not errors(results), errors(results)
    for resource, items in received(cluster).items():
        service, pod, node, by = resource
        assert service == pod and node == by, f"{items} items of {service} came by {by} as those of pod {pod} on {node}"
    crossed, others = cluster.crossed(), sum(capture.others for capture in cluster.captures)
    assert crossed == 0, f"{crossed} packets of OTLP left their node"

    cluster.set_policy("Cluster")
    cluster.backend.forget()
    cluster.applications.clear()
    for pod in pods[1::2]:
        cluster.application(pod, "fresh").started()
    enough(cluster, 60 * 3)
    results = cluster.stop_applications()
    foreign = sum(items for (_, pod, _, by), items in received(cluster).items() if not pod)
    assert cluster.crossed() > 100, f"with Cluster only {cluster.crossed()} packets crossed: the capture sees nothing"
    assert foreign > 0, f"with Cluster every item came by its own node: {received(cluster)}"
    in_order(cluster)
    print(f"     Local: 0 packets of OTLP between nodes ({others} of other kinds); Cluster: {cluster.crossed()}, "
          f"{foreign} of {cluster.backend.count('logs')} items at an agent that does not know their pod")


@scenario("locality/no-agent-here", seconds=90)
def no_agent_here(run: Run) -> None:
    """Two nodes, an agent on one. On the other the traffic is dropped: the client waits. Without any agent it is rejected at
    once. An agent that comes is found by an application that has waited."""
    cluster = Cluster(run, 2)
    first = cluster.agent(cluster.nodes[0])
    pod = cluster.application_pod(cluster.nodes[1], "shop-1")
    cluster.agents_ready()
    answered, seconds = connecting(pod)
    assert answered == "TimeoutError" and seconds >= 1, f"no agent on this node: {answered} after {seconds:.2f} s"
    cluster.set_policy("Cluster")
    answered, _ = connecting(pod)
    assert answered == "connected", f"the agent of the other node is reached with Cluster: {answered}"
    cluster.set_policy("Local")

    first.kill()
    cluster.remove(first)
    answered, seconds = connecting(pod)
    assert answered == "ConnectionRefusedError" and seconds < 1, f"no agent at all: {answered} after {seconds:.2f} s"

    before = cluster.crossed()
    application = cluster.application(pod, "grpc")
    cluster.agent(cluster.nodes[1])
    cluster.agents_ready()
    application.started()
    enough(cluster, 20)
    results = cluster.stop_applications()
    assert_each_once(cluster, results)
    assert cluster.crossed() == before, "packets of OTLP left the node"
    in_order(cluster)


@scenario("locality/killed-agent", seconds=90)
def killed_agent(run: Run) -> None:
    """SIGKILL of one node's agent: its applications are refused and go on when it is back; those of the other node see
    nothing; no application goes elsewhere. What is lost is what was acknowledged and not yet sent, and no more."""
    cluster = Cluster(run, 2)
    struck, _ = (cluster.agent(node) for node in cluster.nodes)
    near = [cluster.application_pod(cluster.nodes[0], f"shop-0-{kind}") for kind in "gh"]
    far = cluster.application_pod(cluster.nodes[1], "shop-1-g")
    cluster.agents_ready()
    applications = [cluster.application(near[0], "grpc"), cluster.application(near[1], "http"), cluster.application(far, "grpc")]
    for one in applications:
        one.started()
    enough(cluster, 200)
    struck.kill()
    cluster.sync()  # dropped from here on; before, the pod's address refused
    answered, _ = connecting(near[0])
    assert answered == "TimeoutError", f"a node whose agent is gone: {answered}"
    began = time.time()
    struck.start()
    cluster.agents_ready()
    until(lambda: all(after(cluster, pod.name, began) for pod in near), "both applications are back", 20 * PATIENCE)
    results = cluster.stop_applications()
    settle(cluster)
    lost = {name: missing(cluster, name, result) for name, result in results.items()}
    assert not lost["shop-1-g"] and not results["shop-1-g"]["errors"], f"the other node: {results['shop-1-g']}"
    for pod in near:
        assert results[pod.name]["errors"], f"{pod.name} saw nothing of the kill"
        assert len(lost[pod.name]) <= 150, f"{pod.name}: {len(lost[pod.name])} lost, more than a batch of 100 ms holds"
    assert cluster.crossed() == 0, f"{cluster.crossed()} packets of OTLP left their node"
    in_order(cluster)
    print(f"     lost with the process: {[len(lost[pod.name]) for pod in near]} items; errors: {summary(results)}")


@scenario("locality/rolling-update-with-surge", seconds=120)
def with_surge(run: Run) -> None:
    """maxSurge: 1. The new pod is ready before the old one is told to end: no client sees an error, nothing is lost or
    sent twice, and after GOAWAY the gRPC clients, whose connections would have stayed, are on the new pod."""
    cluster, old, pods = rolling(run)
    new = cluster.agent(cluster.nodes[0])
    until(new.probe, "the new agent is ready", 20 * PATIENCE)
    old.terminating = True
    cluster.sync()
    time.sleep(PRE_STOP)
    assert by_agent(cluster, "shop-0-g", old), "the gRPC client has sent nothing to the old agent"
    last_old = cluster.backend.count("logs")
    old.ask_to_end()
    until(lambda: all(by_agent(cluster, pod.name, new) for pod in pods), "every client is on the new agent", 20 * PATIENCE)
    assert old.wait() == 0, old.log()
    cluster.remove(old)
    enough(cluster, last_old + 200)
    results = cluster.stop_applications()
    assert_each_once(cluster, results)
    # HTTP/1 has no GOAWAY: a request may meet the closing of its idle connection, and is sent again (RFC 9112, 9.3.1)
    kept = results["shop-0-h"]["errors"]
    assert len(errors(results)) == len(kept) <= 1, f"{summary(results)}: {errors(results)}"
    assert cluster.crossed() == 0, f"{cluster.crossed()} packets of OTLP left their node"
    in_order(cluster)
    print(f"     {sum(r['acknowledged'] for r in results.values())} items, errors: {summary(results)}; longest pause of a client "
          f"{max(r['longest_gap'] for r in results.values()):.2f} s")


@scenario("locality/rolling-update-without-pause", seconds=120)
def without_pause(run: Run) -> None:
    """As before, but SIGTERM comes before the kube-proxies know: for that time new connections meet an agent that takes none.
    Clients may see errors; what they try again arrives, and nothing is lost."""
    cluster, old, pods = rolling(run)
    new = cluster.agent(cluster.nodes[0])
    until(new.probe, "the new agent is ready", 20 * PATIENCE)
    cluster.sync()
    old.terminating = True
    old.ask_to_end()
    time.sleep(PRE_STOP)  # how late the kube-proxies are
    cluster.sync()
    assert old.wait() == 0, old.log()
    cluster.remove(old)
    until(lambda: all(by_agent(cluster, pod.name, new) for pod in pods), "every client is on the new agent", 20 * PATIENCE)
    results = cluster.stop_applications()
    settle(cluster)
    for name, result in results.items():
        assert not missing(cluster, name, result), f"{name}: lost {missing(cluster, name, result)}"
    assert cluster.crossed() == 0, f"{cluster.crossed()} packets of OTLP left their node"
    in_order(cluster)
    print(f"     nothing lost; errors that were tried again: {summary(results)}")


@scenario("locality/rolling-update-without-surge", seconds=120)
def without_surge(run: Run) -> None:
    """maxUnavailable: 1. A pod that terminates but still serves keeps its traffic as long as there is no other; then there is
    a gap until the new one is ready, in which clients wait. Nothing is lost."""
    cluster, old, pods = rolling(run)
    old.terminating = True
    cluster.sync()
    before = cluster.backend.count("logs")
    enough(cluster, before + 100)  # no endpoint is ready, and still there is traffic
    fresh = connecting(pods[0])
    assert fresh[0] == "connected", f"a terminating agent that serves still takes connections: {fresh}"
    old.ask_to_end()
    assert old.wait() == 0, old.log()
    cluster.remove(old)
    gone = time.time()
    new = cluster.agent(cluster.nodes[0])
    cluster.agents_ready()
    until(lambda: all(by_agent(cluster, pod.name, new) for pod in pods), "every client is on the new agent", 30 * PATIENCE)
    gap = time.time() - gone
    results = cluster.stop_applications()
    settle(cluster)
    for name, result in results.items():
        assert not missing(cluster, name, result), f"{name}: lost {missing(cluster, name, result)}"
        before_end = [error for error in result["errors"] if error["at"] + error["after"] < gone - 3]
        assert not before_end, f"{name} saw errors while the old agent still served: {before_end}"
    assert errors(results), "a gap without an agent was not seen by anybody: the rules of the node do nothing"
    assert cluster.crossed() == 0, f"{cluster.crossed()} packets of OTLP left their node"
    in_order(cluster)
    print(f"     gap {gap:.1f} s, nothing lost; errors that were tried again: {summary(results)}")


# --- what they share

def rolling(run: Run) -> tuple[Cluster, Agent, list]:
    """Two nodes with an agent each, three clients of each kind on the first, all sending."""
    cluster = Cluster(run, 2)
    old, _ = (cluster.agent(node) for node in cluster.nodes)
    pods = [cluster.application_pod(cluster.nodes[0], f"shop-0-{kind}") for kind in "ghf"]
    cluster.agents_ready()
    applications = [cluster.application(pod, protocol) for pod, protocol in zip(pods, ("grpc", "http", "fresh"))]
    for one in applications:
        one.started()
    enough(cluster, 200)
    return cluster, old, pods


def enough(cluster: Cluster, items: int) -> None:
    cluster.backend.wait_for("logs", items, 30 * PATIENCE)


def settle(cluster: Cluster) -> None:
    """Everything that the agents hold has been sent."""
    for agent in cluster.agents:
        until(lambda: ledger.books(agent, "logs").at_rest, lambda: f"{agent.pod.name}: {ledger.books(agent, 'logs')}", 15 * PATIENCE)


def in_order(cluster: Cluster) -> None:
    for agent in cluster.agents:
        ledger.assert_in_order(agent)


def received(cluster: Cluster) -> Counter:
    """Items by service, the pod and node that were found for them, and the node of the agent that they came by."""
    keys = ("service.name", "k8s.pod.name", "k8s.node.name", "agent.node")
    return Counter(tuple(item.resource.get(key, "") for key in keys) for item in cluster.backend.items("logs"))


def of(cluster: Cluster, name: str) -> list[otlp.Item]:
    return [item for item in cluster.backend.items("logs") if item.resource["service.name"] == name]


def by_agent(cluster: Cluster, name: str, agent: Agent) -> bool:
    return any(item.resource["agent.pod"] == agent.pod.name for item in of(cluster, name))


def after(cluster: Cluster, name: str, moment: float) -> bool:
    """Whether something of this application came after a moment of time.time()."""
    shift = time.time() - time.monotonic()
    requests = cluster.backend.accepted("logs")
    return any(request.at + shift > moment and any(
        item.resource["service.name"] == name for item in otlp.items(request.message)) for request in requests)


def missing(cluster: Cluster, name: str, result: dict) -> list[int]:
    """Records that were acknowledged and have not arrived."""
    return sorted(set(range(result["acknowledged"])) - {item.attributes["seq"] for item in of(cluster, name)})


def assert_each_once(cluster: Cluster, results: dict[str, dict]) -> None:
    settle(cluster)
    for name, result in results.items():
        found = Counter(item.attributes["seq"] for item in of(cluster, name))
        wrong = {seq: times for seq, times in found.items() if times > 1}
        assert not missing(cluster, name, result), f"{name}: lost {missing(cluster, name, result)}"
        assert not wrong, f"{name}: more than once {wrong}"


def errors(results: dict[str, dict]) -> list[dict]:
    return [error for result in results.values() for error in result["errors"]]


def summary(results: dict[str, dict]) -> dict[str, int]:
    return {name: len(result["errors"]) for name, result in results.items()}


def connecting(pod) -> tuple[str, float]:
    """What a new connection to the Service comes to, and how long that took."""
    connection = pod.namespace.socket()
    connection.settimeout(1.5)
    began = time.monotonic()
    try:
        connection.connect((ADDRESS, 4317))
        return "connected", time.monotonic() - began
    except OSError as error:
        return type(error).__name__, time.monotonic() - began
    finally:
        connection.close()
