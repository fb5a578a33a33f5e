"""The commands of README.md and docs/guide work: they are taken from the pages and run, against a real control plane.

A block that cannot be run there is followed by `<!-- not run: why -->`; of those every option and every file that they name
is looked at all the same. What the pages say of findings, profiles and files is compared with what there is.
"""

import os
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from harness import parts
from harness.kubernetes import ControlPlane, objects
from harness.kubernetes.plane import PATIENCE
from harness.namespaces import Namespace
from harness.runner import Run, scenario
from harness.waiting import until

PAGES = ["README.md", *sorted(str(page.relative_to(parts.ROOT)) for page in (parts.ROOT / "docs/guide").glob("*.md"))]
_BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:<!-- (?:not run|parsed only): (.+?) -->)?", re.M | re.S)
_FILE = re.compile(r"(?:deploy|docs|e2e|crates)/[\w./-]+|k8s-manifests\.yaml")
_COLLECTOR = """\
receivers:
  otlp: {protocols: {grpc: {endpoint: "0.0.0.0:4317"}, http: {endpoint: "0.0.0.0:4318"}}}
exporters:
  otlp: {endpoint: "backend.observability:4317", tls: {insecure: true}}
service:
  pipelines:
    traces: {receivers: [otlp], exporters: [otlp]}
"""
# the block of a machine without a cluster, and the command in it that goes on until it is ended
_USE_IT = re.compile(r"^otel-agent --config agent.yaml", re.M)
# a doctor that looks, and finds something, did what it should
_MAY_FIND = re.compile(r"^otel-agent doctor\b")


@dataclass
class Block:
    page: str
    text: str
    reason: str  # why it is not run; empty when it is

    @property
    def commands(self) -> list[str]:
        """One for each command, continued lines joined, comments left out."""
        joined = re.sub(r"\\\n\s*", " ", self.text)
        joined = re.sub(r"<<END\n.*?^END$", "", joined, flags=re.M | re.S)
        lines = (re.sub(r"\s+#.*$", "", line).strip() for line in joined.splitlines())
        return [line for line in lines if line and not line.startswith("#")]


def blocks(page: str) -> list[Block]:
    text = (parts.ROOT / page).read_text()
    return [Block(page, block, reason or "") for block, reason in _BLOCK.findall(text)]


@scenario("guide/options-exist", seconds=120, agent_only="is about our pages")
def options_exist(run: Run) -> None:
    """Every subcommand and option of `otel-agent` in a page, also in the blocks that are not run."""
    helps: dict[str, str] = {}
    seen = 0
    for block in (block for page in PAGES for block in blocks(page)):
        for command in block.commands:
            for words in re.findall(r"(?:^|[|&;(] *| /)otel-agent ((?:[^|&;<>]|'[^']*')*)", command):
                name, *rest = words.split() or [""]
                if name.startswith("-") or not name:
                    name, rest = "", [name, *rest]
                if name not in helps:
                    answer = _shell(f"otel-agent {name} --help", parts.ROOT, {})
                    assert answer.returncode == 0, f"{block.page}: otel-agent {name}: {answer.stderr}"
                    helps[name] = answer.stdout
                for option in (re.split("[= ]", word)[0] for word in rest if word.startswith("--") and word != "--"):
                    assert re.search(rf"{option}\b", helps[name]), f"{block.page}: otel-agent {name} has no {option}"
                seen += 1
    assert seen > 20, f"only {seen} commands were found: the wrong lines are read"


@scenario("guide/files-exist", seconds=30, agent_only="is about our pages")
def files_exist(run: Run) -> None:
    """Every file of the repository that a command names, and every link."""
    for page in PAGES:
        text = (parts.ROOT / page).read_text()
        named = {name.rstrip("./") for block in blocks(page) for name in _FILE.findall(block.text)}
        for name in named:
            assert (parts.ROOT / name).exists(), f"{page}: there is no {name}"
        for link in re.findall(r"\]\((?!https?:)([^)#]*)(#[^)]*)?\)", text):
            target, anchor = link
            to = (parts.ROOT / page).parent / target if target else parts.ROOT / page
            assert to.exists(), f"{page}: there is no {target}"
            if anchor:
                heads = re.findall(r"^#+ (.*)$", to.read_text(), re.M)
                known = {"#" + re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}
                assert anchor in known, f"{page}: {target} has no {anchor}"


