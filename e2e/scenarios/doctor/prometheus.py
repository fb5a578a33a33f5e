"""Prometheus does not scrape: every gate of the operator is shut once, found, and opened by the printed command.

The kinds are the operator's, without its schemas: what is read is what a person wrote.
"""

import json

from harness.kubernetes import ApiError
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until

from . import world
from .world import LABELS, NAME, World

SECONDS = 300
GROUP = "monitoring.coreos.com"
KINDS = {"servicemonitors": "ServiceMonitor", "podmonitors": "PodMonitor", "prometheuses": "Prometheus",
         "prometheusrules": "PrometheusRule"}


@scenario("doctor/prometheus", SECONDS)
def prometheus(run: Run) -> None:
    """Labels, namespaces, port names, selectors, rights, a network policy, and no monitor at all."""
    it = world.healthy(run, nodes=1)
    it.plane.api.apply(it.service() | {"metadata": {"name": NAME, "namespace": it.namespace, "labels": {"app": NAME}},
                                       "spec": {**it.service()["spec"], "ports": [
                                           *it.service()["spec"]["ports"], {"name": "metrics", "port": 8888, "targetPort": "metrics"}]}})
    server = _operated(run, it)
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
    server({"spec": {"serviceMonitorSelector": None}})
    it.mend(it.finds("prometheus-labels"))
    it.finds_nothing()
    _twice(it)


def _operated(run: Run, it: World):
    """The operator's kinds and a Prometheus that takes nothing of the agent yet; what changes it."""
    operator(run, it)
    monitoring = it.plane.namespace(f"{it.namespace}-monitoring")
    run.stack.callback(lambda: it.plane.api.delete("Namespace", monitoring))
    it.plane.api.create({
        "apiVersion": f"{GROUP}/v1", "kind": "Prometheus", "metadata": {"name": "k8s", "namespace": monitoring},
        "spec": {"serviceAccountName": "prometheus", "serviceMonitorSelector": {"matchLabels": {"release": "prom"}},
                 "serviceMonitorNamespaceSelector": {"matchLabels": {"scrape": "yes"}}}})
    return lambda patch: it.plane.api.patch("Prometheus", "k8s", patch, monitoring, version=f"{GROUP}/v1")


def _twice(it: World) -> None:
    """A second Service that the monitor selects as well: each agent would be scraped by both."""
    labels = it.plane.api.get("Service", NAME, it.namespace)["metadata"]["labels"]
    it.plane.api.create({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": f"{NAME}-headless", "namespace": it.namespace, "labels": labels},
        "spec": {"clusterIP": "None", "selector": LABELS, "ports": [{"name": "metrics", "port": 8888, "targetPort": "metrics"}]}})
    found = it.finds("prometheus-twice")
    assert "2 Services" in found["title"] and len(found["evidence"]) == 2, found
    it.mend(found)
    it.finds_nothing()


@scenario("doctor/prometheus-pod-monitor", SECONDS)
def pod_monitor(run: Run) -> None:
    """The same gates for a PodMonitor, which needs no Service: none is open, then one after another."""
    it = world.healthy(run, nodes=1)
    server = _operated(run, it)
    it.mend(it.finds("prometheus-no-monitor"))
    wants = {"podMonitorSelector": {"matchLabels": {"release": "pods"}}, "podMonitorNamespaceSelector": {"matchLabels": {"pods": "yes"}}}
    server({"spec": wants})
    subject = f"podmonitor {it.namespace}/{NAME}"
    for identity, key in (("prometheus-namespace", "podMonitorNamespaceSelector"), ("prometheus-labels", "podMonitorSelector")):
        found = it.finds(identity)
        assert found["subject"] == subject and key in str(found["evidence"]), found
        it.mend(found)
        _gone(it, identity)
    it.mend(it.finds("prometheus-rights"))
    it.finds_nothing()
    for identity, key in (("prometheus-namespace", "podMonitorNamespaceSelector"), ("prometheus-labels", "podMonitorSelector")):
        server({"spec": {key: None}})  # as the operator's own default is: nothing but its own namespace, and no monitor at all
        found = it.finds(identity)
        assert found["subject"] == subject, found
        it.mend(found)
        it.finds_nothing()
    for identity, spec in (
            ("prometheus-port", {"podMetricsEndpoints": [{"port": "http-metrics"}]}),
            ("prometheus-port", {"podMetricsEndpoints": [{"portNumber": 9999, "interval": "30s"}]}),
            ("prometheus-selector", {"selector": {"matchLabels": {"app": "agent"}}})):
        it.plane.api.patch("PodMonitor", NAME, {"spec": spec}, it.namespace, version=f"{GROUP}/v1")
        found = it.finds(identity)
        assert found["subject"] == subject, found
        it.mend(found)
        it.finds_nothing()
    _unnamed_port(it)


