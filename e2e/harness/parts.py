"""Where the installed parts are. `run.sh` puts them there; what is missing is said with the command that installs it."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
E2E = ROOT / "e2e"
CONFIGS = E2E / "configs"
INSTALL = "e2e/run.sh --install"


class Missing(Exception):
    """A part that is not installed. Never a reason to skip."""


def _part(variable: str) -> Path:
    path = os.environ.get(variable)
    if not path or not Path(path).exists():
        raise Missing(f"{variable} ({path or 'not set'}) is not there; install it with: {INSTALL}")
    return Path(path)


def agent() -> Path:
    return _part("E2E_AGENT")


def collector() -> Path:
    return _part("E2E_COLLECTOR")


def prometheus() -> Path:
    return _part("E2E_PROMETHEUS")


def promtool() -> Path:
    return _part("E2E_PROMTOOL")


def faketime() -> Path:
    return _part("E2E_FAKETIME")


def kubernetes() -> Path:
    """The folder with `etcd`, `kwok` and a folder for each minor, such as `1.36`."""
    return _part("E2E_KUBERNETES")


def helm() -> Path:
    return _part("E2E_HELM")


def kubectl() -> Path:
    """kubectl of the main minor; `kubectl kustomize` is the real kustomize."""
    return kubernetes() / minors()[0] / "kubectl"


def minors() -> list[str]:
    """The minors of Kubernetes that are built, newest first; the first is the main one."""
    folders = [module.parent.name for module in (E2E / "kubernetes").glob("*.*/go.mod")]
    return sorted(folders, key=lambda minor: [int(part) for part in minor.split(".")], reverse=True)


def node_client() -> Path:
    return _part("E2E_NODE_CLIENT")


def go_client() -> Path:
    return _part("E2E_GO_CLIENT")


def java_client() -> Path:
    return _part("E2E_JAVA_CLIENT")
