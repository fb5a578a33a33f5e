"""The program under test as a child process: the agent, or the Go Collector in its place."""

import os
import signal
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from . import cgroup, exposition, parts, ports
from .waiting import until

PORTS = ("GRPC_PORT", "HTTP_PORT", "METRICS_PORT", "HEALTH_PORT")


class Program:
    """One run of a program with configuration files from `configs/`, on ports of its own."""

    def __init__(self, kind: str, configs: list[str | Path], env: dict[str, object], arguments: list[str] = (),
                 group: cgroup.MemoryGroup | None = None, prefix: list[str] = ()):
        self.kind = kind
        self.binary = {"agent": parts.agent, "collector": parts.collector}[kind]()
        self.ports = {name: ports.free() for name in PORTS}
        self.env = {**{k: str(v) for k, v in self.ports.items()}, **{k: str(v) for k, v in env.items()}}
        self.configs = [parts.CONFIGS / c if isinstance(c, str) else c for c in configs]
        self.arguments = list(arguments)
        self.group = group
        self.prefix = list(prefix)  # a command that runs it somewhere else
        self.log_file = tempfile.NamedTemporaryFile("w+b", prefix=f"{kind}-", suffix=".log")
        self.process: subprocess.Popen | None = None

    def __enter__(self) -> "Program":
        try:
            self.start()
        except BaseException:  # nobody else would end it
            self.kill()
            raise
        return self

    def __exit__(self, *_) -> None:
        self.kill()

    # --- running

    def spawn(self) -> None:
        """Starts the process and returns at once."""
        command = [*self.prefix, str(self.binary)]
        for config in self.configs:
            command += ["--config", str(config)]
        environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **self.env}
        self.process = subprocess.Popen(
            command + self.arguments, stdin=subprocess.DEVNULL, stdout=self.log_file, stderr=self.log_file,
            env=environment, preexec_fn=self.group and self.group.enter)

    def start(self) -> None:
        """Starts the process and waits until it says that it is ready."""
        self.spawn()
        until(self._ready, lambda: f"{self.kind} is ready\n{self.tail()}", seconds=30)

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"{self.kind} ended with {self.process.returncode} instead of starting:\n{self.tail()}")
        return self.healthy()

    def healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port('HEALTH')}/", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, socket.timeout, TimeoutError):
            return False

    def terminate(self, seconds: float = 30) -> int:
        """SIGTERM, and the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def wait(self, seconds: float = 30) -> int:
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.kind} still runs after {seconds:g} s:\n{self.tail()}") from None

    def hang_up(self) -> None:
        """SIGHUP: load the configuration again."""
        self.process.send_signal(signal.SIGHUP)

    def running(self) -> bool:
        return self.process.poll() is None

    def kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # --- looking in

    def port(self, name: str) -> int:
        return self.ports[f"{name}_PORT"]

    def log(self) -> str:
        return Path(self.log_file.name).read_text(errors="replace")

    def tail(self) -> str:
        """The end of the log, for the message of a failure."""
        return "\n".join(line[:400] for line in self.log().splitlines()[-25:])

    def memory(self) -> tuple[int, int]:
        """Resident bytes: now, and the most there ever were."""
        status = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        figures = {line.split(":")[0]: line.split()[1] for line in status if line.startswith(("VmRSS", "VmHWM"))}
        return int(figures["VmRSS"]) << 10, int(figures["VmHWM"]) << 10

    def samples(self) -> exposition.Samples:
        return exposition.scrape(self.port("METRICS"))
