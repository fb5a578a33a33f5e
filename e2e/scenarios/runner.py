"""The runner itself: what it leaves behind when it is ended in the middle, and what asking for names costs."""

import functools
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import parts
from harness.kubernetes.plane import PATIENCE
from harness.runner import Run, add, scenario
from harness.waiting import until


def ended(arguments: list[str], run: Run) -> None:
    """SIGTERM in the middle of a scenario ends its programs and removes what it made, and the exit code tells the signal."""
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        # the control plane of this one is shared, so that it lives longer than the scenario; the agent is its own
        inner = subprocess.Popen([sys.executable, "-m", "harness", *arguments], cwd=parts.E2E, env={**os.environ, "TMPDIR": folder},
                                 start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            until(lambda: {"kube-apiserver", "otel-agent"} <= _programs(inner.pid),
                  lambda: f"control plane and agent run: {_programs(inner.pid)}", 60 * PATIENCE)
            inner.send_signal(signal.SIGTERM)
            said, _ = inner.communicate(timeout=60 * PATIENCE)
        finally:
            inner.kill()
        assert inner.returncode == 128 + signal.SIGTERM, f"{inner.returncode}: {said}"
        assert "FAIL" in said and "SIGTERM: cleaning up" in said, said
        until(lambda: not _programs(inner.pid), lambda: f"nothing goes on: {_programs(inner.pid)}")
        assert os.listdir(folder) == [], f"left behind: {os.listdir(folder)}\n{said}"


add("runner/ended", functools.partial(ended, ["kubernetes/new-pod"]), 120, agent_only="is about the runner")
add("runner/ended-lanes", functools.partial(ended, ["--lanes", "kubernetes/new-pod", "doctor/exporter-refused"]), 120, agent_only="is about the runner")


def _programs(session: int) -> set[str]:
    """The names of the programs in a session, that of its leader left out."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            name, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue  # it ended meanwhile
        state, _, _, own, *_ = rest.split()
        if int(own) == session and int(folder.name) != session and state != "Z":
            found.add(name)
    return found


@scenario("runner/list", seconds=60, agent_only="is about the runner")
def names_alone(run: Run) -> None:
    """`--list` starts no build, whatever is missing."""
    with tempfile.TemporaryDirectory(prefix="runner-") as folder:
        for tool in ("cargo", "go", "npm", "mvn"):
            stand_in = Path(folder) / tool
            stand_in.write_text(f"#!/bin/sh\necho {tool} was called >&2\nexit 1\n")
            stand_in.chmod(0o755)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("E2E_")}
        done = subprocess.run([parts.E2E / "run.sh", "--list", "runner/*"], capture_output=True, text=True, timeout=60 * PATIENCE,
                              env={**environment, "PATH": f"{folder}:{os.environ['PATH']}"})
        assert done.returncode == 0 and done.stdout.split() == ["runner/ended", "runner/ended-lanes", "runner/list"], f"{done.stdout}{done.stderr}"
        assert "was called" not in done.stderr, done.stderr
