"""What running agents say of themselves: the fault is made for a real process, found, and gone when it is mended."""

import datetime
import subprocess
import time

from harness import ports
from harness.backend import UNAVAILABLE, Answer, Backend
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until

from . import alive
from .alive import CONFIG
from .world import NAME

SECONDS = 180


@scenario("doctor/alive-healthy", SECONDS)
def healthy(run: Run) -> None:
    """Agents that run, know their pods and deliver: nothing is wrong, and everything was seen."""
    it = alive.start(run, nodes=2)
    address = it.world.plane.api.items("Pod", it.world.namespace, labelSelector="app=shop")[0]["status"]["podIP"]
    for program in it.programs.values():
        assert it.send(program, 3, {"k8s.pod.ip": address}) == 3
    it.world.finds_nothing()
    report = it.world.doctor()
    hidden = [one for one in report.json.get("unseen", []) if "pod" in one["what"]]
    assert not hidden, hidden


@scenario("doctor/exporter-unreachable", SECONDS)
def exporter_unreachable(run: Run) -> None:
    """Nothing listens where the backend should be; when it is up, it is over."""
    port = ports.free()
    it = alive.start(run, backend_port=port)
    assert it.send(it.any(), 3) == 3
    found = it.world.finds("exporter-unreachable")
    assert "refuses connections" in found["title"] and f"127.0.0.1:{port} refused the connection" in str(found["evidence"]), found
    backend = Backend()
    backend._grpc.stop(None).wait()
    backend.grpc_port = port
    backend._grpc = backend._grpc_server()
    run.open(backend)
    backend.wait_for("traces", 15, 30 * PATIENCE)

    def over() -> bool:
        it.send(it.any(), 5, {"k8s.pod.ip": "127.0.0.1"})
        return "exporter-unreachable" not in it.world.doctor().ids

    until(over, "it sends again", 60 * PATIENCE)


@scenario("doctor/exporter-refused", SECONDS)
def exporter_refused(run: Run) -> None:
    """A backend that wants nothing of it: what it says is told, and what was lost is counted."""
    import grpc
    backend = run.open(Backend(lambda _: Answer(grpc.StatusCode.PERMISSION_DENIED, 403, "no such tenant")))
    it = alive.start(run, backend_port=backend.grpc_port)
    it.send(it.any(), 3)
    found = it.world.finds("exporter-refused")
    assert "no such tenant" in str(found["evidence"]), found
    lost = it.world.finds("exporter-lost")
    assert "refused by the backend for good" in str(lost["evidence"]), lost


@scenario("doctor/exporter-queue", SECONDS)
def exporter_queue(run: Run) -> None:
    """A backend that takes nothing: the queue is full, senders are refused, and both are said."""
    backend = run.open(Backend(lambda _: UNAVAILABLE))
    it = alive.start(run, backend_port=backend.grpc_port)
    until(lambda: it.send(it.any(), 5) < 5, "senders are refused", 30 * PATIENCE)
    found = it.world.finds("exporter-queue")
    assert found["severity"] == "error" and "of 200" in str(found["evidence"]), found


@scenario("doctor/config-not-loaded", SECONDS)
def config_not_loaded(run: Run) -> None:
    """The ConfigMap is changed: the command that is printed brings the change to the agents."""
    it = alive.start(run)
    it.world.finds_nothing()
    it.write(CONFIG + "# a change\n")
    found = it.world.finds("config-not-loaded")
    assert "the ConfigMap has" in found["evidence"][0], found
    before = set(it.programs)
    it.world.mend(found)
    it.replaced(before)
    it.world.finds_nothing()


@scenario("doctor/config-invalid", SECONDS)
def config_invalid(run: Run) -> None:
    """Every error is told with its line; the ConfigMap as it was, it is over."""
    it = alive.start(run)
    it.write(CONFIG.replace("exporters: [otlp]}", "exporters: [otpl]}").replace("queue_size: 200", "queue_size: -1"))
    found = it.world.finds("config-invalid")
    assert len(found["evidence"]) >= 2 and all("line " in line for line in found["evidence"][:2]), found
    it.write(CONFIG)
    it.world.finds_nothing()


@scenario("doctor/attributes-rights", SECONDS)
def attributes_rights(run: Run) -> None:
    """The account may not list and watch pods: access review, figures and log say so; the commands grant it."""
    it = alive.start(run, rules=[{"apiGroups": [""], "resources": ["nodes", "namespaces"], "verbs": ["get"]}])
    found = it.world.finds("attributes-rights", saying="is forbidden")
    assert "access review" in str(found["evidence"]), found
    it.world.mend(found)
    role = f"{NAME}-pods"
    run.stack.callback(lambda: [it.world.plane.api.delete(kind, role) for kind in ("ClusterRoleBinding", "ClusterRole")])
    until(lambda: "attributes-rights" not in it.world.doctor().ids, lambda: str(it.world.doctor().json), 90 * PATIENCE)


