"""The control plane: starts its programs on free loopback ports, and ends them and their data with the `with` block."""

import contextlib
import itertools
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import urllib3
import yaml

from .. import exposition, parts, ports
from ..waiting import until
from . import certificates, objects
from .child import Child
from .client import Api, ApiError

PATIENCE = float(os.environ.get("E2E_PATIENCE", "1"))
_RBAC = "rbac.authorization.k8s.io"
# those that make or remove what scenarios look at; volumes, autoscalers and clouds are nobody's subject here
_CONTROLLERS = [
    "clusterrole-aggregation-controller", "cronjob-controller", "daemonset-controller", "deployment-controller",
    "endpointslice-controller", "garbage-collector-controller", "job-controller", "namespace-controller",
    "node-lifecycle-controller", "pod-garbage-collector-controller", "replicaset-controller", "resourcequota-controller",
    "root-ca-certificate-publisher-controller", "serviceaccount-controller", "statefulset-controller",
    "taint-eviction-controller",
]


@dataclass
class Account:
    """A ServiceAccount with a token of its own and the rules that were given to it."""

    namespace: str
    name: str
    rules: list[dict]
    folder: Path  # token, ca.crt and namespace, laid out as in /var/run/secrets/kubernetes.io/serviceaccount
    kubeconfig: Path  # points to the token file, so a renewed token is found
    api: Api

    @property
    def token_file(self) -> Path:
        return self.folder / "token"

    @property
    def role(self) -> str:
        """The name of its ClusterRole and of the binding."""
        return f"{self.namespace}-{self.name}"


