"""Where the agent may differ from the Go Collector: the machine-readable side of docs/reference/differences.md."""

import fnmatch
from dataclasses import dataclass, field
from typing import Any

import yaml

from . import parts

LIST = parts.E2E / "differences.yaml"
PAGE = parts.ROOT / "docs" / "reference" / "differences.md"


@dataclass
class Difference:
    id: str
    cases: list[str]  # "case: aspect", with * and ?
    seen: set[str] = field(default_factory=set)  # those of them that were found


class Differences:
    """The accepted differences. A comparison that finds another fails, and so does one here that is never found."""

    def __init__(self, listed: list[Difference]):
        self.listed = listed

    @classmethod
    def load(cls) -> "Differences":
        entries = yaml.safe_load(LIST.read_text()) or []
        listed = [Difference(entry["id"], entry["cases"]) for entry in entries]
        page = PAGE.read_text() if PAGE.exists() else ""
        unexplained = [d.id for d in listed if f"`{d.id}`" not in page]
        if unexplained:
            raise SystemExit(f"{LIST.name} lists {', '.join(unexplained)} without a section in {PAGE}")
        return cls(listed)

    def compare(self, oracle: dict[str, dict[str, Any]], subject: dict[str, dict[str, Any]]) -> None:
        """Fails on every aspect of every case in which the subject differs and no listed difference says that it may."""
        unlisted = []
        for case in oracle:
            for aspect, expected in oracle[case].items():
                found = subject[case].get(aspect)
                if found == expected:
                    continue
                name = f"{case}: {aspect}"
                if not self._accepts(name):
                    unlisted.append(f"{name}\n    collector: {_short(expected)}\n    agent:     {_short(found)}")
        if unlisted:
            raise AssertionError(f"{len(unlisted)} differences that are not listed:\n  " + "\n  ".join(unlisted))

    def _accepts(self, name: str) -> bool:
        found = [(difference, pattern) for difference in self.listed for pattern in difference.cases
                 if fnmatch.fnmatchcase(name, pattern)]
        for difference, pattern in found:
            difference.seen.add(pattern)
        return bool(found)

    def found(self) -> dict[str, list[str]]:
        """What `add` takes in another process."""
        return {difference.id: sorted(difference.seen) for difference in self.listed}

    def add(self, found: dict[str, list[str]]) -> None:
        """Other comparisons found these."""
        for difference in self.listed:
            difference.seen |= set(found.get(difference.id, ()))

    def stale(self) -> str | None:
        """What is wrong with the list after a whole run, if anything."""
        gone = [f"{d.id}: {pattern}" for d in self.listed for pattern in d.cases if pattern not in d.seen]
        return f"listed in {LIST.name} but no longer found, so remove them:\n  " + "\n  ".join(gone) if gone else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 600 else text[:600] + f"… ({len(text)} characters)"
