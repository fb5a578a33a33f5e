"""What a real agent asks of the API server: one list, one watch, one read of each object, as the simulated agents of the load
figures do (docs/reference/kubernetes-load.md).
"""

import types

from harness import watchers
from harness.apiproxy import ApiProxy, Request
from harness.backend import Backend
from harness.kubernetes import ControlPlane, objects
from harness.runner import Run, scenario
from harness.waiting import until

from .common import ALL_RULES, PATIENCE, POD_RULES, send, start

AGENTS = 3
OPEN_ENDED = ("timeoutSeconds", "resourceVersion")  # their values differ each time


def shape(request: Request) -> tuple:
    """What makes a request cheap or dear for the server."""
    return request.verb, request.path, {name: "…" if name in OPEN_ENDED and value != "0" else value
                                        for name, value in request.query.items()}


@scenario("kubernetes/load", seconds=180, agent_only="the Collector lists and watches once for each pipeline")
def load(run: Run) -> None:
    plane = run.open(ControlPlane(controllers=False, scheduler=False, kwok=False))
    nodes = plane.nodes(AGENTS)
    account = plane.service_account("monitoring", "agent", POD_RULES)
    for number, node in enumerate(nodes):
        for other in range(2):
            plane.run_pod(objects.pod(f"pod-{number}-{other}", node=node), [f"127.72.{number}.{other + 10}"])
    proxy, simulated = run.open(ApiProxy(plane)), run.open(ApiProxy(plane))
    backend = run.open(Backend())
    before = watchers.Reading.of(plane)
    programs = [start(run, backend, proxy.kubeconfig(account), {}, node) for node in nodes]
    until(lambda: proxy.watching("pods") == AGENTS, lambda: f"{proxy.watching('pods')} watches", 10 * PATIENCE)
    after = watchers.Reading.of(plane)
    assert after.lists - before.lists == after.by_index - before.by_index == AGENTS, (before, after)
    assert after.watches - before.watches == AGENTS, (before, after)
    assert after.from_etcd == before.from_etcd, (before, after)
    assert {request.resource for request in proxy.requests} == {"pods"}, proxy.counts()
    for number, program in enumerate(programs):
        assert send(program, backend, f"127.72.{number}.10").resource["k8s.pod.name"] == f"pod-{number}-0"
        assert "k8s.pod.name" not in send(program, backend, f"127.72.{(number + 1) % AGENTS}.10").resource
    # the figures for a thousand agents are those of a generator: it asks as agents do
    run.open(watchers.Agents(types.SimpleNamespace(server=simulated.url, authority=plane.authority), account, nodes[:1]))
    real = [shape(request) for request in proxy.requests if request.query.get("fieldSelector", "").endswith(f"={nodes[0]}")]
    assert real == [shape(request) for request in simulated.requests], (real, simulated.requests)
    # an event goes to the agent of its node alone
    updates = lambda: [program.samples().sum("otelcol_k8s_watcher_pod_updated") for program in programs]  # noqa: E731
    quiet = updates()
    plane.api.patch("Pod", "pod-0-0", {"metadata": {"labels": {"app": "shop"}}})
    plane.api.patch_status("Pod", "pod-0-0", {"phase": "Running", "podIPs": [{"ip": "127.72.0.10"}, {"ip": "fd00::72"}]})
    until(lambda: updates() == [quiet[0] + 1, *quiet[1:]], lambda: f"one update at one agent: {quiet} became {updates()}", 10 * PATIENCE)


@scenario("kubernetes/load-objects", seconds=120, agent_only="the Collector watches all of the cluster's objects")
def load_objects(run: Run) -> None:
    """Each namespace, node and controller that pods here have to do with is read once, metadata only; none is listed or watched."""
    plane = run.open(ControlPlane(scheduler=False, kwok=True))
    [node] = plane.nodes(1)
    account = plane.service_account("monitoring", "agent", ALL_RULES)
    settings = {"nodeName": node}
    plane.api.create(objects.deployment("web", replicas=5, **settings))
    plane.api.create(objects.stateful_set("db", **settings))
    for number in range(20):  # which no pod here has to do with
        plane.api.create(objects.namespace(f"other-{number}"))
        plane.api.create(objects.deployment(f"idle-{number}", replicas=0))
    running = lambda: [pod for pod in plane.api.items("Pod", "default") if pod["status"]["phase"] == "Running"]  # noqa: E731
    until(lambda: len(running()) == 6, lambda: f"{len(running())} of 6 pods run", 60 * PATIENCE)
    proxy, backend = run.open(ApiProxy(plane)), run.open(Backend())
    fields = ["k8s.pod.name", "k8s.deployment.uid", "k8s.node.uid", "k8s.cluster.uid"]
    labels = [{"key_regex": ".*", "from": kind} for kind in ("namespace", "deployment", "statefulset")]
    program = start(run, backend, proxy.kubeconfig(account), {"extract": {"metadata": fields, "labels": labels}}, node)
    address = running()[0]["status"]["podIP"]
    resource = send(program, backend, address).resource
    assert {"k8s.node.uid", "k8s.cluster.uid", "k8s.namespace.label.kubernetes.io/metadata.name"} <= resource.keys(), resource
    assert dict(proxy.counts()) == {
        "list pods": 1, "watch pods": 1, "get namespaces": 2,  # default, and kube-system for the UID of the cluster
        "get nodes": 1, "get replicasets": 1, "get deployments": 1, "get statefulsets": 1}, proxy.counts()
