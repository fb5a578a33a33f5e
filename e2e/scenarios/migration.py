"""From a Go Collector that is deployed to an agent on each node, played on a real control plane by what `otel-agent migrate`
says: real programs stand for the pods, applications with the SDKs of Python and Go send all the time, and at the end every item is
counted."""

import json
import os
import re
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass, field

from harness import applications, ledger, otlp, parts, pods
from harness.applications import Application
from harness.backend import Backend
from harness.configs import written
from harness.kubernetes import ControlPlane, objects
from harness.kubernetes.network import Network
from harness.kubernetes.plane import PATIENCE
from harness.program import Program
from harness.runner import Run, scenario
from harness.waiting import until

SPACE, OLD = "observability", "otel-collector"
AGENTS = "open-telemetry"
HOST = f"http://{OLD}.{SPACE}.svc.cluster.local"
CONFIG = """\
receivers:
  otlp:
    protocols:
      grpc: {endpoint: "${env:MY_POD_IP}:4317"}
      http: {endpoint: "${env:MY_POD_IP}:4318"}
processors:
  memory_limiter: {check_interval: 1s, limit_mib: 400, spike_limit_mib: 100}
  resource: {attributes: [{key: collected.by, value: "${env:POD}", action: upsert}]}
  batch: {timeout: 1s}
exporters:
  otlp: {endpoint: "backend.observability:4317", tls: {insecure: true}}
extensions:
  health_check: {endpoint: "${env:MY_POD_IP}:13133"}
service:
  extensions: [health_check]
  telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: "${env:MY_POD_IP}", port: 8888}}}}]}}
  pipelines:
    traces: {receivers: [otlp], processors: [memory_limiter, resource, batch], exporters: [otlp]}
    metrics: {receivers: [otlp], processors: [memory_limiter, resource, batch], exporters: [otlp]}
    logs: {receivers: [otlp], processors: [memory_limiter, resource, batch], exporters: [otlp]}
"""
# All programs are on one loopback, so ports are their own; everything else is what the ConfigMap says.
PLACE = """\
receivers:
  otlp:
    protocols: {grpc: {endpoint: "127.0.0.1:${env:GRPC_PORT}"}, http: {endpoint: "127.0.0.1:${env:HTTP_PORT}"}}
exporters: {otlp: {endpoint: "127.0.0.1:${env:BACKEND_GRPC_PORT}"}}
extensions: {health_check: {endpoint: "127.0.0.1:${env:HEALTH_PORT}"}}
service: {telemetry: {metrics: {readers: [{pull: {exporter: {prometheus: {host: 127.0.0.1, port: "${env:METRICS_PORT}"}}}}]}}}
"""


def downward(name: str, path: str) -> dict:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


