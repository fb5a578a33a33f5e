"""A program's own metrics, read from its Prometheus endpoint."""

import re
import urllib.request
from dataclasses import dataclass

_SAMPLE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Sample:
    name: str
    labels: dict[str, str]
    value: float


class Samples(list):
    """All samples of one scrape."""

    def sum(self, name: str, **labels: str) -> float:
        return sum(s.value for s in self.of(name, **labels))

    def of(self, name: str, **labels: str) -> list[Sample]:
        wanted = labels.items()
        return [s for s in self if s.name == name and wanted <= s.labels.items()]

    def names(self) -> set[str]:
        return {s.name for s in self}


def scrape(port: int) -> Samples:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return parse(answer.read().decode())


def parse(text: str) -> Samples:
    samples = Samples()
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = _SAMPLE.match(line)
        if not match:
            raise ValueError(f"not a sample: {line!r}")
        name, labels, number = match.groups()
        samples.append(Sample(name, dict(_LABEL.findall(labels or "")), float(number)))
    return samples
