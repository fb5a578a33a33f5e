"""A small cluster with the agent in it, one control plane for all scenarios of the doctor.

Each scenario gets nodes, a namespace and an agent of its own, all taken away at its end, so that what it finds is what it did.
"""

import atexit
import copy
import itertools
import json
import os
import subprocess
import time
from dataclasses import dataclass, field

from harness import parts
from harness.kubernetes import ApiError, ControlPlane, objects
from harness.kubernetes.network import Network
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run
from harness.waiting import until

from .kubelet import Kubelet

NAME = "otel-agent"
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": NAME}
IMAGE = f"registry.test/{NAME}:0.1.0"
RBAC = "rbac.authorization.k8s.io"
CONFIG = """\
receivers:
  otlp: {protocols: {grpc: {endpoint: "0.0.0.0:4317"}, http: {endpoint: "0.0.0.0:4318"}}}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 384, spike_limit_mib: 96}
  k8s_attributes:
    filter: {node_from_env_var: K8S_NODE_NAME}
    extract: {metadata: [k8s.namespace.name, k8s.pod.name, k8s.pod.uid, k8s.node.name]}
  batch: {timeout: 10s, send_batch_size: 1024}
exporters:
  otlp: {endpoint: "backend.shop:4317", tls: {insecure: true}}
extensions:
  health_check: {endpoint: "0.0.0.0:13133"}
service:
  extensions: [health_check]
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: 8888}}}}]}}
  pipelines:
    metrics: {receivers: [otlp], processors: [memory_limiter, k8s_attributes, batch], exporters: [otlp]}
"""
# The API server admits pods of this priority class only where a quota is for it.
LIMITED_CLASS = "agents-by-quota"
_ADMISSION = f"""\
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins:
  - name: ResourceQuota
    configuration:
      apiVersion: apiserver.config.k8s.io/v1
      kind: ResourceQuotaConfiguration
      limitedResources:
        - {{resource: pods, matchScopes: [{{scopeName: PriorityClass, operator: In, values: [{LIMITED_CLASS}]}}]}}
"""
_numbers = itertools.count()
_plane: list[tuple[ControlPlane, Network]] = []


def plane() -> tuple[ControlPlane, Network]:
    """The control plane of the doctor's scenarios, and the way from it to pods. Started by the first one that asks."""
    if not _plane:
        network = Network().__enter__()
        admission = network.configuration.with_name("admission.yaml")
        admission.write_text(_ADMISSION)
        # EndpointSlices refuse loopback addresses
        started = ControlPlane(pod_range="10.244.0.0/16",
                               apiserver_flags=[*network.flags, f"--admission-control-config-file={admission}"])
        started.start()
        atexit.register(network.__exit__)
        atexit.register(started.stop)
        _plane.append((started, network))
    return _plane[0]


@dataclass
class Report:
    """What the doctor said."""

    code: int
    json: dict
    errors: str  # standard error

    @property
    def ids(self) -> set[str]:
        return {finding["id"] for finding in self.json["findings"]}

    def finding(self, identity: str) -> dict:
        found = [finding for finding in self.json["findings"] if finding["id"] == identity]
        assert found, f"no {identity} in {json.dumps(self.json, indent=1)}"
        return found[0]