@scenario("guide/findings-exist", seconds=30, agent_only="is about our pages")
def findings_exist(run: Run) -> None:
    """What the guide calls a finding is one, and every section of the troubleshooting ends with some."""
    reference = (parts.ROOT / "docs/reference/doctor.md").read_text()
    known = set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", reference))
    page = (parts.ROOT / "docs/guide/troubleshooting.md").read_text()
    sections = re.split(r"^## ", page, flags=re.M)[1:]
    for section in sections:
        title = section.splitlines()[0]
        if title == "Look inside of a pod":
            continue
        assert "In `doctor`:" in section, f"{title} does not end with what doctor calls it"
        ids = re.findall(r"`([a-z]+(?:-[a-z]+)+)`", section.split("In `doctor`:")[1])
        assert ids, title
        unknown = [one for one in ids if one not in known]
        assert not unknown, f"{title}: doctor has no {unknown}"
    wrong = re.findall(r"^### `([a-z-]+)` \((?:error|warning)\)", reference, re.M)
    assert wrong, "the reference has no finding"
    missing = [one for one in wrong if f"`{one}`" not in page]
    assert not missing, f"the guide says nothing of {missing}"


@scenario("guide/profiles-agree", seconds=60, agent_only="is about our pages")
def profiles_agree(run: Run) -> None:
    """The table of the profiles in the guide, the rendered profiles and what the program says now."""
    page = (parts.ROOT / "docs/guide/tuning.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) to (\w+) \| (\w+) to (\w+) \| (\d+) items or (\d+) s ", page, re.M)
    assert [row[0] for row in rows] == ["low", "default", "high"], rows
    for profile, cpu, cpu_limit, memory, memory_limit, items, seconds in rows:
        rendered = (parts.ROOT / f"deploy/profiles/{profile}.yaml").read_text()
        answer = _shell(f"otel-agent manifests --profile {profile}", parts.ROOT, {})
        for text in (rendered, answer.stdout):
            found = {one["kind"]: one for one in yaml.safe_load_all(text) if one}
            container = found["DaemonSet"]["spec"]["template"]["spec"]["containers"][0]
            assert container["resources"] == {"requests": {"cpu": cpu, "memory": memory},
                                              "limits": {"cpu": cpu_limit, "memory": memory_limit}}, profile
            config = yaml.safe_load(found["ConfigMap"]["data"]["agent.yaml"])
            assert config["processors"]["batch"] == {"timeout": f"{seconds}s", "send_batch_size": int(items)}, profile
            limiter = config["processors"]["memory_limiter"]
            assert f"{limiter['limit_percentage']} % of the container" in page, limiter
            assert f"refuse at {limiter['limit_percentage'] - limiter['spike_limit_percentage']} %" in page, limiter


@scenario("guide/commands-run", seconds=400, agent_only="is about our pages")
def commands_run(run: Run) -> None:
    """Every block that is not marked, in the order of its page, on a control plane with an application."""
    plane = run.open(ControlPlane())
    ran = 0
    with tempfile.TemporaryDirectory(prefix="guide-") as folder:
        work = Path(folder)
        for name in ("deploy", "docs", "k8s-manifests.yaml"):
            (work / name).symlink_to(parts.ROOT / name)
        _cluster(plane)
        environment = {"KUBECONFIG": str(plane.kubeconfig), "HOME": folder}
        for page in PAGES:
            for block in (block for block in blocks(page) if not block.reason and not _USE_IT.search(block.text)):
                for command in _steps(block):
                    _prepare(command, plane, work, environment)
                    answer = _shell(command, work, environment)
                    may_find = _MAY_FIND.match(command) and answer.returncode == 1
                    assert answer.returncode == 0 or may_find, \
                        f"{block.page}: `{command}` ended with {answer.returncode}: {answer.stdout[-400:]} {answer.stderr}"
                    ran += 1
    assert ran > 60, f"only {ran} commands were run"


