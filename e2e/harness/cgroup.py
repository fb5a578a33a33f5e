"""A memory cgroup of its own for the program under test: a real limit of the kernel, version 1 or 2."""

import os
import time
from pathlib import Path

from .parts import Missing

_ROOT = Path("/sys/fs/cgroup")


class MemoryGroup:
    """A group with a limit in bytes; whoever calls `enter` is in it, and so are its children. Gone with the scenario."""

    def __init__(self, limit: int, name: str = "otel-agent-e2e"):
        self.limit = limit
        self._name = f"{name}-{os.getpid()}-{time.monotonic_ns() % 1_000_000}"
        self.version = 1 if (_ROOT / "memory").is_dir() else 2
        self.folder = (_ROOT / "memory" if self.version == 1 else _ROOT) / self._name

    def __enter__(self) -> "MemoryGroup":
        try:
            if self.version == 2:
                self._delegate()
            self.folder.mkdir()
            self._file("memory.limit_in_bytes", "memory.max").write_text(str(self.limit))
            swap = self.folder / ("memory.memsw.limit_in_bytes" if self.version == 1 else "memory.swap.max")
            if swap.exists():  # without it, what is too much would go to the swap space in silence
                swap.write_text(str(self.limit) if self.version == 1 else "0")
        except OSError as error:
            self.__exit__()
            raise Missing(
                f"cannot make a memory cgroup at {self.folder}: {error}. This scenario needs a real limit of the kernel: run it "
                "as root (sudo -E e2e/run.sh 'reliability/overload*'), in a container with --privileged --cgroupns=host"
            ) from None
        return self

    def _delegate(self) -> None:
        """Version 2 shows the memory files only where the group above says so."""
        control = _ROOT / "cgroup.subtree_control"
        if "memory" not in control.read_text().split():
            control.write_text("+memory")

    def __exit__(self, *_) -> None:
        for _ in range(100):  # the kernel takes a moment to let go of processes that ended
            try:
                self.folder.rmdir()
                return
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.05)

    def _file(self, version_1: str, version_2: str) -> Path:
        return self.folder / (version_1 if self.version == 1 else version_2)

    def enter(self) -> None:
        """Puts the calling process into the group; for `preexec_fn`."""
        (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def peak(self) -> int:
        """The most that was ever in use, page cache included; 0 where an old kernel of version 2 does not tell."""
        file = self._file("memory.max_usage_in_bytes", "memory.peak")
        return int(file.read_text()) if file.exists() else 0

    def killed(self) -> int:
        """How many processes the kernel has killed for want of memory."""
        text = self._file("memory.oom_control", "memory.events").read_text()
        return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill ")), 0)
