"""Nodes without an agent: each reason is made, found, and mended by what was printed."""

from harness.runner import Run, scenario

from . import world

SECONDS = 120


@scenario("doctor/healthy", SECONDS)
def healthy(run: Run) -> None:
    """Nothing is wrong, and it says so in two lines."""
    it = world.healthy(run)
    it.finds_nothing()
    done = it.run(f"--namespace={it.namespace}")
    assert done.returncode == 0, done
    first = f"daemonset {it.namespace}/otel-agent: DESIRED 2, CURRENT 2, READY 2, UP-TO-DATE 2, AVAILABLE 2"
    assert done.stdout.splitlines()[0] == first, done.stdout
    # a cordoned node keeps its agent
    it.plane.kubectl("cordon", it.nodes[0])
    it.finds_nothing()


@scenario("doctor/node-taint", SECONDS)
def node_taint(run: Run) -> None:
    """Two taints, one of them on a node with applications: the tolerations that are printed bring the agent there."""
    it = world.healthy(run)
    taints = [{"key": "gpu", "value": "only", "effect": "NoSchedule"}, {"key": "team", "effect": "NoExecute"}]
    gpu = it.node("gpu", taints=taints[:1])
    it.finds("node-taint")
    it.application(gpu)
    unserved = it.finds("node-unserved")
    assert unserved["subject"] == f"node {gpu}" and unserved["severity"] == "error", unserved
    other = it.node("other", taints=taints)
    found = [finding for finding in it.doctor().json["findings"] if finding["id"] == "node-taint"]
    assert [finding["subject"] for finding in found] == [f"node {gpu}", f"node {other}"], found
    it.mend(found[1])
    it.wait_for_agents(it.nodes)
    it.finds_nothing()


@scenario("doctor/node-selector", SECONDS)
def node_selector(run: Run) -> None:
    """Left out on purpose it is a note; with something there that sends, it is not."""
    it = world.new(run)
    it.plane.kubectl("label", "node", it.nodes[0], "pool=apps")
    it.install(daemon_set=it.daemon_set(nodeSelector={"pool": "apps"}))
    it.wait_for_agents(it.nodes[:1])
    it.application(it.nodes[1])
    report = it.doctor()
    assert report.ids == {"node-selector"} and report.code == 0, report
    endpoint = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": f"http://otel-agent.{it.namespace}.svc.cluster.local:4318"}
    it.application(it.nodes[1], containers=["app"])
    it.plane.api.create({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sender", "namespace": it.namespace},
        "spec": {"nodeName": it.nodes[1], "containers": [{"name": "app", "image": "shop/app:1", "env": [endpoint]}]}})
    it.finds("node-unserved")
    found = it.finds("node-selector")
    assert found["severity"] == "warning", found
    it.mend(found)
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    it.plane.kubectl("label", "node", it.nodes[1], "pool-")


@scenario("doctor/node-foreign", SECONDS)
def node_foreign(run: Run) -> None:
    """Virtual and Windows nodes are no fault of anybody's, and told in words that say which is which."""
    it = world.new(run, 1)
    it.install(daemon_set=it.daemon_set(nodeSelector={"kubernetes.io/os": "linux"}))
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    provider = {"key": "virtual-kubelet.io/provider", "value": "azure", "effect": "NoSchedule"}
    foreign = [it.node("virtual", taints=[provider]), it.node("fargate", labels={"eks.amazonaws.com/compute-type": "fargate"},
                                                              taints=[{**provider, "key": "eks.amazonaws.com/compute-type"}]),
               it.node("windows", labels={"kubernetes.io/os": "windows"})]
    it.application(foreign[2])
    report = it.doctor()
    assert report.ids == {"node-foreign"} and report.code == 0, report
    told = [finding["evidence"][0] for finding in report.json["findings"]]
    assert len(told) == 3 and all(any(node in line for line in told) for node in foreign), told
    for node in foreign:
        it.plane.api.delete("Node", node)
    it.finds_nothing()


@scenario("doctor/agent-missing", SECONDS)
def agent_missing(run: Run) -> None:
    """Nothing there, or nothing under that name."""
    it = world.new(run)
    found = it.finds("agent-missing")
    assert found["remedy"][0]["command"].startswith(f"otel-agent manifests --namespace={it.namespace} | kubectl apply"), found
    it.install()
    it.wait_for_agents(it.nodes)
    it.finds_nothing()
    report = it.doctor("--name=another")
    assert report.ids == {"agent-missing"} and "none of them is called another" in str(report.json), report


@scenario("doctor/arguments", SECONDS)
def arguments(run: Run) -> None:
    """Wrong arguments and a server that does not answer have exit codes of their own, and say what to do."""
    it = world.new(run)
    for wrong, said in ((["--only=node-tain"], "there is no node-tain"), (["--output=xml"], "possible values: text, json")):
        done = it.run(*wrong)
        assert done.returncode == 2 and said in done.stderr and not done.stdout, done
    done = it.run("--context=elsewhere")
    assert done.returncode == 3 and "has no context `elsewhere`; it has: e2e" in done.stderr, done
    nowhere = it.plane.write_kubeconfig("nowhere", {"token": "a"}, server="https://127.0.0.1:9")
    done = it.run(kubeconfig=nowhere)
    assert done.returncode == 3 and "the API server cannot be reached" in done.stderr, done
    unknown = it.plane.write_kubeconfig("unknown", {"token": "not-a-token"})
    done = it.run(kubeconfig=unknown)
    assert done.returncode == 3 and "does not know who asks" in done.stderr, done
