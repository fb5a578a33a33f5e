"""The pods that the oracle's scenarios send from: one of every kind, made once for each control plane.

All are in namespace `oracle` on the node `world-…`, with addresses in 127.66.0.0/24.
"""

import hashlib
from dataclasses import dataclass

from harness.kubernetes import ControlPlane, objects
from harness.waiting import until

from .common import PATIENCE

NAMESPACE = "oracle"
LABELS = {"app": "plain", "app.kubernetes.io/name": "shop-api", "app.kubernetes.io/version": "2.1.0", "tier": "back",
          "empty": "", "team.example.com/owner": "ada", "team.example.com/pager": "bob"}
ANNOTATIONS = {"note": "written by hand", "team.example.com/channel": "#shop", "blank": ""}
OTEL = {f"resource.opentelemetry.io/{name}": value for name, value in {
    "service.name": "chosen", "service.version": "7", "service.namespace": "elsewhere", "deployment.environment": "test",
    "k8s.pod.name": "not-mine"}.items()}
DIGEST = "sha256:" + "ab" * 32

A = "127.66.0."
ADDRESSES = {
    "plain": A + "10", "two": A + "11", "hostname": A + "12", "jaeger-agent-1": A + "13", "my-jaeger-collector": A + "14",
    "otel": A + "15", "digest": A + "16", "untagged": A + "17", "dual": A + "18", "elsewhere": A + "19", "ended": A + "20",
    "init": A + "21", "instance": A + "22", "bad-image": A + "23", "ignored": A + "24", "terminating": A + "25",
    "web": A + "30", "bare": A + "31", "cache-5d9c7b5f6d": A + "32", "db": A + "33", "logs": A + "34", "once": A + "35",
    "report": A + "36", "node-pod": A + "37",
}
NOBODY = A + "250"  # an address without a pod
IDS = {"app": "1" * 64, "proxy": "2" * 64}


@dataclass
class World:
    node: str
    uids: dict[str, str]  # by the names above

    @property
    def host_address(self) -> str:
        return "127.66.1.1"


_worlds: dict[int, World] = {}


def of(plane: ControlPlane) -> World:
    if id(plane) not in _worlds:
        _worlds[id(plane)] = _made(plane)
    return _worlds[id(plane)]


def _made(plane: ControlPlane) -> World:
    node, other = plane.nodes(2, prefix="world", labels={"zone": "a", "team.example.com/rack": "7"})
    plane.api.patch("Node", node, {"metadata": {"annotations": {"note": "of the node"}}})
    plane.namespace(NAMESPACE, {"team": "shop", "team.example.com/floor": "3"})
    plane.api.patch("Namespace", NAMESPACE, {"metadata": {"annotations": {"note": "of the namespace"}}})
    _single_pods(plane, node, other)
    _workloads(plane, node)

    def uids() -> dict[str, str]:
        found = {}
        for pod in plane.api.items("Pod", NAMESPACE):
            for name, address in ADDRESSES.items():
                if pod["status"].get("podIP") == address:
                    found[name] = pod["metadata"]["uid"]
            if pod["spec"].get("hostNetwork"):
                found["host-network"] = pod["metadata"]["uid"]
        return found

    wanted = {*ADDRESSES, "host-network"}
    until(lambda: wanted == set(uids()), lambda: f"pods with addresses: {wanted - set(uids())} are missing", 60 * PATIENCE)
    return World(node, uids())


