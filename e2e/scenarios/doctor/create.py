"""Agents that the API server refuses to make: the real admission refuses, and what is printed lets it make them."""

import contextlib
import json

from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until

from . import world

SECONDS = 150


@scenario("doctor/create-quota", SECONDS)
def quota(run: Run) -> None:
    """A quota for fewer pods than there are nodes."""
    it = world.new(run, 3)
    it.plane.kubectl("create", "quota", "small", "--hard=pods=1", f"--namespace={it.namespace}")
    it.wait_for_quota("small")
    it.install()
    found = it.finds("create-quota")
    assert "exceeded quota: small" in found["evidence"][0], found
    it.mend(found)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/create-pod-security", SECONDS)
def pod_security(run: Run) -> None:
    """A namespace that enforces `restricted`, and an agent with host ports."""
    it = world.new(run)
    it.plane.kubectl("label", "namespace", it.namespace, "pod-security.kubernetes.io/enforce=restricted")
    daemon_set = it.daemon_set()
    for port in daemon_set["spec"]["template"]["spec"]["containers"][0]["ports"][:2]:
        port["hostPort"] = port["containerPort"]
    daemon_set["spec"]["updateStrategy"]["rollingUpdate"] = {"maxSurge": 0, "maxUnavailable": 1}
    it.install(daemon_set=daemon_set)
    it.mend(it.finds("create-pod-security"))
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/create-priority-class", SECONDS)
def priority_class(run: Run) -> None:
    """A priority class that nobody made."""
    it = world.new(run)
    name = f"agents-{it.namespace}"
    it.install(daemon_set=it.daemon_set(priorityClassName=name))
    it.mend(it.finds("create-priority-class"))
    run.stack.callback(it.plane.kubectl, "delete", "priorityclass", name)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/create-service-account", SECONDS)
def service_account(run: Run) -> None:
    """A service account that nobody made."""
    it = world.new(run)
    it.install(account=None)
    it.mend(it.finds("create-service-account"))
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/create-quota-of-priority", SECONDS)
def quota_of_priority(run: Run) -> None:
    """A priority class that the API server takes only where a quota is for it, as some clouds have it for the system's classes."""
    it = world.new(run)
    it.plane.kubectl("create", "priorityclass", world.LIMITED_CLASS, "--value=1000000")
    run.stack.callback(it.plane.kubectl, "delete", "priorityclass", world.LIMITED_CLASS)
    it.install(daemon_set=it.daemon_set(priorityClassName=world.LIMITED_CLASS))
    found = it.finds("create-quota-of-priority")
    assert f"PriorityClass In [{world.LIMITED_CLASS}]" in found["evidence"][0], found
    it.mend(found)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/create-refused", SECONDS)
def refused(run: Run) -> None:
    """A policy of the cluster, and a webhook that does not answer: what they say is told, and without them it is over."""
    it = world.new(run, 1)
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    here = {"matchLabels": {"kubernetes.io/metadata.name": it.namespace}}
    name = f"refuses-{it.namespace}"
    v1 = "admissionregistration.k8s.io/v1"
    policy = [
        {"apiVersion": v1, "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
            "matchConstraints": {"resourceRules": rules},
            "validations": [{"expression": "object.spec.priority > 0", "message": "pods here need a priority"}]}},
        {"apiVersion": v1, "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name}, "spec": {
            "policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}}}]
    webhook = [
        {"apiVersion": v1, "kind": "ValidatingWebhookConfiguration", "metadata": {"name": name}, "webhooks": [{
            "name": "images.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None", "namespaceSelector": here,
            "rules": rules, "clientConfig": {"url": "https://127.0.0.1:9/"}}]}]
    for obstacles, said in ((policy, "pods here need a priority"), (webhook, 'failed calling webhook "images.example.com"')):
        objects = json.dumps({"apiVersion": "v1", "kind": "List", "items": obstacles})
        it.plane.kubectl("apply", "-f", "-", stdin=objects)
        with contextlib.ExitStack() as stack:
            stack.callback(lambda: it.plane.kubectl("delete", "-f", "-", stdin=objects))
            until(lambda: _is_refused(it), f"it refuses pods: {said}", 30 * PATIENCE)
            it.install()
            found = it.finds("create-refused")
            assert said in found["evidence"][0], found
            it.mend(found)  # shows the events
        it.wait_for_agents(it.nodes)
        it.finds_nothing()
        for kind in ("DaemonSet", "Service", "ConfigMap", "ServiceAccount"):
            it.plane.api.delete(kind, world.NAME, it.namespace)
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            it.plane.api.delete(kind, f"{world.NAME}-{it.namespace}")
        until(lambda: not it.agents_list(), "the agents are gone", 30 * PATIENCE)


def _is_refused(it: world.World) -> bool:
    """What is made takes a moment to be in force."""
    try:
        it.plane.kubectl("run", "probe", "--image=a", f"--namespace={it.namespace}", "--dry-run=server")
    except AssertionError:
        return True
    return False
