"""Applications that send to the wrong place: each is found, and sends to the right one when the printed command was run."""

from harness.kubernetes import objects
from harness.runner import Run, scenario

from . import world
from .world import LABELS, World

SECONDS = 180


@scenario("doctor/applications", SECONDS)
def applications(run: Run) -> None:
    """One deployment for each mistake; all at once, so that each command mends its own and no other."""
    it = world.healthy(run, nodes=1)
    it.plane.api.create({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "otel-agent-headless", "namespace": it.namespace},
        "spec": {"clusterIP": "None", "selector": LABELS, "ports": [{"name": "otlp-grpc", "port": 4317},
                                                                    {"name": "otlp-http", "port": 4318}]}})
    it.plane.api.create({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings", "namespace": it.namespace},
        "data": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://otel-agent.{it.namespace}.svc:55681"}})
    it.plane.api.create({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "old-collector", "namespace": it.namespace},
        "spec": {"selector": {"app": "old-collector"}, "ports": [{"name": "otlp-http", "port": 4318}]}})
    host = f"otel-agent.{it.namespace}.svc"
    mistakes = {
        "app-protocol": _deployment(it, "grpc-to-http", f"http://{host}:4318", protocol="grpc"),
        "app-unknown-service": _deployment(it, "misspelt", f"http://otel-agnet.{it.namespace}.svc:4318"),
        "app-tls": _deployment(it, "tls", f"https://{host}:4317"),
        "app-headless": _deployment(it, "headless", f"http://otel-agent-headless.{it.namespace}:4317"),
        "app-host-port": _deployment(it, "host-port", "http://$(NODE_IP):4318", node_ip=True),
        "app-dns-policy": _deployment(it, "host-network", f"http://{host}:4318", hostNetwork=True, dnsPolicy="ClusterFirst"),
        "app-no-port": _deployment(it, "by-map", None),
        "app-other-collector": _deployment(it, "from-before", f"http://old-collector.{it.namespace}.svc:4318"),
    }
    for item in mistakes.values():
        it.plane.api.create(item)
    for identity, item in mistakes.items():
        name = item["metadata"]["name"]
        found = it.finds(identity)
        assert found["subject"] == f"deployment {it.namespace}/{name}", found
        it.mend(found)
        left = it.doctor()
        assert identity not in left.ids, left.json
    it.finds_nothing()


def _deployment(it: World, name: str, endpoint: str | None, protocol: str = "", node_ip: bool = False, **spec: object) -> dict:
    item = objects.deployment(name, it.namespace, **spec)
    [container] = item["spec"]["template"]["spec"]["containers"]
    container["env"] = []
    if node_ip:
        container["env"].append({"name": "NODE_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}})
    if protocol:
        container["env"].append({"name": "OTEL_EXPORTER_OTLP_PROTOCOL", "value": protocol})
    if endpoint:
        container["env"].append({"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": endpoint})
    else:
        container["envFrom"] = [{"configMapRef": {"name": "settings"}}]
    return item