def _unnamed_port(it: World) -> None:
    """The pods do not name the port that the monitor asks for."""
    ports = it.plane.api.get("DaemonSet", NAME, it.namespace)["spec"]["template"]["spec"]["containers"][0]["ports"]
    [index] = [number for number, port in enumerate(ports) if port["name"] == "metrics"]
    patch = json.dumps([{"op": "remove", "path": f"/spec/template/spec/containers/0/ports/{index}"}])
    it.plane.kubectl("patch", f"daemonset/{NAME}", "--type=json", f"--patch={patch}", f"--namespace={it.namespace}")
    found = it.finds("prometheus-port")
    assert "which no pod of the agent has" in found["title"], found
    it.mend(found)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/prometheus-annotations", SECONDS)
def annotations(run: Run) -> None:
    """A cluster without the operator: the pods' annotations name a port where no metrics are, until the command was run."""
    it = world.new(run, nodes=1)
    agents = it.daemon_set()
    agents["spec"]["template"]["metadata"]["annotations"] |= {"prometheus.io/scrape": "true", "prometheus.io/port": "4317"}
    it.install(daemon_set=agents)
    it.wait_for_agents(it.nodes)
    found = it.finds("prometheus-annotations")
    assert "4317" in found["title"] and "8888" in str(found["evidence"]), found
    it.mend(found)
    it.finds_nothing()
    template = it.plane.api.get("DaemonSet", NAME, it.namespace)["spec"]["template"]
    assert template["metadata"]["annotations"]["prometheus.io/port"] == "8888", template


def _gone(it: World, identity: str) -> None:
    until(lambda: identity not in it.doctor().ids, lambda: str(it.doctor().json), 30 * PATIENCE)


def operator(run: Run, it: World) -> None:
    """The kinds of the Prometheus operator, for the time of the scenario."""
    run.stack.callback(_forget, it)
    for plural, kind in KINDS.items():
        it.plane.api.create({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": f"{plural}.{GROUP}"},
            "spec": {
                "group": GROUP, "scope": "Namespaced", "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": True}}}]}})
    for kind in KINDS.values():
        until(lambda kind=kind: _served(it, kind), f"the API server has {kind}", 30 * PATIENCE)


def _served(it: World, kind: str) -> bool:
    try:
        it.plane.api._resources.pop(f"/apis/{GROUP}/v1", None)
        it.plane.api.items(kind, version=f"{GROUP}/v1")
        return True
    except (ApiError, ValueError):
        return False


def _forget(it: World) -> None:
    """Takes the kinds away, and waits until they are gone: another scenario has a cluster without them, or makes them anew."""
    api = it.plane.api
    names = [f"{plural}.{GROUP}" for plural in KINDS if api.find("CustomResourceDefinition", f"{plural}.{GROUP}")]
    for name in names:
        api.delete("CustomResourceDefinition", name)
    until(lambda: not any(api.find("CustomResourceDefinition", name) for name in names), "the kinds are gone", 30 * PATIENCE)
    until(lambda: not any(_served(it, kind) for kind in KINDS.values()), "the kinds are served no more", 30 * PATIENCE)