@dataclass
class World:
    """The cluster, and the programs that stand for its pods."""

    run: Run
    plane: ControlPlane
    network: Network
    backend: Backend
    programs: dict[str, Program] = field(default_factory=dict)  # by the pod's name
    nodes: dict[str, str] = field(default_factory=dict)  # node -> the pod of the agent there
    stack: ExitStack = field(default_factory=ExitStack)

    # --- the old collector and the applications

    def install_collector(self) -> None:
        api = self.plane.api
        self.plane.namespace(SPACE)
        self.plane.namespace("shop")
        api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": OLD, "namespace": SPACE},
                    "data": {"config.yaml": CONFIG}})
        api.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": OLD, "namespace": SPACE}, "spec": {
            "selector": {"app": OLD}, "ports": [{"name": "grpc", "port": 4317}, {"name": "http", "port": 4318}]}})
        deployment = objects.deployment(OLD, SPACE, containers=[OLD], image="otel/opentelemetry-collector-contrib:0.161.0", volumes=[
            {"name": "config", "configMap": {"name": OLD}}])
        container = deployment["spec"]["template"]["spec"]["containers"][0]
        container |= {"args": ["--config=/etc/otelcol/config.yaml"], "env": [
            downward("MY_POD_IP", "status.podIP"), downward("POD", "metadata.name")],
            "volumeMounts": [{"name": "config", "mountPath": "/etc/otelcol"}]}
        api.create(deployment)
        [pod] = until(lambda: pods.running(self.plane, SPACE, f"app={OLD}"), "the old collector's pod runs", 60 * PATIENCE)
        self.play("collector", pod, CONFIG)

    def play(self, kind: str, pod: dict, config: str) -> Program:
        """A real program with the configuration of its ConfigMap stands for this pod."""
        file, place = self.stack.enter_context(written(config)), self.stack.enter_context(written(PLACE))
        environment = {**pods.environment(self.plane, pod), **self.backend.env}
        program = self.stack.enter_context(Program(kind, [file, place], environment))
        self.network.lead(pod["status"]["podIP"], 8888, program.port("METRICS"))
        self.programs[pod["metadata"]["name"]] = program
        return program

    def play_agents(self, nodes: list[str]) -> None:
        """Every node has a pod of the DaemonSet, and a real agent stands for it."""
        labels = "app.kubernetes.io/name=otel-agent"
        until(lambda: {pod["spec"]["nodeName"] for pod in pods.running(self.plane, AGENTS, labels)} == set(nodes),
              "every node has a pod of the agent", 60 * PATIENCE)
        config = self.plane.api.get("ConfigMap", "otel-agent", AGENTS)["data"]["agent.yaml"]
        for pod in pods.running(self.plane, AGENTS, labels):
            self.play("agent", pod, config)
            self.nodes[pod["spec"]["nodeName"]] = pod["metadata"]["name"]
        until(lambda: self.plane.api.get("DaemonSet", "otel-agent", AGENTS)["status"].get("numberReady") == len(nodes),
              "the DaemonSet counts them as ready", 30 * PATIENCE)

    def resolve(self, host: str, port: int, node: str) -> int | None:
        """DNS and kube-proxy: where a connection from this node to a Service arrives."""
        name = {4317: "GRPC", 4318: "HTTP"}[port]
        if host.startswith(f"{OLD}.{SPACE}"):
            there = [self.programs[pod] for pod in self.programs if pod.startswith(OLD)]
        else:
            assert host == f"otel-agent.{AGENTS}.svc.cluster.local", host
            there = [self.programs[self.nodes[node]]] if node in self.nodes else []  # internalTrafficPolicy: Local
        return there[0].port(name) if there and there[0].running() else None

    def application(self, name: str, work: applications.Work, **container: object) -> Application:
        deployment = objects.deployment(name, "shop")
        deployment["spec"]["template"]["spec"]["containers"][0] |= container
        self.plane.api.create(deployment)
        started = self.run.open(Application(self.plane, name, "shop", work, self.resolve))
        started.at_work()
        return started

    # --- what a person does

    def environment(self, kubeconfig: object = None) -> dict[str, str]:
        tools = self.plane.folder / "tools"
        if not tools.exists():
            tools.mkdir()
            (tools / "otel-agent").symlink_to(parts.agent().absolute())
        path = [tools, parts.kubernetes() / self.plane.minor, os.environ["PATH"]]
        return {"PATH": ":".join(map(str, path)), "HOME": str(self.plane.folder),
                "KUBECONFIG": str(kubeconfig or self.plane.kubeconfig)}

    def run_migrate(self, *arguments: str, code: int = 0, kubeconfig: object = None) -> subprocess.CompletedProcess:
        done = subprocess.run([parts.agent(), "migrate", "--watch=2", *arguments], capture_output=True, text=True,
                              timeout=120 * PATIENCE, env=self.environment(kubeconfig), cwd=self.plane.folder)
        assert done.returncode == code, f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def migrate(self, *arguments: str, **more) -> str:
        done = self.run_migrate(*arguments, **more)
        return done.stdout + done.stderr

    def report(self, *arguments: str, **more) -> dict:
        return json.loads(self.run_migrate("--output=json", *arguments, **more).stdout)

    def type(self, command: str) -> None:
        """A command exactly as it was printed."""
        done = subprocess.run(["bash", "-ec", command], capture_output=True, text=True, timeout=60 * PATIENCE,
                              env=self.environment(), cwd=self.plane.folder)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"


def new(run: Run) -> tuple[World, list[str]]:
    network = run.open(Network())
    plane = run.open(ControlPlane(pod_range="10.244.0.0/16", apiserver_flags=network.flags))
    nodes = [f"node-{number}" for number in range(3)]
    plane.api.create_all(objects.node(name, f"10.32.0.{number + 1}") for number, name in enumerate(nodes))
    world = World(run, plane, network, run.open(Backend()))
    run.open(world.stack)
    world.install_collector()
    return world, nodes


def answers(report: dict) -> list[str]:
    return [answer["evidence"] for answer in report["verdict"]["answers"] if answer["holds"] is not True]


def moved(application: Application, protocol: str) -> None:
    """The application's new pod sends to the agent."""
    application.at_work(f"http://otel-agent.{AGENTS}.svc.cluster.local:{protocol}")


