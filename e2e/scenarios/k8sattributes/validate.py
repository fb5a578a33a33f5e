"""Which settings of `k8sattributes` are taken by `validate`, in both programs: one change in a good configuration at a time."""

import json
import subprocess

import yaml

from harness import parts
from harness.configs import written
from harness.runner import Run, add
from scenarios.oracle import Observed
from scenarios.oracle_validate import ENV

from .common import text

VARIABLES = {**ENV, "KUBE_NODE_NAME": "node-0", "EMPTY": ""}
GOOD = {"filter": {"node_from_env_var": "KUBE_NODE_NAME"}}


def _labels(*rules: dict) -> dict:
    return {"extract": {"labels": list(rules)}}


def _associated(*associations: list[dict]) -> dict:
    return {"pod_association": [{"sources": list(sources)} for sources in associations]}


CONNECTION = {"from": "connection"}
UID = {"from": "resource_attribute", "name": "k8s.pod.uid"}
NAME = {"from": "resource_attribute", "name": "k8s.pod.name"}
SETTINGS: list[dict | None] = [
    None, {}, {"nonsense": 1},
    *({"auth_type": word} for word in ("serviceAccount", "kubeConfig", "none", "tls", "serviceaccount", "", "x", 5)),
    {"context": "a"}, {"context": "a", "auth_type": "kubeConfig"}, {"kube_api_qps": 10, "kube_api_burst": 20},
    {"kube_api_qps": -1}, {"kube_api_burst": -1}, {"kube_api_qps": 0.5}, {"kube_api_burst": 1.5}, {"kube_api_qps": "5"},
    {"passthrough": True}, {"passthrough": "yes"}, {"passthrough": True, "auth_type": "none"},
    {"wait_for_metadata": True}, {"wait_for_metadata_timeout": "0s"}, {"wait_for_metadata_timeout": "-1s"},
    {"wait_for_metadata_timeout": "soon"}, {"metadata_sync_timeout": "5s"}, {"watch_sync_period": "5m"},
    {"watch_sync_period": "-1s"}, {"watch_sync_period": "x"}, {"pod_delete_grace_period": "1m"}, {"pod_delete_grace_period": "-1s"},
    {"pod_delete_grace_period": "0s"},
    # extract
    {"extract": None}, {"extract": {}}, {"extract": {"metadata": None}}, {"extract": {"metadata": []}},
    {"extract": {"metadata": "k8s.pod.name"}}, {"extract": {"metadata": ["k8s.pod.name", "k8s.pod.name"]}},
    *({"extract": {"metadata": [field]}} for field in (
        "k8s.pod.name", "k8s.pod.ip", "container.image.tag", "container.image.tags", "service.name", "k8s.cluster.uid", "k8s.pod.Name",
        "k8s.cluster.name", "k8s.cronjob.uid", "k8s.node.uid", "k8s.container.restart_count", "", "k8s.pod.labels", "k8s.hpa.name")),
    {"extract": {"otel_annotations": True}}, {"extract": {"otel_annotations": "x"}},
    {"extract": {"deployment_name_from_replicaset": True}}, {"extract": {"nonsense": 1}},
    _labels(), _labels({"key": "a"}), _labels({"key_regex": "a(.*)"}), _labels({"key": "a", "key_regex": "b"}), _labels({}),
    _labels({"tag_name": "x"}), _labels({"key_regex": "("}), _labels({"key_regex": "(?P<n>x)", "tag_name": "$${n}"}),
    _labels({"key_regex": "a", "tag_name": "$$9"}), _labels({"key": "a", "regex": "b"}), _labels({"key": "a", "nonsense": "b"}),
    _labels({"key": ""}), _labels({"key": "not a key!"}), _labels({"key": "a"}, {"key": "a"}), {"extract": {"labels": {"key": "a"}}},
    *(_labels({"key": "a", "from": word}) for word in (
        "pod", "namespace", "node", "deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob", "Pod", "service", "")),
    {"extract": {"annotations": [{"key": "a", "from": "nope"}]}}, {"extract": {"annotations": [{"key_regex": "["}]}},
    {"extract": {"annotations": [{"key_regex": "a{2,1}"}]}}, {"extract": {"annotations": [{"key_regex": "(?=a)"}]}},
    # filter
    {"filter": None}, {"filter": {}}, {"filter": {"node": "a"}}, {"filter": {"node": ""}}, {"filter": {"node": 5}},
    {"filter": {"node_from_env_var": "KUBE_NODE_NAME"}}, {"filter": {"node_from_env_var": "NOT_SET"}},
    {"filter": {"node_from_env_var": "EMPTY"}}, {"filter": {"node_from_env_var": ""}},
    {"filter": {"node": "a", "node_from_env_var": "KUBE_NODE_NAME"}}, {"filter": {"namespace": "a"}}, {"filter": {"nonsense": "a"}},
    *({"filter": {"node": "a", "labels": [{"key": "a", "value": "b", "op": op}]}} for op in (
        "", "equals", "not-equals", "exists", "does-not-exist", "Equals", "in", "not-exists")),
    *({"filter": {"node": "a", "fields": [{"key": "a", "value": "b", "op": op}]}} for op in (
        "", "equals", "not-equals", "exists", "does-not-exist", "x")),
    {"filter": {"node": "a", "labels": [{"value": "b"}]}}, {"filter": {"node": "a", "fields": [{"key": "a", "nonsense": 1}]}},
    # associations
    _associated(), _associated([]), _associated([CONNECTION]), _associated([UID]), _associated([UID, NAME]),
    _associated([UID], [UID]), _associated([UID, NAME], [NAME, UID]), _associated([CONNECTION], [CONNECTION]),
    _associated([{"from": "resource_attribute", "name": f"a.{number}"} for number in range(4)]),
    _associated([{"from": "resource_attribute", "name": f"a.{number}"} for number in range(5)]),
    _associated([{"from": "nonsense"}]), _associated([{}]), _associated([{"from": "resource_attribute"}]),
    _associated([{"from": "connection", "name": "x"}]), _associated([{"name": "k8s.pod.uid"}]),
    _associated([{"from": "resource_attribute", "name": "container.id"}]),
    _associated([{"from": "resource_attribute", "name": "not.extracted"}]),
    {"pod_association": [{"from": "connection"}]}, {"pod_association": [{"from": "resource_attribute", "name": "k8s.pod.uid"}]},
    {"pod_association": [{}]}, {"pod_association": {"sources": []}},
    # exclude
    {"exclude": None}, {"exclude": {"pods": []}}, {"exclude": {"pods": [{"name": "a.*"}]}}, {"exclude": {"pods": [{"name": "("}]}},
    {"exclude": {"pods": ["a"]}}, {"exclude": {"pods": [{}]}}, {"exclude": {"nonsense": 1}},
]


