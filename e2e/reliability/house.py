"""A mount namespace of its own for the program: a small disk, names that resolve or do not, a clock that can jump."""

import os
import subprocess
import tempfile
from pathlib import Path

NAME = "backend.chaos.test"
DISK = 8 << 20  # bytes; the journal may take half of it

# The namespace lives for as long as `cat` waits for its input, which ends with this process whatever happens to it.
_FURNISH = """
set -e
mount --make-rprivate /
mount --bind "$1/hosts" /etc/hosts
mount --bind "$1/resolv.conf" /etc/resolv.conf
mount -t tmpfs -o size="$2" tmpfs "$1/disk"
mkdir "$1/disk/journal"
echo furnished
exec cat >/dev/null
"""


class House:
    """`prefix` starts a command in there; what it sees of names, disk and clock is changed from outside."""

    def __init__(self, faketime: Path):
        self._folder = tempfile.TemporaryDirectory(prefix="chaos-")
        self.folder = Path(self._folder.name)
        self.storage = self.folder / "disk" / "journal"
        self._clock = self.folder / "clock"
        self._user = [] if os.geteuid() == 0 else ["--map-root-user"]
        self.env = {
            "STORAGE": self.storage, "LD_PRELOAD": faketime, "FAKETIME_TIMESTAMP_FILE": self._clock,
            "FAKETIME_NO_CACHE": 1, "DONT_FAKE_MONOTONIC": 1, "FAKETIME_DONT_FAKE_MONOTONIC": 1}

    def __enter__(self) -> "House":
        (self.folder / "disk").mkdir()
        # A name that is not in the file of hosts is asked for where nobody answers: that fails at once.
        (self.folder / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
        self.name_is("127.0.0.1")
        self.clock("+0")
        self._keeper = subprocess.Popen(
            ["unshare", *self._user, "--mount", "sh", "-c", _FURNISH, "sh", str(self.folder), str(DISK)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._keeper.stdout.readline() == "furnished\n", "no mount namespace: run it as root, or allow user namespaces"
        return self

    def __exit__(self, *_) -> None:
        self._keeper.stdin.close()
        self._keeper.wait(10)
        self._keeper.stdout.close()
        self._folder.cleanup()

    @property
    def prefix(self) -> list[str]:
        user = ["--user", "--preserve-credentials"] if self._user else []
        return ["nsenter", "--target", str(self._keeper.pid), *user, "--mount", "--"]

    # --- names

    def name_is(self, address: str | None) -> None:
        """What the backend's name stands for; `None`: it does not resolve."""
        line = f"{address} {NAME}\n" if address else ""
        # In place: the file is mounted, another one in its place would not be seen.
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{line}")

    # --- the disk

    def fill_disk(self) -> None:
        """Nothing more can be written."""
        try:
            with open(self._inside("disk/ballast"), "wb", buffering=0) as ballast:
                while True:
                    ballast.write(bytes(4096))
        except OSError:
            pass

    def empty_disk(self) -> None:
        self._inside("disk/ballast").unlink(missing_ok=True)

    def protect_disk(self) -> None:
        """The journal's directory is a read-only one for everything that is opened from now on. (A mount with open files
        cannot be made read-only, so another one is put over it.)"""
        self._do("mount", "-t", "tmpfs", "-o", "ro,size=4k", "tmpfs", str(self.storage))

    def unprotect_disk(self) -> None:
        self._do("umount", "--lazy", str(self.storage))

    # --- the clock

    def clock(self, offset: str) -> None:
        """The time of day is so far from the real one (`+40d`, `-1h`), from now on. Time spans are not touched."""
        self._clock.write_text(offset + "\n")

    def _inside(self, path: str) -> Path:
        return Path(f"/proc/{self._keeper.pid}/root{self.folder}") / path

    def _do(self, *command: str) -> None:
        subprocess.run([*self.prefix, *command], check=True, capture_output=True)
