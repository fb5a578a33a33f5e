"""A short soak, so that the long one by hand is known to work: pods come and go, all arrives with names, nothing leaks."""

from harness.runner import Run, scenario
from harness.soak import soak


@scenario("reliability/soak", seconds=120, agent_only="it reads the ledger")
def an_ordinary_life(run: Run) -> None:
    outcome = soak(seconds=20, rate=4000, pods=8, churn=2, every=2, tell=lambda _: None)
    print(outcome.report())
    assert outcome.lost() == 0 and outcome.totals.broken == 0 and outcome.totals.refused == 0, outcome.report()
    # the series of `prometheus` have no place for delta exponential histograms; nothing else may be dropped
    assert set(outcome.dropped) <= {"partially_rejected"}, outcome.report()
    assert outcome.without_pod == 0, outcome.report()
    assert outcome.pods >= 15 and outcome.scrapes >= 3, outcome.report()
    for kind in ("files", "tasks"):
        counts = [getattr(reading, kind) for reading in outcome.readings]
        assert max(counts) <= counts[0] + 12, f"there are more {kind} with each pod that came: {counts}"
