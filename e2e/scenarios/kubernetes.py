"""The control plane itself: a real one, ready in time; and the faulty proxy makes the faults that it says.

No agent runs here. What the agent's scenarios rely on is shown once: rights that are really denied, the owners of the
pods of every kind of workload, addresses that the scenario chooses, versions that are really gone.
"""

import functools
import re
import time

from harness import parts, watchers
from harness.apiproxy import ApiProxy
from harness.kubernetes import Api, ApiError, ControlPlane, objects
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, add, scenario
from harness.waiting import until

READY_SECONDS = 15  # what the README promises
PODS = [{"apiGroups": [""], "resources": ["pods", "namespaces"], "verbs": ["get", "list", "watch"]}]


def control_plane(run: Run, minor: str) -> None:
    """All programs: nodes and pods, rights, and which pods each kind of workload gets."""
    plane = run.open(ControlPlane(minor))
    assert plane.ready_seconds < READY_SECONDS * PATIENCE, f"ready after {plane.ready_seconds:.1f} s"
    version = plane.api.call("GET", "/version")
    assert f"{version['major']}.{version['minor']}" == minor, version
    plane.nodes(3)
    _rights(plane)
    _daemon_set(plane)
    _owners(plane)
    _many_pods(plane)


def _rights(plane: ControlPlane) -> None:
    account = plane.service_account("monitoring", "agent", PODS)
    assert (account.folder / "namespace").read_text() == "monitoring"
    account.api.items("Pod")
    account.api.items("Pod", fieldSelector="spec.nodeName=node-0", resourceVersion="0")
    _refused(403, lambda: account.api.items("Secret"))
    _refused(403, lambda: account.api.create(objects.pod("intruder")))
    with plane.rule_missing(account, "watch", "pods"):
        _refused(403, lambda: next(account.api.watch("Pod")))
        account.api.items("Pod")
    assert account.api.may("watch", "pods")
    _refused(401, lambda: Api(plane.server, plane.authority.file, token="not a token").items("Pod"))
    assert "agent" in plane.kubectl("auth", "whoami", account=account)


def _daemon_set(plane: ControlPlane) -> None:
    """One pod a node; a node that comes later gets its own; a node with a taint that is not tolerated gets none."""
    plane.api.create(objects.daemon_set("agent"))

    def nodes_with_a_pod() -> list[str]:
        return sorted(pod["spec"].get("nodeName", "") for pod in plane.owned("Pod", "agent")
                      if pod["status"]["phase"] == "Running")

    until(lambda: nodes_with_a_pod() == ["node-0", "node-1", "node-2"], lambda: f"a pod a node: {nodes_with_a_pod()}",
          30 * PATIENCE)
    plane.nodes(1, taints=[{"key": "gpu", "value": "only", "effect": "NoSchedule"}])
    plane.nodes(1)
    expected = ["node-0", "node-1", "node-2", "node-4"]
    until(lambda: nodes_with_a_pod() == expected, lambda: f"a pod on the new node: {nodes_with_a_pod()}", 30 * PATIENCE)
    plane.wait_for_daemon_set("agent", 4)


def _owners(plane: ControlPlane) -> None:
    """The owner references and labels that names of workloads are derived from."""
    shop = plane.namespace("shop")
    plane.api.create(objects.deployment("web", shop, replicas=2))
    plane.api.create(objects.stateful_set("db", shop))
    job = plane.run_cron_job(objects.cron_job("report", shop))

    def pod_of(owner_kind: str, owner: str) -> dict:
        def running() -> dict | None:
            for pod in plane.owned("Pod", owner, shop):
                if pod["metadata"]["ownerReferences"][0]["kind"] == owner_kind and pod["status"].get("podIP"):
                    return pod
            return None

        return until(running, f"{owner_kind} {owner} has a pod with an address", 30 * PATIENCE)

    found = until(lambda: plane.owned("ReplicaSet", "web", shop), "the Deployment has a ReplicaSet", 30 * PATIENCE)
    name = found[0]["metadata"]["name"]
    template_hash = pod_of("ReplicaSet", name)["metadata"]["labels"]["pod-template-hash"]
    assert name == f"web-{template_hash}", name
    assert pod_of("StatefulSet", "db")["metadata"]["name"] == "db-0"
    assert re.fullmatch(r"report-\d{8}", job), job
    assert abs(int(job.removeprefix("report-")) - time.time() / 60) < 10, "the Job's name has its time in minutes"
    pod = pod_of("Job", job)
    assert plane.api.get("Job", job, shop)["metadata"]["ownerReferences"][0]["kind"] == "CronJob"
    until(lambda: plane.api.get("Pod", pod["metadata"]["name"], shop)["status"]["phase"] == "Succeeded",
          "kwok ends the Job's pod", 30 * PATIENCE)


def _many_pods(plane: ControlPlane) -> None:
    """1 000 pods, 50 on each of 20 nodes, with addresses and container ids that are all different."""
    plane.namespace("many")
    nodes = plane.nodes(20, prefix="large")
    plane.pods(1000, "many", nodes=nodes)
    of_one = plane.api.items("Pod", "many", fieldSelector=f"spec.nodeName={nodes[0]}", resourceVersion="0")
    assert len(of_one) == 50, len(of_one)
    pods = plane.api.items("Pod", "many")
    assert len({pod["status"]["podIP"] for pod in pods}) == 1000
    assert len({pod["status"]["containerStatuses"][0]["containerID"] for pod in pods}) == 1000


