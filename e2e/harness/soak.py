"""The soak: hours of an agent's ordinary life, to see whether anything grows.

Pods come and go at a real API server, each sends over connections of its own, a backend takes everything, and the
series and the agent's own metrics are scraped. Every half a minute the agent's memory, files and threads are read; at
the end the slope of its memory is told, and what was accepted is compared with what arrived.

`e2e/reliability/soak.sh` runs it by hand for hours, the scenario `reliability/soak` for a short time.
"""

import argparse
import http.client
import itertools
import os
import statistics
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from . import ending, generate, otlp, ports
from .backend import OK, Answer, Backend, Request
from .kubernetes import Account, ApiError, ControlPlane, objects
from .ledger import books
from .program import Program
from .waiting import until

NAMESPACE = "shop"
RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]},
         {"apiGroups": [""], "resources": ["namespaces", "nodes"], "verbs": ["get"]}]
ITEMS = 200  # in each request, as an SDK sends them
RENEW_TOKEN = 1200  # seconds; kubelets renew at four fifths of a token's life


class Counting(Backend):
    """Counts what comes in and keeps none of it."""

    def __init__(self):
        super().__init__()
        self.arrived: Counter[str] = Counter()
        self.without_pod = 0

    def _take(self, request: Request) -> Answer:
        named = [("k8s.pod.name" in item.resource) for item in otlp.items(request.message)]
        with self._lock:
            self.arrived[request.signal] += len(named)
            self.without_pod += named.count(False)
        return OK


@dataclass
class Totals:
    """What all senders saw."""

    acknowledged: Counter = field(default_factory=Counter)
    refused: int = 0
    broken: int = 0  # connections that ended under a request: whether it was taken is not known
    lock: threading.Lock = field(default_factory=threading.Lock)


class Sender(threading.Thread):
    """One pod's application: one request after the other, over HTTP from the pod's address or over gRPC with its UID."""

    def __init__(self, program: Program, totals: Totals, number: int, address: str, uid: str, seconds: float):
        super().__init__(daemon=True)
        self.program, self.totals, self.address, self.seconds = program, totals, address, seconds
        self.ended = threading.Event()
        self.grpc = number % 4 == 0
        resource = {"service.name": f"shop-{number % 5}", **({"k8s.pod.uid": uid} if self.grpc else {})}
        self.bodies = {signal: generate.request(signal, 0, ITEMS, resource).SerializeToString()
                       for signal in otlp.SIGNALS}

    def run(self) -> None:
        send = self._grpc if self.grpc else self._http
        due = time.monotonic()
        for signal in itertools.cycle(otlp.SIGNALS):
            if self.ended.is_set():
                return
            taken = send(signal)
            with self.totals.lock:
                if taken is True:
                    self.totals.acknowledged[signal] += ITEMS
                elif taken is False:
                    self.totals.refused += 1
                else:
                    self.totals.broken += 1
            due += self.seconds
            self.ended.wait(max(0.0, due - time.monotonic()))

    def _http(self, signal: str) -> bool | None:
        if not hasattr(self, "_connection"):
            self._connection = http.client.HTTPConnection(
                "127.0.0.1", self.program.port("HTTP"), timeout=30, source_address=(self.address, 0))
        try:
            self._connection.request("POST", otlp.SIGNALS[signal].path, self.bodies[signal],
                                     {"Content-Type": "application/x-protobuf"})
            answer = self._connection.getresponse()
            answer.read()
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None

    def _grpc(self, signal: str) -> bool | None:
        if not hasattr(self, "_channel"):
            self._channel = grpc.insecure_channel(
                f"127.0.0.1:{self.program.port('GRPC')}", [("grpc.use_local_subchannel_pool", 1)])
            self._calls = {name: self._channel.unary_unary(kind.rpc) for name, kind in otlp.SIGNALS.items()}
        try:
            self._calls[signal](self.bodies[signal], timeout=30)
            return True
        except grpc.RpcError as error:
            return False if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED else None

    def end(self) -> None:
        self.ended.set()
        self.join(60)
        for kept in ("_connection", "_channel"):
            if hasattr(self, kept):
                getattr(self, kept).close()


