"""Simulated agents at the API server: each lists and then watches the pods of one node, with the requests of an agent.

What it costs is read from the server's own metrics. `e2e/kubernetes/load.sh` prints the table; a scenario holds that a
list is answered from the watch cache and that the event of a pod goes to one agent alone.
"""

import argparse
import asyncio
import json
import random
import resource
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from . import ending, parts
from .kubernetes import Account, ControlPlane
from .waiting import until

RULES = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]


class Agents:
    """`count` agents in one event loop, each on a connection of its own, all with the token of one account."""

    def __init__(self, plane: ControlPlane, account: Account, nodes: list[str]):
        self._address = urlsplit(plane.server)
        self._token = account.token_file.read_text()
        self._tls = ssl.create_default_context(cafile=str(plane.authority.file))
        self.nodes = nodes
        self.pods: dict[str, int] = {}  # by node: how many the list had
        self.events: dict[str, int] = {}  # by node: how many came by the watch, bookmarks left out
        self.open: set[str] = set()  # nodes whose watch was answered
        self.refusals = 0  # answers with 429, each tried again after what its Retry-After says
        self.failures: list[str] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> "Agents":
        """All start at the same moment, as after a restart of the DaemonSet; returns when every watch is open."""
        self._thread.start()
        # kept, since the loop itself holds tasks weakly
        self._tasks = [asyncio.run_coroutine_threadsafe(self._agent(node), self._loop) for node in self.nodes]
        until(lambda: len(self.open) == len(self.nodes) or self.failures,
              lambda: f"{len(self.open)} of {len(self.nodes)} watch", 120)
        if self.failures:
            self.__exit__()
            raise AssertionError(f"{len(self.failures)} agents failed, the first with: {self.failures[0]}")
        return self

    def __exit__(self, *_) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _end(self) -> None:
        running = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _agent(self, node: str) -> None:
        try:
            streams = await asyncio.open_connection(
                self._address.hostname, self._address.port, ssl=self._tls, ssl_handshake_timeout=100, limit=1 << 20)
            selector = f"fieldSelector={quote(f'spec.nodeName={node}')}"
            body = b"".join([part async for part in self._get(streams, f"{selector}&resourceVersion=0&resourceVersionMatch=NotOlderThan")])
            listed = json.loads(body)
            self.pods[node] = len(listed["items"])
            self.events[node] = 0
            version = listed["metadata"]["resourceVersion"]
            async for part in self._get(streams, f"watch=true&timeoutSeconds=290&{selector}&allowWatchBookmarks=true"
                                                 f"&resourceVersion={version}"):
                self.open.add(node)
                self.events[node] += part.count(b"\n") - part.count(b'"type":"BOOKMARK"')
        except (OSError, ValueError, KeyError, asyncio.IncompleteReadError) as error:
            self.failures.append(f"{node}: {error!r}")

    async def _get(self, streams, query: str):
        """Sends one request; the parts of the answer's body as they come."""
        reader, writer = streams
        while True:
            writer.write(f"GET /api/v1/pods?{query} HTTP/1.1\r\nHost: {self._address.netloc}\r\n"
                         f"Accept: application/json\r\nUser-Agent: simulated-agent\r\n"
                         f"Authorization: Bearer {self._token}\r\n\r\n".encode())
            status, headers = _parsed(await reader.readuntil(b"\r\n\r\n"))
            if status != 429:
                break
            # too many at once for the server's priority and fairness
            self.refusals += 1
            await reader.readexactly(int(headers["content-length"]))
            await asyncio.sleep(float(headers.get("retry-after", 1)) * random.uniform(1, 2))
        if status != 200:
            raise ValueError(f"status {status}")
        if "content-length" in headers:
            yield await reader.readexactly(int(headers["content-length"]))
            return
        yield b""  # the answer has begun, which is all that a watch has for now
        while size := int(await reader.readuntil(b"\r\n"), 16):
            yield (await reader.readexactly(size + 2))[:-2]
        await reader.readexactly(2)


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    first, *lines = head.decode().strip().split("\r\n")
    return int(first.split(" ")[1]), {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}


