"""Agents that the API server refuses to make: the real admission refuses, and what is printed lets it make them."""

from harness.runner import Run, scenario

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
