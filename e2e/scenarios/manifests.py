"""What `otel-agent manifests` renders, on a real control plane: every object is accepted, agents come where they should, at the
Pod Security level that is stated, with rights that are enough and no more than that."""

import functools
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from harness import parts
from harness.backend import Backend
from harness.configs import written
from harness.kubernetes import Account, ControlPlane, objects
from harness.kubernetes.client import Api, ApiError
from harness.kubernetes.plane import PATIENCE
from harness.program import Program
from harness.runner import Run, add, scenario
from harness.waiting import until

from .k8sattributes.common import send
from .k8sattributes.in_pod import mounted
from .k8sattributes.rights import told

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "k8s-manifests.yaml"
SPACE = "open-telemetry"
LABELS = "app.kubernetes.io/name=otel-agent"
AGENT_ONLY = "the Collector renders no manifests"
# addresses that EndpointSlices take; nobody sends from them
POD_RANGE = "10.244.0.0/16"
LEVEL = "pod-security.kubernetes.io/enforce"


def rendered() -> list[Path]:
    """Every rendered file of the repository."""
    found = [DEFAULT, *sorted((ROOT / "deploy/profiles").glob("*.yaml")), *sorted((ROOT / "deploy/patterns").glob("*.yaml"))]
    assert len(found) > 15, found
    return found


def documents(file: Path) -> list[dict]:
    return [document for document in yaml.safe_load_all(file.read_text()) if document]


def workload(found: list[dict]) -> dict:
    [one] = [item for item in found if item["kind"] in ("DaemonSet", "Deployment")]
    return one


def level(found: list[dict]) -> str:
    return next(item["metadata"]["labels"][LEVEL] for item in found if item["kind"] == "Namespace")


