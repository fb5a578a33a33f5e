"""The chaos run by hand; see chaos.sh. In the end-to-end run it is the scenarios `reliability/chaos…`.

Faults of every kind, drawn from a seed, while real clients send. At its end the books must balance, and what arrived is
compared, item by item, with what was acknowledged.
"""

import argparse
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import ending, ledger, otlp  # noqa: E402
from harness.waiting import until  # noqa: E402
from reliability import faults  # noqa: E402
from reliability.stage import Stage  # noqa: E402

# Where each signal goes (chaos.yaml), by the protocol in which it arrives.
WAYS = {"traces": ["grpc"], "logs": ["http"], "metrics": ["grpc", "http"]}


@dataclass
class Figures:
    """What one run was."""

    lines: list[str]
    lost: int

    def print(self) -> None:
        print("\n".join(f"    {line}" for line in self.lines), flush=True)


def run(seconds: float, seed: int, journal: bool = True, print_events: bool = True, without: set[str] = frozenset()) -> Figures:
    """One run; an AssertionError says what did not hold. The events until then are printed in any case."""
    events: list[str] = []
    began = time.monotonic()

    def tell(text: str) -> None:
        events.append(f"{time.monotonic() - began:7.2f}  {text}")
        if print_events:
            print("    " + events[-1], flush=True)

    try:
        with Stage(seed, journal, tell) as stage:
            return _run(stage, seconds, seed, tell, without)
    except BaseException:
        if not print_events:
            print("\n".join(events))
        print(f"    this was seed {seed}; again: e2e/reliability/chaos.sh --seconds {seconds:g} --seed {seed}"
              + ("" if journal else " --no-journal"), flush=True)
        raise


def _run(stage: Stage, seconds: float, seed: int, tell, without: set[str]) -> Figures:
    kinds = [kind for kind in faults.KINDS if kind not in without]
    if not stage.clock_can_jump:
        kinds.remove("clock_jumps")
        tell("this binary is linked statically: its clock cannot be made to jump from outside, and is left alone")
    if not stage.journal:
        kinds = [kind for kind in kinds if not kind.startswith("disk")]
    steps = faults.plan(stage, random.Random(seed), seconds, kinds)
    began, looked = time.monotonic(), 0.0
    for step in steps:
        while (left := step.at - (time.monotonic() - began)) > 0:
            if time.monotonic() - looked > 0.5:
                stage.watch()
                looked = time.monotonic()
            time.sleep(min(left, 0.1))
        tell(step.says)
        step.do()
    tell("all faults end")
    stage.calm()
    tell("the clients have stopped")
    for signal in otlp.SIGNALS:
        until(lambda: ledger.books(stage.program, signal).at_rest,
              lambda: f"{signal} is at rest: {ledger.books(stage.program, signal)}\n{stage.program.tail()}", 120)
        assert not ledger.books(stage.program, signal).reasons.get("unaccounted"), "items are unaccounted for"
    if stage.journal:
        until(lambda: stage.program.samples().sum("otel_agent_journal_records") == 0, "the journal is empty", 30)
    return _compare(stage, seconds, seed, Counter(step.kind for step in steps if step.kind), tell)


def _compare(stage: Stage, seconds: float, seed: int, happened: Counter, tell) -> Figures:
    """What arrived with what was acknowledged, item by item."""
    lost, invented, twice, arrived, refused = Counter(), 0, Counter(), Counter(), Counter()
    for signal, ways in WAYS.items():
        acknowledged, offered = stage.crowd.acknowledged[signal], stage.crowd.offered[signal]
        for way in ways:
            taken = stage.sink.taken.get((way, signal), Counter())
            no = stage.sink.refused.get((way, signal), set())
            missing = acknowledged - taken.keys()
            refused[signal, way] = len(missing & no)
            lost[signal, way] = len(missing - no)
            arrived[signal, way] = len(taken)
            twice[signal, way] = taken.total() - len(taken)
            invented += sum(1 for number in taken if not 0 < number <= offered)
    dropped = sum(ledger.books(stage.program, signal).dropped for signal in WAYS)
    acknowledged = {signal: len(items) for signal, items in stage.crowd.acknowledged.items()}
    row = lambda counts: ", ".join(f"{signal} over {way} {count}" for (signal, way), count in counts.items())  # noqa: E731
    lines = [
        f"seed {seed}, {seconds:g} s, {'with' if stage.journal else 'without'} a journal, {stage.lives} lives of the program",
        f"faults: {sum(happened.values())}: " + ", ".join(f"{kind} {count}" for kind, count in sorted(happened.items())),
        f"items offered {stage.crowd.offered.total()}, acknowledged {sum(acknowledged.values())} ("
        + ", ".join(f"{signal} {count}" for signal, count in acknowledged.items()) + ")",
        f"arrived: {row(arrived)}", f"acknowledged and refused by the backend for good: {row(refused)}",
        f"lost: {row(lost)}", f"came more than once: {row(twice)}", f"invented: {invented}",
        f"clients: {stage.crowd.again} attempts were not acknowledged, {stage.crowd.given_up} items given up by their client; "
        + ", ".join(f"{what} {count}" for what, count in stage.crowd.refused.most_common(8)),
        "backend: " + ", ".join(f"{what} {count}" for what, count in sorted(stage.sink.answers.items())),
        f"/live: {dict(stage.live_answers)}; /moving: {dict(stage.moving_answers)}; SIGHUP: {dict(stage.reloads)}; "
        f"starts that a bad disk ended: {len(stage.ends)}",
        f"the last life dropped {dropped:.0f} items with a reason; held in memory alone at kills {stage.lost_at_kills}, "
        f"left at stops {stage.left_at_stops}",
    ]
    figures = Figures(lines, lost.total())
    try:
        assert invented == 0, "items arrived that nobody offered"
        assert set(stage.live_answers) <= {200}, f"/live said {stage.live_answers}"
        assert sum(acknowledged.values()) > 10 * seconds, "hardly anything was sent"
        most = 0 if stage.journal else stage.lost_at_kills + stage.left_at_stops
        assert lost.total() <= most, f"{lost.total()} acknowledged items are lost; the program's own books say {most} at most"
    except AssertionError:
        figures.print()
        raise
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(prog="e2e/reliability/chaos.sh", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="drawn and printed when left out")
    parser.add_argument("--no-journal", action="store_true", help="what is lost must be what the program says")
    parser.add_argument("--without", default="", help="kinds of faults to leave out, with commas: " + ", ".join(faults.KINDS))
    options = parser.parse_args()
    ending.cleanly()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"    seed {seed}", flush=True)
    run(options.seconds, seed, not options.no_journal, without=set(filter(None, options.without.split(",")))).print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