class Pods:
    """The pods of the node and their senders; `replace` ends the oldest and starts another one."""

    def __init__(self, plane: ControlPlane, node: str, program: Program, totals: Totals, seconds: float):
        self.plane, self.node, self.program, self.totals, self.seconds = plane, node, program, totals, seconds
        self.numbers = itertools.count()
        self.senders: dict[str, Sender] = {}

    def start(self) -> None:
        number = next(self.numbers)
        name = f"shop-5d9c7b5f6d-{number}"
        address = f"127.65.{number // 250 % 250}.{number % 250 + 1}"
        self.plane.api.create(objects.pod(
            name, NAMESPACE, self.node, {"app": "shop", "pod-template-hash": "5d9c7b5f6d"},
            {objects.POD_IP: address}))
        pod = until(lambda: self._running(name), f"pod {name} runs", 60)
        sender = Sender(self.program, self.totals, number, address, pod["metadata"]["uid"], self.seconds)
        self.senders[name] = sender
        sender.start()

    def _running(self, name: str) -> dict | None:
        pod = self.plane.api.find("Pod", name, NAMESPACE)
        return pod if pod and pod.get("status", {}).get("podIP") else None

    def replace(self) -> None:
        name, sender = next(iter(self.senders.items()))
        del self.senders[name]
        sender.end()
        try:
            self.plane.api.delete("Pod", name, NAMESPACE)
        except ApiError as error:
            if error.status != 404:
                raise
        self.start()

    def end(self) -> None:
        for sender in self.senders.values():
            sender.ended.set()
        for sender in self.senders.values():
            sender.end()


