"""A backend that takes so many bytes a second, exactly, and no more: what an agent is overloaded against."""

import threading
import time

from .backend import OK, Answer, Backend, Request


class SlowBackend(Backend):
    """Its time for a request is the request's bytes through the rate; requests stand in one line. `keep` says whether it
    remembers what came, which for a long run is too much."""

    def __init__(self, bytes_per_second: float, keep: bool = True):
        super().__init__(max_message=64 << 20)
        self.rate = bytes_per_second
        self._keep = keep
        self._line = threading.Lock()
        self._free_at = time.monotonic()
        self._idle = 0.0
        self._hurry = threading.Event()

    def _take(self, request: Request) -> Answer:
        with self._line:
            # By the clock and not by the length of sleeps, which a busy machine makes longer.
            now = time.monotonic()
            self._idle += max(0.0, now - self._free_at)
            self._free_at = ready = max(self._free_at, now) + request.wire_bytes / self.rate
        self._hurry.wait(max(0.0, ready - time.monotonic()))
        with self._lock:
            request.answer = OK
            if self._keep:
                self.requests.append(request)
        return OK

    def idle(self) -> float:
        """The seconds since its start in which it had nothing to do."""
        with self._line:
            return self._idle + max(0.0, time.monotonic() - self._free_at)

    def hurry(self) -> None:
        """From now on it takes everything at once."""
        self._hurry.set()

    def take_time(self) -> None:
        """From now on it keeps to its rate again."""
        with self._line:
            self._free_at = time.monotonic()
        self._hurry.clear()