@dataclass
class World:
    """Nodes, a namespace, and an agent that can be changed before it is made."""

    plane: ControlPlane
    network: Network
    namespace: str
    nodes: list[str] = field(default_factory=list)

    # --- what is in it

    def node(self, name: str, **settings: object) -> str:
        number = next(_numbers)
        name = f"{name}-{number}"
        self.plane.api.create(objects.node(name, f"10.32.{number // 250}.{number % 250 + 1}", **settings))
        self.nodes.append(name)
        return name

    def install(self, **changes: object) -> None:
        """All that an installation is. `changes` replace whole objects by kind: daemon_set, service, config_map."""
        made = {"account": self.account(), "role": self.role(), "binding": self.binding(), "config_map": self.config_map(),
                "daemon_set": self.daemon_set(), "service": self.service(), **changes}
        for item in made.values():
            if item:
                self.plane.api.create(item)

    def account(self) -> dict:
        return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": self.namespace}}

    def role(self) -> dict:
        """What the configuration needs: to know the pods of its node."""
        read = {"verbs": ["get", "list", "watch"]}
        return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": f"{NAME}-{self.namespace}"},
                "rules": [{"apiGroups": [""], "resources": ["pods", "namespaces", "nodes"], **read}]}

    def binding(self) -> dict:
        name = f"{NAME}-{self.namespace}"
        return {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
                "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": self.namespace}]}

    def config_map(self, text: str = CONFIG) -> dict:
        return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME, "namespace": self.namespace},
                "data": {"agent.yaml": text}}

    def daemon_set(self, by_hand: bool = False, **spec: object) -> dict:
        probe = {"httpGet": {"path": "/", "port": "health"}}
        container = {
            "name": NAME, "image": IMAGE, "args": ["--config=/etc/otel-agent/agent.yaml"],
            "env": [{"name": "K8S_NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            "ports": [{"name": "otlp-grpc", "containerPort": 4317}, {"name": "otlp-http", "containerPort": 4318},
                      {"name": "metrics", "containerPort": 8888}, {"name": "health", "containerPort": 13133}],
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"cpu": "500m", "memory": "512Mi"}},
            "livenessProbe": probe, "readinessProbe": probe, "startupProbe": {**probe, "failureThreshold": 30},
            "volumeMounts": [{"name": "config", "mountPath": "/etc/otel-agent"}],
        }
        return {
            "apiVersion": "apps/v1", "kind": "DaemonSet",
            "metadata": {"name": NAME, "namespace": self.namespace, "labels": LABELS},
            "spec": {
                "selector": {"matchLabels": LABELS},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": LABELS, "annotations": {objects.BY_HAND: "true"} if by_hand else {}},
                    "spec": {"serviceAccountName": NAME, "containers": [container], "terminationGracePeriodSeconds": 1,
                             "volumes": [{"name": "config", "configMap": {"name": NAME}}], **copy.deepcopy(spec)},
                },
            },
        }

    def service(self, **spec: object) -> dict:
        return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME, "namespace": self.namespace, "labels": LABELS},
                "spec": {"selector": LABELS, "internalTrafficPolicy": "Local",
                         "ports": [{"name": "otlp-grpc", "port": 4317, "targetPort": "otlp-grpc", "appProtocol": "grpc"},
                                   {"name": "otlp-http", "port": 4318, "targetPort": "otlp-http"}], **spec}}

    def application(self, node: str, **spec: object) -> str:
        """A pod that runs on that node."""
        name = f"shop-{next(_numbers)}"
        self.plane.api.create(objects.pod(name, self.namespace, node, labels={"app": "shop"}, **spec))
        until(lambda: self.pod(name)["status"]["phase"] == "Running", f"{name} runs", 30 * PATIENCE)
        return name

    def pod(self, name: str) -> dict:
        return self.plane.api.get("Pod", name, self.namespace)

    def agents(self) -> dict[str, dict]:
        """The agent's pods by node, those that are not bound under the empty name."""
        return {pod["spec"].get("nodeName", ""): pod for pod in self.plane.owned("Pod", NAME, self.namespace)
                if not pod["metadata"].get("deletionTimestamp")}

    def agents_list(self) -> list[dict]:
        """All of the agent's pods, also those that no node has taken."""
        return self.plane.owned("Pod", NAME, self.namespace)

    def wait_for_agents(self, nodes: list[str]) -> None:
        """Until these nodes have an agent that is ready, and the DaemonSet has counted them."""
        def ready() -> bool:
            there = self.agents()
            number = self.plane.api.get("DaemonSet", NAME, self.namespace).get("status", {}).get("numberReady", 0)
            return number >= len(nodes) and all(node in there and there[node]["status"].get("phase") == "Running" for node in nodes)

        until(ready, lambda: f"agents on {nodes}: {list(self.agents())}", 30 * PATIENCE)

    def wait_for_quota(self, name: str) -> None:
        """Until it is in force."""
        until(lambda: self.plane.api.get("ResourceQuota", name, self.namespace).get("status", {}).get("hard"),
              f"quota {name} is in force", 30 * PATIENCE)

    def kubelet(self, run: Run, behaves) -> Kubelet:
        """The scenario's own kubelets for the pods of a DaemonSet made `by_hand`."""
        return run.open(Kubelet(self.plane, self.network, self.namespace, behaves))

    def event(self, kind: str, name: str, reason: str, message: str, uid: str = "") -> None:
        """Something that is told of an object, just now."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        self.plane.api.create({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{name}.{next(_numbers)}", "namespace": self.namespace},
            "involvedObject": {"kind": kind, "name": name, "namespace": self.namespace, "uid": uid}, "reason": reason,
            "message": message, "type": "Warning", "count": 3, "firstTimestamp": now, "lastTimestamp": now})

    # --- the doctor

    def doctor(self, *arguments: str, kubeconfig: object = None) -> Report:
        done = self.run("--output=json", f"--namespace={self.namespace}", *arguments, kubeconfig=kubeconfig)
        assert done.stdout, f"{done.returncode}: {done.stderr}"
        report = Report(done.returncode, json.loads(done.stdout), done.stderr)
        wrong = any(finding["severity"] != "note" for finding in report.json["findings"])
        assert report.code == (1 if wrong else {"could-not-look": 3}.get(report.json["verdict"], 0)), done.stdout
        return report

    def run(self, *arguments: str, kubeconfig: object = None) -> subprocess.CompletedProcess:
        return subprocess.run([parts.agent(), "doctor", *arguments], capture_output=True, text=True, timeout=120 * PATIENCE,
                              env=self.environment(kubeconfig))

    def finds(self, identity: str, seconds: float = 30, saying: str = "") -> dict:
        """Waits until it is found, and its evidence has these words: an agent's log may have them a moment later than its figures."""
        last: list[Report] = []

        def found() -> bool:
            last[:] = [self.doctor()]
            return identity in last[0].ids and saying in str(last[0].finding(identity)["evidence"])

        until(found, lambda: f"{identity} is found, saying {saying!r}: {json.dumps(last[0].json, indent=1)}", seconds * PATIENCE)
        return last[0].finding(identity)

    def finds_nothing(self, seconds: float = 30) -> None:
        """Waits until nothing is wrong, not even worth a note."""
        last: list[Report] = []

        def nothing() -> bool:
            last[:] = [self.doctor()]
            return not last[0].json["findings"]

        until(nothing, lambda: f"nothing is found: {json.dumps(last[0].json, indent=1)}", seconds * PATIENCE)

    def mend(self, finding: dict, number: int = 0) -> None:
        """Runs a command of the remedy exactly as it was printed, as whoever copies it into a shell."""
        commands = [remedy["command"] for remedy in finding["remedy"] if remedy.get("command")]
        self.shell(commands[number])

    def shell(self, commands: str) -> None:
        done = subprocess.run(["bash", "-ec", commands], capture_output=True, text=True, timeout=60 * PATIENCE,
                              env=self.environment(), cwd=self.plane.folder)
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"

    def environment(self, kubeconfig: object = None) -> dict[str, str]:
        tools = [parts.kubernetes() / self.plane.minor, parts.agent().parent]
        return {"PATH": ":".join([*map(str, tools), os.environ["PATH"]]), "HOME": str(self.plane.folder),
                "KUBECONFIG": str(kubeconfig or self.plane.kubeconfig)}

    # --- at the end

    def remove(self) -> None:
        """All of it, whatever of it is still there: controllers and kwok take away what belongs to it at the same time."""
        api = self.plane.api
        for kind in ("DaemonSet", "Deployment", "ReplicaSet", "Pod"):
            for item in api.items(kind, self.namespace):
                self._delete(kind, item["metadata"]["name"], 0 if kind == "Pod" else None)
        for node in self.nodes:
            self._delete("Node", node)
        for kind in ("ClusterRoleBinding", "ClusterRole"):
            self._delete(kind, f"{NAME}-{self.namespace}")
        self._delete("Namespace", self.namespace)

    def _delete(self, kind: str, name: str, grace_seconds: int | None = None) -> None:
        try:
            self.plane.api.delete(kind, name, self.namespace, grace_seconds=grace_seconds)
        except ApiError as error:
            if error.code != 404:
                raise


def new(run: Run, nodes: int = 2) -> World:
    """A world with so many nodes and no agent yet."""
    there, network = plane()
    world = World(there, network, there.namespace(f"telemetry-{next(_numbers)}"))
    run.stack.callback(world.remove)
    for _ in range(nodes):
        world.node("worker")
    return world


def healthy(run: Run, nodes: int = 2) -> World:
    """A world in which nothing is wrong: agents and an application on every node."""
    world = new(run, nodes)
    world.install()
    world.wait_for_agents(world.nodes)
    for node in world.nodes:
        world.application(node)
    return world
