"""docs/reliability.md: every promise has a test in `make check`, and every command of the page is one that exists.

The commands themselves are tests, and run as such; here only their names are looked at, so that none points at nothing.
"""

import fnmatch
import functools
import re
import shlex
import subprocess
from pathlib import Path

from harness import parts
from harness.runner import SCENARIOS, Run, scenario

PAGE = "docs/reliability.md"
_CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_TEST = re.compile(r"#\[(?:tokio::)?test\b[^\]]*\]\s*(?:#\[[^\]]*\]\s*)*(?:async )?fn (\w+)")
_INLINE = re.compile(r"^mod (\w+) \{$", re.M)
_PROGRAMS = ("cargo test", "e2e/", "fuzz/run.sh", "bench/", "promtool")


def commands(text: str) -> list[str]:
    """What stands in the text as code and can be run, without the variables before it."""
    bare = (re.sub(r"^(?:[A-Z0-9_]+=\S+ )+", "", code) for code in _CODE.findall(text))
    return [code for code in bare if code.startswith(_PROGRAMS) and (" " in code or code.endswith(".sh"))]


@scenario("promises/commands-exist", seconds=60, agent_only="is about our pages")
def commands_exist(run: Run) -> None:
    text = (parts.ROOT / PAGE).read_text()
    found = commands(text)
    assert len(found) > 30, f"only {len(found)} commands were found: the wrong lines are read"
    for command in found:
        words = shlex.split(command)
        problem = _LOOKS[next(start for start in _LOOKS if command.startswith(start))](words)
        assert not problem, f"{PAGE}: `{command}`: {problem}"
    sources = "".join(file.read_text() for file in parts.E2E.rglob("*.py")) + _rust()
    for name in re.findall(r"\b([A-Z][A-Z0-9_]+)=\S", " ".join(_CODE.findall(text))):
        assert name == "PROPTEST_CASES" or f'"{name}"' in sources, f"{PAGE}: nothing reads {name}"


@scenario("promises/each-has-a-test", seconds=30, agent_only="is about our pages")
def each_has_a_test(run: Run) -> None:
    """In the tables of promises every line has something that `make check` runs."""
    page = (parts.ROOT / PAGE).read_text()
    tables = re.findall(r"^\| Promise \| Proved by \|\n\|[-|]+\n((?:\|.*\n)+)", page, re.M)
    lines = [line for table in tables for line in table.splitlines()]
    assert len(tables) >= 4 and len(lines) > 20, "the wrong lines are read"
    for line in lines:
        kinds = ("cargo test", "e2e/run.sh", "fuzz/run.sh")  # the parts of `make check`
        assert any(command.startswith(kinds) for command in commands(line)), f"{PAGE}: nothing in `make check` proves: {line}"


def _scenarios(words: list[str]) -> str:
    names = [one.name for one in SCENARIOS]
    missing = [pattern for pattern in words[1:] if not fnmatch.filter(names, pattern)]
    return f"no scenario is called {missing}" if missing else ""


def _cargo(words: list[str]) -> str:
    options = {words[at]: words[at + 1] for at in range(2, len(words) - 1) if words[at] in ("-p", "--test")}
    crate = parts.ROOT / "crates" / options["-p"].removeprefix("otel-")
    rest = [word for word in words[2:] if word not in ("-p", "--test", "--lib", *options.values())]
    tests = _tests(crate / "tests" / f"{options['--test']}.rs") if "--test" in options else _tests(crate / "src")
    # several names come after `--`, and each of them chooses
    missing = [wanted for wanted in rest if wanted != "--" and not any(wanted in name for name in tests)]
    return f"no test of {crate.name} has in its name: {missing}" if missing or not tests else ""


@functools.cache
def _tests(place: Path) -> list[str]:
    """The names of the tests in a file, or in all files of a folder, as cargo lists them."""
    found = []
    for file in [place] if place.is_file() else sorted(place.rglob("*.rs")):
        path = [] if file == place else [part for part in file.relative_to(place).with_suffix("").parts if part != "mod"]
        text = file.read_text()
        for test in _TEST.finditer(text):
            within = [mod[1] for mod in _INLINE.finditer(text, 0, test.start())][-1:]
            found.append("::".join([*path, *within, test[1]]))
    return found


def _fuzz(words: list[str]) -> str:
    targets = {file.stem for file in (parts.ROOT / "fuzz" / "targets").glob("*.rs")}
    missing = set(words[2:]) - targets
    return f"there is no target {missing}" if missing else ""


def _script(words: list[str]) -> str:
    """Its options are in its help, or where it has none, at its head."""
    script = parts.ROOT / words[0]
    if not script.is_file():
        return "there is no such file"
    python = re.search(r"[\w/]+\.py\b", script.read_text())
    helps = script.read_text() + (script.parent / Path(python.group()).name).read_text() if python else script.read_text()
    missing = [word for word in words[1:] if word.startswith("--") and word not in helps]
    return f"it has no {missing}" if missing else ""


def _promtool(words: list[str]) -> str:
    done = subprocess.run([str(parts.promtool()), *words[1:]], cwd=parts.ROOT, capture_output=True, text=True, timeout=60)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _rust() -> str:
    return "".join(file.read_text() for file in (parts.ROOT / "crates").rglob("*.rs"))


_LOOKS = {"cargo test": _cargo, "e2e/run.sh": _scenarios, "fuzz/run.sh": _fuzz, "promtool": _promtool, "e2e/": _script, "bench/": _script}