@scenario("guide/use-it", seconds=60, agent_only="is about our pages")
def use_it(run: Run) -> None:
    """The first configuration of the README as a file, and the commands below it, on a machine without anything else."""
    readme = (parts.ROOT / "README.md").read_text()
    [block] = [block for block in blocks("README.md") if _USE_IT.search(block.text)]
    config = re.search(r"^```yaml\n(# agent\.yaml: .*?)^```$", readme, re.M | re.S).group(1)
    machine = run.open(Namespace("use-it"))
    with tempfile.TemporaryDirectory(prefix="use-it-") as folder:
        (Path(folder) / "agent.yaml").write_text(config)
        said = {}
        for command in block.commands:
            if not _USE_IT.search(command):
                if command.startswith("curl"):
                    command = f"{command} --silent --show-error --fail"
                answer = _shell(command, Path(folder), {}, machine.inside())
                assert answer.returncode == 0, f"`{command}` ended with {answer.returncode}: {answer.stdout}{answer.stderr}"
                said[command.split(" --silent")[0]] = answer.stdout + answer.stderr
                continue
            agent = subprocess.Popen(machine.inside(parts.agent(), *command.split()[1:]), cwd=folder, stdout=subprocess.DEVNULL,
                                     stderr=subprocess.DEVNULL)
            run.stack.callback(agent.wait)
            run.stack.callback(agent.kill)
            until(lambda: machine.fetch("127.0.0.1", 13133)[0] == 200, "the agent is healthy", 20 * PATIENCE)
    assert "error" not in said["otel-agent validate --config agent.yaml"], said
    assert "warning" not in said["otel-agent validate --config agent.yaml"], said
    assert "otelcol_process_uptime" in said["curl localhost:8888/metrics"], said


def _steps(block: Block) -> list[str]:
    """A block with text for a file is one command; else each line is."""
    return [block.text] if "<<END" in block.text else block.commands


def _cluster(plane: ControlPlane) -> None:
    """Two nodes of Linux, and applications that send to a Collector that is deployed once."""
    for node in plane.nodes(2):
        plane.api.patch("Node", node, {"metadata": {"labels": {"kubernetes.io/os": "linux"}}})
    plane.namespace("shop")
    plane.namespace("observability")
    meta = {"name": "otel-collector", "namespace": "observability"}
    plane.api.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"config.yaml": _COLLECTOR}})
    plane.api.create({"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": {
        "selector": {"app": "otel-collector"}, "ports": [{"name": "grpc", "port": 4317}, {"name": "http", "port": 4318}]}})
    collector = objects.deployment(**meta, image="otel/opentelemetry-collector-contrib:0.161.0",
                                   volumes=[{"name": "config", "configMap": {"name": "otel-collector"}}])
    collector["spec"]["template"]["spec"]["containers"][0] |= {
        "args": ["--config=/etc/otelcol/config.yaml"], "volumeMounts": [{"name": "config", "mountPath": "/etc/otelcol"}]}
    plane.api.create(collector)
    to_it = {"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel-collector.observability.svc.cluster.local:4318"}
    for name in ("checkout", "cart", "search"):
        application = objects.deployment(name, "shop", replicas=1)
        application["spec"]["template"]["spec"]["containers"][0]["env"] = [to_it]
        plane.api.create(application)


def _prepare(command: str, plane: ControlPlane, work: Path, environment: dict) -> None:
    """Neither helm nor a migration takes over what others have made, and what is removed or looked at has to be there."""
    def gone() -> None:
        until(lambda: not plane.api.find("Namespace", "open-telemetry"), "the namespace is gone", 60 * PATIENCE)

    ends = plane.api.find("Namespace", "open-telemetry") or {"metadata": {}}
    if "deletionTimestamp" in ends["metadata"]:
        gone()
    there = plane.api.find("DaemonSet", "otel-agent", "open-telemetry") is not None
    if re.search("helm install|migrate --apply agent", command) and there:
        answer = _shell("helm uninstall otel-agent --namespace open-telemetry --ignore-not-found; "
                        "kubectl delete -f k8s-manifests.yaml --ignore-not-found", work, environment)
        assert answer.returncode == 0, answer.stderr
        gone()
    elif not re.search("helm install|migrate --apply agent", command) and "-n open-telemetry" in command and not there:
        answer = _shell("kubectl apply -f k8s-manifests.yaml", work, environment)
        assert answer.returncode == 0, answer.stderr


def _shell(command: str, folder: Path, environment: dict, within: list[str] = ()) -> subprocess.CompletedProcess:
    """With the agent, kubectl and helm by the names that people have for them; `within` runs it somewhere else."""
    with tempfile.TemporaryDirectory() as tools:
        for name, path in (("otel-agent", parts.agent()), ("kubectl", parts.kubectl()), ("helm", parts.helm())):
            (Path(tools) / name).symlink_to(Path(path).absolute())
        search = f"{tools}:{os.environ['PATH']}"
        return subprocess.run([*within, "bash", "-c", f"set -e -o pipefail\n{command}"], cwd=folder, text=True, capture_output=True,
                              env={**os.environ, **environment, "PATH": search}, timeout=120 * PATIENCE)
