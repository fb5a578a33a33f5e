"""Starting without pods: it fails when it was told to wait for them, goes on otherwise, and never watches the whole cluster."""

import time

import yaml

from harness import ports
from harness.backend import Backend
from harness.configs import written
from harness.kubernetes import objects, shared
from harness.program import Program
from harness.runner import Run, scenario
from harness.waiting import until

from .common import PATIENCE, agent_account, complete, environment, namespace, send, start, text


def _never_ready(run: Run, env: dict, settings: dict) -> tuple[str, float]:
    """The log of a program that must not start, and after how long it gave up."""
    backend = run.open(Backend())
    file = run.open(written(text(settings)))
    program = Program(run.kind, ["oracle.yaml", file], {**backend.env, **env})
    run.stack.callback(program.kill)
    began = time.monotonic()
    program.spawn()
    assert program.wait(30 * PATIENCE) == 1, program.tail()
    return program.log(), time.monotonic() - began


def _dead_server(run: Run) -> dict:
    """A kubeconfig for a port where nothing listens."""
    file = run.open(written(yaml.safe_dump({
        "apiVersion": "v1", "kind": "Config", "current-context": "e2e",
        "clusters": [{"name": "e2e", "cluster": {"server": f"https://127.0.0.1:{ports.free()}"}}],
        "users": [{"name": "e2e", "user": {"token": "a-token-that-nobody-sees"}}],
        "contexts": [{"name": "e2e", "context": {"cluster": "e2e", "user": "e2e"}}]})))
    return environment(file, "node-0")


@scenario("kubernetes/wait", seconds=120, agent_only="the Collector still waits for a server that is not there after 30 s")
def wait(run: Run) -> None:
    """With a dead API server the start fails after the time that was given, and says so."""
    env = _dead_server(run)
    settings = complete({"wait_for_metadata_timeout": "2s"}, "node-0")
    log, seconds = _never_ready(run, env, settings)
    assert "failed to wait for caches to sync" in log, log[-2000:]
    assert 2 <= seconds < 2 + 6 * PATIENCE, f"gave up after {seconds:.1f} s"
    assert "a-token-that-nobody-sees" not in log


@scenario("kubernetes/wait-not", seconds=120, agent_only="the Collector logs with other words")
def wait_not(run: Run) -> None:
    """Without `wait_for_metadata` it serves while the API server is dead, and knows the pods when it comes."""
    plane = shared.plane()
    [node] = plane.nodes(1, prefix="wait")
    space = run.open(namespace(plane, "wait"))
    account = agent_account(plane, "wait")
    plane.run_pod(objects.pod("early", space, node), ["127.71.0.10"])
    backend = run.open(Backend())
    dead = plane.write_kubeconfig("wait", {"tokenFile": str(account.token_file)}, f"https://127.0.0.1:{ports.free()}")
    program = start(run, backend, dead, {}, node, wait=False)
    assert send(program, backend, "127.71.0.10").resource == {}
    log = until(lambda: "Pods cannot be read" in program.log() and program.log(),
                lambda: f"the log says what is wrong\n{program.tail()}", 10 * PATIENCE)
    assert "panicked" not in log and program.healthy()
    assert program.terminate() == 0, "stopping waits for no API server"


@scenario("kubernetes/node-name", seconds=60, agent_only="the Collector watches the whole cluster then")
def node_name(run: Run) -> None:
    """Without the name of its node the agent does not start, and says how to give it one."""
    plane = shared.plane()
    account = agent_account(plane, "node-name")
    for settings, env, said in (
            ({"filter": {"node_from_env_var": "KUBE_NODE_NAME"}}, {}, '"KUBE_NODE_NAME" is not set'),
            ({"filter": {"node_from_env_var": "KUBE_NODE_NAME"}}, {"KUBE_NODE_NAME": ""}, '"KUBE_NODE_NAME" is empty'),
            ({"filter": {"node_from_env_var": "KUBE_NODE_NAME"}}, {"K8S_NODE_NAME": "a"}, "write `node_from_env_var: K8S_NODE_NAME`"),
            ({}, {}, "the pods of the whole cluster would be watched")):
        log, _ = _never_ready(run, {**environment(account.kubeconfig), **env}, {"auth_type": "kubeConfig", **settings})
        assert said in log and "fieldPath: spec.nodeName" in log, log[-2000:]


@scenario("kubernetes/wrong-node", seconds=60, agent_only="the Collector has no such metric")
def wrong_node(run: Run) -> None:
    """With a name that no node has (yet) no pod is known, and data is passed on."""
    plane = shared.plane()
    account = agent_account(plane, "wrong-node")
    backend = run.open(Backend())
    program = start(run, backend, account.kubeconfig, {}, "no-such-node")
    assert send(program, backend, "127.0.0.1").resource == {}
    assert program.samples().sum("otelcol_k8s_watcher_pod_cache_size") == 0
