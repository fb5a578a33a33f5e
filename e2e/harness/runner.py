"""Scenarios and how they are run: one line each, a summary at the end, a deadline for every one. All of them run in lanes beside
each other (lanes.py), chosen ones one after another."""

import argparse
import contextlib
import fnmatch
import json
import os
import signal
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

from . import cgroup, differences, ending, lanes, ledger, parts
from .program import Program


@dataclass
class Scenario:
    name: str
    run: Callable[["Run"], None]
    seconds: float
    agent_only: str = ""  # why the Collector in the agent's place cannot pass


@dataclass
class Run:
    """What a scenario is given: the program under test and a place to hang what must be closed."""

    kind: str
    differences: differences.Differences
    show: bool = False  # oracle scenarios print what they saw
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def start(self, configs: list[str | Path], env: dict[str, object] | None = None, kind: str | None = None,
              arguments: list[str] = (), group: cgroup.MemoryGroup | None = None) -> Program:
        """A program that is ready; ended with the scenario, at the end of which its books must be in order."""
        program = self.open(Program(kind or self.kind, configs, env or {}, arguments, group))
        self.stack.push(lambda failed, *_: None if failed else ledger.assert_in_order(program))
        return program

    def open(self, context):
        return self.stack.enter_context(context)


SCENARIOS: list[Scenario] = []


def scenario(name: str, seconds: float = 60, agent_only: str = ""):
    """Registers a function as the scenario `name`; its first argument is the `Run`."""

    def register(run: Callable[[Run], None]):
        add(name, run, seconds, agent_only)
        return run

    return register


def add(name: str, run: Callable[[Run], None], seconds: float = 60, agent_only: str = "") -> None:
    SCENARIOS.append(Scenario(name, run, seconds, agent_only))


def main(arguments: list[str]) -> int:
    options = _options(arguments)
    chosen = [s for s in SCENARIOS if not options.names or any(fnmatch.fnmatch(s.name, n) for n in options.names)]
    left_out = [s for s in chosen if s.agent_only and options.program == "collector"]
    chosen = [s for s in chosen if s not in left_out and options.lane in (None, lanes.of(s.name))]
    if options.list:
        print("\n".join(s.name for s in chosen))
        return 0
    ending.cleanly()
    listed = differences.Differences.load()
    if options.lane is not None:
        failed = _in_turn(chosen, options, listed)
        options.report.write_text(json.dumps({"passed": len(chosen) - len(failed), "failed": failed, "found": listed.found()}))
        return 0
    if not chosen:
        print(f"no scenario matches {' '.join(options.names)}; see --list", file=sys.stderr)
        return 1
    for one in left_out:
        print(f"-    {one.name}: {one.agent_only}")
    began = time.monotonic()
    if options.lanes or not options.names:
        passed, failed = 0, []
        for report in lanes.run(arguments):
            passed += report["passed"]
            failed += report["failed"]
            listed.add(report["found"])
    else:
        failed = _in_turn(chosen, options, listed)
        passed = len(chosen) - len(failed)
    if len(chosen) == len(SCENARIOS) and options.program == "agent":
        # only a whole run of the agent can say that a listed difference no longer occurs
        failure = listed.stale()
        _line("FAIL" if failure else "ok", "differences/all-still-occur", 0)
        if failure:
            failed.append(["differences/all-still-occur", failure])
        else:
            passed += 1
    for name, failure in failed:
        print(f"\n--- {name}\n{failure}", file=sys.stderr)
    print(f"\n{options.program}: {passed + len(failed)} scenarios in {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {len(failed)} failed")
    return 1 if failed else 0


def _in_turn(chosen: list[Scenario], options: argparse.Namespace, listed: differences.Differences) -> list[list[str]]:
    """Runs one after another; the names of those that failed, and why."""
    results = [(one.name, _run(one, Run(options.program, listed, options.show))) for one in chosen]
    return [[name, failure] for name, failure in results if failure]


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="e2e/run.sh", description="End-to-end scenarios against real peers")
    parser.add_argument("names", nargs="*", help="names of scenarios, with * and ?; all when left out")
    parser.add_argument("--program", choices=("agent", "collector"), default="agent",
                        help="what is tested; the collector in the agent's place shows that the scenarios are right")
    parser.add_argument("--show", action="store_true", help="oracle scenarios print what the Collector was seen to do")
    parser.add_argument("--list", action="store_true", help="print the names and stop")
    parser.add_argument("--lanes", action="store_true", help="two lanes beside each other, as for all of them, also for chosen ones")
    parser.add_argument("--lane", type=int, help=argparse.SUPPRESS)  # as lanes.py calls it
    parser.add_argument("--report", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


class _TooLong(Exception):
    pass


def _run(one: Scenario, run: Run) -> str | None:
    """None, or why it failed."""

    def too_long(*_):
        raise _TooLong(f"not done after {one.seconds:g} s")

    signal.signal(signal.SIGALRM, too_long)
    began = time.monotonic()
    failure = None
    signal.setitimer(signal.ITIMER_REAL, one.seconds * float(os.environ.get("E2E_PATIENCE", "1")))
    try:
        with run.stack:
            one.run(run)
    except parts.Missing as missing:
        failure = str(missing)
    except Exception:
        failure = traceback.format_exc()
    except SystemExit:
        failure = "the run was ended"
        raise
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _line("FAIL" if failure else "ok", one.name, time.monotonic() - began)
    return failure


def _line(result: str, name: str, seconds: float) -> None:
    print(f"{result:<5}{name:<60}{seconds:6.1f} s", flush=True)
