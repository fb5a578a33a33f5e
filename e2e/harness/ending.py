"""A run that is told to end cleans up: what a signal ends leaves the `with` blocks and the functions of `atexit` behind it undone,
and with them control planes, namespaces, cgroups and folders."""

import signal
import sys
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


def cleanly() -> None:
    """From now on a signal ends the main thread as `sys.exit` does, with the exit code that shells give for it. What is
    ignored (SIGHUP below nohup) stays so, and a second signal does not break into the cleaning."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    print(f"{signal.Signals(number).name}: cleaning up", file=sys.stderr, flush=True)
    sys.exit(128 + number)