@scenario("migration/whole", seconds=240, agent_only="it is the agent's own subcommand")
def whole(run: Run) -> None:
    """Applications are moved one by one while they send, by the commands that are printed; the old collector goes when nothing
    comes in any more, and not before; nothing is lost, and nothing is there twice."""
    world, nodes = new(run)
    world.plane.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "telemetry", "namespace": "shop"},
                            "data": {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{HOST}:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}})

    def endpoint(value: str, protocol: str) -> dict:
        return {"env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": value},
                        {"name": "OTEL_EXPORTER_OTLP_PROTOCOL", "value": protocol}]}

    first = world.application("cart", applications.web, **endpoint(f"{HOST}:4318", "http/protobuf"))
    second = world.application("checkout", applications.web, **endpoint(f"{HOST}:4317", "grpc"))
    third = world.application("search", applications.jobs, envFrom=[{"configMapRef": {"name": "telemetry"}}])

    # before: the report changes nothing, and nothing may be done in the wrong order
    report = world.report()
    assert report["from"]["name"] == OLD and report["from"]["kind"] == "Deployment", report["from"]
    assert {move["kind"] + " " + move["name"] for move in report["applications"]["moves"]} == {
        "Deployment cart", "Deployment checkout", "ConfigMap telemetry"}, report["applications"]
    assert not [line for line in report["configuration"]["lines"] if line["state"] == "leftOut"], report["configuration"]
    assert not report["verdict"]["mayGo"] and len(answers(report)) >= 4, report["verdict"]
    assert sum(pod["accepted"] for pod in report["flow"]["old"]["pods"]) > 0, report["flow"]
    assert f"Next:\n  $ otel-agent migrate --from {SPACE}/{OLD} --apply agent\n" in world.migrate()
    assert "may not go yet" in world.migrate("--apply=delete-old", code=1)
    assert "agents are ready" in world.migrate("--apply=applications", code=1)
    assert not world.plane.api.find("Namespace", AGENTS)
    assert world.plane.api.get("Deployment", OLD, SPACE)

    # the agent beside it
    done = world.migrate("--apply=agent")
    assert "DaemonSet otel-agent created" in done and "To undo it:" in done, done
    assert "brought up to date" in world.migrate("--apply=agent"), "it can be done again"
    world.play_agents(nodes)

    # one by one: by the printed command, by --apply, by the printed commands of a ConfigMap
    commands = {move["name"]: move["commands"] for move in world.report()["applications"]["moves"]}
    for command in commands["cart"]:
        world.type(command)
    moved(first, "4318")
    report = world.report()
    assert not report["verdict"]["mayGo"] and report["applications"]["moved"] == 1, report["verdict"]
    assert any("still come in at the old one, through otlp" in answer for answer in answers(report)), answers(report)
    assert "may not go yet" in world.migrate("--apply=delete-old", code=1)

    assert "shop/checkout" in world.migrate("--apply=applications", "--application=shop/checkout")
    moved(second, "4317")
    assert third.endpoint == f"{HOST}:4317", "only the one that was named is moved"
    for command in commands["telemetry"]:
        world.type(command)
    moved(third, "4317")

    # after: nothing comes in at the old one, and it may go
    report = until(lambda: (found := world.report())["verdict"]["mayGo"] and found, lambda: world.migrate(), 60 * PATIENCE)
    assert report["applications"]["moves"] == [] and answers(report) == [], report
    text = world.migrate()
    assert "It can be deleted:" in text and report["verdict"]["command"] in text, text
    [old] = [program for pod, program in world.programs.items() if pod.startswith(OLD)]
    of_old = {signal: ledger.books(old, signal) for signal in otlp.SIGNALS}
    done = world.migrate("--apply=delete-old")
    assert f"Deployment {SPACE}/{OLD} deleted" in done and "apply -f otel-agent-migrate-undo.yaml" in done, done
    assert not world.plane.api.find("Deployment", OLD, SPACE) and not world.plane.api.find("Service", OLD, SPACE)
    until(lambda: not pods.running(world.plane, SPACE, f"app={OLD}"), "its pod is gone", 60 * PATIENCE)
    assert old.terminate() == 0
    for application in (first, second, third):
        application.at_work()
        application.stop()

    # the books: what applications sent is what the two took, what they took is what they sent, and all of it is there once
    told = [sent for application in (first, second, third) for sent in application.sent()]
    sent = applications.assert_all_arrived(world.backend, told)
    assert min(sent.values()) > 100 and len(told) > 6, (sent, len(told))
    agents = [program for program in world.programs.values() if program.kind == "agent"]
    for agent in agents:
        ledger.assert_balanced(agent)
    for signal in otlp.SIGNALS:
        by_agents = [ledger.books(agent, signal) for agent in agents]
        assert of_old[signal].at_rest, of_old[signal]
        total = sent[signal]
        assert of_old[signal].accepted + sum(books.accepted for books in by_agents) == total, (of_old, by_agents, sent)
        assert of_old[signal].sent + sum(books.sent for books in by_agents) == total and not any(books.dropped for books in by_agents)
    collected = {item.resource["collected.by"] for item in world.backend.items("traces")}
    assert collected <= set(world.programs) and any(name.startswith(OLD) for name in collected), collected

    # and it could have been undone
    world.type("kubectl apply -f otel-agent-migrate-undo.yaml")
    assert world.plane.api.get("ConfigMap", OLD, SPACE)["data"]["config.yaml"] == CONFIG
    assert world.plane.api.get("Deployment", OLD, SPACE) and world.plane.api.get("Service", OLD, SPACE)