def api_server(run: Run, minor: str) -> None:
    """etcd and the API server alone: the scenario is the kubelet; old versions are gone after a restart."""
    plane = run.open(ControlPlane(minor, controllers=False, scheduler=False, kwok=False))
    assert plane.ready_seconds < READY_SECONDS * PATIENCE, f"ready after {plane.ready_seconds:.1f} s"
    plane.nodes(1)
    pod = plane.run_pod(objects.pod("shop", node="node-0", containers=["app", "proxy"]), ["127.0.7.1", "fd00::7"])
    assert [ip["ip"] for ip in pod["status"]["podIPs"]] == ["127.0.7.1", "fd00::7"], pod["status"]
    old = pod["metadata"]["resourceVersion"]
    for number in range(3):
        plane.api.patch("Pod", "shop", {"metadata": {"annotations": {"turn": str(number)}}})
    events = plane.api.watch("Pod", resourceVersion=old)
    assert [next(events)["type"] for _ in range(3)] == ["MODIFIED"] * 3
    plane.compact()
    plane.restart_apiserver()
    assert not list(events), "the watch did not end with the server"
    assert _gone(plane, old), "a watch from a version before the restart and the compaction went on"
    _token_refused_and_renewed(plane)
    plane.restart_apiserver(kill=True)
    assert plane.api.get("Pod", "shop")["status"]["podIP"] == "127.0.7.1"
    assert plane.metrics().sum("apiserver_request_total") > 0


def _token_refused_and_renewed(plane: ControlPlane) -> None:
    account = plane.service_account("default", "agent", PODS)
    assert len(account.api.items("Pod")) == 1
    plane.revoke_token(account)

    def refused() -> bool:
        try:
            account.api.items("Pod")
        except ApiError as error:
            return error.code == 401
        return False

    until(refused, "the revoked token is refused", 30 * PATIENCE)
    plane.renew_token(account)
    assert len(account.api.items("Pod")) == 1


@scenario("kubernetes/100 simulated agents", seconds=120)
def simulated_agents(run: Run) -> None:
    """The requests that agents make cost the server no read from etcd, and a change of a pod goes to one agent alone."""
    plane = run.open(ControlPlane(controllers=False, scheduler=False, kwok=False))
    account, nodes = watchers.prepared(plane, 100, 3)
    before = watchers.Reading.of(plane)
    agents = run.open(watchers.Agents(plane, account, nodes))
    after = watchers.Reading.of(plane)
    assert agents.pods == dict.fromkeys(nodes, 3), agents.pods
    assert after.lists - before.lists == after.by_index - before.by_index == 100, (before, after)
    assert after.from_etcd == before.from_etcd, (before, after)
    assert after.watches - before.watches == 100, (before, after)
    for number in range(20):
        watchers.touch(plane, number)
    until(lambda: sum(agents.events.values()) >= 20, lambda: f"20 events: {agents.events}")
    assert agents.events == {node: int(number < 20) for number, node in enumerate(nodes)}, agents.events
    assert not agents.failures, agents.failures


def _gone(plane: ControlPlane, version: str) -> bool:
    """Whether that version is too old, which the server says by HTTP or by an event."""
    try:
        first = next(plane.api.watch("Pod", resourceVersion=version, seconds=5))
    except ApiError as error:
        return error.code == 410
    return first["type"] == "ERROR" and first["object"]["code"] == 410


for _minor in parts.minors():
    add(f"kubernetes/control-plane-{_minor}", functools.partial(control_plane, minor=_minor), seconds=240)
    add(f"kubernetes/api-server-{_minor}", functools.partial(api_server, minor=_minor), seconds=120)


@scenario("kubernetes/faulty-proxy", seconds=120)
def faulty_proxy(run: Run) -> None:
    """Each fault reaches the client as the API server would send it, and rights stay those of the client."""
    plane = run.open(ControlPlane(controllers=False, scheduler=False, kwok=False))
    account = plane.service_account("default", "agent", PODS)
    for tls in (True, False):
        proxy = run.open(ApiProxy(plane, tls))
        api = Api(proxy.url, plane.authority.file, token=account.token_file.read_text())
        api.items("Pod")
        _refused(403, lambda: api.items("Secret"))
        for code in (401, 410, 429, 500):
            proxy.fault(code, "list", "pods", times=1, retry_after=1 if code == 429 else None)
            _refused(code, lambda: api.items("Pod"))
        api.items("Pod")
        proxy.delay(0.3)
        began = time.monotonic()
        api.items("Pod")
        assert time.monotonic() - began >= 0.3
        proxy.heal()
        watch = _opened(api, proxy, f"expires-{proxy.port}")
        assert proxy.expire_watches("pods") == 1
        *_, last = watch
        assert (last["type"], last["object"].get("code")) == ("ERROR", 410), last
        watch = _opened(api, proxy, f"is-cut-{proxy.port}")
        assert proxy.cut_watches() == 1
        try:
            raise AssertionError(f"the watch ended as if the server had ended it, after {list(watch)}")
        except ConnectionError:
            pass
        assert proxy.counts()["list pods"] == 7 and proxy.counts()["watch pods"] == 2, proxy.counts()
        if not tls:
            continue  # kubectl gives no token away without TLS
        through = plane.run_kubectl(proxy.kubeconfig(account), "get", "pods", "--output=name")
        assert f"pod/is-cut-{proxy.port}" in through, through


def _opened(api: Api, proxy: ApiProxy, name: str):
    """A watch through the proxy that has had its first event."""
    watch = api.watch("Pod", resourceVersion="0")
    proxy.plane.api.create(objects.pod(name))
    until(lambda: next(watch)["object"]["metadata"]["name"] == name, "the watch sees the new pod")
    assert proxy.watching("pods") == 1
    return watch


def _refused(code: int, request) -> None:
    try:
        request()
    except ApiError as error:
        assert error.code == code, error
        return
    raise AssertionError(f"not refused with {code}")
