"""One pod that floods does not starve the others, and fixed limits are kept."""

import collections
import functools
import os
import tempfile
import time

from harness import crowd, generate, ledger, otlp, raw, send
from harness.backend import Backend
from harness.runner import Run, add, scenario
from harness.slow import SlowBackend
from harness.waiting import until

PATIENCE = float(os.environ.get("E2E_PATIENCE", "1"))


def one_floods(env: dict[str, object], fair: bool, run: Run) -> None:
    backend = run.open(SlowBackend(1_000_000))
    program = run.start(["fairness.yaml"], {**backend.env, "FAIR": str(fair).lower(), **env})
    port = program.port("HTTP")
    calm = crowd.well_behaved(port, 4)
    flood = run.open(crowd.Flood(port))
    refused = lambda: program.samples().sum("otel_agent_receiver_refused_requests")
    until(lambda: refused() > 20, "the flood is more than there is room for", seconds=60)
    under = crowd.well_behaved(port, 6)
    samples = program.samples()
    flooded = flood.end()
    backend.hurry()
    accepted = collections.Counter(seq for told in calm for numbers in told.accepted for seq in numbers)
    accepted += collections.Counter(seq for told in under for numbers in told.accepted for seq in numbers)
    until(lambda: samples_held(program) == 0, "everything is at the backend", seconds=60)
    arrived = collections.Counter(
        seq for item in backend.items("logs") if (seq := item.attributes["seq"]) < 900 * crowd.PER_SENDER)
    # Both rounds number their items alike, so each is there twice.
    assert arrived == accepted, f"{(accepted - arrived).total()} lost, {(arrived - accepted).total()} too many"
    ledger.assert_balanced(program)
    turned_away = collections.Counter()
    for told in under:
        turned_away.update(told.refused)
    before, after = (crowd.percentile([x for told in all for x in told.latencies] or [0], 0.99) for all in (calm, under))
    print(f"     20 senders: refused {dict(turned_away)}; p99 {before * 1000:.1f} ms alone, {after * 1000:.1f} ms beside the "
          f"flood; the flood was told {flooded}")
    if not fair:
        assert turned_away, "without shares the others are refused, too: if not, this scenario shows nothing"
        return
    assert not any(told.given_up for told in calm + under), "the well-behaved could not deliver"
    assert not turned_away, f"the well-behaved were refused: {dict(turned_away)}"
    assert flooded.get(429, 0) > 20, flooded
    # Twice, and what a machine that is shared with others adds to a single request now and then.
    assert after <= 2 * before + 0.1 * PATIENCE, f"p99 {before * 1000:.1f} ms became {after * 1000:.1f} ms"
    shares = {s.labels["sender"]: s.value for s in samples.of("otel_agent_sender_refused_requests", reason="share")}
    assert set(shares) == {"127.0.2.1"}, shares


def samples_held(program) -> float:
    return program.samples().sum("otel_agent_ledger_held_items")


SECONDS = 150
for name, env in {"memory": {}, "queue": {"QUEUE_SIZE": 10, "BATCH_TIMEOUT": "200ms"}}.items():
    add(f"reliability/fair-share-{name}", functools.partial(one_floods, env, True), SECONDS, agent_only="it has no shares")
add("reliability/fair-share-off", functools.partial(one_floods, {}, False), SECONDS, agent_only="it has no shares")


@scenario("reliability/fair-limits", agent_only="it has no limits for senders")
def limits(run: Run) -> None:
    """200 items a second for each sender: who keeps coming when it was told to gets exactly that; others are not touched."""
    backend = run.open(Backend())
    program = run.start(["fairness.yaml"], {**backend.env, "LIMITS": "[{pod: '*', items_per_second: 200}]"})
    body = generate.request("logs", 0, 50).SerializeToString()
    connection = crowd.Connection(program.port("HTTP"), "127.0.1.1")
    began = time.monotonic()
    accepted, waits = 0, []
    while time.monotonic() - began < 6:
        status, after = connection.post(body)
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
    for _ in range(12):
        answer = raw.grpc_request(program.port("GRPC"), otlp.SIGNALS["logs"].rpc, raw.message(body), source="127.0.1.2")
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
    send_from = lambda last: crowd.Connection(port, f"127.0.1.{last}").post(body)
    assert send_from(1)[0] == 200
    assert send_from(2) == (429, 5.0), "the other pod of the namespace pays for what the first has sent"
    assert send_from(3)[0] == 200 and send_from(4)[0] == 200
    samples = program.samples()
    away = {s.labels["sender"]: s.value for s in samples.of("otel_agent_sender_refused_requests", reason="limit")}
    assert away == {"shop/cart-2": 1}, away
    assert "limits nobody" not in program.log(), program.tail()
