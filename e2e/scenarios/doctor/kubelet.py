"""The kubelets of one agent's pods, played by the scenario: what becomes of each pod is what `behaves` says of it.

kwok makes every pod run. Here images do not come, containers crash and are killed for memory, and a pod that is made anew
after a remedy is looked at again, as a kubelet would. Their logs are served as kubelets serve them.
"""

import http.server
import itertools
import ssl
import threading
import urllib.parse
from typing import Callable

from harness.kubernetes import ApiError, objects
from harness.waiting import until

_addresses = itertools.count(1)
PORT = 10250  # of every kubelet


def running(pod: dict, **changes: object) -> dict:
    """The status of a pod that is ready."""
    number = int(pod["metadata"]["uid"][:6], 16)
    names = [container["name"] for container in pod["spec"]["containers"]]
    status = objects.running([f"10.245.{number // 250 % 250}.{number % 250 + 1}"], names)
    status["containerStatuses"][0].update(changes.pop("container", {}))
    return {**status, **changes}


def waiting(pod: dict, reason: str, message: str = "", **container: object) -> dict:
    """The status of a pod whose first container waits."""
    status = running(pod, phase="Pending", container={
        "ready": False, "started": False, "state": {"waiting": {"reason": reason, "message": message}}, **container})
    for condition in status["conditions"]:
        if condition["type"] in ("Ready", "ContainersReady"):
            condition["status"] = "False"
    return status


def unready(pod: dict, **container: object) -> dict:
    """The status of a pod that runs and has not been ready for long."""
    status = running(pod, container={"ready": False, **container})
    for condition in status["conditions"]:
        if condition["type"] in ("Ready", "ContainersReady"):
            condition["status"] = "False"
    return status


class Kubelet:
    """For pods of one namespace that have the annotation `objects.BY_HAND`."""

    def __init__(self, plane, network, namespace: str, behaves: Callable[[dict], dict]):
        self.plane, self.network, self.namespace, self.behaves = plane, network, namespace, behaves
        self.logs: dict[tuple[str, bool], str] = {}  # by pod, and whether it is that of the container before
        self._over = threading.Event()
        self._said: dict[str, dict] = {}

    def __enter__(self) -> "Kubelet":
        self._server = self._serve_logs()
        self._threads = [threading.Thread(target=self._play, daemon=True),
                         threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(timeout=30)

    def _play(self) -> None:
        while not self._over.wait(0.1):
            try:
                for pod in self.plane.api.items("Pod", self.namespace):
                    if objects.BY_HAND in pod["metadata"].get("annotations", {}):
                        self._look_after(pod)
            except ApiError:
                pass  # it changed meanwhile; the next round sees it as it is

    def _look_after(self, pod: dict) -> None:
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        if pod["metadata"].get("deletionTimestamp"):
            self.plane.api.delete("Pod", name, self.namespace, grace_seconds=0)
            return
        if not pod["spec"].get("nodeName"):
            return
        status = self.behaves(pod)
        if self._said.get(uid) != status:
            self.plane.api.patch_status("Pod", name, status, self.namespace)
            self._said[uid] = status

    def _serve_logs(self) -> http.server.ThreadingHTTPServer:
        kubelet = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                url = urllib.parse.urlparse(self.path)
                query = urllib.parse.parse_qs(url.query)
                _, _, _, pod, _ = url.path.split("/")  # /containerLogs/namespace/pod/container
                text = kubelet.logs.get((pod, query.get("previous") == ["true"]), "").encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.plane.authority.server("kubelet", ["127.0.0.1", "localhost"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.plane.folder / "kubelet.crt", self.plane.folder / "kubelet.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        for node in self.plane.api.items("Node"):
            self.network.lead(node["metadata"]["name"], PORT, server.server_port)
        return server


def wait(world, what: str, condition: Callable[[dict], bool], number: int, seconds: float = 30) -> list[dict]:
    """The agent's pods of which the condition holds, once there are so many."""
    def found() -> list[dict]:
        pods = [pod for pod in world.agents_list() if condition(pod)]
        return pods if len(pods) >= number else []

    return until(found, lambda: f"{number} pods {what}: {[pod['status'] for pod in world.agents_list()]}", seconds)
