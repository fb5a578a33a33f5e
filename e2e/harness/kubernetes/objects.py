"""The objects that scenarios create, as short as the API server takes them."""

# kwok leaves a pod with this annotation alone: the scenario writes its status
BY_HAND = "e2e.test/by-hand"
# kwok gives the pod this address instead of the next one of its range
POD_IP = "e2e.test/pod-ip"
# kwok ends a Job's pods after a second; not those with this annotation
STAYS = "e2e.test/stays"

IMAGE = "registry.test/shop/app:1.4.2"


def node(name: str, ip: str, cpu: str = "8", memory: str = "32Gi", pods: int = 250, labels: dict | None = None,
         taints: list[dict] = ()) -> dict:
    """A node that is ready as soon as it is there."""
    resources = {"cpu": cpu, "memory": memory, "pods": str(pods), "ephemeral-storage": "100Gi"}
    return {
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux",
                                              "kubernetes.io/arch": "amd64", **(labels or {})}},
        "spec": {"taints": list(taints)},
        "status": {
            "capacity": resources, "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": ip}, {"type": "Hostname", "address": name}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "made by a scenario"}],
        },
    }


def pod(name: str, namespace: str = "default", node: str | None = None, labels: dict | None = None,
        annotations: dict | None = None, containers: list[str] = ("app",), image: str = IMAGE, **spec: object) -> dict:
    """A pod; with `node` it is bound from the start, without it the scheduler looks for one."""
    if node:
        spec["nodeName"] = node
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": namespace, "labels": labels or {}, "annotations": annotations or {}},
            "spec": _pod_spec(containers, image, spec)}


def running(ips: list[str], containers: list[str] = ("app",), node_ip: str = "127.0.0.1", image: str = IMAGE,
            container_ids: list[str] = (), started: str = "2026-01-01T00:00:00Z") -> dict:
    """The status of a pod that runs, for `Api.patch_status`."""
    ids = list(container_ids) or [format(number + 1, "064x") for number in range(len(containers))]
    return {
        "phase": "Running", "startTime": started, "hostIP": node_ip, "hostIPs": [{"ip": node_ip}],
        "podIP": ips[0], "podIPs": [{"ip": ip} for ip in ips],
        "conditions": [{"type": kind, "status": "True", "lastTransitionTime": started}
                       for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")],
        "containerStatuses": [
            {"name": name, "image": image, "imageID": f"{image.rsplit(':', 1)[0]}@sha256:{'0' * 64}",
             "containerID": f"containerd://{identity}", "ready": True, "started": True, "restartCount": 0,
             "state": {"running": {"startedAt": started}}}
            for name, identity in zip(containers, ids, strict=True)],
    }


def deployment(name: str, namespace: str = "default", replicas: int = 1, **template: object) -> dict:
    return _workload("apps/v1", "Deployment", name, namespace, {"replicas": replicas}, template)


def replica_set(name: str, namespace: str = "default", replicas: int = 1, **template: object) -> dict:
    return _workload("apps/v1", "ReplicaSet", name, namespace, {"replicas": replicas}, template)


def stateful_set(name: str, namespace: str = "default", replicas: int = 1, **template: object) -> dict:
    return _workload("apps/v1", "StatefulSet", name, namespace, {"replicas": replicas, "serviceName": name}, template)


def daemon_set(name: str, namespace: str = "default", **template: object) -> dict:
    return _workload("apps/v1", "DaemonSet", name, namespace, {}, template)


def job(name: str, namespace: str = "default", **template: object) -> dict:
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name, "namespace": namespace},
            "spec": {"template": _template(name, {"restartPolicy": "Never", **template})}}


def cron_job(name: str, namespace: str = "default", schedule: str = "* * * * *", **template: object) -> dict:
    """Runs with the schedule: the first Job comes at the next full minute (see `ControlPlane.run_cron_job`)."""
    return {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": name, "namespace": namespace},
            "spec": {"schedule": schedule, "jobTemplate": {"spec": job(name, **template)["spec"]}}}


def namespace(name: str, labels: dict | None = None) -> dict:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels or {}}}


def _workload(version: str, kind: str, name: str, namespace: str, spec: dict, template: dict) -> dict:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace},
            "spec": {**spec, "selector": {"matchLabels": {"app": name}}, "template": _template(name, template)}}


def _template(name: str, settings: dict) -> dict:
    settings = dict(settings)
    labels = {"app": name, **settings.pop("labels", {})}
    annotations = settings.pop("annotations", {})
    containers, image = settings.pop("containers", ("app",)), settings.pop("image", IMAGE)
    return {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod_spec(containers, image, settings)}


def _pod_spec(containers: list[str], image: str, settings: dict) -> dict:
    return {"containers": [{"name": name, "image": image} for name in containers], "terminationGracePeriodSeconds": 1,
            **settings}
