"""One pod that floods does not starve the others, and fixed limits are kept.

FAIR_ROUNDS=20 makes the comparison with and without the flood a longer one, for the figures.
"""

import functools
import math
import os
import statistics
import tempfile
import time
from collections import Counter

from harness import crowd, generate, ledger, otlp, raw, send
from harness.backend import Answer, Backend, Request
from harness.program import Program
from harness.runner import Run, add, scenario
from harness.slow import SlowBackend
from harness.waiting import until

PATIENCE = float(os.environ.get("E2E_PATIENCE", "1"))
ROUNDS = int(os.environ.get("FAIR_ROUNDS", "3"))
SECONDS = 5  # of each half of a round: 400 requests, so that their p99 is the fourth worst


class Numbers(SlowBackend):
    """Remembers the numbers of the well-behaved senders' items alone: the flood is much."""

    def __init__(self):
        super().__init__(1_000_000, keep=False)
        self.arrived: Counter = Counter()

    def _take(self, request: Request) -> Answer:
        numbers = [number for item in otlp.items(request.message) if (number := item.attributes["seq"]) < crowd.FLOOD]
        answer = super()._take(request)
        with self._lock:
            self.arrived.update(numbers)
        return answer


def one_floods(env: dict[str, object], fair: bool, run: Run) -> None:
    """Twenty senders alone and beside a flood, by turns on one machine at one time; what other programs on it do is in both."""
    backend = run.open(Numbers())
    program = run.start(["fairness.yaml"], {**backend.env, "FAIR": str(fair).lower(), **env})
    twenty = run.open(crowd.WellBehaved(program.port("HTTP")))
    flood = run.open(crowd.Flood(program.port("HTTP")))
    alone, beside, times_worse = [], [], 0.0
    # A busy machine adds more to a p99 than a flood does: rounds are added until the medians can be compared.
    while len(alone) < (ROUNDS if fair else 1) or (fair and times_worse > 2 and len(alone) < 5 * ROUNDS * PATIENCE):
        before, after = (crowd.p99(told) for told in _round(program, backend, twenty, flood))
        alone.append(before)
        beside.append(after)
        times_worse = statistics.median(beside) / statistics.median(alone)
    samples = program.samples()
    flooded = flood.end()
    backend.hurry()
    told = twenty.end()
    until(lambda: program.samples().sum("otel_agent_ledger_held_items") == 0, "everything is at the backend", seconds=60)
    accepted = Counter(number for one in told if one.accepted for number in range(one.first, one.first + crowd.ITEMS))
    assert backend.arrived == accepted, \
        f"{(accepted - backend.arrived).total()} lost, {(backend.arrived - accepted).total()} too many"
    ledger.assert_balanced(program)
    refused = Counter(status for one in told for status in one.refused)
    print(f"     20 senders, {len(told)} requests, refused {dict(refused)}; the flood was told {dict(flooded)}; {len(alone)} rounds, p99 alone "
          f"{_spread(alone)}, beside the flood {_spread(beside)}: times {times_worse:.2f}")
    if not fair:
        assert refused, "without shares the others are refused, too: if not, this scenario shows nothing"
        return
    assert all(one.accepted for one in told), "the well-behaved could not deliver"
    assert not refused, f"the well-behaved were refused: {dict(refused)}"
    assert times_worse <= 2, f"p99 {_spread(alone)} became {_spread(beside)}"
    shares = {s.labels["sender"]: s.value for s in samples.of("otel_agent_sender_refused_requests", reason="share")}
    assert set(shares) == {"127.0.2.1"}, shares


def _round(program: Program, backend: SlowBackend, twenty: crowd.WellBehaved, flood: crowd.Flood) -> list[list[crowd.Told]]:
    """What the twenty were told without the flood, and with it."""
    refused = lambda: program.samples().sum("otel_agent_receiver_refused_requests")  # noqa: E731
    alone = twenty.during(SECONDS)
    so_far = refused()
    flood.on()
    until(lambda: refused() > so_far + 20, "the flood is more than there is room for", seconds=60)
    so_far = refused()
    beside = twenty.during(SECONDS)
    assert refused() > so_far + 20, "the flood was not one all the time"
    flood.off()
    backend.hurry()
    until(lambda: program.samples().sum("otel_agent_budget_used_bytes") < 1 << 20, "what the flood sent is at the backend", seconds=60)
    backend.take_time()
    return [alone, beside]


def _spread(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.1f} ({min(seconds) * 1000:.1f}..{max(seconds) * 1000:.1f}) ms"


LIMIT = 60 + 40 * 5 * ROUNDS
for name, env in {"memory": {}, "queue": {"QUEUE_SIZE": 10, "BATCH_TIMEOUT": "200ms"}}.items():
    add(f"reliability/fair-share-{name}", functools.partial(one_floods, env, True), LIMIT, agent_only="it has no shares")
