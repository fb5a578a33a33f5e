"""The chart and the folder for kustomize: real helm and real kustomize render the objects that `otel-agent manifests` prints.

Both are made by the agent, and compared as parsed objects: not one field may differ, whatever is chosen.
"""

import json
import random
import subprocess
import tempfile
from pathlib import Path

import yaml

from harness import parts
from harness.kubernetes import shared
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, scenario
from harness.waiting import until

NAMESPACE = "open-telemetry"
CHART = parts.ROOT / "deploy/chart/otel-agent"
DRAWS = 40
SEED = 20261123
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

# what is chosen by arguments, and the same in a values file
CHOICES: list[tuple[list[str], dict]] = [
    ([], {}),
    (["--profile=low"], {"profile": "low"}),
    (["--profile=default"], {"profile": "default"}),
    (["--profile=high"], {"profile": "high"}),
    (["--node-selector=node-role=worker"], {"nodeSelector": {"node-role": "worker"}}),
    (["--toleration=nvidia.com/gpu"], {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}),
    (["--toleration=none"], {"tolerations": []}),
    (["--priority-class=otel-agent:1000000"], {"priorityClassName": "otel-agent", "priorityClass": {"create": True}}),
    (["--priority-class=system-node-critical"], {"priorityClassName": "system-node-critical"}),
    (["--host-network"], {"hostNetwork": True}),
    (["--routing=host-port"], {"routing": "host-port"}),
    (["--routing=prefer-local"], {"routing": "prefer-local"}),
    (["--mode=deployment"], {"mode": "deployment"}),
    (["--mode=deployment", "--replicas=1"], {"mode": "deployment", "replicas": 1}),
    (["--mode=deployment", "--replicas=5"], {"mode": "deployment", "replicas": 5}),
    (["--storage=hostPath"], {"storage": {"type": "hostPath"}}),
    (["--storage=emptyDir"], {"storage": {"type": "emptyDir", "size": "1Gi"}}),
    (["--metrics-to=both", "--service-monitor", "--prometheus-rule", "--dashboard"],
     {"metricsTo": "both", "serviceMonitor": {"enabled": True}, "prometheusRule": {"enabled": True},
      "dashboard": {"enabled": True}}),
    (["--pod-monitor", "--metrics-to=prometheus"], {"podMonitor": {"enabled": True}, "metricsTo": "prometheus"}),
    (["--network-policy"], {"networkPolicy": {"enabled": True}}),
    (["--network-policy", "--backend=https://example.com"],
     {"networkPolicy": {"enabled": True}, "backend": {"endpoint": "https://example.com"}}),
    (["--cluster-name=a $ \"b\"", "--environment=test", "--image=registry:5000/agent:7"],
     {"clusterName": "a $ \"b\"", "environment": "test", "image": {"repository": "registry:5000/agent", "tag": "7"}}),
    (["--set=serviceAccount.name=telemetry", "--set=service.enabled=false", "--routing=host-port"],
     {"serviceAccount": {"name": "telemetry"}, "service": {"enabled": False}, "routing": "host-port"}),
    (["--set=rbac.create=false", "--set=serviceAccount.create=false"], {"rbac": {"create": False}, "serviceAccount": {"create": False}}),
    (["--host-network", "--set=rollout.maxSurge=0", "--set=rollout.maxUnavailable=1"],
     {"hostNetwork": True, "rollout": {"maxSurge": 0, "maxUnavailable": 1}}),
    (["--set=resources.limits.cpu=2"], {"resources": {"limits": {"cpu": 2}}}),
    (["--env=TOKEN=1"], {"extraEnvs": [{"name": "TOKEN", "value": "1"}]}),
]

NEAR = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
    {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["a"]}]}]}}