def config(settings: dict | None, name: str = "k8sattributes") -> str:
    """oracle.yaml with the processor, in one file."""
    tree = yaml.safe_load((parts.CONFIGS / "oracle.yaml").read_text())
    more = yaml.safe_load(text({}))
    for signal, pipeline in more["service"]["pipelines"].items():
        tree["service"]["pipelines"][signal] = {**tree["service"]["pipelines"][signal], "processors": [name]}
    whole = settings and {**GOOD, **settings}
    return yaml.safe_dump({**tree, "processors": {name: whole}}, sort_keys=False)


def validated(kind: str, configuration: str, environment: dict[str, str] = VARIABLES) -> tuple[int, str]:
    """Exit code and what was said."""
    binary = {"agent": parts.agent, "collector": parts.collector}[kind]()
    with written(configuration) as file:
        done = subprocess.run([str(binary), "validate", "--config", str(file)], env={"PATH": "/usr/bin:/bin", **environment},
                              capture_output=True, text=True, timeout=20)
        return done.returncode, (done.stdout + done.stderr).replace(str(file), "FILE")


def observe(run: Run, kind: str) -> Observed:
    seen: Observed = {}
    for name in ("k8sattributes", "k8s_attributes", "k8sattributes/second", "k8sattribute"):
        seen[f"k8sattributes validate named {name}"] = {"exit code": validated(kind, config(GOOD, name))[0]}
    for settings in SETTINGS:
        seen[f"k8sattributes validate {json.dumps(settings)}"] = {"exit code": validated(kind, config(settings))[0]}
    assert seen["k8sattributes validate named k8sattributes"]["exit code"] == 0, validated(kind, config(GOOD))[1]
    return seen


def oracle(run: Run) -> None:
    run.differences.compare(observe(run, "collector"), observe(run, run.kind))


def refusals(run: Run) -> None:
    """Every refusal names the file, the line and a remedy; a node name that is missing is named with the way to set it."""
    bad = []
    for settings in SETTINGS:
        code, said = validated("agent", config(settings))
        if code not in (0, 1) or "panicked" in said or (code == 1 and "FILE:" not in said):
            bad.append(f"{settings}: exit code {code}\n{said[:400]}")
    assert not bad, f"{len(bad)} bad messages:\n" + "\n".join(bad)
    code, said = validated("agent", config({"filter": {"node_from_env_var": "K8S_NODE_NAME"}}))
    assert code == 1 and '"K8S_NODE_NAME" is not set' in said, said
    assert "KUBE_NODE_NAME" in said and "fieldPath: spec.nodeName" in said, said


add("kubernetes/validate-oracle", oracle, 120)
add("kubernetes/validate-refusals", refusals, 60, agent_only="its messages have no places")
