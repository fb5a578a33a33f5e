"""The Go Collector's k8sattributes beside the agent's: the same pods, the same settings, the same requests."""

import functools
import itertools
import pprint

from harness import parts
from harness.backend import Backend
from harness.kubernetes import shared
from harness.runner import Run, add
from scenarios.oracle import Observed, attribute_aspects

from . import world
from .common import ALL_RULES, agent_account, send, start
from .world import ADDRESSES, IDS, NAMESPACE, NOBODY, World

EVERY_FIELD = [
    "k8s.namespace.name", "k8s.pod.name", "k8s.pod.uid", "k8s.pod.hostname", "k8s.pod.ip", "k8s.pod.start_time",
    "k8s.node.name", "k8s.node.uid", "k8s.cluster.uid", "k8s.container.name", "container.id", "container.image.name",
    "container.image.tag", "container.image.tags", "container.image.repo_digests",
    *(f"k8s.{kind}.{what}" for kind in ("deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob")
      for what in ("name", "uid")),
]
SERVICE = ["service.namespace", "service.name", "service.version", "service.instance.id"]
OWNERS = ["deployment", "replicaset", "statefulset", "daemonset", "job", "cronjob"]
Case = tuple[str, str | None, dict]  # name, address, attributes of the resource


def by_connection(_: World) -> list[Case]:
    """From every pod's address, without attributes."""
    own = [(name, address, {}) for name, address in ADDRESSES.items()]
    return [*own, ("nobody", NOBODY, {}), ("host network", "127.66.1.1", {}), ("loopback", None, {})]


def what_is_there(_: World) -> list[Case]:
    """Attributes that the sender has set already."""
    plain = ADDRESSES["plain"]
    return [
        ("existing name", plain, {"k8s.pod.name": "mine", "k8s.node.name": "my-node"}),
        ("existing empty name", plain, {"k8s.pod.name": "", "k8s.deployment.name": ""}),
        ("existing number", plain, {"k8s.pod.name": 5, "k8s.namespace.name": True, "k8s.pod.uid": ["a"]}),
        ("existing service", plain, {"service.name": "set", "service.version": "set"}),
        ("unknown service", plain, {"service.name": "unknown_service:java"}),
        ("existing tags", plain, {"container.image.tags": ["old"], "container.image.name": "old"}),
        ("namespace alone", NOBODY, {"k8s.namespace.name": NAMESPACE}),
        ("no such namespace", NOBODY, {"k8s.namespace.name": "nope", "k8s.node.name": "nope"}),
    ]


def containers(_: World) -> list[Case]:
    two, plain = ADDRESSES["two"], ADDRESSES["plain"]
    attributes = {
        "none": {}, "by name": {"k8s.container.name": "app"}, "by another name": {"k8s.container.name": "proxy"},
        "by a wrong name": {"k8s.container.name": "nope"}, "by id": {"container.id": IDS["proxy"]},
        "by a wrong id": {"container.id": "9" * 64}, "name before id": {"k8s.container.name": "app", "container.id": IDS["proxy"]},
        **{f"restart {count!r}": {"k8s.container.name": "app", "k8s.container.restart_count": count}
           for count in (3, "3", 2, "2", 7, "x", -1, 3.0)},
        "by id of the last instance": {"container.id": "3" * 64},
    }
    cases = [(f"two, {name}", two, more) for name, more in attributes.items()]
    return cases + [
        ("sole, by a wrong name", plain, {"k8s.container.name": "nope"}),
        ("sole, by a wrong id", plain, {"container.id": "9" * 64}),
        ("init by name", ADDRESSES["init"], {"k8s.container.name": "prepare"}),
    ]


def built_in_order(it: World) -> list[Case]:
    plain, two = ADDRESSES["plain"], ADDRESSES["two"]
    return [
        ("k8s.pod.ip", NOBODY, {"k8s.pod.ip": plain}), ("k8s.pod.ip against connection", two, {"k8s.pod.ip": plain}),
        ("ip", NOBODY, {"ip": plain}), ("k8s.pod.ip before ip", NOBODY, {"k8s.pod.ip": plain, "ip": two}),
        ("host.name is an address", NOBODY, {"host.name": plain}), ("host.name is a name", NOBODY, {"host.name": "plain"}),
        ("connection before host.name", two, {"host.name": plain}), ("empty k8s.pod.ip", two, {"k8s.pod.ip": ""}),
        ("wrong k8s.pod.ip", two, {"k8s.pod.ip": NOBODY}), ("k8s.pod.ip is no address", two, {"k8s.pod.ip": "plain"}),
        ("k8s.pod.ip is a number", two, {"k8s.pod.ip": 5}), ("k8s.pod.uid is not looked at", NOBODY, {"k8s.pod.uid": it.uids["plain"]}),
        ("k8s.pod.ip of host network", NOBODY, {"k8s.pod.ip": it.host_address}),
        ("second address", NOBODY, {"k8s.pod.ip": "fd00::18"}), ("k8s.pod.ip as IPv6", NOBODY, {"k8s.pod.ip": f"::ffff:{plain}"}),
    ]


