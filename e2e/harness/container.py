"""Containers without an engine: the image's archive is unpacked by umoci, and a command runs in that root, read-only, as the
image's user, with the image's environment and a network of its own."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

from . import parts
from .namespaces import Namespace

BUILD = parts.ROOT / "deploy" / "image" / "build.py"


def build(folder: Path, binary: Path | None = None) -> Path:
    """The archive of the image, as `make image` makes it."""
    binary = binary or parts.agent()
    done = subprocess.run([sys.executable, BUILD, "--binary", binary, "--out", folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.oci.tar"))


def skopeo(*arguments: object) -> str:
    return _tool("skopeo", "--insecure-policy", *arguments)


def _tool(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr}"
    return done.stdout


class Container:
    """An image that is unpacked into a folder. The files that Kubernetes mounts into a pod are written by `mount`."""

    def __init__(self, archive: Path, folder: Path):
        self.config = json.loads(skopeo("inspect", "--config", f"oci-archive:{archive}"))
        layout = folder / "layout"
        skopeo("copy", f"oci-archive:{archive}", f"oci:{layout}:image")
        _tool("umoci", "unpack", "--image", f"{layout}:image", folder / "bundle")
        self.root = folder / "bundle" / "rootfs"
        self.network = Namespace("container")
        self.children: list[subprocess.Popen] = []

    def __enter__(self) -> "Container":
        (self.root / "proc").mkdir()
        self.network.__enter__()
        return self

    def __exit__(self, *failure) -> None:
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        self.network.__exit__(*failure)

    def mount(self, path: str, text: str) -> None:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def command(self, arguments: list[str]) -> list[str]:
        """What an engine does for `exec`: the namespaces, the root, read-only, /proc, the user without any capability."""
        # mounts are undone with the process, whose alone they are
        steps = ('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t proc proc "$1/proc" && root=$1 && shift && '
                 f'exec {shutil.which("chroot")} --userspec={self.config["config"]["User"]} --groups= "$root" "$@"')
        return self.network.inside("/usr/bin/env", f"PATH={_ADMINISTRATOR}", "unshare", "--mount", "--propagation", "private",
                                   "sh", "-c", steps, "sh", str(self.root), *self._found(arguments))

    def _found(self, arguments: list[str]) -> list[str]:
        """A plain name is looked for along the image's PATH, as an engine does it."""
        if "/" in arguments[0]:
            return arguments
        path = dict(pair.split("=", 1) for pair in self.config["config"]["Env"])["PATH"]
        inside = [f"{folder}/{arguments[0]}" for folder in path.split(":")]
        return [next((one for one in inside if (self.root / one.lstrip("/")).is_symlink()), arguments[0]), *arguments[1:]]

    def run(self, *arguments: str, seconds: float = 60) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        done = subprocess.run(self.command(list(arguments)), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds)
        return done.returncode, done.stdout, done.stderr

    def start(self, log, *arguments: str) -> subprocess.Popen:
        """What the image runs by itself; arguments are instead of its own."""
        settings = self.config["config"]
        command = self.command(settings["Entrypoint"] + (list(arguments) or settings["Cmd"]))
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.children.append(child)
        return child


_ADMINISTRATOR = "/usr/sbin:/usr/bin:/sbin:/bin"
