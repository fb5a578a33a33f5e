"""The exporter `prometheus` beside the Go Collector's: a scrape of many series, and what it does to those who send.

    bench/prometheus.sh                       100 000 series, 5 scrapes each, 10 s under load
    bench/prometheus.sh --series 20000 --scrapes 3 --seconds 4

Both programs get the same OTLP, one after another, and are scraped in turns: time until the last byte, processor time that
the program spent on it, and resident memory before, at its highest, and after. Then requests come at a fixed rate, first
alone, then with one scrape behind the other, and the time to their acknowledgement is shown. The program is pinned to one
processor, everything else to another.
"""

import argparse
import gc
import http.client
import os
import statistics
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from harness import otlp, ports  # noqa: E402
from harness.generate import key_value  # noqa: E402
from harness.program import Program  # noqa: E402
from harness.shown import ACCEPT  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")
POINTS = 1000  # of a request
BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0]


def body(first: int, points: int, pods: int, at: int, histograms: bool) -> bytes:
    """Data points with the numbers from `first` on; each is a series with labels as the k8s attributes give them."""
    request = otlp.metrics.ExportMetricsServiceRequest()
    pod = first // POINTS % pods
    group = request.resource_metrics.add()
    resource = {"service.name": f"shop-{pod % 10}", "service.instance.id": f"instance-{pod}", "k8s.namespace.name": "fastapi-metrics",
                "k8s.deployment.name": f"shop-{pod % 10}", "k8s.pod.name": f"shop-{pod % 10}-6d4cf56db6-{pod:05}", "k8s.node.name": "node-1"}
    group.resource.attributes.extend(key_value(k, v) for k, v in resource.items())
    scope = group.scope_metrics.add()
    scope.scope.name = "opentelemetry.instrumentation.fastapi"
    for of_metric in range(first, first + points, 100):
        metric = scope.metrics.add(name=f"app.requests.{of_metric // 100 % 50}", unit="1", description="Requests.")
        data = metric.histogram if histograms else metric.sum
        data.aggregation_temporality = 2
        if not histograms:
            data.is_monotonic = True
        for number in range(of_metric, min(of_metric + 100, first + points)):
            point = data.data_points.add(start_time_unix_nano=1_700_000_000 * 10**9, time_unix_nano=(1_700_000_100 + at) * 10**9)
            pairs = {"http.method": "GET", "endpoint": f"/items/{number}", "http.status_code": 200}
            point.attributes.extend(key_value(k, v) for k, v in pairs.items())
            if histograms:
                point.count, point.sum = 55, number * 0.25
                point.bucket_counts.extend(range(len(BUCKETS) + 1))
                point.explicit_bounds.extend(BUCKETS)
            else:
                point.as_double = number * 0.5 + at
    return request.SerializeToString()


class Measured:
    """A program with its series."""

    def __init__(self, kind: str, stack: ExitStack, folder: Path, options):
        self.kind, self.shown, self.own = kind, ports.free(), ports.free()
        # a histogram has a line for each bucket, +Inf among them, its sum and its count
        self.lines = options.series * (len(BUCKETS) + 3 if options.histograms else 1)
        config = folder / f"{kind}.yaml"
        ours = f"max_series: {options.series * 2}, max_series_bytes: 2GiB" if kind == "agent" else ""
        config.write_text(f"""
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:${{env:HTTP_PORT}}"}}}}}}}}
exporters: {{prometheus: {{endpoint: "127.0.0.1:{self.shown}", metric_expiration: 60m, resource_to_telemetry_conversion: {{enabled: true}}, {ours}}}}}
extensions: {{health_check: {{endpoint: "127.0.0.1:${{env:HEALTH_PORT}}"}}}}
service:
  extensions: [health_check]
  telemetry: {{metrics: {{readers: [{{pull: {{exporter: {{prometheus: {{host: 127.0.0.1, port: {self.own}}}}}}}}}]}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheus]}}}}
""")
        self.program = stack.enter_context(Program(kind, [config], {"GOMAXPROCS": "1"} if kind == "collector" else {}))
        pid = self.program.process.pid
        self.proc = Path(f"/proc/{pid}")
        for task in (self.proc / "task").iterdir():
            os.sched_setaffinity(int(task.name), {options.processor})

    def cpu(self) -> float:
        fields = (self.proc / "stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self, line: str = "VmRSS") -> float:
        """MiB."""
        text = (self.proc / "status").read_text()
        return int(text.split(f"{line}:")[1].split()[0]) / 1024

    def forget_peak(self) -> None:
        (self.proc / "clear_refs").write_text("5")

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.program.port("HTTP"), timeout=60)

    def scrape(self, format: str, encoding: str) -> dict[str, float]:
        self.forget_peak()
        cpu, began = self.cpu(), time.perf_counter()
        connection = http.client.HTTPConnection("127.0.0.1", self.shown, timeout=120)
        connection.request("GET", "/metrics", headers={"Accept": ACCEPT[format], "Accept-Encoding": encoding})
        answer = connection.getresponse()
        whole = answer.read()
        seconds, size = time.perf_counter() - began, len(whole)
        connection.close()
        assert answer.status == 200 and size > 1000
        if (format, encoding) == ("text", "identity"):
            shown = sum(line.startswith(b"app_") for line in whole.splitlines())
            assert shown == self.lines, f"{self.kind} shows {shown} lines of series instead of {self.lines}"
        return {"seconds": seconds, "cpu": self.cpu() - cpu, "size": size / 2**20, "peak": self.memory("VmHWM")}


