"""A user with few rights: what could not be seen is said, with the commands that show it, and nothing is made up."""

from harness.kubernetes import Account
from harness.runner import Run, scenario
from harness.waiting import until

from . import world

SECONDS = 200
# what the doctor reads in the whole cluster, besides what only some clusters have
READS = [
    ("", "nodes"), ("", "pods"), ("apps", "daemonsets"), ("apps", "deployments"), ("apps", "statefulsets"), ("", "services"),
    ("discovery.k8s.io", "endpointslices"), ("", "resourcequotas"), ("", "namespaces"), ("scheduling.k8s.io", "priorityclasses"),
    ("", "events"), ("", "configmaps"), ("", "pods/log"), ("", "pods/proxy"),
]
RULES = [
    *({"apiGroups": [group], "resources": [resource], "verbs": ["get", "list"]} for group, resource in READS),
    {"apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["networkpolicies"], "verbs": ["get", "list"]},
    {"apiGroups": ["monitoring.coreos.com"], "resources": ["servicemonitors", "podmonitors", "prometheuses"], "verbs": ["get", "list"]},
]


def _lacking(report: world.Report) -> set[str]:
    """The resources of which the right is said to be missing."""
    return {one["right"]["resource"] for one in report.json["unseen"] if "right" in one}


def _forget(it: world.World) -> None:
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        for item in it.plane.api.items(kind):
            if item["metadata"]["name"].startswith("otel-agent-doctor"):
                it.plane.api.delete(kind, item["metadata"]["name"])


@scenario("doctor/rights-none", SECONDS)
def none(run: Run) -> None:
    """Without any right it says so and ends with 3; the commands that it prints let it see everything."""
    it = world.healthy(run)
    run.stack.callback(_forget, it)
    account = it.plane.service_account(it.namespace, "nobody", [])
    report = it.doctor(kubeconfig=account.kubeconfig)
    assert report.code == 3 and report.json["verdict"] == "could-not-look" and not report.json["findings"], report
    assert {"nodes", "pods", "daemonsets", "services"} <= _lacking(report), report
    text = it.run(f"--namespace={it.namespace}", kubeconfig=account.kubeconfig).stdout
    assert "it takes the right to list daemonsets.apps" in text, text
    for _ in range(3):  # with more seen there is more to be seen: logs and metrics of the pods that were found
        it.shell("\n".join(report.json["grant"]))

        def more() -> bool:
            nonlocal report
            before, report = report, it.doctor(kubeconfig=account.kubeconfig)
            return _lacking(report) != _lacking(before) or not _lacking(report)

        until(more, lambda: f"what was granted is seen: {report.json['unseen']}")
        if not _lacking(report):
            break
    assert not _lacking(report) and report.code == 0 and not report.json["findings"], report


@scenario("doctor/rights-of-a-namespace", SECONDS)
def of_a_namespace(run: Run) -> None:
    """Who may look into the agent's namespace alone sees the agent, and is told what else there would be."""
    it = world.healthy(run)
    account = it.plane.service_account(it.namespace, "looker", [])
    it.plane.kubectl("create", "rolebinding", "looker", "--clusterrole=view", f"--serviceaccount={it.namespace}:looker",
                     f"--namespace={it.namespace}")
    it.node("gpu", taints=[{"key": "gpu", "effect": "NoSchedule"}])

    def sees() -> world.Report | None:
        report = it.doctor(kubeconfig=account.kubeconfig)
        return report if report.json["agents"] else None

    report = until(sees, "the agent is seen")
    assert report.code == 0 and not report.json["findings"], report
    assert report.json["agents"][0]["ready"] == 2 and "nodes" in _lacking(report), report
    it.mend(it.finds("node-taint"))  # whoever sees the nodes
    it.plane.kubectl("patch", "service", "otel-agent", '--patch={"spec": {"internalTrafficPolicy": "Cluster"}}',
                     f"--namespace={it.namespace}")
    report = it.doctor(kubeconfig=account.kubeconfig)
    assert report.ids == {"service-not-local"}, report


@scenario("doctor/rights-one-missing", SECONDS)
def one_missing(run: Run) -> None:
    """Each right missing alone: it is named, and nothing is found that is not so."""
    it = world.healthy(run)
    account = it.plane.service_account(it.namespace, "doctor", RULES)
    complete = it.doctor(kubeconfig=account.kubeconfig)
    assert not _lacking(complete), complete.json["unseen"]
    for group, resource in READS:
        _without(it, account, group, resource)


def _without(it: world.World, account: Account, group: str, resource: str) -> None:
    fewer = [rule for rule in account.rules if rule["resources"] != [resource]]
    it.plane._set_rules(account, fewer)
    until(lambda: resource in _lacking(it.doctor(kubeconfig=account.kubeconfig)), f"{resource}.{group} is said to be missing")
    report = it.doctor(kubeconfig=account.kubeconfig)
    expected = 3 if resource == "daemonsets" else 0  # without them it is not known whether there is an agent
    assert not report.json["findings"] and report.code == expected, (resource, report.json)
    it.plane._set_rules(account, account.rules)