def install_operator_kinds(plane: ControlPlane) -> None:
    """The kinds of the Prometheus Operator, without their schemas."""
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule"):
        plural = f"{kind.lower()}s"
        schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        plane.api.apply({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.monitoring.coreos.com"},
            "spec": {"group": "monitoring.coreos.com", "scope": "Namespaced",
                     "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}]}})
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule"):
        until(lambda: _serves(plane, kind), f"the API server has {kind}", 30 * PATIENCE)


def _serves(plane: ControlPlane, kind: str) -> bool:
    try:
        plane.api.items(kind, SPACE, "monitoring.coreos.com/v1")
        return True
    except (ApiError, ValueError):
        # the list of kinds is kept once it has been read
        plane.api._resources.clear()
        return False


# === every object is accepted

def accepted(run: Run, minor: str) -> None:
    """A server-side dry run with strict fields: nothing is unknown, nothing is refused."""
    plane = run.open(ControlPlane(minor, scheduler=False, kwok=False))
    install_operator_kinds(plane)
    plane.namespace(SPACE)
    count = 0
    for file in rendered():
        for item in documents(file):
            path = plane.api._path_of(item)
            query = {"dryRun": "All", "fieldManager": "e2e", "force": "true", "fieldValidation": "Strict"}
            try:
                plane.api.call("PATCH", path, item, query, "application/apply-patch+yaml")
            except ApiError as refused:
                raise AssertionError(f"{file.name}: {item['kind']} {item['metadata']['name']}: {refused}") from None
            count += 1
    assert count > 150, f"only {count} objects were tried"


for _minor in parts.minors():
    add(f"manifests/accepted-{_minor}", functools.partial(accepted, minor=_minor), 180, agent_only=AGENT_ONLY)


# === where agents come

def agents(plane: ControlPlane) -> dict[str, dict]:
    """The running agents by their nodes; two on one node are a mistake."""
    found: dict[str, dict] = {}
    for pod in plane.api.items("Pod", SPACE, labelSelector=LABELS):
        node = pod["spec"].get("nodeName")
        if pod["metadata"].get("deletionTimestamp") or pod.get("status", {}).get("phase") != "Running":
            continue
        assert node not in found, f"two agents on {node}"
        found[node] = pod
    return found


def settled(plane: ControlPlane, expected: set[str]) -> dict[str, dict]:
    """Waits until exactly these nodes have an agent, and no pod waits for a place."""
    def there() -> bool:
        waiting = plane.api.items("Pod", SPACE, fieldSelector="status.phase=Pending")
        return not waiting and set(agents(plane)) == expected

    until(there, lambda: f"agents on {sorted(expected)}; they are on {sorted(agents(plane))}\n{_why(plane)}", 90 * PATIENCE)
    return agents(plane)


def _why(plane: ControlPlane) -> str:
    events = plane.api.items("Event", SPACE)
    return "\n".join(f"{event['reason']}: {event['message']}" for event in events[-5:])


def apply(plane: ControlPlane, file: Path) -> None:
    plane.kubectl("apply", "-f", str(file))


def remove(plane: ControlPlane) -> None:
    """Takes the agents away, and waits until they are gone."""
    for kind in ("DaemonSet", "Deployment"):
        if plane.api.find(kind, "otel-agent", SPACE):
            plane.api.delete(kind, "otel-agent", SPACE)
    until(lambda: not plane.api.items("Pod", SPACE), "all agents are gone", 60 * PATIENCE)


@scenario("manifests/one-for-each-node", seconds=240, agent_only=AGENT_ONLY)
def one_for_each_node(run: Run) -> None:
    """`kubectl apply -f k8s-manifests.yaml`: each node has an agent, also one that comes later, is tainted or cordoned."""
    plane = run.open(ControlPlane(pod_range=POD_RANGE))
    nodes = set(plane.nodes(3))
    apply(plane, DEFAULT)
    settled(plane, nodes)
    plane.wait_for_daemon_set("otel-agent", 3, SPACE)

    [late] = plane.nodes(1, prefix="late")
    settled(plane, nodes := nodes | {late})

    # a taint that ends all that do not tolerate it, and a node that takes no new pods
    plane.kubectl("taint", "node", "node-1", "dedicated=database:NoExecute")
    plane.kubectl("cordon", "node-2")
    [control] = plane.nodes(1, prefix="control-plane", taints=[
        {"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}])
    settled(plane, nodes := nodes | {control})

    # a label that nobody asked for changes nothing; one for another system keeps the agent away
    plane.kubectl("label", "node", "node-0", "team=shop")
    [windows] = plane.nodes(1, prefix="windows", labels={"kubernetes.io/os": "windows"})
    settled(plane, nodes)

    plane.api.delete("Node", late)
    settled(plane, nodes := nodes - {late})
    _reachable(plane, len(nodes))
    _replaced(plane, nodes)
    until(lambda: len(plane.api.items("Pod", SPACE, labelSelector=LABELS)) == len(nodes), "the replaced agents are gone", 60 * PATIENCE)
    assert windows not in agents(plane)


def _reachable(plane: ControlPlane, count: int) -> None:
    """Both Services lead to every agent; the traffic of the first stays on its node."""
    service = plane.api.get("Service", "otel-agent", SPACE)["spec"]
    assert service["internalTrafficPolicy"] == "Local" and service["clusterIP"] != "None", service
    assert plane.api.get("Service", "otel-agent-headless", SPACE)["spec"]["clusterIP"] == "None"

    def endpoints(name: str) -> int:
        slices = plane.api.items("EndpointSlice", SPACE, labelSelector=f"kubernetes.io/service-name={name}")
        return sum(endpoint["conditions"]["ready"] for one in slices for endpoint in one["endpoints"] or [])

    for name in ("otel-agent", "otel-agent-headless"):
        until(lambda: endpoints(name) == count, lambda: f"{name} has {count} endpoints, not {endpoints(name)}", 60 * PATIENCE)


def _replaced(plane: ControlPlane, nodes: set[str]) -> None:
    """A new image: no node is without a ready agent at any moment that is looked at."""
    plane.kubectl("-n", SPACE, "set", "image", "daemonset/otel-agent", "otel-agent=otel-agent:next")
    least = []

    def done() -> bool:
        pods = plane.api.items("Pod", SPACE, labelSelector=LABELS)
        ready = {pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName") and not pod["metadata"].get("deletionTimestamp")
                 and any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", ()))}
        least.append(len(ready & nodes))
        status = plane.api.get("DaemonSet", "otel-agent", SPACE)["status"]
        return status.get("updatedNumberScheduled") == len(nodes) and len(pods) == len(nodes)

    until(done, "every agent has the new image", 120 * PATIENCE)
    assert min(least) == len(nodes), f"at some moment only {min(least)} of {len(nodes)} nodes had a ready agent"


WORKER, PLAIN, CONTROL, GPU, DEDICATED = "worker-0", "plain-1", "control-plane-2", "gpu-3", "dedicated-4"
EVERY = {WORKER, PLAIN, CONTROL, GPU, DEDICATED}
# where each comes, unless on every node
PLACES = {
    "node-selector.yaml": {WORKER},
    "tolerations.yaml": {WORKER, PLAIN, CONTROL, GPU},
    "no-tolerations.yaml": {WORKER, PLAIN},
    "deployment.yaml": {WORKER, PLAIN},
}


@scenario("manifests/patterns", seconds=600, agent_only=AGENT_ONLY)
def patterns(run: Run) -> None:
    """Every profile and pattern is applied, and its agents come where they should, as they should."""
    plane = run.open(ControlPlane(pod_range=POD_RANGE))
    install_operator_kinds(plane)

    def taint(key: str, effect: str) -> list[dict]:
        return [{"key": key, "value": "yes", "effect": effect}]

    plane.nodes(1, prefix="worker", labels={"node-role": "worker"})
    plane.nodes(1, prefix="plain")
    plane.nodes(1, prefix="control-plane", taints=taint("node-role.kubernetes.io/control-plane", "NoSchedule"))
    plane.nodes(1, prefix="gpu", taints=taint("nvidia.com/gpu", "NoSchedule"))
    plane.nodes(1, prefix="dedicated", taints=taint("dedicated", "NoExecute"))
    for file in rendered():
        apply(plane, file)
        found = settled(plane, PLACES.get(file.name, EVERY))
        for pod in found.values():
            _is_as_it_should(file.name, pod["spec"], workload(documents(file)))
        remove(plane)


def _is_as_it_should(name: str, spec: dict, written_down: dict) -> None:
    container = spec["containers"][0]
    ports = {port["name"]: port.get("hostPort") for port in container["ports"]}
    template = written_down["spec"]["template"]["spec"]
    assert _plain(container["resources"]) == _plain(template["containers"][0]["resources"]), container["resources"]
    assert spec.get("hostNetwork", False) == (name == "host-network.yaml"), spec
    assert spec["dnsPolicy"] == ("ClusterFirstWithHostNet" if name == "host-network.yaml" else "ClusterFirst"), spec
    assert (ports["otlp-grpc"], ports["otlp-http"]) == (
        (4317, 4318) if name in ("host-port.yaml", "host-network.yaml") else (None, None)), ports
    priority = {"priority-class.yaml": 1_000_000, "node-critical.yaml": 2_000_001_000}.get(name, 0)
    assert spec["priority"] == priority, (name, spec["priority"])
    on_node = [volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume]
    assert on_node == (["/var/lib/otel-agent"] if name == "journal.yaml" else []), on_node


def _plain(resources: dict) -> dict:
    """The API server writes 1000m as 1."""
    return {kind: {**amounts, "cpu": amounts["cpu"].replace("1000m", "1")} for kind, amounts in resources.items()}


# === at which level of Pod Security

@scenario("manifests/pod-security", seconds=120, agent_only=AGENT_ONLY)
def pod_security(run: Run) -> None:
    """The stated level takes the pods; the one below refuses those that say that they need more."""
    plane = run.open(ControlPlane(scheduler=False, kwok=False))
    spaces = {one: plane.namespace(f"takes-{one}", {LEVEL: one}) for one in ("restricted", "baseline", "privileged")}
    for space in spaces.values():
        plane.api.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "otel-agent", "namespace": space}})
    stated = {}
    for file in rendered():
        found = documents(file)
        for item in (item for item in found if item["kind"] == "PriorityClass"):
            plane.api.apply(item)
        stated[file.name] = level(found)
        assert _takes(plane, spaces[stated[file.name]], found), f"{file.name} is refused at {stated[file.name]}"
        if stated[file.name] == "privileged":
            assert not _takes(plane, spaces["baseline"], found), f"{file.name} would not need privileged"
    more = {name for name, one in stated.items() if one == "privileged"}
    assert more == {"host-network.yaml", "host-port.yaml", "journal.yaml"}, more


def _takes(plane: ControlPlane, space: str, found: list[dict]) -> bool:
    template = workload(found)["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "agent", "namespace": space, **template["metadata"]},
           "spec": template["spec"]}
    answered = until(lambda: _tried(plane, space, pod), "the server has seen the pod's priority class", 30 * PATIENCE)
    assert answered == "taken" or "violates PodSecurity" in answered, answered
    return answered == "taken"


def _tried(plane: ControlPlane, space: str, pod: dict) -> str | None:
    """What becomes of the pod; None while the server's admission has not yet seen a class that is there."""
    try:
        plane.api.call("POST", plane.api.path("Pod", space), pod, {"dryRun": "All"})
        return "taken"
    except ApiError as refused:
        assert refused.code == 403, refused
        return None if "no PriorityClass with name" in str(refused) else str(refused)


# === with which rights

@scenario("manifests/rights", seconds=180, agent_only=AGENT_ONLY)
def rights(run: Run) -> None:
    """The real agent, with the rendered configuration and a token of the rendered account: it lacks nothing, and each verb that
    is taken away is missed."""
    plane = run.open(ControlPlane())
    [node] = plane.nodes(1, prefix="rights")
    plane.namespace("shop")
    plane.run_pod(objects.pod("cart", "shop", node), ["127.73.0.20"])
    backend = run.open(Backend())
    text, destination = DEFAULT.read_text(), "otel-backend:4317"
    assert destination in text
    file = run.open(written(text.replace(destination, f"127.0.0.1:{backend.grpc_port}")))
    apply(plane, file)
    found = documents(file)
    [role] = [item for item in found if item["kind"] == "ClusterRole"]
    [config] = [item["data"]["agent.yaml"] for item in found if item["kind"] == "ConfigMap"]
    account = rendered_account(plane)

    program = started(run, plane, account, node, run.open(written(config)))
    until(lambda: (send(program, backend, "127.73.0.20", within=10 * PATIENCE).resource or {}).get("k8s.pod.name") == "cart",
          lambda: f"the pod is known\n{program.tail()}", 60 * PATIENCE)
    assert program.samples().sum("otel_agent_kubernetes_missing_rights") == 0 and not told(program), told(program)
    program.kill()

    verbs = {verb for rule in role["rules"] for verb in rule["verbs"]}
    assert verbs == {"list", "watch"} and len(role["rules"]) == 1, role["rules"]
    for verb in sorted(verbs):
        fewer = [{**rule, "verbs": [one for one in rule["verbs"] if one != verb]} for rule in role["rules"]]
        plane.api.apply({**role, "rules": fewer}, manager="kubectl")
        until(lambda: not account.api.may(verb, "pods"), f"the account may no longer {verb} pods", 30 * PATIENCE)
        program = started(run, plane, account, node, run.open(written(config)))
        until(lambda: told(program), lambda: f"{verb} is missed\n{program.tail()}", 60 * PATIENCE)
        program.kill()


def rendered_account(plane: ControlPlane) -> Account:
    """The rendered account as a pod of it would have it."""
    folder = plane.folder / "rendered"
    folder.mkdir()
    token = plane._token(SPACE, "otel-agent", 3600)
    for name, text in (("token", token), ("namespace", SPACE), ("ca.crt", plane.authority.file.read_text())):
        (folder / name).write_text(text)
    return Account(SPACE, "otel-agent", [], folder, plane.kubeconfig, Api(plane.server, plane.authority.file, token=token))


def started(run: Run, plane: ControlPlane, account: Account, node: str, config: Path) -> Program:
    """As its pod would start it, but for the ports, which others have here."""
    server = urlsplit(plane.server)
    program = Program(run.kind, [config], {
        "K8S_NODE_NAME": node, "KUBERNETES_SERVICE_HOST": server.hostname, "KUBERNETES_SERVICE_PORT": server.port})
    reader = f"{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {program.port('METRICS')}}}}}}}}}"
    program.arguments = [
        "--set", f"receivers.otlp.protocols.grpc.endpoint=127.0.0.1:{program.port('GRPC')}",
        "--set", f"receivers.otlp.protocols.http.endpoint=127.0.0.1:{program.port('HTTP')}",
        "--set", f"extensions.health_check.endpoint=127.0.0.1:{program.port('HEALTH')}",
        "--set", f"service.telemetry.metrics.readers=[{reader}]",
        # nothing waits for more to come
        "--set", "processors.batch.timeout=0s",
    ]
    mounted(run, program, account)
    return run.open(program)
