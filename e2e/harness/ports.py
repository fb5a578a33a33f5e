"""Free loopback ports, from below the range that the kernel gives to outgoing connections."""

import random
import socket

_given: set[int] = set()
_random = random.Random()


def free() -> int:
    """A port that nothing listens on, given out once in this run."""
    for _ in range(1000):
        port = _random.randint(20000, 32000)
        if port in _given:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise RuntimeError("no free port between 20000 and 32000")