@scenario("doctor/attributes-mesh", SECONDS)
def attributes_mesh(run: Run) -> None:
    """Data comes from loopback, as through a proxy beside the agent; new pods without one are well again."""
    it = alive.start(run)
    assert it.send(it.any(), 12) == 12
    found = it.world.finds("attributes-mesh")
    assert "12 of 12 resources (100 %)" in str(found["evidence"]), found
    before = set(it.programs)
    it.world.mend(found)
    it.replaced(before)
    it.world.finds_nothing()
    template = it.world.plane.api.get("DaemonSet", NAME, it.world.namespace)["spec"]["template"]
    assert template["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false", template


@scenario("doctor/attributes-configuration", SECONDS)
def attributes_configuration(run: Run) -> None:
    """`passthrough`, a wrong order, a pipeline without the processor: found in the text alone."""
    it = alive.start(run)
    batched = CONFIG.replace("processors:\n", "processors:\n  batch: {timeout: 1s}\n", 1)
    for text, identity in (
            (CONFIG.replace("auth_type: kubeConfig", "auth_type: kubeConfig\n    passthrough: true"), "attributes-passthrough"),
            (batched.replace("k8s_attributes]", "batch, k8s_attributes]"), "attributes-order"),
            (CONFIG + "    logs: {receivers: [otlp], exporters: [otlp]}\n", "attributes-pipeline"),
            (CONFIG.replace("host: 0.0.0.0", "host: localhost"), "prometheus-loopback")):
        it.write(text)
        it.world.finds(identity)
    it.write(CONFIG)
    it.world.finds_nothing()


@scenario("doctor/clock-skew", SECONDS)
def clock_skew(run: Run) -> None:
    """The lease of a node says five minutes more than the API server; and again, when its clock is right."""
    it = alive.start(run)
    [node] = it.world.nodes

    def renew(ahead: float) -> None:
        now = datetime.datetime.fromtimestamp(time.time() + ahead, datetime.timezone.utc)
        it.world.plane.api.apply({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": node, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": node, "leaseDurationSeconds": 40, "renewTime": now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")}})

    run.stack.callback(lambda: it.world.plane.api.delete("Lease", node, "kube-node-lease"))
    renew(300)
    found = it.world.finds("clock-skew")
    assert found["subject"] == f"node {node}" and found["severity"] == "error", found
    by_agent, by_lease = found["evidence"]
    assert "ahead of the API server by the lease" in by_lease and float(by_agent.split()[0]) < 3, found
    _set_clock(it, node, found)
    renew(0)
    it.world.finds_nothing()


def _set_clock(it: alive.Alive, node: str, found: dict) -> None:
    """The command makes a pod that may do on its node what it is to do; there is no node here on which it would happen."""
    query = {"labelSelector": "app.kubernetes.io/managed-by=kubectl-debug"}

    def debuggers() -> list[dict]:
        return [pod for pod in it.world.plane.api.items("Pod", "default", **query) if pod["spec"].get("nodeName") == node]

    it.world.mend(found)
    [pod] = debuggers()
    it.run.stack.callback(lambda: [it.world.plane.api.delete("Pod", one["metadata"]["name"], "default", grace_seconds=0) for one in debuggers()])
    [container], volumes = pod["spec"]["containers"], pod["spec"]["volumes"]
    assert container["securityContext"]["privileged"] and pod["spec"]["hostPID"], pod
    [host] = [volume["name"] for volume in volumes if volume.get("hostPath", {}).get("path") == "/"]
    assert {"name": host, "mountPath": "/host"} in container["volumeMounts"], pod
    chroot, root, shell, option, command = container["command"] if "command" in container else container["args"]
    assert (chroot, root, shell, option) == ("chroot", "/host", "sh", "-c"), container
    syntax = subprocess.run(["sh", "-n", "-c", command], capture_output=True, text=True)
    assert syntax.returncode == 0 and "chronyc makestep" in command, syntax
    until(lambda: debuggers()[0]["status"].get("phase") == "Running", "kwok runs it", 30 * PATIENCE)
    it.world.plane.api.patch_status("Pod", pod["metadata"]["name"], {"phase": "Succeeded"}, "default")
    it.world.mend(found, 1)
    until(lambda: not debuggers(), "the pod is taken away", 30 * PATIENCE)