# for the draws: some of these keys with one of the values each
DRAWN: dict[str, list] = {
    "profile": ["low", "high"],
    "mode": ["deployment"],
    "routing": ["prefer-local", "host-port"],
    "hostNetwork": [True],
    "storage.type": ["emptyDir", "hostPath"],
    "storage.path": ["/data/queue"],
    "storage.size": ["500Mi", "2G", "1.5Gi"],
    "metricsTo": ["prometheus", "both"],
    "backend.endpoint": ["collector:5317", "http://collector:4318", "https://collector/otlp"],
    "backend.insecure": [False],
    "clusterName": ["east"],
    "environment": ["production"],
    "image.tag": ["1.2.3"],
    "image.digest": ["sha256:" + "0123456789abcdef" * 4],
    "image.pullPolicy": ["Always"],
    "imagePullSecrets": [[{"name": "registry"}]],
    "resources.limits": [{"memory": "700Mi"}, {"cpu": "2", "memory": "2Gi"}, {"cpu": 2, "memory": 1073741824, "example.com/disk": 1}],
    "resources.requests": [{"cpu": "70m"}, {"cpu": 0.25}],
    "nodeSelector": [{"pool": "a"}, {"kubernetes.io/os": "linux", "pool": "b"}],
    "tolerations": [[], [{"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}]],
    "affinity": [{"nodeAffinity": NEAR},
        {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "zone"}]}},
        {"nodeAffinity": NEAR, "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
            {"weight": 1, "podAffinityTerm": {"topologyKey": "zone"}}]}},
        {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]}}],
    "serviceAccount.create": [False],
    "serviceAccount.name": ["telemetry", "team.telemetry"],
    "serviceAccount.annotations": [{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/a"}],
    "rbac.create": [False],
    "service.enabled": [False],
    "service.annotations": [{"note": "of the Service"}],
    "priorityClassName": ["high"],
    "priorityClass.create": [True],
    "replicas": [1, 3],
    "rollout.maxSurge": [1, "20%", 0, "0%"],
    "rollout.maxUnavailable": [2, "30%", 0],
    "extraEnvs": [[{"name": "A", "value": "b"}]],
    "extraEnvsFrom": [[{"secretRef": {"name": "backend"}}]],
    "labels": [{"team": "a"}],
    "podLabels": [{"tier": "node"}],
    "podAnnotations": [{"note": "x: y"}],
    "serviceMonitor.enabled": [True],
    "serviceMonitor.labels": [{"release": "prometheus"}],
    "serviceMonitor.interval": ["15s"],
    "serviceMonitor.namespace": ["monitoring"],
    "podMonitor.enabled": [True],
    "prometheusRule.enabled": [True],
    "prometheusRule.namespace": ["monitoring"],
    "dashboard.enabled": [True],
    "networkPolicy.enabled": [True],
    "networkPolicy.prometheusNamespace": ["monitoring"],
}

# what a person may get wrong: values, what has to be named, and whether `manifests` sees it as well
WRONG: list[tuple[dict, str, bool]] = [
    ({"profil": "low"}, "profil", True),
    ({"profile": "huge"}, "profile", True),
    ({"image": {"repo": "x"}}, "repo", True),
    ({"hostNetwork": "yes"}, "hostNetwork", True),
    ({"tolerations": {"key": "gpu"}}, "tolerations", True),
    ({"replicas": 0}, "replicas", True),
    ({"image": {"digest": "latest"}}, "digest", False),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy", False),
    ({"resources": {"limit": {"cpu": "1"}}}, "limit", True),
    ({"mode": "deployment", "storage": {"type": "hostPath"}}, "storage", True),
    ({"mode": "deployment", "routing": "host-port"}, "routing", True),
    ({"hostNetwork": True, "rollout": {"maxSurge": 1}}, "maxSurge", True),
    ({"hostNetwork": True, "networkPolicy": {"enabled": True}}, "networkPolicy", True),
    ({"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}}, "podMonitor", True),
    ({"replicas": 3}, "replicas", True),
    ({"image": {"repository": ""}}, "repository", True),
    ({"priorityClass": {"create": True}, "priorityClassName": "system-cluster-critical"}, "system-cluster-critical", True),
    ({"priorityClass": {"create": True, "value": 2000000000}}, "priorityClass.value", True),
    ({"serviceAccount": {"name": "default"}}, "serviceAccount.name", True),
    ({"serviceAccount": {"name": "Team_A"}}, "name", True),
    ({"serviceAccount": {"nam": "a"}}, "nam", True),
    ({"rollout": {"maxSurge": 0}}, "rollout", True),
    ({"rollout": {"maxSurge": "0%", "maxUnavailable": 0}}, "rollout", True),
    ({"rollout": {"maxSurge": "many"}}, "maxSurge", True),
    ({"rollout": {"maxSurge": "1"}}, "maxSurge", True),
    ({"rollout": {"maxSurge": 1, "maxUnavailable": "10%"}}, "not both", True),
    ({"nameOverride": "collector"}, "the objects are always called `otel-agent`", True),
    ({"fullnameOverride": ""}, "a namespace of its own", True),
    ({"resources": {"limits": {"memory": 1000000}}}, "too little", True),
    ({"resources": {"limits": {"cpu": -1}}}, "cpu", True),
    ({"labels": {"app.kubernetes.io/instance": "a"}}, "app.kubernetes.io/instance", True),
    ({"podLabels": {"app.kubernetes.io/name": "a"}}, "podLabels", True),
    ({"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]}, "`operator: Exists` takes any value", True),
    ({"tolerations": [{"key": "a", "operator": "Exists"}, {"value": "b"}]}, "without a `key`", True),
    ({"tolerations": [{"key": "a", "operator": "In"}]}, "neither `Equal` nor `Exists`", True),
    ({"storage": {"type": "emptyDir", "path": "queue"}}, "path", True),
    ({"storage": {"type": "emptyDir", "size": "much"}}, "size", True),
    ({"serviceMonitor": {"enabled": True, "interval": "often"}}, "interval", True),
    ({"networkPolicy": {"enabled": True, "prometheusNamespace": "Mon_1"}}, "prometheusNamespace", True),
    ({"resources": {"limits": {"memory": "much"}}}, "memory", True),
    ({"resources": {"limits": {"memory": "20Mi"}}}, "memory", True),
    ({"resources": {"requests": {"cpu": "600m"}}}, "600m are requested and 500m are the limit", True),
    ({"profile": "low", "resources": {"requests": {"memory": "300Mi"}}}, "300Mi are requested and 256Mi are the limit", True),
    ({"resources": {"limits": {"cpu": "0.05"}}}, "100m are requested and 0.05 are the limit", True),
]


@scenario("chart/same-objects", seconds=300, agent_only="renders with the agent")
def same_objects(run: Run) -> None:
    """Defaults, profiles and patterns: by arguments, by a values file and by the chart with that file."""
    for arguments, values in CHOICES:
        printed = _manifests(arguments)
        _same(printed, _by_values(values)[0], f"{arguments} and {values}")
        _same(printed, _template(values), f"{arguments} and the chart with {values}")


@scenario("chart/affinity", seconds=120, agent_only="renders with the agent")
def affinity(run: Run) -> None:
    """A person's affinity beside the one by which the agents of a gateway keep apart, and in the place of it."""
    for chosen in DRAWN["affinity"]:
        for mode in ("deployment", "daemonset"):
            values = {"mode": mode, "affinity": chosen}
            objects, message = _by_values(values)
            assert objects is not None, message
            _same(objects, _template(values), f"the chart with {json.dumps(values)}")


@scenario("chart/drawn", seconds=300, agent_only="renders with the agent")
def drawn(run: Run) -> None:
    """Choices drawn at random, so that keys meet that nobody thought of together."""
    dice = random.Random(SEED)
    compared = 0
    for _ in range(400):
        values = _draw(dice)
        objects, _ = _by_values(values)
        if objects is None:
            continue
        _same(objects, _template(values), f"the chart with {json.dumps(values)}")
        compared += 1
        if compared == DRAWS:
            break
    assert compared == DRAWS, f"only {compared} drawn values could be rendered"


@scenario("chart/refused", seconds=120, agent_only="renders with the agent")
def refused(run: Run) -> None:
    """Wrong values are refused by the schema, and choices that do not go together by a message; the key is named."""
    for values, named, both in WRONG:
        answer = _helm_template(values)
        assert answer.returncode != 0, f"helm took {values}"
        assert named in answer.stderr, f"{values}: {answer.stderr}"
        objects, message = _by_values(values)
        assert not both or (objects is None and named in message), f"manifests with {values}: {message}"


@scenario("chart/lint", seconds=60, agent_only="is about our chart")
def lint(run: Run) -> None:
    answer = _run([parts.helm(), "lint", "--strict", CHART])
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "0 chart(s) failed" in answer.stdout, answer.stdout


@scenario("chart/own-configuration", seconds=60, agent_only="renders with the agent")
def own_configuration(run: Run) -> None:
    """A configuration in the values, as a mapping and as text, and a chart that is made of one."""
    config = parts.ROOT / "deploy/examples/agent.yaml"
    tree = _load(config.read_text())
    for written in (tree, config.read_text()):
        text = _template({"config": written})["ConfigMap", "otel-agent"]["data"]["agent.yaml"]
        assert _load(text) == tree, text
    with tempfile.TemporaryDirectory() as folder:
        _agent("manifests", "--config", config, "--output=helm", "--directory", folder)
        objects = _template({}, chart=Path(folder))
        _same(_manifests(["--config", str(config)]), objects, "a chart of a configuration")


@scenario("chart/kustomize", seconds=120, agent_only="renders with the agent")
def kustomize(run: Run) -> None:
    """The base and every overlay, built by kustomize."""
    overlays = {
        "base": [], "overlays/low": ["--profile=low"], "overlays/default": ["--profile=default"],
        "overlays/high": ["--profile=high"], "overlays/host-port": ["--routing=host-port"],
        "overlays/prefer-local": ["--routing=prefer-local", "--kubernetes-version=1.35"],
        "overlays/host-network": ["--host-network"], "overlays/deployment": ["--mode=deployment"],
        "overlays/monitoring": ["--service-monitor", "--prometheus-rule", "--dashboard"],
    }
    committed = parts.ROOT / "deploy/kustomize"
    found = {str(file.parent.relative_to(committed)) for file in committed.glob("**/kustomization.yaml")}
    assert found == set(overlays), found
    with tempfile.TemporaryDirectory() as made:
        _agent("manifests", "--profile=low", "--output=kustomize", "--directory", made)
        for name, arguments in overlays.items():
            _same(_manifests(arguments), _kustomize(committed / name), f"{name} and {arguments}")
        _same(_manifests(["--profile=high"]), _kustomize(Path(made) / "overlays/high"), "the overlay high over low")


@scenario("chart/install", seconds=180, agent_only="is about our chart")
def install(run: Run) -> None:
    """helm installs, changes and removes it on a real control plane: one pod a node, and nothing is left."""
    plane = shared.plane()
    nodes = plane.nodes(2, prefix="chart")
    selector = {"kubernetes.io/os": "linux"}
    for node in nodes:
        plane.api.patch("Node", node, {"metadata": {"labels": selector}})
    namespace = "chart-test"

    def helm(*arguments: str) -> str:
        answer = _run([parts.helm(), *arguments, "--namespace", namespace, "--kubeconfig", plane.kubeconfig])
        assert answer.returncode == 0, answer.stderr
        return answer.stdout

    def running() -> list[str]:
        pods = plane.api.items("Pod", namespace)
        return sorted(pod["spec"].get("nodeName", "") for pod in pods if pod["status"]["phase"] == "Running")

    told = helm("install", "otel-agent", str(CHART), "--create-namespace")
    assert f"http://otel-agent.{namespace}.svc.cluster.local:4318" in told, told
    assert told.rstrip().endswith(f"otel-agent doctor --namespace {namespace}"), told
    until(lambda: set(nodes) <= set(running()), lambda: f"a pod on each node: {running()}", 60 * PATIENCE)
    helm("upgrade", "otel-agent", str(CHART), "--set", "profile=high")
    agent = plane.api.get("DaemonSet", "otel-agent", namespace)["spec"]["template"]["spec"]["containers"][0]
    assert agent["resources"]["limits"]["memory"] == "1Gi", agent["resources"]
    helm("uninstall", "otel-agent")
    until(lambda: not plane.api.find("DaemonSet", "otel-agent", namespace), "the DaemonSet is gone", 30 * PATIENCE)
    assert not plane.api.find("ClusterRole", f"otel-agent-{namespace}"), "the role of the cluster is left"


# --- rendering


def _agent(*arguments: object) -> subprocess.CompletedProcess:
    answer = _run([parts.agent(), *arguments])
    assert answer.returncode == 0, f"{arguments}: {answer.stderr}"
    return answer


def _manifests(arguments: list[str]) -> dict:
    return _objects(_agent("manifests", *arguments).stdout)


def _by_values(values: dict) -> tuple[dict | None, str]:
    """What `manifests` renders of a values file; None and the message where it refuses."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(values, file)
        file.flush()
        answer = _run([parts.agent(), "manifests", "--values", file.name])
    return (_objects(answer.stdout) if answer.returncode == 0 else None), answer.stderr


def _template(values: dict, chart: Path = CHART) -> dict:
    answer = _helm_template(values, chart)
    assert answer.returncode == 0, f"helm template with {values}: {answer.stderr}"
    return _objects(answer.stdout)


def _helm_template(values: dict, chart: Path = CHART) -> subprocess.CompletedProcess:
    """The Namespace is the one object that helm is not asked for in practice; here it is compared with the rest."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({**values, "createNamespace": True}, file)
        file.flush()
        return _run([parts.helm(), "template", "otel-agent", chart, "--namespace", NAMESPACE, "--values", file.name])


def _kustomize(folder: Path) -> dict:
    answer = _run([parts.kubectl(), "kustomize", folder])
    assert answer.returncode == 0, f"kustomize {folder}: {answer.stderr}"
    return _objects(answer.stdout)


def _run(command: list) -> subprocess.CompletedProcess:
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60 * PATIENCE)


def _load(text: str):
    return yaml.load(text, _Loader)


def _objects(text: str) -> dict[tuple[str, str], dict]:
    objects = [one for one in yaml.load_all(text, _Loader) if one]
    found = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    assert len(found) == len(objects) > 0, "an object is there twice, or there is none"
    return found


def _same(expected: dict, found: dict, what: str) -> None:
    assert sorted(expected) == sorted(found), f"{what}: {sorted(expected)} and {sorted(found)}"
    for key, one in expected.items():
        difference = _difference("", one, found[key])
        assert difference is None, f"{what}: {key}{difference}"


def _difference(path: str, one, other) -> str | None:
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other}):
            below = _difference(f"{path}.{key}", one.get(key, "(nothing)"), other.get(key, "(nothing)"))
            if below:
                return below
        return None
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return next((below for index, (a, b) in enumerate(zip(one, other)) if (below := _difference(f"{path}.{index}", a, b))), None)
    return None if one == other and type(one) is type(other) else f"{path}: {one!r} and {other!r}"


def _draw(dice: random.Random) -> dict:
    values: dict = {}
    for key in dice.sample(sorted(DRAWN), dice.randint(2, 9)):
        *sections, name = key.split(".")
        place = values
        for section in sections:
            place = place.setdefault(section, {})
        place[name] = dice.choice(DRAWN[key])
    return values
