"""A real Prometheus as a child process: it scrapes, takes remote writes, evaluates rules and answers queries."""

import json
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from . import parts, ports
from .waiting import until

# A query looks back over 5 minutes of scrapes at this distance.
INTERVAL = "500ms"


class Prometheus:
    """One run, with data in a folder of its own. `targets` are jobs: {job: [(address, labels)]}."""

    def __init__(self, targets: dict[str, list[tuple[str, dict[str, str]]]] | None = None, rules: list[Path] = ()):
        self.port = ports.free()
        self.folder = tempfile.TemporaryDirectory(prefix="e2e-prometheus-")
        self.process: subprocess.Popen | None = None
        self.config = {
            "global": {"scrape_interval": INTERVAL, "scrape_timeout": INTERVAL, "evaluation_interval": INTERVAL},
            "rule_files": [str(file) for file in rules],
            "scrape_configs": [
                {"job_name": job, "static_configs": [{"targets": [address], "labels": labels} for address, labels in where]}
                for job, where in (targets or {}).items()],
        }

    def __enter__(self) -> "Prometheus":
        folder = Path(self.folder.name)
        (folder / "prometheus.yml").write_text(yaml.safe_dump(self.config))
        self.log = (folder / "log").open("w+b")
        self.process = subprocess.Popen(
            [str(parts.prometheus()), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver",
             "--enable-feature=exemplar-storage,metadata-wal-records", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        try:
            until(self._ready, lambda: f"Prometheus is ready\n{self.tail()}", seconds=30)
        except BaseException:  # nobody else would end it
            self.__exit__()
            raise
        return self

    def __exit__(self, *_) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.folder.cleanup()

    def _ready(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"Prometheus ended with {self.process.returncode} instead of starting:\n{self.tail()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def tail(self) -> str:
        """The end of the log, for the message of a failure."""
        return "\n".join((Path(self.folder.name) / "log").read_text(errors="replace").splitlines()[-25:])

    # --- asking

    def api(self, path: str, **parameters: str) -> Any:
        """The data of an answer of the HTTP API; an AssertionError with what Prometheus said otherwise."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path} {parameters}: {error.code} {error.read().decode()[:500]}") from None

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The series of an instant query with their values; those that hold a native histogram are left out."""
        result = self.api("query", query=expression)["result"]
        return [(series["metric"], float(series["value"][1])) for series in result if "value" in series]

    def answer(self, expression: str, seconds: float = 20) -> list[tuple[dict[str, str], float]]:
        """The same, as soon as there is data."""
        return until(lambda: self.query(expression), lambda: f"{expression} answers with data\n{self.tail()}", seconds)

    def value(self, expression: str, seconds: float = 20) -> float:
        """The value of a query that answers with one series, as soon as there is one."""
        found = self.answer(expression, seconds)
        assert len(found) == 1, f"{expression} answers with {len(found)} series: {found}"
        return found[0][1]