@scenario("migration/rights", seconds=120, agent_only="it is the agent's own subcommand")
def rights(run: Run) -> None:
    """With rights in one namespace alone it reports what it sees, names what it does not, and never says that the old one may go."""
    world, _ = new(run)
    account = world.plane.service_account(SPACE, "migrator", [])
    world.plane.grant_in(SPACE, account, [
        {"apiGroups": ["apps"], "resources": ["deployments", "daemonsets", "statefulsets"], "verbs": ["get", "list"]},
        {"apiGroups": ["batch"], "resources": ["cronjobs"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["services", "configmaps", "pods"], "verbs": ["get", "list"]}])
    alone = world.migrate(code=1, kubeconfig=account.kubeconfig)
    assert "--from namespace/name" in alone and "right to list" in alone, alone
    name = f"--from={SPACE}/{OLD}"
    report = world.report(name, kubeconfig=account.kubeconfig)
    assert any("deployments outside of namespace" in unseen for unseen in report["unseen"]), report["unseen"]
    assert any("pods/proxy" in unread for unread in report["flow"]["old"]["unread"]), report["flow"]
    holds = [answer["holds"] for answer in report["verdict"]["answers"]]
    assert None in holds and not report["verdict"]["mayGo"], report["verdict"]
    refused = world.migrate(name, "--apply=agent", code=1, kubeconfig=account.kubeconfig)
    assert "403" in refused and "nothing was changed" in refused, refused


@scenario("migration/others", seconds=120, agent_only="it is the agent's own subcommand")
def others(run: Run) -> None:
    """Objects of the agent's name that somebody made with kubectl before: nothing is changed until it is said that their fields are
    taken over, and who set which is told. What is refused in the middle is told with what was done before."""
    world, _ = new(run)
    world.type("otel-agent manifests --backend elsewhere:4317 --profile low | kubectl apply -f -")

    def versions() -> dict[str, str]:
        """What changes with each change of an object's content; the status of the DaemonSet is its controller's."""
        config, workload = (world.plane.api.get(kind, "otel-agent", AGENTS) for kind in ("ConfigMap", "DaemonSet"))
        return {"ConfigMap": config["metadata"]["resourceVersion"], "DaemonSet": str(workload["metadata"]["generation"])}

    before = versions()
    refused = world.migrate("--apply=agent", code=1)
    assert "Nothing was changed" in refused and "--force-conflicts" in refused, refused
    assert re.search(r"configmap/otel-agent -n open-telemetry\n +kubectl-client-side-apply: \.data\.agent\.yaml", refused), refused
    assert "daemonset/otel-agent -n open-telemetry\n" in refused, refused
    assert versions() == before, f"{versions()} and before {before}"

    # to let kubectl keep them, as it is printed
    [command] = re.findall(r"otel-agent migrate --manifests-to .*", refused)
    world.type(command)
    assert "backend.observability:4317" in world.plane.api.get("ConfigMap", "otel-agent", AGENTS)["data"]["agent.yaml"]

    # what is the same is nobody's to take: both have set it then
    done = world.migrate("--apply=agent")
    assert "DaemonSet otel-agent brought up to date" in done and "taken over" not in done, done

    # or to take them over
    world.type("otel-agent manifests --backend elsewhere:4317 --profile low | kubectl apply -f -")
    done = world.migrate("--apply=agent", "--force-conflicts")
    assert "ConfigMap otel-agent brought up to date, taken over from kubectl-client-side-apply: .data.agent.yaml" in done, done
    assert "backend.observability:4317" in world.plane.api.get("ConfigMap", "otel-agent", AGENTS)["data"]["agent.yaml"]
    world.migrate("--apply=agent")

    # refused in the middle
    world.type("kubectl delete namespace open-telemetry --wait=false")
    until(lambda: not world.plane.api.find("Namespace", AGENTS), "the namespace is gone", 60 * PATIENCE)
    account = world.plane.service_account(SPACE, "half", [
        {"apiGroups": ["", "apps", "batch"], "verbs": ["list"],
         "resources": ["deployments", "daemonsets", "statefulsets", "cronjobs", "services", "configmaps", "pods"]},
        {"apiGroups": [""], "resources": ["namespaces", "serviceaccounts"], "verbs": ["get", "create", "patch"]}])
    refused = world.migrate("--apply=agent", code=1, kubeconfig=account.kubeconfig)
    assert "403" in refused and re.search("was refused; done before that: Namespace open-telemetry created", refused), refused
