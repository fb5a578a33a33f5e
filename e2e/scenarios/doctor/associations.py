"""Telemetry that no pod is found for, by where it comes from: sent to a running agent from the very addresses that such a sender
has, found, and over when the command was run and what is sent by then is in order.

The agent counts from its start, so what was missed is a small part only after a while; here what is sent is made enough for that.
"""

import functools

from harness import generate, otlp, raw
from harness.kubernetes import objects
from harness.kubernetes.plane import PATIENCE
from harness.program import Program
from harness.runner import Run, scenario
from harness.waiting import until

from . import alive, world
from .world import NAME, World

SECONDS = 240
SOURCES = """\
    pod_association:
      - {sources: [{from: resource_attribute, name: k8s.pod.uid}]}
      - {sources: [{from: resource_attribute, name: k8s.pod.ip}]}
      - {sources: [{from: connection}]}
"""
CONFIG = "".join(SOURCES if "pod_association" in line else line for line in alive.CONFIG.splitlines(keepends=True))
CONFIG = CONFIG.replace("queue_size: 200", "queue_size: 100000")
# a node with a bridge, a pod there, and a pod of another node
NODE, BRIDGE, HERE, ELSEWHERE = "127.91.0.1", "127.90.0.1", "127.90.0.20", "127.92.0.20"
FEW, MANY = 20, 5000


@scenario("doctor/attributes-senders", SECONDS)
def senders(run: Run) -> None:
    """The node's own address, the bridge, pods on the host's network, pods of another node."""
    it = alive.start(run, config=CONFIG, nodes=2)
    here, there = it.world.nodes
    for name, node, address in (("cart", here, HERE), ("far", there, ELSEWHERE)):
        it.world.plane.run_pod(objects.pod(name, it.world.namespace, node), [address], node_ip=NODE if node == here else "127.93.0.1")
    for fault in (_source_nat, _host_network, _other_node):
        fault(it, here)
        it.world.finds_nothing()
        _start_again(it)


def _source_nat(it: alive.Alive, node: str) -> None:
    _known(it, node)
    _deployment(it.world, "till", node)
    for source in (NODE, BRIDGE):
        _send(_agent(it, node), FEW, source)
    found = it.world.finds("attributes-source-nat")
    told = str(found["evidence"])
    assert f"{FEW} of {2 * FEW + 1} resources" in told and "`node`" in told and "`bridge`" in told, found
    assert "Telemetry from" in told, found  # the log names addresses
    it.world.mend(found)
    _send(_agent(it, node), MANY, NODE, {"k8s.pod.uid": _named(it.world, "till")})


def _host_network(it: alive.Alive, node: str) -> None:
    _known(it, node)
    _deployment(it.world, "probe", node, hostNetwork=True, dnsPolicy="ClusterFirstWithHostNet", annotations={objects.POD_IP: NODE})
    until(lambda: _pods(it.world, "probe", lambda pod: pod["status"].get("podIP") == NODE), "the probe runs", 30 * PATIENCE)

    def counted() -> bool:  # it is known a moment after it runs
        _send(_agent(it, node), FEW, NODE)
        return _agent(it, node).samples().sum("otel_agent_k8s_association_misses", reason="host_network") >= FEW

    until(counted, "the agent knows of the pod on its node's network", 30 * PATIENCE)
    found = it.world.finds("attributes-host-network")
    assert f"{it.world.namespace}/probe-" in str(found["evidence"]), found
    assert len([one for one in found["remedy"] if one.get("command")]) == 1, found
    it.world.mend(found)
    _send(_agent(it, node), MANY, NODE, {"k8s.pod.uid": _named(it.world, "probe")})


