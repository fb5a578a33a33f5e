"""A whole run in two lanes beside each other: most of a scenario is waiting, and hardly one keeps a processor busy.

A lane is a process of its own, with ports and shared control planes of its own. What it prints is shown scenario by scenario."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from . import parts

# They take about half of the time; most scenarios that measure are in the other lane.
_SECOND = ("chart/", "doctor/", "kubernetes/", "migration/")
LANES = 2
RESULTS = ("ok", "FAIL")  # with one of them the last line of a scenario begins


def of(name: str) -> int:
    """The lane in which a scenario runs."""
    return int(name.startswith(_SECOND))


def run(arguments: list[str]) -> list[dict]:
    """Runs `python -m harness ARGUMENTS` once for each lane. Of each: `passed`, `failed` with names and reasons,
    and the differences that were `found`."""
    with tempfile.TemporaryDirectory(prefix="lanes-") as folder:
        reports = [Path(folder) / f"{lane}.json" for lane in range(LANES)]
        lanes, shown, showing = [], threading.Lock(), []
        try:
            for lane, report in enumerate(reports):
                lanes.append(subprocess.Popen([sys.executable, "-m", "harness", *arguments, "--lane", str(lane), "--report", report], cwd=parts.E2E,
                                              env={**os.environ, "E2E_LANE": str(lane)}, stdout=subprocess.PIPE, text=True))
                showing.append(threading.Thread(target=_show, args=(lanes[-1], shown)))
                showing[-1].start()
            for lane in lanes:
                lane.wait()
        finally:
            for lane in lanes:
                lane.terminate()
            for lane in lanes:  # it ends its programs and removes what it made
                lane.wait()
            for thread in showing:
                thread.join()
        return [_reported(lane, reports[lane], process.returncode) for lane, process in enumerate(lanes)]


def _show(lane: subprocess.Popen, shown: threading.Lock) -> None:
    """What a scenario says stands before its result; so it is kept until that comes."""
    block = ""
    for line in lane.stdout:
        block += line
        if line.startswith(RESULTS):
            with shown:
                print(block, end="", flush=True)
            block = ""
    with shown:
        print(block, end="", flush=True)


def _reported(lane: int, report: Path, code: int) -> dict:
    if not report.exists():
        return {"passed": 0, "failed": [[f"lane {lane}", f"it ended with {code} before its last scenario"]], "found": {}}
    return json.loads(report.read_text())
