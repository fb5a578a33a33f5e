"""A cluster as far as a Service's traffic goes: nodes as in nodes.py, agents and applications in their pods, and what the
kubelets, the endpoint controller and the kube-proxies do, step by step or in the background."""

import json
import os
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import yaml

from . import exposition, parts
from .backend import Backend
from .namespaces import Capture
from .nodes import Endpoint, Network, Node, Pod, Service
from .runner import Run
from .waiting import until

PORTS = {"otlp-grpc": 4317, "otlp-http": 4318}
ADDRESS = "10.96.0.10"
PATIENCE = float(os.environ.get("E2E_PATIENCE", "1"))


class Agent:
    """An agent in a pod, with what the cluster knows of it. The ledger reads it like a `Program`."""

    kind = "agent"

    def __init__(self, cluster: "Cluster", pod: Pod):
        self.cluster, self.pod = cluster, pod
        self.terminating = False
        self.log_file = tempfile.NamedTemporaryFile("w+b", prefix=f"{pod.name}-", suffix=".log")
        self.process: subprocess.Popen | None = None

    @property
    def node(self) -> Node:
        return self.pod.node

    def start(self) -> None:
        """Starts its container, again if it had ended; the pod and its address are the same."""
        environment = {"PATH": os.environ["PATH"], "NODE": self.node.name, "POD": self.pod.name,
                       "PODS_FILE": self.cluster.pods_file.name, "BACKEND_SOCKET": self.cluster.socket}
        self.process = self.pod.spawn([parts.agent(), "--config", parts.CONFIGS / "locality.yaml"], env=environment,
                                      stdout=self.log_file, stderr=self.log_file)

    def probe(self) -> bool:
        """The readiness probe, from its node as the kubelet does it."""
        return self.running() and self.node.namespace.fetch(self.pod.address, 13133, seconds=2)[0] == 200

    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def samples(self) -> exposition.Samples:
        status, text = self.pod.namespace.fetch("127.0.0.1", 8888, "/metrics", seconds=5)
        assert status == 200, f"{self.pod.name} has no metrics: {status}\n{self.log()}"
        return exposition.parse(text)

    def log(self) -> str:
        return "\n".join(line[:300] for line in Path(self.log_file.name).read_text(errors="replace").splitlines()[-20:])

    def ask_to_end(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        if self.running():
            self.process.kill()
            self.process.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(40 * PATIENCE)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.pod.name} has not ended\n{self.log()}") from None


class Application:
    """One application.py in a pod."""

    def __init__(self, pod: Pod, protocol: str):
        self.pod, self.protocol = pod, protocol
        command = [os.sys.executable, "-m", "harness.application", pod.name, protocol, ADDRESS]
        self.process = pod.spawn(command, stdout=subprocess.PIPE, text=True, cwd=parts.E2E,
                                 env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        self.result: dict | None = None

    def started(self) -> "Application":
        """Returns when its first request was accepted."""
        line = self.process.stdout.readline()
        assert line == "started\n", f"{self.pod.name} says {line!r}"
        return self

    def stop(self) -> dict:
        """Ends it: what was acknowledged, and every error that it saw."""
        if self.result is None:
            out, _ = self.process.communicate(timeout=60)
            self.result = json.loads(out.splitlines()[-1])
        return self.result

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Cluster:
    """Nodes, the Service `otel-agent`, its agents and the applications."""

    def __init__(self, run: Run, nodes: int, policy: str = "Local"):
        self.run = run
        folder = run.open(tempfile.TemporaryDirectory(prefix="locality-"))
        self.socket = f"{folder}/backend"
        self.backend = run.open(Backend(socket=self.socket))
        self.network = run.open(Network(nodes))
        self.service = Service(ADDRESS, PORTS, policy)
        self.captures = [run.open(Capture(node.namespace, "eth0", set(PORTS.values()))) for node in self.network.nodes]
        self.agents: list[Agent] = []
        self.applications: list[Application] = []
        self.pods_file = run.open(tempfile.NamedTemporaryFile("w", prefix="pods-", suffix=".yaml"))
        self._pods: list[dict] = []
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()
        self._write_pods()

    @property
    def nodes(self) -> list[Node]:
        return self.network.nodes

    # --- pods

    def application_pod(self, node: Node, name: str) -> Pod:
        """A pod that the agent of its node knows."""
        pod = self.run.open(node.pod(name))
        self._pods.append({
            "metadata": {"name": name, "namespace": "shop", "uid": f"uid-{name}", "creationTimestamp": "2026-11-20T08:15:02Z"},
            "spec": {"nodeName": node.name, "containers": [{"name": "app", "image": "app"}]},
            "status": {"podIP": pod.address, "podIPs": [{"ip": pod.address}], "hostIP": node.address, "phase": "Running"}})
        self._write_pods()
        return pod

    def _write_pods(self) -> None:
        self.pods_file.seek(0)
        self.pods_file.truncate()
        yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": self._pods}, self.pods_file)
        self.pods_file.flush()

    def application(self, pod: Pod, protocol: str) -> Application:
        one = Application(pod, protocol)
        self.run.stack.callback(one.kill)
        self.applications.append(one)
        return one

    def agent(self, node: Node) -> Agent:
        """A new agent pod, started; the Service does not know it before it is ready and `sync` was called."""
        number = self._numbers[node.name] = self._numbers.get(node.name, 0) + 1
        agent = Agent(self, self.run.open(node.pod(f"agent-{node.number}-{number}")))
        agent.start()
        self.run.stack.callback(agent.kill)
        self.agents.append(agent)
        return agent

    def agents_ready(self) -> None:
        for agent in self.agents:
            until(agent.probe, lambda: f"{agent.pod.name} is ready\n{agent.log()}", seconds=20 * PATIENCE)
        self.sync()

    # --- what the control plane and the kube-proxies do

    def sync(self) -> None:
        """Probes every agent, writes the endpoints, and brings every node's rules up to date."""
        with self._lock:
            endpoints = []
            for agent in self.agents:
                serving = agent.probe()
                endpoints.append(Endpoint(agent.pod.address, agent.node.name, serving and not agent.terminating, serving,
                                          agent.terminating))
            self.service.endpoints = endpoints
            for node in self.nodes:
                node.apply(self.service)

    def remove(self, agent: Agent) -> None:
        """A pod that has ended is gone."""
        with self._lock:
            self.agents.remove(agent)
        self.sync()

    def set_policy(self, policy: str) -> None:
        self.service.policy = policy
        self.sync()

    # --- what was seen

    def crossed(self) -> int:
        """Packets of OTLP that went from node to node, until now."""
        return sum(capture.packets for capture in self.captures)

    def stop_applications(self) -> dict[str, dict]:
        return {one.pod.name: one.stop() for one in self.applications}