def _other_node(it: alive.Alive, node: str) -> None:
    _known(it, node)
    it.world.plane.api.patch("Service", NAME, {"spec": {"internalTrafficPolicy": "Cluster"}}, it.world.namespace)
    _send(_agent(it, node), FEW, ELSEWHERE)
    found = it.world.finds("attributes-other-node")
    assert "internalTrafficPolicy: Cluster" in str(found["evidence"]) and ELSEWHERE in str(found["evidence"]), found
    it.world.mend(found)
    service = it.world.plane.api.get("Service", NAME, it.world.namespace)
    assert service["spec"]["internalTrafficPolicy"] == "Local", service
    _send(_agent(it, node), MANY, HERE)


@scenario("doctor/attributes-unmatched", SECONDS)
def unmatched(run: Run) -> None:
    """Senders are to name their pod: one names a pod that is nowhere, one names none, and one that does is found."""
    by_uid = CONFIG.replace("".join(SOURCES.splitlines(keepends=True)[2:]), "")
    assert "connection" not in by_uid
    it = alive.start(run, config=by_uid)
    _send(it.any(), FEW, HERE, {"k8s.pod.uid": "3f0c9d5e-0000-4000-8000-000000000000"})
    _send(it.any(), FEW, HERE)
    found = it.world.finds("attributes-unmatched")
    assert "`no_such_pod`" in str(found["evidence"]) and "`no_identifier`" in str(found["evidence"]), found
    [shop] = it.world.plane.api.items("Pod", it.world.namespace, labelSelector="app=shop")
    _send(it.any(), MANY, HERE, {"k8s.pod.uid": shop["metadata"]["uid"]})
    it.world.finds_nothing()


@scenario("doctor/attributes-mismatch", SECONDS)
def mismatch(run: Run) -> None:
    """The address and the name have to agree: a sender names another pod than the one that it sends from."""
    both = "      - {sources: [{from: connection}, {from: resource_attribute, name: k8s.pod.name}]}\n"
    it = alive.start(run, config=CONFIG.replace("".join(SOURCES.splitlines(keepends=True)[1:]), both))
    [node] = it.world.nodes
    it.world.plane.run_pod(objects.pod("cart", it.world.namespace, node), [HERE], node_ip=NODE)
    program = it.any()

    def sent(name: str, resources: int) -> float:
        _send(program, resources, HERE, {"k8s.pod.name": name})
        return program.samples().sum("otel_agent_k8s_association_misses", reason="mismatch")

    until(lambda: sent("till", FEW) >= FEW, "the agent knows whose address it is", 30 * PATIENCE)
    found = it.world.finds("attributes-unmatched")
    assert "`mismatch`" in str(found["evidence"]), found
    sent("cart", MANY)
    it.world.finds_nothing()


@scenario("doctor/attributes-in-vain", SECONDS)
def in_vain(run: Run) -> None:
    """Pods are found by addresses alone, so that no sender can name itself: the configuration is told first, as it has to be written."""
    without = CONFIG.replace("      - {sources: [{from: resource_attribute, name: k8s.pod.uid}]}\n", "")
    it = alive.start(run, config=without)
    [node] = it.world.nodes
    it.world.plane.run_pod(objects.pod("cart", it.world.namespace, node), [HERE], node_ip=NODE)
    _deployment(it.world, "till", node)
    program = it.any()

    def missed() -> bool:
        _send(program, FEW, NODE)
        return program.samples().sum("otel_agent_k8s_association_misses", reason="node") >= FEW

    until(missed, "the agent knows the node by its address", 30 * PATIENCE)
    found = it.world.finds("attributes-source-nat")
    association = "processors::k8s_attributes::pod_association"
    assert f"{association} has no entry for k8s.pod.uid" in found["evidence"], found
    first, second = found["remedy"][:2]
    entry = first["explanation"].split("put in front of the entries: ")[1]
    it.world.shell(f"export KUBE_EDITOR=\"sed -i 's/^\\( *\\)pod_association:$/&\\n\\1  {entry}/'\"\n{first['command']}")
    it.restart()
    it.world.shell(second["command"])
    _send(it.any(), FEW, NODE, {"k8s.pod.uid": _named(it.world, "till")})
    it.world.finds_nothing()
    assert "k8s.pod.uid" in it.any().configs[0].read_text()