@dataclass
class Reading:
    """The agent's process at one moment."""

    seconds: float
    rss: float  # MiB
    own: float  # MiB that are not pages of files
    heap: float  # MiB that the program has asked its allocator for and not given back
    series: float  # MiB of it that are series; they go with the pods that came of late
    files: int
    tasks: int
    threads: int
    cpu: float  # seconds
    held: float  # items

    @classmethod
    def of(cls, program: Program, began: float) -> "Reading":
        folder = Path(f"/proc/{program.process.pid}")
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        ticks = (folder / "stat").read_text().rsplit(") ", 1)[1].split()
        held = sum(books(program, signal).held for signal in otlp.SIGNALS)
        heap, series = (program.samples().sum(name) / 2**20 for name in (
            "otelcol_process_runtime_heap_alloc_bytes", "otel_agent_prometheus_series_bytes"))
        return cls(time.monotonic() - began, int(status["VmRSS"].split()[0]) / 1024, int(status["RssAnon"].split()[0]) / 1024,
                   heap, series, len(list((folder / "fd").iterdir())),
                   int(program.samples().sum("otel_agent_process_tasks")), int(status["Threads"]),
                   (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK"), held)

    def line(self) -> str:
        return (f"{self.seconds:8.0f} {self.rss:9.2f} {self.own:9.2f} {self.heap:9.2f} {self.series:11.2f} "
                f"{self.files:6d} {self.tasks:6d} {self.threads:8d} {self.cpu:9.2f} {self.held:9.0f}")


HEAD = " seconds   RSS MiB  anon MiB  heap MiB  series MiB  files  tasks  threads     CPU s held items"


@dataclass
class Outcome:
    """What a soak found."""

    readings: list[Reading]
    totals: Totals
    arrived: Counter
    without_pod: int
    pods: int
    scrapes: int
    dropped: dict[str, float]  # by reason

    @property
    def settled(self) -> list[Reading]:
        """The readings after the first quarter, in which caches fill and the first pods' series come to their end."""
        return [r for r in self.readings if r.seconds >= self.readings[-1].seconds / 4]

    def course(self, name: str, of: Callable[[Reading], float]) -> str:
        """From where to where something went, its slope in MiB an hour, and the standard error of that."""
        xs, ys = [r.seconds / 3600 for r in self.settled], [of(r) for r in self.settled]
        slope, base = statistics.linear_regression(xs, ys)
        middle = statistics.fmean(xs)
        spread = sum((x - middle) ** 2 for x in xs)
        left = sum((y - base - slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
        error = (left / max(len(xs) - 2, 1) / spread) ** 0.5
        return (f"{name} {min(ys):.1f} to {max(ys):.1f} MiB, "
                f"slope {slope:+.2f} +- {error:.2f} MiB an hour after the first quarter")

    def lost(self) -> int:
        """Items that were acknowledged and are not at the backend."""
        return sum(max(0, self.totals.acknowledged[s] - self.arrived[s]) for s in otlp.SIGNALS)

    def report(self) -> str:
        first, last = self.readings[0], self.readings[-1]
        seconds, sent = last.seconds - first.seconds, sum(self.totals.acknowledged.values())
        files, tasks, threads = ([of(r) for r in self.settled] for of in (
            lambda r: r.files, lambda r: r.tasks, lambda r: r.threads))
        return "\n".join((
            f"{last.seconds / 60:.0f} minutes, {sent} items acknowledged ({sent / last.seconds:.0f}/s), "
            f"{sum(self.arrived.values())} arrived, {self.lost()} lost, "
            f"{self.totals.refused} requests refused, {self.totals.broken} broken off",
            "dropped by an exporter: " + (", ".join(f"{n:.0f} {reason}" for reason, n in self.dropped.items()) or "none"),
            f"{self.pods} pods came and went, {self.without_pod} items arrived without a pod's name, {self.scrapes} scrapes",
            self.course("RSS", lambda r: r.rss),
            self.course("heap without series", lambda r: r.heap - r.series),
            f"open files {min(files)} to {max(files)}, tasks {min(tasks)} to {max(tasks)}, threads {min(threads)} to {max(threads)}, "
            f"CPU {(last.cpu - first.cpu) / seconds * 100:.1f} % of a processor"))


def soak(seconds: float, rate: float, pods: int, churn: float, every: float, tell=print) -> Outcome:
    """Runs for `seconds` at `rate` items a second from `pods` pods, of which one is replaced every `churn` seconds."""
    with ControlPlane(controllers=False, scheduler=False) as plane, Counting() as backend:
        node, account = plane.nodes(1)[0], plane.service_account("monitoring", "agent", RULES)
        plane.namespace(NAMESPACE)
        env = {**backend.env, "EXPORTER_PORT": ports.free(), "KUBE_NODE_NAME": node, "KUBECONFIG": account.kubeconfig}
        with Program("agent", ["soak.yaml"], env) as program:
            return _live(plane, account, node, backend, program, seconds, rate, pods, churn, every, tell)


def _live(plane: ControlPlane, account: Account, node: str, backend: Counting, program: Program, seconds: float,
          rate: float, pods: int, churn: float, every: float, tell) -> Outcome:
    totals, readings, scrapes = Totals(), [], 0
    herd = Pods(plane, node, program, totals, pods * ITEMS / rate)
    for _ in range(pods):
        herd.start()
    began = time.monotonic()
    due = {"read": 0.0, "replace": churn, "scrape": 0.0, "token": RENEW_TOKEN}
    tell(HEAD)
    while (now := time.monotonic() - began) < seconds:
        if not program.running():
            raise AssertionError(f"the agent ended after {now:.0f} s:\n{program.tail()}")
        if now >= due["read"]:
            due["read"] += every
            readings.append(Reading.of(program, began))
            tell(readings[-1].line())
        if now >= due["replace"]:
            due["replace"] += churn
            herd.replace()
        if now >= due["scrape"]:
            due["scrape"] += 5
            scrapes += _scraped(int(program.env["EXPORTER_PORT"]))
        if now >= due["token"]:
            due["token"] += RENEW_TOKEN
            plane.renew_token(account)
        time.sleep(max(0.0, min(0.2, min(due.values()) - now)))
    herd.end()
    until(lambda: not sum(books(program, signal).held for signal in otlp.SIGNALS), "all is handed on", 60)
    readings.append(Reading.of(program, began))
    dropped: Counter = Counter()
    for signal in otlp.SIGNALS:
        dropped.update(books(program, signal).reasons)
    return Outcome(readings, totals, backend.arrived, backend.without_pod, next(herd.numbers), scrapes, dict(dropped))


def _scraped(port: int) -> int:
    """1 for a scrape that was answered in full."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
            return int(bool(answer.read()))
    except (urllib.error.URLError, OSError):
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(prog="e2e/reliability/soak.sh", description="Hours of an agent's ordinary life")
    parser.add_argument("--seconds", type=float, default=7200)
    parser.add_argument("--rate", type=float, default=20_000, help="items a second")
    parser.add_argument("--pods", type=int, default=30)
    parser.add_argument("--churn", type=float, default=6, help="seconds until one pod is replaced by another")
    parser.add_argument("--every", type=float, default=30, help="seconds between two readings")
    options = parser.parse_args()
    ending.cleanly()
    outcome = soak(options.seconds, options.rate, options.pods, options.churn, options.every,
                   lambda line: print(line, flush=True))
    print(outcome.report())
    if outcome.lost() or outcome.totals.broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
