"""No false alarm: everything that is rendered into the repository, applied as it is, and the doctor has nothing against it."""

import contextlib
import dataclasses
import tempfile
from pathlib import Path

from harness import generate, otlp, raw
from harness.backend import Backend
from harness.kubernetes import objects
from harness.kubernetes.kubelet import Kubelet
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until

from .. import manifests
from . import world
from .prometheus import GROUP, operator
from .world import NAME, World

SECONDS = 400
DESTINATION = "otel-backend:4317"
LIVING = "k8s-manifests.yaml"  # the one with an agent that runs; of the others there are the pods only
TAINTS = {"control-plane": ("node-role.kubernetes.io/control-plane", "NoSchedule"), "gpu": ("nvidia.com/gpu", "NoSchedule")}
# what may be said of a pattern, and why that is right
NOTES = {
    "node-selector.yaml": {"node-selector"},  # nodes without the label have no agent, as was asked for; nothing there sends
}
# these agents have a port of their node, and applications may send to that as well
AT_THE_NODE = {"host-port.yaml", "host-network.yaml"}
BY_PORT = [{"name": "NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
           {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://$(NODE_IP):4317"},
           {"name": "OTEL_EXPORTER_OTLP_PROTOCOL", "value": "grpc"}]
BY_SERVICE = [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": f"http://{NAME}.{manifests.SPACE}.svc.cluster.local:4318"}]
# these have monitors, so that there may be a Prometheus
WATCHED = {"monitoring.yaml", "pod-monitor.yaml"}


@scenario("doctor/no-false-alarm", SECONDS)
def no_false_alarm(run: Run) -> None:
    """Every profile and pattern with an application that sends to it, on nodes as the pattern wants them."""
    plane, network = world.plane()
    it = World(plane, network, manifests.SPACE)
    run.stack.callback(it.remove)
    operator(run, it)
    worker, plain = it.node("worker", labels={"node-role": "worker"}), it.node("plain")
    tainted = [it.node(name, taints=[{"key": key, "value": "yes", "effect": effect}]) for name, (key, effect) in TAINTS.items()]
    shop = plane.namespace(f"shop-{worker}")
    run.stack.callback(lambda: plane.api.delete("Namespace", shop))
    address = _application(run, it, shop, worker, "by-service", BY_SERVICE)
    files = manifests.rendered()
    # last the one whose agents are for nodes without taints
    for file in sorted(files, key=lambda file: file.name == "no-tolerations.yaml"):
        name = file.name
        if name == "no-tolerations.yaml":
            for node in tainted:
                plane.api.patch("Node", node, {"spec": {"taints": None}})
        every = {worker, plain, *tainted}
        places = {"node-selector.yaml": {worker}, "deployment.yaml": {worker, plain}}.get(name, every)
        own = dataclasses.replace(run, stack=contextlib.ExitStack())  # what is opened for one of them ends with it
        with own.stack:
            if name in AT_THE_NODE:
                _application(own, it, shop, worker, "by-port", BY_PORT)
            if name == LIVING:
                _with_an_agent(own, it, file, worker, places, address)
            else:
                manifests.apply(plane, file)
                manifests.settled(plane, places)
            if name in WATCHED:
                _prometheus(own, it)
            _is_quiet(it, name, len(places))
            _take_away(it, file)


def _is_quiet(it: World, name: str, agents: int) -> None:
    def counted() -> bool:
        [report] = it.doctor().json["agents"]
        return report["ready"] == report["desired"] == agents

    if name != "deployment.yaml":
        until(counted, f"{name}: {agents} agents are counted", 30 * PATIENCE)
    report = it.doctor()
    assert report.code == 0 and report.ids == NOTES.get(name, set()), f"{name}: {report.json}"


def _application(own: Run, it: World, space: str, node: str, name: str, environment: list[dict]) -> str:
    """One that sends; the address of its pod."""
    item = objects.deployment(name, space, nodeName=node)
    item["spec"]["template"]["spec"]["containers"][0]["env"] = environment
    it.plane.api.create(item)
    own.stack.callback(it.plane.api.delete, "Deployment", name, space)
    return until(lambda: _running(it, space, name), f"{name} runs", 30 * PATIENCE)[0]["status"]["podIP"]


def _running(it: World, space: str, name: str) -> list[dict]:
    pods = it.plane.api.items("Pod", space, labelSelector=f"app={name}")
    return [pod for pod in pods if pod["status"].get("podIP") and not pod["metadata"].get("deletionTimestamp")]


def _prometheus(own: Run, it: World) -> None:
    """One that takes every monitor, with the rights that the operator's documentation gives it."""
    space = f"monitoring-{it.nodes[0]}"
    reads = ["get", "list", "watch"]
    account = it.plane.service_account(space, "prometheus", [
        {"apiGroups": [""], "resources": ["services", "endpoints", "pods"], "verbs": reads},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": reads}])
    own.stack.callback(lambda: [it.plane.api.delete(kind, account.role) for kind in ("ClusterRoleBinding", "ClusterRole")])
    everything = {f"{kind}{what}": {} for kind in ("serviceMonitor", "podMonitor") for what in ("Selector", "NamespaceSelector")}
    it.plane.api.create({"apiVersion": f"{GROUP}/v1", "kind": "Prometheus", "metadata": {"name": "k8s", "namespace": space},
                         "spec": {"serviceAccountName": "prometheus", **everything}})
    own.stack.callback(lambda: it.plane.api.delete("Prometheus", "k8s", space, version=f"{GROUP}/v1"))


def _with_an_agent(own: Run, it: World, file: Path, node: str, places: set[str], sender: str) -> None:
    """The agent of one node is a process: with the rendered account and configuration, but for where it sends to."""
    plane, network = it.plane, it.network
    backend = own.open(Backend())
    folder = Path(own.open(tempfile.TemporaryDirectory(prefix="e2e-")))
    text = file.read_text()
    assert DESTINATION in text
    changed = folder / "manifests.yaml"
    changed.write_text(text.replace(DESTINATION, f"127.0.0.1:{backend.grpc_port}"))
    manifests.apply(plane, changed)
    agents = manifests.settled(plane, places)
    [config] = [item["data"]["agent.yaml"] for item in manifests.documents(changed) if item["kind"] == "ConfigMap"]
    (folder / "agent.yaml").write_text(config)
    program = manifests.started(own, plane, manifests.rendered_account(plane), node, folder / "agent.yaml")

    kubelet = own.open(Kubelet(*plane.authority.server(f"kubelet-{node}", ["127.0.0.1"])))
    plane.api.patch_status("Node", node, {"daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}}})
    network.lead(node, kubelet.port, kubelet.port)
    pod = agents[node]
    kubelet.logs[manifests.SPACE, pod["metadata"]["name"]] = program.log
    for port, own_port in ((8888, "METRICS"), (13133, "HEALTH")):
        network.lead(pod["status"]["podIP"], port, program.port(own_port))

    # before it has the pods, an address of loopback is no pod's
    until(lambda: program.samples().sum("otel_agent_ready") == 1, lambda: f"the pods are known\n{program.tail()}", 30 * PATIENCE)
    for number in range(20):
        body = generate.request("traces", number, 5, {"k8s.pod.ip": sender}).SerializeToString()
        answer = raw.http_request(program.port("HTTP"), otlp.SIGNALS["traces"].path, body, {"Content-Type": "application/x-protobuf"})
        assert answer.status == 200, answer
    backend.wait_for("traces", 100, 30 * PATIENCE)
    name = pod["metadata"]["name"]
    hidden = [one for one in it.doctor().json["unseen"] if name in str(one)]
    assert not hidden, f"the agent that runs is seen: {hidden}"
    samples = program.samples()
    assert samples.sum("otel_agent_k8s_association_misses") == 0 and samples.sum("otelcol_receiver_accepted_spans") == 100, samples


def _take_away(it: World, file: Path) -> None:
    """All but the namespace, which the next one has, too."""
    for item in manifests.documents(file):
        if item["kind"] != "Namespace":
            meta = item["metadata"]
            it.plane.api.delete(item["kind"], meta["name"], meta.get("namespace", "default"), version=item["apiVersion"])
    until(lambda: not it.plane.api.items("Pod", manifests.SPACE), "all agents are gone", 60 * PATIENCE)