def _single_pods(plane: ControlPlane, node: str, other: str) -> None:
    def pod(name: str, ips: list[str] | None = None, on: str = node, status: dict | None = None, finalizers: list = (),
            **more) -> None:
        made = objects.pod(name, NAMESPACE, on, **more)
        made["metadata"]["finalizers"] = list(finalizers)
        ids = [hashlib.sha256(f"{name}/{one['name']}".encode()).hexdigest() for one in made["spec"]["containers"]]
        plane.run_pod(made, ips or [ADDRESSES[name]], **{"container_ids": ids, **(status or {})})

    pod("plain", labels=LABELS, annotations=ANNOTATIONS)
    pod("two", containers=["app", "proxy"], status={"container_ids": [IDS["app"], IDS["proxy"]]})
    plane.api.patch_status("Pod", "two", {"containerStatuses": [
        _container("app", IDS["app"], 3, last="3" * 64), _container("proxy", IDS["proxy"], 0)]}, NAMESPACE)
    pod("hostname", hostname="billing-0")
    pod("jaeger-agent-1")
    pod("my-jaeger-collector")
    pod("otel", annotations=OTEL, labels={"app.kubernetes.io/name": "by-label"})
    pod("digest", image=f"registry.test:5000/team/app:1.2@{DIGEST}", status={"image": "registry.test:5000/team/app:1.2"})
    pod("untagged", image="nginx", status={"image": "docker.io/library/nginx:latest"})
    pod("dual", [ADDRESSES["dual"], "fd00::18"])
    pod("elsewhere", on=other)
    pod("ended")
    plane.api.patch_status("Pod", "ended", {"phase": "Succeeded"}, NAMESPACE)
    pod("init", initContainers=[{"name": "prepare", "image": "registry.test/prepare:9"}])
    plane.api.patch_status("Pod", "init", {"initContainerStatuses": [_container("prepare", "4" * 64, 0)]}, NAMESPACE)
    pod("instance", labels={"app.kubernetes.io/name": "name", "app.kubernetes.io/instance": "instance"})
    pod("bad-image", image="registry.test/UPPER CASE")
    pod("ignored", annotations={"opentelemetry.io/k8s-processor.ignore": "true"})
    pod("terminating", finalizers=["e2e.test/held"])
    plane.api.delete("Pod", "terminating", NAMESPACE)
    pod("host-network", ["127.66.1.1"], hostNetwork=True, labels={"app": "host-network"})


def _container(name: str, identity: str, restarts: int, last: str = "") -> dict:
    status = {"name": name, "image": objects.IMAGE, "imageID": f"registry.test/shop/app@{DIGEST}",
              "containerID": f"containerd://{identity}", "ready": True, "started": True, "restartCount": restarts,
              "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
    if last:
        status["lastState"] = {"terminated": {"exitCode": 1, "containerID": f"containerd://{last}"}}
    return status


def _workloads(plane: ControlPlane, node: str) -> None:
    def template(name: str) -> dict:
        return {"annotations": {objects.POD_IP: ADDRESSES[name], objects.STAYS: "true"}, "nodeName": node}

    def create(made: dict, kind: str) -> None:
        made["metadata"] |= {"labels": {"kind": kind, "team.example.com/of": "workload"}, "annotations": {"note": f"of the {kind}"}}
        plane.api.create(made)

    create(objects.deployment("web", NAMESPACE, **template("web")), "deployment")
    create(objects.replica_set("bare", NAMESPACE, **template("bare")), "replicaset")
    create(objects.replica_set("cache-5d9c7b5f6d", NAMESPACE, **template("cache-5d9c7b5f6d")), "replicaset")
    create(objects.stateful_set("db", NAMESPACE, **template("db")), "statefulset")
    chosen = {"nodeSelector": {"kubernetes.io/hostname": node}}
    create(objects.daemon_set("logs", NAMESPACE, annotations=template("logs")["annotations"], **chosen), "daemonset")
    create(objects.job("once", NAMESPACE, **template("once")), "job")
    report = objects.cron_job("report", NAMESPACE, **template("report"))
    report["metadata"] |= {"labels": {"kind": "cronjob"}, "annotations": {"note": "of the cronjob"}}
    report["spec"]["concurrencyPolicy"] = "Forbid"  # its first Job goes on, so that it stays the only one
    plane.run_cron_job(report)
    # as the kubelet makes the API's copy of a static pod: the node owns it
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": plane.api.get("Node", node)["metadata"]["uid"],
             "controller": True}
    static = objects.pod("node-pod", NAMESPACE, node)
    static["metadata"]["ownerReferences"] = [owner]
    plane.run_pod(static, [ADDRESSES["node-pod"]])