ASSOCIATIONS = [
    [("resource_attribute", "k8s.pod.uid")],
    [("resource_attribute", "k8s.pod.name"), ("resource_attribute", "k8s.namespace.name")],
    [("resource_attribute", "k8s.pod.ip")],
    [("resource_attribute", "host.name")],
    [("resource_attribute", "k8s.deployment.name"), ("resource_attribute", "k8s.namespace.name")],
    [("resource_attribute", "the.team")],
    [("resource_attribute", "not.extracted")],
    [("resource_attribute", "k8s.pod.hostname"), ("connection", "")],
    [("connection", "")],
]


def associated(it: World) -> list[Case]:
    plain, two = ADDRESSES["plain"], ADDRESSES["two"]
    named = {"k8s.pod.name": "two", "k8s.namespace.name": NAMESPACE}
    return [
        ("by uid", NOBODY, {"k8s.pod.uid": it.uids["plain"]}), ("by uid, another connection", two, {"k8s.pod.uid": it.uids["plain"]}),
        ("by uid of host network", it.host_address, {"k8s.pod.uid": it.uids["host-network"]}),
        ("by uid of another node", NOBODY, {"k8s.pod.uid": it.uids["elsewhere"]}),
        ("by uid of an ended pod", NOBODY, {"k8s.pod.uid": it.uids["ended"]}),
        ("by uid of a pod that ends", NOBODY, {"k8s.pod.uid": it.uids["terminating"]}),
        ("by uid of an excluded pod", NOBODY, {"k8s.pod.uid": it.uids["jaeger-agent-1"]}),
        ("by a wrong uid", NOBODY, {"k8s.pod.uid": "nope"}), ("by a wrong uid, with a connection", two, {"k8s.pod.uid": "nope"}),
        ("by name and namespace", NOBODY, named), ("by name alone", two, {"k8s.pod.name": "plain"}),
        ("by name in a wrong namespace", two, {**named, "k8s.namespace.name": "nope"}),
        ("by name of host network", it.host_address, {**named, "k8s.pod.name": "host-network"}),
        ("uid before name", NOBODY, {**named, "k8s.pod.uid": it.uids["plain"]}),
        ("by address", NOBODY, {"k8s.pod.ip": plain}), ("by second address", NOBODY, {"k8s.pod.ip": "fd00::18"}),
        ("by address of host network", NOBODY, {"k8s.pod.ip": it.host_address}),
        ("by host.name", NOBODY, {"host.name": plain}), ("by host.name that is a name", two, {"host.name": "plain"}),
        ("by deployment", NOBODY, {"k8s.deployment.name": "web", "k8s.namespace.name": NAMESPACE}),
        ("by label", NOBODY, {"the.team": "ada"}), ("by a wrong label", two, {"the.team": "nope"}),
        ("by what is not extracted", two, {"not.extracted": "x"}),
        ("hostname and connection", ADDRESSES["hostname"], {"k8s.pod.hostname": "billing-0"}),
        ("hostname of another and connection", two, {"k8s.pod.hostname": "billing-0"}),
        ("connection", plain, {}), ("nobody", NOBODY, {}),
    ]


def _association(sources: list[tuple[str, str]]) -> dict:
    return {"sources": [{"from": kind, **({"name": name} if name else {})} for kind, name in sources]}


def _rules(what: str) -> list[dict]:
    each = [{"key": "note", "from": kind} for kind in ("pod", "namespace", "node", *OWNERS)] if what == "annotations" else \
        [{"key": "kind", "from": kind} for kind in OWNERS] + [{"key": "team", "from": "namespace"}, {"key": "zone", "from": "node"}]
    return each + [
        {"key": "app" if what == "labels" else "blank"}, {"key": "empty"}, {"key": "nope"}, {"tag_name": "tier.of", "key": "tier"},
        {"tag_name": "team.$$1", "key_regex": r"team\.example\.com/(.*)"},
        {"key_regex": r"team\.example\.com/p.*"}, {"key_regex": "team"},  # anchored: matches no key
        {"tag_name": "named.$${what}", "key_regex": r"team\.example\.com/(?P<what>\w+)", "from": "namespace"},
        {"tag_name": "rack.$$1$$1x", "key_regex": r"team\.example\.com/(r.)ck", "from": "node"},
        {"tag_name": "whole.$$0", "key_regex": "ti.r"}, {"tag_name": "fixed", "key_regex": "ap."},
        {"tag_name": "group", "key_regex": "(tier)"},
        {"tag_name": "same", "key": "app"}, {"tag_name": "same", "key": "tier"},
    ]