@scenario("doctor/attributes-absent", SECONDS)
def absent(run: Run) -> None:
    """No pipeline has the processor: a note, which nobody has to follow; whoever edits the ConfigMap as it says is rid of it."""
    without = "processors: [memory_limiter, batch]"
    it = world.new(run, nodes=1)
    it.install(config_map=it.config_map(world.CONFIG.replace("processors: [memory_limiter, k8s_attributes, batch]", without)))
    it.wait_for_agents(it.nodes)
    found = it.finds("attributes-absent")
    assert found["severity"] == "note" and without.removeprefix("processors: ") in str(found["evidence"]), found
    assert it.doctor().code == 0
    [edit] = [one["command"] for one in found["remedy"] if one.get("command")]
    it.shell(f"export KUBE_EDITOR=\"sed -i 's/memory_limiter, batch/memory_limiter, k8s_attributes, batch/'\"\n{edit}")
    it.finds_nothing()


def _agent(it: alive.Alive, node: str) -> Program:
    return it.programs[it.world.agents()[node]["metadata"]["name"]]


def _known(it: alive.Alive, node: str) -> None:
    """Waits until the agent knows the pod whose node and network the addresses are of; it misses nothing by that."""
    [cart] = _pods(it.world, "", lambda pod: pod["metadata"]["name"] == "cart")
    _send(_agent(it, node), 1, HERE, {"k8s.pod.uid": cart["metadata"]["uid"]})
    assert _agent(it, node).samples().sum("otel_agent_k8s_association_misses") == 0


def _start_again(it: alive.Alive) -> None:
    """What was counted is forgotten."""
    for program in it.programs.values():
        program.kill()
    it.programs.clear()
    it.bring_to_life()


def _send(program: Program, resources: int, source: str, resource: dict | None = None) -> None:
    """One request from that address with so many resources."""
    parts = (generate.request("traces", number, 1, resource or {}) for number in range(resources))
    request = functools.reduce(lambda one, other: one.MergeFrom(other) or one, parts)
    answer = raw.http_request(program.port("HTTP"), otlp.SIGNALS["traces"].path, request.SerializeToString(),
                              {"Content-Type": "application/x-protobuf"}, source=source)
    assert answer.status == 200, answer


def _deployment(it: World, name: str, node: str, **spec: object) -> None:
    """An application on that node that sends to the agent and says nothing of itself."""
    item = objects.deployment(name, it.namespace, nodeName=node, **spec)
    item["spec"]["template"]["spec"]["containers"][0]["env"] = [
        {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": f"http://{NAME}.{it.namespace}.svc:4318"},
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "team=shop"}]
    it.plane.api.create(item)


def _named(it: World, name: str) -> str:
    """The uid of the application's new pod, which has it in its environment beside what it had."""
    def names_itself(pod: dict) -> bool:
        variables = {one["name"]: one for one in pod["spec"]["containers"][0]["env"]}
        return pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp") and (
            variables["OTEL_RESOURCE_ATTRIBUTES"]["value"] == "team=shop,k8s.pod.uid=$(K8S_POD_UID)"
            and variables["K8S_POD_UID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.uid")

    [pod] = until(lambda: _pods(it, name, names_itself), f"a pod of {name} that names itself", 30 * PATIENCE)
    order = [one["name"] for one in pod["spec"]["containers"][0]["env"]]
    # a variable is put in only where it was defined further up
    assert order.index("K8S_POD_UID") < order.index("OTEL_RESOURCE_ATTRIBUTES"), order
    return pod["metadata"]["uid"]


def _pods(it: World, app: str, such) -> list[dict]:
    query = {"labelSelector": f"app={app}"} if app else {}
    return [pod for pod in it.plane.api.items("Pod", it.namespace, **query) if such(pod)]
