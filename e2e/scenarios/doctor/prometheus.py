"""Prometheus does not scrape: every gate of the operator is shut once, found, and opened by the printed command.

The kinds are the operator's, without its schemas: what is read is what a person wrote.
"""

from harness.kubernetes import ApiError
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until

from . import world
from .world import LABELS, NAME, World

SECONDS = 300
GROUP = "monitoring.coreos.com"
KINDS = {"servicemonitors": "ServiceMonitor", "podmonitors": "PodMonitor", "prometheuses": "Prometheus"}


@scenario("doctor/prometheus", SECONDS)
def prometheus(run: Run) -> None:
    """Labels, namespaces, port names, selectors, rights, a network policy, and no monitor at all."""
    it = world.healthy(run, nodes=1)
    _operator(run, it)
    it.plane.api.apply(it.service() | {"metadata": {"name": NAME, "namespace": it.namespace, "labels": {"app": NAME}},
                                       "spec": {**it.service()["spec"], "ports": [
                                           *it.service()["spec"]["ports"], {"name": "metrics", "port": 8888, "targetPort": "metrics"}]}})
    monitoring = it.plane.namespace(f"{it.namespace}-monitoring")
    run.stack.callback(lambda: it.plane.api.delete("Namespace", monitoring))
    servers = {"apiVersion": f"{GROUP}/v1", "kind": "Prometheus", "metadata": {"name": "k8s", "namespace": monitoring},
               "spec": {"serviceAccountName": "prometheus", "serviceMonitorSelector": {"matchLabels": {"release": "prom"}},
                        "serviceMonitorNamespaceSelector": {"matchLabels": {"scrape": "yes"}}}}
    it.plane.api.create(servers)
    for identity in ("prometheus-no-monitor", "prometheus-namespace", "prometheus-rights"):
        it.mend(it.finds(identity))
        _gone(it, identity)
    it.finds_nothing()
    monitor = f"{GROUP}/v1"
    change = lambda patch: it.plane.api.patch("ServiceMonitor", NAME, patch, it.namespace, version=monitor)  # noqa: E731
    for identity, patch in (
            ("prometheus-labels", {"metadata": {"labels": {"release": "another"}}}),
            ("prometheus-port", {"spec": {"endpoints": [{"port": "http-metrics"}]}}),
            ("prometheus-selector", {"spec": {"selector": {"matchLabels": {"app": "agent"}}}})):
        change(patch)
        it.mend(it.finds(identity))
        it.finds_nothing()
    it.plane.api.create({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "otlp-only", "namespace": it.namespace},
        "spec": {"podSelector": {"matchLabels": LABELS}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"port": 4317}]}]}})
    it.mend(it.finds("prometheus-network-policy"))
    it.finds_nothing()
    server = lambda patch: it.plane.api.patch("Prometheus", "k8s", patch, monitoring, version=monitor)  # noqa: E731
    server({"spec": {"serviceMonitorSelector": None}})
    it.mend(it.finds("prometheus-labels"))
    it.finds_nothing()


def _gone(it: World, identity: str) -> None:
    until(lambda: identity not in it.doctor().ids, lambda: str(it.doctor().json), 30 * PATIENCE)


def _operator(run: Run, it: World) -> None:
    """The kinds of the Prometheus operator, for the time of the scenario."""
    for plural, kind in KINDS.items():
        it.plane.api.create({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{GROUP}"},
            "spec": {
                "group": GROUP, "scope": "Namespaced", "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})
        run.stack.callback(lambda plural=plural: it.plane.api.delete("CustomResourceDefinition", f"{plural}.{GROUP}"))
    for plural, kind in KINDS.items():
        def served(kind: str = kind) -> bool:
            try:
                it.plane.api._resources.pop(f"/apis/{GROUP}/v1", None)
                it.plane.api.items(kind, version=f"{GROUP}/v1")
                return True
            except (ApiError, ValueError):
                return False

        until(served, f"the API server has {kind}", 30 * PATIENCE)
