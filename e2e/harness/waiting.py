"""Waiting for something to become true, with a deadline and the last state in the error."""

import time
from typing import Callable, TypeVar

T = TypeVar("T")


def until(condition: Callable[[], T], what: str, seconds: float = 15) -> T:
    """The first truthy value of `condition`; an AssertionError naming `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while True:
        state = condition()
        if state:
            return state
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)
