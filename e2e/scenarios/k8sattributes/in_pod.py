"""As in a pod: the service account's token, certificate and namespace are where Kubernetes mounts them, and nothing else is told."""

import os
import shlex
from pathlib import Path
from urllib.parse import urlsplit

from harness.backend import Backend
from harness.configs import written
from harness.kubernetes import Account, objects, shared
from harness.program import Program
from harness.runner import Run, scenario

from .common import agent_account, complete, namespace, send, text

MOUNTED = "/var/run/secrets/kubernetes.io/serviceaccount"
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}]


def mounted(run: Run, program: Program, account: Account) -> None:
    """Lets the program see the account's folder as its own, by a mount namespace."""
    steps = ["mount -t tmpfs none /var/run", f"mkdir -p {MOUNTED}",
             f"mount --bind {shlex.quote(str(account.folder))} {MOUNTED}", f'exec {shlex.quote(str(program.binary))} "$@"']
    script = run.open(written(f"#!/bin/sh\nexec unshare --map-root-user --mount sh -c {shlex.quote(' && '.join(steps))} sh \"$@\"\n"))
    copy = Path(f"{script}.sh")  # one that is written to cannot be run
    copy.write_text(script.read_text())
    run.stack.callback(copy.unlink)
    os.chmod(copy, 0o700)
    program.binary = copy


@scenario("kubernetes/in-pod", seconds=60)
def in_pod(run: Run) -> None:
    """`auth_type: serviceAccount`, which is the default, with exactly the permission to list and watch pods."""
    plane = shared.plane()
    [node] = plane.nodes(1, prefix="in-pod")
    space = run.open(namespace(plane, "in-pod"))
    account = agent_account(plane, "in-pod", RULES)
    plane.run_pod(objects.pod("shop", space, node), ["127.73.0.10"])
    backend, server = run.open(Backend()), urlsplit(plane.server)
    settings = {name: value for name, value in complete({}, node).items() if name != "auth_type"}
    file = run.open(written(text(settings)))
    program = Program(run.kind, ["oracle.yaml", file], {
        **backend.env, "KUBE_NODE_NAME": node, "KUBERNETES_SERVICE_HOST": server.hostname, "KUBERNETES_SERVICE_PORT": server.port})
    mounted(run, program, account)
    run.open(program)
    resource = send(program, backend, "127.73.0.10").resource
    assert resource["k8s.pod.name"] == "shop" and resource["k8s.node.name"] == node, resource
