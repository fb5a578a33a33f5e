"""One process of the control plane: its log, its end, and that it does not outlive the run."""

import ctypes
import os
import signal
import subprocess
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Child:
    def __init__(self, name: str, command: list[str | Path], folder: Path):
        self.name = name
        self.command = [str(part) for part in command]
        self.folder = folder
        self.log_file = folder / f"{name}.log"
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Starts it, or starts it again; the log goes on in the same file."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"], "HOME": str(self.folder)}, preexec_fn=_end_with_parent)

    def assert_running(self) -> None:
        if self.process is None or self.process.poll() is not None:
            code = None if self.process is None else self.process.returncode
            raise AssertionError(f"{self.name} ended with {code}:\n{self.tail()}")

    def stop(self, kill: bool = False, seconds: float = 20) -> None:
        """SIGTERM, and SIGKILL when it takes longer; `kill` means SIGKILL at once."""
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def tail(self, lines: int = 25) -> str:
        if not self.log_file.exists():
            return "(no log)"
        return "\n".join(line[:400] for line in self.log_file.read_text(errors="replace").splitlines()[-lines:])


def _end_with_parent() -> None:
    # a run that is killed with SIGKILL cannot end its children itself; the kernel takes the thread that started a child
    # for its parent, so children are started from a thread that lives as long as they shall
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
