"""The backend of the chaos run: says what its mood is for each protocol, and knows every item that it took or refused."""

from collections import Counter

import grpc

from harness import otlp
from harness.backend import OK, Answer, Backend, Request

# What a client sends again, by OTLP; the program must do the same.
RETRIED = {grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.ABORTED,
           grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS}
RETRIED_HTTP = {429, 502, 503, 504}
LARGER = "received message larger than max"


class Sink(Backend):
    """`mood[protocol]` is what each request is told; `None` is success."""

    def __init__(self):
        super().__init__(self._in_mood)
        # Connections break all the time here; nobody wants to read of each.
        self._http.handle_error = lambda *_: None
        self.mood: dict[str, object] = {"grpc": None, "http": None}
        self.taken: dict[tuple[str, str], Counter] = {}  # by protocol and signal: how often each item came
        self.refused: dict[tuple[str, str], set[int]] = {}  # for good
        self.rejected = 0  # items in partial successes
        self.answers: Counter = Counter()

    def _in_mood(self, request: Request) -> Answer:
        mood = self.mood[request.protocol]
        return mood(request) if callable(mood) else mood or OK

    def _take(self, request: Request) -> Answer:
        answer = super()._take(request)
        key = request.protocol, request.signal
        numbers = [item.attributes["seq"] for item in otlp.items(request.message)]
        with self._lock:
            self.requests.clear()  # they are many; what counts is noted here
            code = answer.code.name if request.protocol == "grpc" else str(answer.status)
            self.answers[f"{request.protocol} {code}"] += 1
            if answer.ok:
                self.taken.setdefault(key, Counter()).update(numbers)
                self.rejected += answer.rejected
            elif final(request.protocol, answer) and not (too_large(answer) and len(numbers) > 1):
                self.refused.setdefault(key, set()).update(numbers)
        return answer


def final(protocol: str, answer: Answer) -> bool:
    """Whether the program need not try again."""
    if protocol == "http":
        return answer.status not in RETRIED_HTTP
    if answer.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return answer.retry_after is None
    return answer.code not in RETRIED


def too_large(answer: Answer) -> bool:
    """Would take smaller requests. (A backend in the mood of 413 says so of every one.)"""
    return answer.message.startswith(LARGER)


# --- moods

def code(which: grpc.StatusCode) -> Answer:
    return Answer(which, 500, f"the chaos run says {which.name}")


def status(which: int) -> Answer:
    return Answer(grpc.StatusCode.UNKNOWN, which, f"the chaos run says {which}")


def throttling() -> Answer:
    return Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, 429, "slow down", retry_after=1)


def partly(rejected: int) -> Answer:
    return Answer(message=f"{rejected} are too old", rejected=rejected)


def slow(seconds: float) -> Answer:
    return Answer(seconds=seconds)


def small(most: int):
    """Takes requests of so many items at most."""
    answer = Answer(grpc.StatusCode.RESOURCE_EXHAUSTED, 413, f"{LARGER} ({most} items)")
    return lambda request: answer if request.items > most else OK
