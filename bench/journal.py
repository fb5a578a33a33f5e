"""What the journal costs: processor time with and without `sending_queue::storage`, beside the Go Collector's `file_storage`.

    bench/journal.sh                                  300 000 items a run, 5 rounds
    bench/journal.sh --items 100000 --rounds 3

The same log records over HTTP, a batch of 8192 or 200 ms, OTLP/HTTP to a backend that counts. All programs run side by side and
are loaded in turns, each on the same processor. A run ends when the backend has everything. What the kernel's own threads do for
the disk is in nobody's figure. The two programs do not keep the same: the agent writes what is acknowledged, before it is; the
Collector writes what leaves its batch processor.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import generate, lean  # noqa: E402
from harness.backend import OK, Answer, Backend, Request  # noqa: E402
from harness.configs import written  # noqa: E402
from harness.program import Program  # noqa: E402
from harness.waiting import until  # noqa: E402

KINDS = {  # what is measured: the program, and what stands under file_storage
    "agent, no storage": ("agent", None),
    "agent, fsync: never": ("agent", "fsync: never"),
    "agent, fsync: interval": ("agent", "fsync: interval"),
    "agent, fsync: always": ("agent", "fsync: always"),
    "Collector, no storage": ("collector", None),
    "Collector, fsync: false": ("collector", "fsync: false"),
    "Collector, fsync: true": ("collector", "fsync: true"),
}
CONFIG = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:${{env:HTTP_PORT}}"}}}}}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 400}}
  batch: {{timeout: 200ms, send_batch_size: 8192}}
exporters:
  otlphttp:
    endpoint: http://127.0.0.1:${{env:BACKEND_HTTP_PORT}}
    compression: none
    sending_queue: {{{storage}}}
extensions: {{health_check: {{endpoint: "127.0.0.1:${{env:HEALTH_PORT}}"}}{extension}}}
service:
  extensions: [health_check{named}]
  telemetry: {{metrics: {{level: none}}}}
  pipelines: {{logs: {{receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlphttp]}}}}
"""


class Counting(Backend):
    """Keeps a count only."""

    items = 0

    def _take(self, request: Request) -> Answer:
        with self._lock:
            self.items += sum(len(scope.log_records) for group in request.message.resource_logs for scope in group.scope_logs)
        return OK


class Measured:
    """A program with a backend and a folder of its own."""

    def __init__(self, name: str, stack: ExitStack, folder: Path, processor: int):
        kind, storage = KINDS[name]
        self.name, self.backend = name, stack.enter_context(Counting(max_message=64 << 20))
        self._folder = folder / name.replace(" ", "-").replace(":", "").replace(",", "")
        self._folder.mkdir()
        text = CONFIG.format(storage="storage: file_storage" if storage else "", named=", file_storage" if storage else "",
                             extension=f", file_storage: {{directory: {self._folder}, {storage}}}" if storage else "")
        env = {**self.backend.env, **({"GOMAXPROCS": "1"} if kind == "collector" else {})}
        self.program = stack.enter_context(Program(kind, [stack.enter_context(written(text))], env))
        self._tasks = Path(f"/proc/{self.program.process.pid}/task")
        for task in self._tasks.iterdir():
            os.sched_setaffinity(int(task.name), {processor})

    def cpu(self) -> float:
        """Seconds, of all threads that there are."""
        return sum(int((task / "schedstat").read_text().split()[0]) for task in self._tasks.iterdir()) / 1e9

    def run(self, requests: list[bytes], items: int) -> dict[str, float]:
        arrived, cpu, began = self.backend.items, self.cpu(), time.monotonic()
        waits = asyncio.run(_send(self.program.port("HTTP"), requests))
        until(lambda: self.backend.items >= arrived + items, lambda: f"{self.name}: the backend has everything", 120)
        seconds, cpu = time.monotonic() - began, self.cpu() - cpu
        assert self.backend.items == arrived + items, f"{self.name}: {self.backend.items - arrived} of {items} items arrived"
        return {"cpu": cpu / items * 1e6, "p50": statistics.median(waits) * 1000, "p99": sorted(waits)[len(waits) * 99 // 100] * 1000,
                "rate": items / seconds}


async def _send(port: int, requests: list[bytes]) -> list[float]:
    """Over four connections, one request behind the other; the seconds until each was acknowledged."""
    waits, left = [], iter(requests)

    async def one() -> None:
        connection = lean.Connection(port, "127.0.0.1")
        for request in left:
            began = time.perf_counter()
            while (answer := await connection.post(request))[0] in (429, 503):
                await asyncio.sleep(0.02)
            assert answer[0] == 200, answer
            waits.append(time.perf_counter() - began)
        connection.close()

    await asyncio.gather(*(one() for _ in range(4)))
    return waits


def _spread(values: list[float], digits: int = 2) -> str:
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}..{max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--items", type=int, default=300_000, help="of a run")
    parser.add_argument("--of-request", type=int, default=100, help="items of a request")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=None, help="where the journals are; a folder of the system for temporary files if left out")
    parser.add_argument("--processor", type=int, default=max(os.sched_getaffinity(0)))
    options = parser.parse_args()
    os.sched_setaffinity(0, os.sched_getaffinity(0) - {options.processor} or {options.processor})
    bodies = [generate.request("logs", first, options.of_request).SerializeToString() for first in range(0, 5000, options.of_request)]
    requests = [lean.request(bodies[at % len(bodies)]) for at in range(options.items // options.of_request)]
    items = len(requests) * options.of_request
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        all_of_them = [Measured(name, stack, folder, options.processor) for name in KINDS]
        print(f"# {items} items a run, {options.of_request} in a request of {len(bodies[0])} bytes, {options.rounds} rounds; programs on "
              f"processor {options.processor}; load before: {Path('/proc/loadavg').read_text().split()[0]}")
        for one in all_of_them:  # connections, caches, the first segment
            one.run(requests[:len(requests) // 10], items // 10)
        runs = {one.name: [] for one in all_of_them}
        for number in range(options.rounds):
            # the order turns, so that a drift of the machine's speed hits all alike
            for one in all_of_them[number % len(all_of_them):] + all_of_them[:number % len(all_of_them)]:
                runs[one.name].append(one.run(requests, items))
                print("run", one.name, {key: round(value, 3) for key, value in runs[one.name][-1].items()}, sep="\t", flush=True)
    print("\n| | CPU s per million items | p50 of the acknowledgement, ms | p99, ms | items/s |\n|---|---|---|---|---|")
    for name, found in runs.items():
        of = lambda key: [one[key] for one in found]  # noqa: E731
        print(f"| {name} | {_spread(of('cpu'))} | {_spread(of('p50'), 1)} | {_spread(of('p99'), 1)} | {_spread(of('rate'), 0)} |")


if __name__ == "__main__":
    main()
