"""Who had which address, and when: what the answers to requests from these addresses are held against."""

import time
from contextlib import contextmanager
from dataclasses import dataclass, field

FOREVER = float("inf")


@dataclass
class State:
    """A pod as it was for a while at an address. Between the first and the second time of a pair nobody can tell."""

    uid: str
    turn: str  # its label
    begins: tuple[float, float]
    ends: tuple[float, float] = (FOREVER, FOREVER)
    follows: "State | None" = None  # the same pod before its label changed

    @property
    def holds_since(self) -> float:
        """Since when the pod has the address for certain."""
        return self.follows.holds_since if self.follows else self.begins[1]


@dataclass
class Truth:
    """The states at each address, in order. Only one pod at a time is the owner."""

    states: dict[str, list[State]] = field(default_factory=dict)

    def now(self, address: str) -> State | None:
        states = self.states.get(address, [])
        return states[-1] if states and states[-1].ends[0] == FOREVER else None

    @contextmanager
    def changing(self, address: str, after: tuple[str, str] | None = None):
        """Around the request that changes what is at an address: from now on it is `after`, (uid, turn), or nobody."""
        before, began = self.now(address), time.monotonic()
        yield
        moment = (began, time.monotonic())
        if before:
            before.ends = moment
        if after:
            same = before if before and before.uid == after[0] else None
            self.states.setdefault(address, []).append(State(*after, begins=moment, follows=same))

    def verdict(self, address: str, sent: float, answered: float, found: tuple[str, str] | None, lag: float) -> str:
        """`exact`: so it was while the request was under way. `late`: so it was up to `lag` seconds before. `gap`: nothing
        was added, and for a while in that time there was nothing to add. Not right: `bare`, nothing was added though there
        was something all the time, and `wrong`: another pod, or what the pod had been long before."""
        states = self.states.get(address, [])
        if found is None:
            sure = any(state.holds_since <= sent - lag and self._ends(states, state) >= answered for state in states)
            return "bare" if sure else "gap"
        same = [state for state in states if (state.uid, state.turn) == found]
        if any(state.begins[0] <= answered and state.ends[1] >= sent for state in same):
            return "exact"
        if any(state.begins[0] <= answered and state.ends[1] + lag >= sent for state in same):
            return "late"
        return "wrong"

    @staticmethod
    def _ends(states: list[State], state: State) -> float:
        """When the pod of that state gives the address up at the earliest."""
        for later in states[states.index(state) + 1:]:
            if later.follows is state:
                state = later
        return state.ends[0]

    def staleness(self, address: str, sent: float, found: tuple[str, str]) -> float:
        """For how long what was found had not been so any more when the request was sent."""
        ends = [state.ends[1] for state in self.states[address] if (state.uid, state.turn) == found]
        return max(0.0, sent - max(ends))