def post(connection: http.client.HTTPConnection, payload: bytes) -> None:
    connection.request("POST", "/v1/metrics", payload, {"Content-Type": "application/x-protobuf"})
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status


def latencies(one: Measured, payloads: list[bytes], rate: float, seconds: float) -> list[float]:
    """Seconds to the acknowledgement, counted from when each request should have been sent."""
    connection, found, began = one.connection(), [], time.perf_counter()
    for number in range(int(rate * seconds)):
        due = began + number / rate
        while (wait := due - time.perf_counter()) > 0:
            time.sleep(wait)
        post(connection, payloads[number % len(payloads)])
        found.append(time.perf_counter() - due)
    return found


def scraping(one: Measured, done: threading.Event, count: list[int]) -> None:
    while not done.is_set():
        one.scrape("text", "gzip")
        count.append(1)


def p(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--series", type=int, default=100_000)
    parser.add_argument("--scrapes", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rate", type=float, default=100, help="requests a second under load, 200 points each")
    parser.add_argument("--pods", type=int, default=50)
    parser.add_argument("--histograms", action="store_true", help="histograms of 11 buckets rather than counters")
    parser.add_argument("--processor", type=int, default=max(os.sched_getaffinity(0)))
    options = parser.parse_args()
    others = os.sched_getaffinity(0) - {options.processor}
    os.sched_setaffinity(0, others or {options.processor})
    gc.disable()
    payloads = [body(first, POINTS, options.pods, 0, options.histograms) for first in range(0, options.series, POINTS)]
    with ExitStack() as stack:
        import tempfile
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        both = [Measured(kind, stack, folder, options) for kind in ("agent", "collector")]
        print(f"# {options.series} series ({'histograms' if options.histograms else 'counters'}), program on processor "
              f"{options.processor}, load before: {Path('/proc/loadavg').read_text().split()[0]}")
        rows: dict[str, dict[str, float]] = {one.kind: {} for one in both}
        for one in both:
            idle, cpu, began = one.memory(), one.cpu(), time.perf_counter()
            connection = one.connection()
            for payload in payloads:
                post(connection, payload)
            filled = rows[one.kind]
            filled["memory idle"], filled["memory with series"] = idle, one.memory()
            filled["fill: seconds"], filled["fill: processor seconds"] = time.perf_counter() - began, one.cpu() - cpu
        for format, encoding in (("text", "gzip"), ("text", "identity"), ("protobuf", "gzip")):
            found = {one.kind: [] for one in both}
            for _ in range(options.scrapes):
                for one in both:
                    found[one.kind].append(one.scrape(format, encoding))
            for kind, scrapes in found.items():
                for key, name in (("seconds", "seconds"), ("cpu", "processor seconds"), ("peak", "peak memory"), ("size", "MiB sent")):
                    rows[kind][f"{format} {encoding}: {name}"] = statistics.median(s[key] for s in scrapes)
        for one in both:
            rows[one.kind]["memory after scrapes"] = one.memory()
        under_load = [body(first, 200, options.pods, 1, options.histograms) for first in range(0, options.series, POINTS)]
        for one in both:
            alone = latencies(one, under_load, options.rate, options.seconds)
            done, count = threading.Event(), []
            thread = threading.Thread(target=scraping, args=(one, done, count))
            thread.start()
            meanwhile = latencies(one, under_load, options.rate, options.seconds)
            done.set()
            thread.join()
            row = rows[one.kind]
            for name, values in (("alone", alone), ("while scraped", meanwhile)):
                row[f"accept {name}: p50 ms"], row[f"accept {name}: p99 ms"] = p(values, 0.5) * 1000, p(values, 0.99) * 1000
            row["scrapes meanwhile"] = len(count)
        print(f"{'':40}{'agent':>12}{'collector':>12}{'ratio':>8}")
        for key in rows["agent"]:
            agent, collector = rows["agent"][key], rows["collector"][key]
            print(f"{key:40}{agent:12.3f}{collector:12.3f}{agent / collector if collector else 0:8.2f}")


if __name__ == "__main__":
    main()
