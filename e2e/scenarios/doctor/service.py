"""The Service: missing, selecting nothing, leading to other nodes or to no port."""

import functools

from harness.runner import Run, add

from . import world

HEADLESS = {"clusterIP": "None", "internalTrafficPolicy": "Cluster"}
FAULTS = {
    "service-missing": None,
    "service-selects-nothing": {"selector": {"app": "agent"}},
    "service-not-local": {"internalTrafficPolicy": "Cluster"},
    "service-wrong-port": {"ports": [{"name": "otlp-grpc", "port": 4317, "targetPort": "grpc"},
                                     {"name": "otlp-http", "port": 4318, "targetPort": 55681}]},
}


def fault(run: Run, identity: str, spec: dict | None) -> None:
    it = world.new(run)
    it.install(service=it.service(**spec) if spec else None)
    it.wait_for_agents(it.nodes)
    found = it.finds(identity)
    assert it.doctor().ids == {identity}, it.doctor().json
    it.mend(found)
    it.finds_nothing()


def headless(run: Run) -> None:
    """A headless Service alone does not keep data on the node; beside the right one it is fine."""
    it = world.new(run)
    it.install(service={**it.service(**HEADLESS), "metadata": {"name": "otel-agent-headless", "namespace": it.namespace}})
    it.wait_for_agents(it.nodes)
    it.mend(it.finds("service-missing"))
    it.finds_nothing()


def deployment(run: Run) -> None:
    """A Deployment behind a Service that was left Local."""
    it = world.new(run)
    made = it.daemon_set()
    made["kind"] = "Deployment"
    made["spec"].pop("updateStrategy")
    made["spec"]["replicas"] = 1
    it.install(daemon_set=made)
    it.mend(it.finds("service-local-deployment"))
    it.finds_nothing()


for _identity, _spec in FAULTS.items():
    add(f"doctor/{_identity}", functools.partial(fault, identity=_identity, spec=_spec), 120)
add("doctor/service-headless", headless, 120)
add("doctor/service-local-deployment", deployment, 120)