VARIANTS: dict[str, tuple[dict, list]] = {
    # name: settings, cases
    "default": ({}, [by_connection, what_is_there, containers]),
    "every field": ({"extract": {"metadata": EVERY_FIELD}}, [by_connection, what_is_there, containers, built_in_order]),
    "no field": ({"extract": {"metadata": []}}, [what_is_there]),
    "service": ({"extract": {"metadata": SERVICE, "otel_annotations": True}}, [by_connection, what_is_there, containers]),
    "service by all": ({"extract": {"metadata": SERVICE + EVERY_FIELD, "otel_annotations": True, "labels": [{"key": "app"}]}},
                       [by_connection]),
    "rules": ({"extract": {"labels": _rules("labels"), "annotations": _rules("annotations")}}, [by_connection, what_is_there]),
    "all labels": ({"extract": {"labels": [{"key_regex": ".*", "from": kind} for kind in ("pod", "namespace", "node")],
                                "annotations": [{"key_regex": "(.*)", "tag_name": "note.$$1"}]}}, [by_connection]),
    "otel annotations": ({"extract": {"otel_annotations": True}}, [by_connection]),
    "associations": ({"extract": {"metadata": EVERY_FIELD, "labels": [{"tag_name": "the.team", "key": "team.example.com/owner"}]},
                      "pod_association": [_association(sources) for sources in ASSOCIATIONS]}, [associated]),
    "connection alone": ({"pod_association": [_association([("connection", "")])]}, [built_in_order]),
    "nothing applies": ({"pod_association": [_association([("resource_attribute", "k8s.pod.uid")])]}, [by_connection]),
    "passthrough": ({"passthrough": True}, [built_in_order, what_is_there]),
    "exclude": ({"exclude": {"pods": [{"name": "^pl"}, {"name": "o$"}]}}, [by_connection]),
    "exclude nothing": ({"exclude": {"pods": []}}, [by_connection]),
    "filter by labels": ({"filter": {"node_from_env_var": "KUBE_NODE_NAME", "labels": [
        {"key": "tier", "op": "exists"}, {"key": "app", "value": "plain"}, {"key": "tier", "value": "front", "op": "not-equals"}]}},
        [by_connection]),
    "filter by fields": ({"filter": {"node_from_env_var": "KUBE_NODE_NAME", "namespace": NAMESPACE, "fields": [
        {"key": "status.phase", "value": "Running"}, {"key": "metadata.name", "value": "plain", "op": "not-equals"}]}}, [by_connection]),
}
ON_EVERY_MINOR = ("default", "every field")


def observe(run: Run, kind: str, minor: str, variant: str) -> Observed:
    plane = shared.plane(minor)
    it = world.of(plane)
    account = agent_account(plane, "oracle", ALL_RULES)
    backend = run.open(Backend())
    settings, makers = VARIANTS[variant]
    if kind == "agent":
        settings = settings | {"new_pod_wait": "0s"}  # of the many addresses here without a pod none will get one
    program = start(run, backend, account.kubeconfig, settings, "" if settings.get("passthrough") else it.node, kind)
    seen: Observed = {}
    protocols = itertools.cycle(["http", "grpc"])
    signals = itertools.cycle(["traces", "metrics", "logs"])
    for name, source, resource in (case for maker in makers for case in maker(it)):
        sent = send(program, backend, source, resource, next(signals), next(protocols))
        assert sent.resource is not None, f"{name}: {sent}"
        seen[f"k8sattributes {variant}, {name}"] = attribute_aspects(sent.resource)
        backend.forget()
    keys = {key for aspects in seen.values() for key in aspects}
    return {case: {key: aspects.get(key) for key in sorted(keys)} for case, aspects in seen.items()}


def compare(run: Run, minor: str, variant: str) -> None:
    expected = observe(run, "collector", minor, variant)
    if run.show:
        found = {case: {k: v for k, v in aspects.items() if v} for case, aspects in expected.items()}
        pprint.pprint(found, width=160, sort_dicts=False)
    found = observe(run, run.kind, minor, variant)
    for case in expected:  # keys that one program alone has anywhere count as absent in the other
        for key in expected[case].keys() ^ found[case].keys():
            expected[case].setdefault(key), found[case].setdefault(key)
    run.differences.compare(expected, found)


for _minor in parts.minors():
    for _variant in VARIANTS if _minor == parts.minors()[0] else ON_EVERY_MINOR:
        add(f"kubernetes/oracle-{_variant.replace(' ', '-')}-{_minor}", functools.partial(compare, minor=_minor, variant=_variant), 120)
