"""Network namespaces, each kept by a process that cannot outlive this one, and what goes over their devices."""

import ctypes
import os
import socket
import subprocess
import threading

from .parts import Missing
from .waiting import until

_LIBC = ctypes.CDLL(None, use_errno=True)
_NEWNET = 0x40000000
_LONGEST = "1800"  # seconds after which a namespace ends by itself, whatever happens here


class Namespace:
    """A network namespace, with loopback up. Children started in it are of this process; the network goes with it."""

    def __init__(self, name: str):
        self.name = name
        self._holder: subprocess.Popen | None = None

    def __enter__(self) -> "Namespace":
        if os.geteuid() != 0:
            raise Missing("this scenario makes network namespaces and needs root; run e2e/run.sh as root, e.g. in a container")
        self._holder = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "unshare", "--net", "sleep", _LONGEST], stdin=subprocess.DEVNULL)
        own = os.readlink("/proc/self/ns/net")
        until(lambda: self._entered(own), f"the namespace {self.name}")
        self.ip("link set lo up")
        return self

    def __exit__(self, *_) -> None:
        self._holder.kill()
        self._holder.wait()

    def _entered(self, own: str) -> bool:
        assert self._holder.poll() is None, f"the namespace {self.name} was not made: exit code {self._holder.returncode}"
        return os.readlink(self.path) != own and b"sleep" in open(f"/proc/{self.pid}/cmdline", "rb").read()

    @property
    def pid(self) -> int:
        return self._holder.pid

    @property
    def path(self) -> str:
        return f"/proc/{self.pid}/ns/net"

    def inside(self, *command: str) -> list[str]:
        """A command line that runs another one in here."""
        return ["nsenter", f"--net={self.path}", "--", *map(str, command)]

    def run(self, *command: str, text: str = "") -> str:
        done = subprocess.run(self.inside(*command), input=text, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, f"{self.name}: {' '.join(command)}: {done.stderr}\n{text}"
        return done.stdout

    def ip(self, *lines: str) -> None:
        """Lines for `ip`, all in one go."""
        self.run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def set(self, **settings: object) -> None:
        """Kernel settings below net/, with _ for /."""
        lines = (f"echo {value} > /proc/sys/net/{name.replace('__', '/')}" for name, value in settings.items())
        self.run("sh", "-ec", "\n".join(lines))

    def socket(self, *kind: int) -> socket.socket:
        """A socket of here: it stays in the namespace that it was made in."""
        with open("/proc/thread-self/ns/net") as home, open(self.path) as here:
            _enter(here.fileno())
            try:
                return socket.socket(*kind)
            finally:
                _enter(home.fileno())

    def fetch(self, address: str, port: int, path: str = "/", seconds: float = 2) -> tuple[int, str]:
        """A GET from in here: status and body; 0 when nobody answers."""
        with self.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
            connection.settimeout(seconds)
            try:
                connection.connect((address, port))
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while part := connection.recv(1 << 16):
                    answer += part
            except OSError:
                return 0, ""
        head, _, body = answer.partition(b"\r\n\r\n")
        return (int(head.split()[1]), body.decode(errors="replace")) if head else (0, "")


def _enter(descriptor: int) -> None:
    """Moves this thread alone."""
    if _LIBC.setns(descriptor, _NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Capture:
    """Counts the TCP packets from or to some ports that pass a device, both directions, from the moment it is made."""

    def __init__(self, namespace: Namespace, device: str, ports: set[int]):
        self.ports = ports
        self.packets = 0
        self.others = 0  # packets of anything else: shows that something is seen at all
        self._over = False
        self._socket = namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))  # ETH_P_ALL
        self._socket.bind((device, 3))
        self._socket.settimeout(0.1)
        self._thread = threading.Thread(target=self._count, daemon=True)

    def __enter__(self) -> "Capture":
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over = True
        self._thread.join()
        self._socket.close()

    def _count(self) -> None:
        while not self._over:
            try:
                frame = self._socket.recv(256)
            except TimeoutError:
                continue
            except OSError:
                return
            if _tcp_ports(frame) & self.ports:
                self.packets += 1
            else:
                self.others += 1


def _tcp_ports(frame: bytes) -> set[int]:
    """Source and destination port of an Ethernet frame with TCP over IPv4."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 6:
        return set()
    at = 14 + (frame[14] & 15) * 4
    return {int.from_bytes(frame[at:at + 2], "big"), int.from_bytes(frame[at + 2:at + 4], "big")}