@dataclass
class Reading:
    """What the API server says of itself at one moment."""

    at: float
    cpu: float  # seconds of processor time since its start
    memory: float  # bytes resident
    lists: float  # of pods
    watches: float  # of pods, open now
    by_index: float  # lists of pods that the watch cache answered from its index by node
    from_etcd: float  # lists of pods that were read from etcd

    @classmethod
    def of(cls, plane: ControlPlane) -> "Reading":
        metrics = plane.metrics()
        return cls(
            time.monotonic(), metrics.sum("process_cpu_seconds_total"), metrics.sum("process_resident_memory_bytes"),
            metrics.sum("apiserver_request_total", verb="LIST", resource="pods"),
            metrics.sum("apiserver_longrunning_requests", verb="WATCH", resource="pods"),
            metrics.sum("apiserver_cache_list_total", resource="pods", index="f:spec.nodeName"),
            metrics.sum("etcd_request_duration_seconds_count", resource="pods", operation="list"))


def prepared(plane: ControlPlane, nodes: int, pods_per_node: int) -> tuple[Account, list[str]]:
    """Nodes, pods on each of them (running, with kwok), and the account of the agents."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    names = plane.nodes(nodes)
    plane.pods(nodes * pods_per_node, seconds=600, labels={"app": "shop", "pod-template-hash": "5d9c7b5f6d"})
    return plane.service_account("monitoring", "agent", RULES), names


def touch(plane: ControlPlane, number: int) -> None:
    """One change of a pod's status, as a kubelet makes it."""
    plane.api.patch_status("Pod", f"pod-{number}", {"message": f"{time.monotonic()}"})


def measure(plane: ControlPlane, account: Account, nodes: list[str], seconds: float, changes: float, pods: int) -> str:
    """One row of the table: the start of all agents at once, then `seconds` with `changes` of pods a second."""
    before = Reading.of(plane)
    began = time.monotonic()
    with Agents(plane, account, nodes) as agents:
        started = time.monotonic() - began
        after = Reading.of(plane)
        for number in range(int(seconds * changes)):
            due = after.at + number / changes
            time.sleep(max(0.0, due - time.monotonic()))
            touch(plane, number % pods)
        end = Reading.of(plane)
        assert not agents.failures, agents.failures[0]
        events, refusals = sum(agents.events.values()), agents.refusals
    return (f"{len(nodes):>6} {started:>9.1f} s {after.cpu - before.cpu:>11.2f} s {after.lists - before.lists:>6.0f}"
            f"{after.by_index - before.by_index:>9.0f} {refusals:>7}{after.from_etcd - before.from_etcd:>10.0f}"
            f"{(end.cpu - after.cpu) / (end.at - after.at) * 100:>13.1f} % {events:>7} {end.memory / 1e6:>7.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(prog="e2e/kubernetes/load.sh", description="What agents cost the API server")
    parser.add_argument("--minor", default=parts.minors()[0], choices=parts.minors())
    parser.add_argument("--agents", default="0,1,100,1000", help="how many at a time, one row for each")
    parser.add_argument("--pods", type=int, default=10, help="pods on each node")
    parser.add_argument("--seconds", type=float, default=30, help="how long each number of agents watches")
    parser.add_argument("--changes", type=float, default=20, help="changes of pods a second meanwhile")
    options = parser.parse_args()
    ending.cleanly()
    counts = [int(count) for count in options.agents.split(",")]
    with ControlPlane(options.minor, controllers=False, scheduler=False) as plane:
        nodes = max(counts)
        account, names = prepared(plane, nodes, options.pods)
        plane.children["kwok"].stop()  # its watches of all pods are no load of the agents
        print(f"Kubernetes {plane.minor}: {nodes} nodes, {nodes * options.pods} pods, "
              f"{options.changes:g} changes of pods a second\n")
        print("agents  all watch   cpu for it  lists by index refused  from etcd  cpu meanwhile  events     memory",
              flush=True)
        for count in counts:
            row = measure(plane, account, names[:count], options.seconds, options.changes, nodes * options.pods)
            print(row, flush=True)


if __name__ == "__main__":
    main()