class ControlPlane:
    """etcd and kube-apiserver with RBAC; beside them, when wanted, controllers, scheduler and kwok.

    `minor`            such as "1.36"; the main one when left out
    `controllers`      kube-controller-manager; without it workloads stay without pods, and no `default` account is needed
    `scheduler`        kube-scheduler; without it pods are bound by whoever makes them
    `kwok`             plays the kubelets; without it the scenario writes the status of pods (`run_pod`)
    `pod_range`        where kwok takes pod addresses from; they are loopback addresses, so that a client can send from one
    `apiserver_flags`  more flags, for example to make the server refuse sooner
    """

    def __init__(self, minor: str | None = None, *, controllers: bool = True, scheduler: bool = True, kwok: bool = True,
                 pod_range: str = "127.64.0.0/16", apiserver_flags: list[str] = ()):
        self.minor = minor or parts.minors()[0]
        self.controllers, self.scheduler, self.kwok = controllers, scheduler, kwok
        self.pod_range = pod_range
        self._apiserver_flags = list(apiserver_flags)
        self.children: dict[str, Child] = {}
        self.node_names: list[str] = []
        self.ready_seconds = 0.0  # how long the start took

    def __enter__(self) -> "ControlPlane":
        self.start()
        return self

    def __exit__(self, *_) -> None:
        self.stop()

    # --- starting and stopping

    def start(self) -> None:
        began = time.monotonic()
        self.folder = Path(tempfile.mkdtemp(prefix=f"control-plane-{self.minor}-"))
        try:
            self._prepare()
            self._spawn("etcd", self._etcd())
            self._spawn("kube-apiserver", self._apiserver())
            self._wait_for_apiserver(60)
            for name, wanted, command in (
                    ("kube-controller-manager", self.controllers, self._controller_manager),
                    ("kube-scheduler", self.scheduler, self._scheduler), ("kwok", self.kwok, self._kwok)):
                if wanted:
                    self._spawn(name, command())
            self._wait_for_the_others(60)
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.monotonic() - began

    def stop(self) -> None:
        """Ends every process and removes the data. Nothing is saved, so nothing has to end gently."""
        for child in reversed(self.children.values()):
            child.stop(kill=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def stop_apiserver(self, kill: bool = False) -> None:
        """Ends the API server as an upgrade does, or with SIGKILL; all else goes on running without it."""
        self.children["kube-apiserver"].stop(kill)

    def start_apiserver(self) -> None:
        self.children["kube-apiserver"].start()
        self._wait_for_apiserver(60)

    def restart_apiserver(self, kill: bool = False) -> None:
        """Every watch ends (cut in the middle with `kill`), and the watch cache starts anew: older versions may be gone (410)."""
        self.stop_apiserver(kill)
        self.start_apiserver()

    def compact(self) -> None:
        """Lets etcd forget all revisions before the present one."""
        url = f"http://127.0.0.1:{self._ports['etcd']}/v3/kv"
        pool = urllib3.PoolManager()
        state = pool.request("POST", f"{url}/range", json={"key": "AA=="}, timeout=10).json()
        answer = pool.request("POST", f"{url}/compaction", timeout=30,
                              json={"revision": state["header"]["revision"], "physical": True})
        assert answer.status == 200 or b"compacted" in answer.data, answer.data

    # --- access

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self._ports['apiserver']}"

    def kubectl(self, *arguments: str, stdin: str = "", account: Account | None = None) -> str:
        """What kubectl prints, as the administrator or as an account; an AssertionError when it fails."""
        return self.run_kubectl(account.kubeconfig if account else self.kubeconfig, *arguments, stdin=stdin)

    def run_kubectl(self, kubeconfig: Path, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [self._binary("kubectl"), "--kubeconfig", str(kubeconfig), *arguments], input=stdin, text=True,
            capture_output=True, timeout=60 * PATIENCE, env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def metrics(self) -> exposition.Samples:
        """The API server's own metrics."""
        return exposition.parse(self.api.text("/metrics"))

    def write_kubeconfig(self, name: str, user: dict, server: str | None = None, ca: Path | None = None) -> Path:
        """A kubeconfig file for that user, by default for this server."""
        cluster = {"server": server or self.server}
        if cluster["server"].startswith("https"):
            cluster["certificate-authority"] = str(ca or self.authority.file)
        file = self.folder / f"{name}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
            "clusters": [{"name": "e2e", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": name}}],
        }))
        return file

    def service_account(self, namespace: str, name: str, rules: list[dict], seconds: int = 3600) -> Account:
        """An account with these rules in the whole cluster, and a token that holds for `seconds` (600 at least)."""
        if namespace != "default" and not self.api.find("Namespace", namespace):
            self.namespace(namespace)
        self.api.apply(_service_account(namespace, name))
        folder = self.folder / "accounts" / namespace / name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(self.authority.file, folder / "ca.crt")
        (folder / "namespace").write_text(namespace)
        token = self._token(namespace, name, seconds)
        (folder / "token").write_text(token)
        kubeconfig = self.write_kubeconfig(f"{namespace}-{name}", {"tokenFile": str(folder / "token")})
        account = Account(namespace, name, rules, folder, kubeconfig, Api(self.server, self.authority.file, token=token))
        self._set_rules(account, rules)
        self.api.apply({
            "apiVersion": f"{_RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": account.role},
            "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": account.role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]})
        self._wait_for_rules(account, rules)
        return account

    def grant_in(self, namespace: str, account: Account, rules: list[dict]) -> None:
        """Gives the account these rules in one namespace beside those it has; they hold when this returns."""
        name = f"{account.role}-here"
        self.api.create({"apiVersion": f"{_RBAC}/v1", "kind": "Role", "metadata": {"name": name, "namespace": namespace}, "rules": rules})
        self.api.create({
            "apiVersion": f"{_RBAC}/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace},
            "roleRef": {"apiGroup": _RBAC, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}]})
        self._wait_for_rules(account, rules, namespace)

    def renew_token(self, account: Account, seconds: int = 3600) -> None:
        """Writes a new token into the account's folder, as the kubelet does."""
        token = self._token(account.namespace, account.name, seconds)
        new = account.folder / "token.new"
        new.write_text(token)
        new.rename(account.token_file)
        account.api = Api(self.server, self.authority.file, token=token)

    def revoke_token(self, account: Account) -> None:
        """Makes the account anew, so that its token is refused with 401 (within some ten seconds: the server remembers)."""
        self.api.delete("ServiceAccount", account.name, account.namespace)
        self.api.create(_service_account(account.namespace, account.name))

    @contextlib.contextmanager
    def rule_missing(self, account: Account, verb: str, resource: str, group: str = "") -> Iterator[None]:
        """Takes one right away within the block."""
        fewer = []
        for rule in account.rules:
            if resource in rule.get("resources", ()) and group in rule["apiGroups"]:
                fewer.append({**rule, "resources": [r for r in rule["resources"] if r != resource]})
                fewer.append({**rule, "resources": [resource], "verbs": [v for v in rule["verbs"] if v != verb]})
            else:
                fewer.append(rule)
        self._set_rules(account, [rule for rule in fewer if rule["verbs"] and rule.get("resources", True)])
        until(lambda: not account.api.may(verb, resource, group), f"{account.role} may no longer {verb} {resource}")
        try:
            yield
        finally:
            self._set_rules(account, account.rules)
            self._wait_for_rules(account, account.rules)

    # --- what lives in the cluster

    def namespace(self, name: str, labels: dict | None = None) -> str:
        """A namespace that pods can be made in."""
        self.api.create(objects.namespace(name, labels))
        self._wait_for_default_account(name)
        return name

    def nodes(self, count: int, prefix: str = "node", **settings: object) -> list[str]:
        """Ready nodes with addresses of their own in 127.32.0.0/16; `settings` as in `objects.node`."""
        first = len(self.node_names)
        names = [f"{prefix}-{number}" for number in range(first, first + count)]
        self.api.create_all(
            objects.node(name, f"127.32.{number // 250}.{number % 250 + 1}", **settings)
            for number, name in enumerate(names, first))
        self.node_names += names
        return names

    def pods(self, count: int, namespace: str = "default", prefix: str = "pod", nodes: list[str] | None = None,
             seconds: float = 120, **settings: object) -> list[str]:
        """Pods bound to the nodes in turn; with kwok all of them run when this returns."""
        names = [f"{prefix}-{number}" for number in range(count)]
        turn = itertools.cycle(nodes or self.node_names or [None])
        self.api.create_all(objects.pod(name, namespace, next(turn), **settings) for name in names)
        if self.kwok:
            until(lambda: not self.api.items("Pod", namespace, fieldSelector="status.phase=Pending"),
                  f"all pods in {namespace} run", seconds * PATIENCE)
        return names

    def run_pod(self, pod: dict, ips: list[str], **status: object) -> dict:
        """Creates a pod that kwok leaves alone and says that it runs, with these addresses; `objects.running` has the rest."""
        pod["metadata"].setdefault("annotations", {})[objects.BY_HAND] = "true"
        names = [container["name"] for container in pod["spec"]["containers"]]
        self.api.create(pod)
        return self.api.patch_status("Pod", pod["metadata"]["name"], objects.running(ips, names, **status),
                                     pod["metadata"].get("namespace", "default"))

    def run_cron_job(self, cron_job: dict) -> str:
        """Creates a CronJob whose controller starts a Job at once, since it finds that a time was missed; the Job's name."""
        name, namespace = cron_job["metadata"]["name"], cron_job["metadata"]["namespace"]
        cron_job["spec"]["suspend"] = True
        self.api.create(cron_job)
        long_ago = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 300))
        self.api.patch_status("CronJob", name, {"lastScheduleTime": long_ago}, namespace)
        self.api.patch("CronJob", name, {"spec": {"suspend": False}}, namespace)
        return until(lambda: self.owned("Job", name, namespace), f"CronJob {name} has a Job", 30 * PATIENCE)[0]["metadata"]["name"]

    def owned(self, kind: str, owner: str, namespace: str = "default") -> list[dict]:
        """The objects of that kind whose controller has that name."""
        return [item for item in self.api.items(kind, namespace)
                if any(one["name"] == owner for one in item["metadata"].get("ownerReferences", ()))]

    def wait_for_daemon_set(self, name: str, wanted: int, namespace: str = "default") -> None:
        """Until its controller says that so many of its pods are wanted, which may be a moment after they run."""
        status = lambda: self.api.get("DaemonSet", name, namespace)["status"]  # noqa: E731
        until(lambda: status()["desiredNumberScheduled"] == wanted, lambda: f"{wanted} of {name} are wanted: {status()}", 30 * PATIENCE)

    # --- how the programs are started

    def _prepare(self) -> None:
        self.authority = certificates.Authority(self.folder)
        self._ports = {name: ports.free() for name in ("etcd", "peer", "apiserver", "controllers", "scheduler", "kwok")}
        self.authority.server("apiserver", ["127.0.0.1", "localhost", "kubernetes.default.svc", "10.0.0.1"])
        certificate, key = self.authority.user("admin", "system:masters")
        self.kubeconfig = self.write_kubeconfig("admin", {"client-certificate": str(certificate), "client-key": str(key)})
        self.api = Api(self.server, self.authority.file, certificate=(certificate, key))
        certificates.signing_key(self.folder)

    def _spawn(self, name: str, command: list[str | Path]) -> None:
        self.children[name] = Child(name, command, self.folder)
        self.children[name].start()

    def _binary(self, name: str) -> Path:
        binary = parts.kubernetes() / self.minor / name
        if not binary.exists():
            raise parts.Missing(f"{binary} is not there; install it with: {parts.INSTALL}")
        return binary

    def _etcd(self) -> list[str | Path]:
        client, peer = (f"http://127.0.0.1:{self._ports[name]}" for name in ("etcd", "peer"))
        return [parts.kubernetes() / "etcd", "--data-dir=etcd", f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}", f"--listen-peer-urls={peer}", "--unsafe-no-fsync", "--log-level=warn"]

    def _apiserver(self) -> list[str | Path]:
        return [
            self._binary("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{self._ports['etcd']}",
            "--bind-address=127.0.0.1", f"--secure-port={self._ports['apiserver']}",
            "--tls-cert-file=apiserver.crt", "--tls-private-key-file=apiserver.key", "--client-ca-file=ca.crt",
            "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
            "--service-account-key-file=service-account.pub", "--service-account-signing-key-file=service-account.key",
            "--authorization-mode=Node,RBAC", "--service-cluster-ip-range=10.0.0.0/16", "--allow-privileged=true",
            "--endpoint-reconciler-type=none", "--profiling=false",
            # when it is stopped it ends its watches after this, and not with the request timeout of a minute
            "--shutdown-watch-termination-grace-period=1s",
            # without the controllers there is no `default` account, and the plugin would refuse every pod
            *([] if self.controllers else ["--disable-admission-plugins=ServiceAccount"]),
            *self._apiserver_flags,
        ]

    def _controller_manager(self) -> list[str | Path]:
        return [
            self._binary("kube-controller-manager"), *self._component("controllers"),
            "--service-account-private-key-file=service-account.key", "--root-ca-file=ca.crt",
            f"--controllers={','.join(_CONTROLLERS)}", "--kube-api-qps=500", "--kube-api-burst=1000",
            # nobody renews leases of nodes here, and the controller would call them unreachable after 50 s
            "--node-monitor-grace-period=24h",
        ]

    def _scheduler(self) -> list[str | Path]:
        return [self._binary("kube-scheduler"), *self._component("scheduler"), "--kube-api-qps=500", "--kube-api-burst=1000"]

    def _component(self, port: str) -> list[str]:
        config = self.kubeconfig
        return [f"--kubeconfig={config}", f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}",
                "--authorization-always-allow-paths=/healthz,/readyz,/livez,/metrics", "--leader-elect=false",
                "--bind-address=127.0.0.1", f"--secure-port={self._ports[port]}", f"--cert-dir={port}", "--profiling=false"]

    def _kwok(self) -> list[str | Path]:
        return [parts.kubernetes() / "kwok", f"--kubeconfig={self.kubeconfig}", "--manage-all-nodes=true",
                f"--config={Path(__file__).with_name('kwok.yaml')}", f"--server-address=127.0.0.1:{self._ports['kwok']}",
                "--node-ip=127.0.0.1", f"--node-port={self._ports['kwok']}",
                # with leases kwok 0.8 overlooks pods that are made right after their node
                "--node-lease-duration-seconds=0", f"--cidr={self.pod_range}"]

    # --- waiting

    def _wait_for_apiserver(self, seconds: float) -> None:
        def ready() -> bool:
            self.children["etcd"].assert_running()
            self.children["kube-apiserver"].assert_running()
            try:
                return self.api.text("/readyz", seconds=5) == "ok"
            except (ApiError, urllib3.exceptions.HTTPError):
                return False

        until(ready, lambda: f"kube-apiserver is ready\n{self.children['kube-apiserver'].tail()}", seconds * PATIENCE)

    def _wait_for_the_others(self, seconds: float) -> None:
        # their certificates are their own, and what is asked here is no secret
        pool = urllib3.PoolManager(cert_reqs="CERT_NONE", retries=False)
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        addresses = {"kube-controller-manager": f"https://127.0.0.1:{self._ports['controllers']}",
                     "kube-scheduler": f"https://127.0.0.1:{self._ports['scheduler']}",
                     "kwok": f"http://127.0.0.1:{self._ports['kwok']}"}

        def healthy(name: str) -> bool:
            self.children[name].assert_running()
            try:
                return pool.request("GET", f"{addresses[name]}/healthz", timeout=5).status == 200
            except urllib3.exceptions.HTTPError:
                return False

        for name in addresses.keys() & self.children.keys():
            until(lambda: healthy(name), lambda: f"{name} is healthy\n{self.children[name].tail()}", seconds * PATIENCE)
        self._wait_for_default_account("default")

    def _wait_for_default_account(self, namespace: str) -> None:
        if self.controllers:
            until(lambda: self.api.find("ServiceAccount", "default", namespace),
                  f"namespace {namespace} has its default account", 30 * PATIENCE)

    # --- rights

    def _token(self, namespace: str, name: str, seconds: int) -> str:
        path = self.api.path("ServiceAccount", namespace, name) + "/token"
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": seconds}}
        return self.api.call("POST", path, request)["status"]["token"]

    def _set_rules(self, account: Account, rules: list[dict]) -> None:
        role = {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": account.role}, "rules": rules}
        if self.api.find("ClusterRole", account.role):
            self.api.replace(role)
        else:
            self.api.create(role)

    def _wait_for_rules(self, account: Account, rules: list[dict], namespace: str = "") -> None:
        """The authorizer learns of roles by a watch of its own."""
        for rule in rules:
            for group, resource, verb in itertools.product(
                    rule.get("apiGroups", ()), rule.get("resources", ()), rule.get("verbs", ())):
                if not rule.get("resourceNames") and "/" not in resource:
                    until(lambda: account.api.may(verb, resource, group, namespace), f"{account.role} may {verb} {resource}", 15 * PATIENCE)


def _service_account(namespace: str, name: str) -> dict:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}
