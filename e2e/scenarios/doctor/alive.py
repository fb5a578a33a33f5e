"""The doctor's small cluster with agents that really run: a process for each pod, which answers at the pod's address, logs as
its container, and reads the ConfigMap as its file."""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from harness import generate, otlp, raw
from harness.backend import Backend
from harness.kubernetes import Account
from harness.kubernetes.kubelet import Kubelet
from harness.kubernetes.plane import PATIENCE
from harness.program import Program
from harness.runner import Run
from harness.waiting import until

from . import world
from .world import NAME, World

RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
         {"apiGroups": [""], "resources": ["namespaces", "nodes"], "verbs": ["get", "list", "watch"]}]
# Ports are variables, since all agents are on one host; in the cluster they are the usual ones.
CONFIG = """\
receivers:
  otlp:
    protocols: {grpc: {endpoint: "0.0.0.0:${env:GRPC_PORT:-4317}"}, http: {endpoint: "0.0.0.0:${env:HTTP_PORT:-4318}"}}
processors:
  memory_limiter: {check_interval: 1s, limit_percentage: 75, spike_limit_percentage: 20}
  k8s_attributes:
    auth_type: kubeConfig
    filter: {node_from_env_var: K8S_NODE_NAME}
    extract: {metadata: [k8s.namespace.name, k8s.pod.name, k8s.pod.uid]}
    pod_association: [{sources: [{from: resource_attribute, name: k8s.pod.ip}]}, {sources: [{from: connection}]}]
exporters:
  otlp:
    endpoint: "127.0.0.1:${env:BACKEND_GRPC_PORT:-4317}"
    tls: {insecure: true}
    sending_queue: {queue_size: 200, sizer: items, num_consumers: 1}
    retry_on_failure: {initial_interval: 500ms, max_interval: 1s}
extensions:
  health_check: {endpoint: "0.0.0.0:${env:HEALTH_PORT:-13133}"}
service:
  extensions: [health_check]
  telemetry:
    metrics: {readers: [{pull: {exporter: {prometheus: {host: 0.0.0.0, port: "${env:METRICS_PORT:-8888}"}}}}]}
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, k8s_attributes], exporters: [otlp]}
"""


@dataclass
class Alive:
    """A world whose agents run."""

    run: Run
    world: World
    kubelet: Kubelet
    account: Account
    backend_port: int
    programs: dict[str, Program] = field(default_factory=dict)  # by pod

    def bring_to_life(self) -> None:
        """Starts a process for each pod of the agent that has none, and ends those whose pods are gone."""
        pods = {pod["metadata"]["name"]: pod for pod in self.world.agents().values()}
        for gone in self.programs.keys() - pods.keys():
            self.programs.pop(gone).kill()
        for name in pods.keys() - self.programs.keys():
            self._start(pods[name])

    def _start(self, pod: dict) -> None:
        world, name = self.world, pod["metadata"]["name"]
        text = world.plane.api.get("ConfigMap", NAME, world.namespace)["data"]["agent.yaml"]
        file = Path(self.run.open(tempfile.TemporaryDirectory(prefix="e2e-"))) / "agent.yaml"
        file.write_text(text)
        node = pod["spec"]["nodeName"]
        program = Program("agent", [file], {"K8S_NODE_NAME": node, "KUBECONFIG": self.account.kubeconfig,
                                            "BACKEND_GRPC_PORT": self.backend_port})
        self.run.open(program)
        address = pod["status"]["podIP"]
        for port, own in ((8888, "METRICS"), (13133, "HEALTH")):
            world.network.lead(address, port, program.port(own))
        self.kubelet.logs[world.namespace, name] = program.log
        self.programs[name] = program

    def any(self) -> Program:
        return next(iter(self.programs.values()))

    def send(self, program: Program, requests: int, resource: dict | None = None) -> int:
        """Traces over HTTP from loopback; how many were taken."""
        taken = 0
        for number in range(requests):
            body = generate.request("traces", number, 5, resource or {}).SerializeToString()
            answer = raw.http_request(program.port("HTTP"), otlp.SIGNALS["traces"].path, body,
                                      {"Content-Type": "application/x-protobuf"})
            taken += answer.status == 200
        return taken

    def address(self) -> str:
        """Of an application's pod: what says that it is of there is found."""
        return self.world.plane.api.items("Pod", self.world.namespace, labelSelector="app=shop")[0]["status"]["podIP"]

    def write(self, text: str) -> None:
        """Another configuration into the ConfigMap; agents that run keep theirs."""
        self.world.plane.api.patch("ConfigMap", NAME, {"data": {"agent.yaml": text}}, self.world.namespace)

    def restart(self) -> None:
        """New agents, with what is in the ConfigMap."""
        before = set(self.programs)
        self.world.plane.kubectl("rollout", "restart", f"daemonset/{NAME}", f"--namespace={self.world.namespace}")
        self.replaced(before)

    def replaced(self, before: set[str]) -> None:
        """Waits until a rollout has made other pods than these, and lets them live."""
        def done() -> bool:
            there = {pod["metadata"]["name"] for pod in self.world.agents().values() if pod["status"].get("podIP")}
            return len(there) == len(self.world.nodes) and not there & before

        until(done, lambda: f"new pods instead of {before}: {list(self.world.agents())}", 60 * PATIENCE)
        self.bring_to_life()


def start(run: Run, backend_port: int | None = None, rules: list[dict] | None = None, config: str = CONFIG, nodes: int = 1) -> Alive:
    """A healthy cluster with living agents, and a backend of their own unless a port of another is given."""
    it = world.new(run, nodes)
    account = it.plane.service_account(it.namespace, NAME, RULES if rules is None else rules)
    run.stack.callback(lambda: [it.plane.api.delete(kind, account.role) for kind in ("ClusterRoleBinding", "ClusterRole")])
    certificate = it.plane.authority.server(f"kubelet-{it.namespace}", ["127.0.0.1"])
    kubelet = run.open(Kubelet(*certificate))
    for node in it.nodes:
        it.plane.api.patch_status("Node", node, {"daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet.port}}})
        # the API server calls a kubelet by the name of its host
        it.network.lead(node, kubelet.port, kubelet.port)
    if backend_port is None:
        backend_port = run.open(Backend()).grpc_port
    it.install(account=None, role=None, binding=None, config_map=it.config_map(config))
    it.wait_for_agents(it.nodes)
    for node in it.nodes:
        it.application(node)
    alive = Alive(run, it, kubelet, account, backend_port)
    alive.bring_to_life()
    return alive
