"""What a process needs to know to stand for a pod: which pods there are, and the environment that a kubelet would give it."""

from .kubernetes import ControlPlane

FIELDS = {"spec.nodeName": ("spec", "nodeName"), "metadata.name": ("metadata", "name"),
          "metadata.namespace": ("metadata", "namespace"), "status.podIP": ("status", "podIP")}


def running(plane: ControlPlane, namespace: str, labels: str) -> list[dict]:
    """Pods with these labels that run and are not ending."""
    return [pod for pod in plane.api.items("Pod", namespace, labelSelector=labels)
            if pod["status"].get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")]


def environment(plane: ControlPlane, pod: dict) -> dict[str, str]:
    """The variables of its first container, as a kubelet sets them."""
    container = pod["spec"]["containers"][0]
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        found.update(plane.api.get("ConfigMap", source["configMapRef"]["name"], pod["metadata"]["namespace"])["data"])
    for variable in container.get("env", ()):
        if field := variable.get("valueFrom", {}).get("fieldRef", {}).get("fieldPath"):
            section, key = FIELDS[field]
            found[variable["name"]] = pod[section][key]
        else:
            found[variable["name"]] = variable.get("value", "")
    return found