add("reliability/fair-share-off", functools.partial(one_floods, {}, False), LIMIT, agent_only="it has no shares")


def post(port: int, source: str, body: bytes) -> tuple[int, float | None]:
    """The status, and the seconds after which to come back if it says so."""
    answer = raw.http_request(port, otlp.SIGNALS["logs"].path, body, {"Content-Type": "application/x-protobuf"}, source=source)
    after = answer.headers.get("retry-after")
    return answer.status, float(after) if after else None


@scenario("reliability/fair-limits", agent_only="it has no limits for senders")
def limits(run: Run) -> None:
    """200 items a second for each sender: who keeps coming when it was told to gets exactly that; others are not touched."""
    backend = run.open(Backend())
    program = run.start(["fairness.yaml"], {**backend.env, "LIMITS": "[{pod: '*', items_per_second: 200}]"})
    body = generate.request("logs", 0, 50).SerializeToString()
    began = time.monotonic()
    accepted, waits = 0, []
    while time.monotonic() - began < 6:
        status, after = post(program.port("HTTP"), "127.0.1.1", body)
        assert status in (200, 429), status
        if status == 200:
            accepted += 50
        else:
            assert after is not None and 1 <= after <= 2, after
            waits.append(after)
            time.sleep(after)
    took = time.monotonic() - began
    assert 200 * (took - 3) <= accepted <= 200 * (took + 1) + 50, f"{accepted} items in {took:.1f} s"
    assert waits, "it was never told to wait"
    ask = lambda: raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["logs"].rpc, raw.message(body), source="127.0.1.2")  # noqa: E731
    answer = until(lambda: (answer := ask()).code and answer, "too much comes")
    assert answer.code == 8 and "grpc-status-details-bin" in (answer.trailers or answer.headers), answer
    assert answer.message == "data refused: this sender is limited to 200 items a second", answer
    send.export(program.port("GRPC"), "logs", generate.request("logs"), source="127.0.1.3")
    samples = program.samples()
    away = {s.labels["sender"]: s.value for s in samples.of("otel_agent_sender_refused_requests", reason="limit")}
    assert away["127.0.1.1"] == len(waits) and "127.0.1.3" not in away, away
    ledger.assert_balanced(program)


PODS = """\
apiVersion: v1
kind: List
items:
""" + "".join(f"""\
  - metadata: {{name: {name}, namespace: {namespace}, uid: uid-{name}, creationTimestamp: "2026-11-20T08:15:02Z"}}
    spec: {{nodeName: node-a, containers: [{{name: app, image: app}}]}}
    status: {{podIP: {address}, hostIP: 192.0.2.11, phase: Running}}
""" for name, namespace, address in [
    ("cart-1", "shop", "127.0.1.1"), ("cart-2", "shop", "127.0.1.2"), ("pay-1", "bank", "127.0.1.3")])


@scenario("reliability/fair-limits-namespace", agent_only="it has no limits for senders")
def limits_of_a_namespace(run: Run) -> None:
    """A limit for a namespace is shared by its pods, and does not touch those of others."""
    pods = run.open(tempfile.NamedTemporaryFile("w", suffix=".yaml"))
    pods.write(PODS)
    pods.flush()
    more = run.open(tempfile.NamedTemporaryFile("w", suffix=".yaml"))
    more.write(f"processors: {{k8s_attributes: {{source: file, pods_file: {pods.name}}}}}\n"
               "service: {pipelines: {logs: {processors: [memory_limiter, k8s_attributes, batch]}}}\n")
    more.flush()
    backend = run.open(Backend())
    limits = "[{namespace: shop, items_per_second: 10}, {namespace: bank, pod: 'pay-*', items_per_second: 1000}]"
    program = run.start(["fairness.yaml", more.name], {**backend.env, "LIMITS": limits})
    port = program.port("HTTP")
    body = generate.request("logs", 0, 50).SerializeToString()
    send_from = lambda last: post(port, f"127.0.1.{last}", body)
    began = time.monotonic()
    assert send_from(1)[0] == 200
    status, after = send_from(2)
    # 40 items are owed and one more must be there, at 10 a second; in whole seconds, less what has passed meanwhile
    least = math.ceil(4.1 - (time.monotonic() - began))
    assert status == 429 and least <= after <= 5, f"the other pod of the namespace pays for what the first has sent: {status}, {after}"
    assert send_from(3)[0] == 200 and send_from(4)[0] == 200
    samples = program.samples()
    away = {s.labels["sender"]: s.value for s in samples.of("otel_agent_sender_refused_requests", reason="limit")}
    assert away == {"shop/cart-2": 1}, away
    assert "limits nobody" not in program.log(), program.tail()
