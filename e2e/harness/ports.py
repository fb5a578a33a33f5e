"""Free loopback ports, from below the range that the kernel gives to outgoing connections."""

import os
import random
import socket

# What one lane has given out and nothing listens on yet, another one would take for free.
_LANE = int(os.environ.get("E2E_LANE", "0"))
_FIRST, _LAST = 20000 + 6000 * _LANE, 25999 + 6000 * _LANE
_given: set[int] = set()
_random = random.Random()


def free() -> int:
    """A port that nothing listens on, given out once in this run."""
    for _ in range(1000):
        port = _random.randint(_FIRST, _LAST)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError(f"no free port between {_FIRST} and {_LAST}")
