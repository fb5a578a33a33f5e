"""A small client of the Kubernetes API: objects are the JSON as it is, kinds are found by discovery.

What the API server refuses is raised as `ApiError` with its status code; nothing is retried here.
"""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterable, Iterator
from urllib.parse import quote, urlencode

import urllib3

# the group and version of the kinds that are asked for by name alone
_VERSIONS = {
    **dict.fromkeys(("Deployment", "ReplicaSet", "StatefulSet", "DaemonSet", "ControllerRevision"), "apps/v1"),
    **dict.fromkeys(("Job", "CronJob"), "batch/v1"),
    **dict.fromkeys(("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), "rbac.authorization.k8s.io/v1"),
    "CustomResourceDefinition": "apiextensions.k8s.io/v1",
    "EndpointSlice": "discovery.k8s.io/v1",
    "Lease": "coordination.k8s.io/v1",
    "SelfSubjectAccessReview": "authorization.k8s.io/v1",
}
MERGE = "application/merge-patch+json"


class ApiError(Exception):
    """An answer other than 2xx: `code` of HTTP, and `status`, the Status object or the text that came with it."""

    def __init__(self, code: int, request: str, status: dict | str):
        message = status.get("message", "") if isinstance(status, dict) else status
        super().__init__(f"{code} to {request}: {message}")
        self.code = code
        self.status = status


class Api:
    """The API as one user sees it: by a client certificate or by a token. May be used from many threads."""

    def __init__(self, server: str, ca: Path, certificate: tuple[Path, Path] | None = None, token: str = ""):
        self.server = server
        tls = {"cert_file": str(certificate[0]), "key_file": str(certificate[1])} if certificate else {}
        self._pool = urllib3.PoolManager(maxsize=32, block=True, ca_certs=str(ca), retries=False, **tls)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._resources: dict[str, dict[str, tuple[str, bool]]] = {}
        self._lock = threading.Lock()

    # --- objects

    def get(self, kind: str, name: str, namespace: str = "default", version: str | None = None) -> dict:
        return self.call("GET", self.path(kind, namespace, name, version))

    def find(self, kind: str, name: str, namespace: str = "default", version: str | None = None) -> dict | None:
        """The object, or None when there is none of that name."""
        try:
            return self.get(kind, name, namespace, version)
        except ApiError as error:
            if error.code != 404:
                raise
            return None

    def items(self, kind: str, namespace: str | None = None, version: str | None = None, **query: object) -> list[dict]:
        """All of one namespace or of the cluster; `query` is for example `fieldSelector="spec.nodeName=a"`."""
        return self.call("GET", self.path(kind, namespace, None, version), query=query)["items"]

    def create(self, item: dict) -> dict:
        return self.call("POST", self._path_of(item, with_name=False), item)

    def create_all(self, items: Iterable[dict], threads: int = 16) -> list[dict]:
        """Creates them side by side; the first refusal is raised."""
        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(self.create, items))

    def apply(self, item: dict, manager: str = "e2e") -> dict:
        """Server-side apply: made when it is not there, changed when it is."""
        return self.call("PATCH", self._path_of(item), item, {"fieldManager": manager, "force": "true"},
                         "application/apply-patch+yaml")

    def replace(self, item: dict) -> dict:
        return self.call("PUT", self._path_of(item), item)

    def patch(self, kind: str, name: str, patch: dict, namespace: str = "default", version: str | None = None) -> dict:
        """A JSON merge patch."""
        return self.call("PATCH", self.path(kind, namespace, name, version), patch, content=MERGE)

    def patch_status(self, kind: str, name: str, status: dict, namespace: str = "default",
                     version: str | None = None) -> dict:
        """Merges into the status, as a kubelet or a controller does."""
        return self.call("PATCH", self.path(kind, namespace, name, version) + "/status", {"status": status}, content=MERGE)

    def delete(self, kind: str, name: str, namespace: str = "default", version: str | None = None,
               grace_seconds: int | None = None) -> None:
        """Deletes; a pod that no kubelet (kwok) ends goes only with `grace_seconds=0`."""
        options = {"propagationPolicy": "Background"}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        self.call("DELETE", self.path(kind, namespace, name, version), options)

    def may(self, verb: str, resource: str, group: str = "", namespace: str = "") -> bool:
        """Whether this user may do that in a namespace, or in all, as the API server's authorizer says now."""
        attributes = {"verb": verb, "resource": resource, "group": group, "namespace": namespace}
        review = self.create({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
                              "spec": {"resourceAttributes": attributes}})
        return review["status"]["allowed"]

    # --- requests

    def call(self, method: str, path: str, body: dict | None = None, query: dict | None = None,
             content: str = "application/json", seconds: float = 30) -> dict:
        answer = self._request(method, path, body, query, content, seconds)
        return json.loads(answer.data) if answer.data else {}

    def text(self, path: str, seconds: float = 30) -> str:
        """What is not JSON, such as `/metrics` and `/readyz`."""
        return self._request("GET", path, None, None, "application/json", seconds).data.decode()

    def watch(self, kind: str, namespace: str | None = None, seconds: int = 60, **query: object) -> Iterator[dict]:
        """The events of one watch until the server ends it, after `seconds` at the latest; ConnectionError when it is cut."""
        query = {"watch": "true", "timeoutSeconds": seconds, **query}
        answer = self._request("GET", self.path(kind, namespace), None, query, "application/json", seconds + 10, stream=True)
        rest = b""
        try:
            for part in answer.stream(65536):
                *lines, rest = (rest + part).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionError(f"the watch was cut: {error}") from error
        finally:
            answer.close()

    def _request(self, method: str, path: str, body, query, content: str, seconds: float, stream: bool = False):
        if query:
            path += "?" + urlencode({name: value for name, value in query.items() if value is not None})
        answer = self._pool.request(
            method, self.server + path, body=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, "Content-Type": content, "Accept": "application/json"},
            timeout=seconds, preload_content=not stream)
        if answer.status >= 300:
            raise ApiError(answer.status, f"{method} {path}", _status(answer.data))
        return answer

    # --- where things are

    def path(self, kind: str, namespace: str | None = None, name: str | None = None, version: str | None = None) -> str:
        """The path of a kind's objects, or of one. `namespace` is left out for kinds that have none."""
        version = version or _VERSIONS.get(kind, "v1")
        prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
        resource, namespaced = self._resource(kind, prefix)
        path = prefix + (f"/namespaces/{namespace}" if namespaced and namespace else "") + f"/{resource}"
        return path + (f"/{quote(name)}" if name else "")

    def _path_of(self, item: dict, with_name: bool = True) -> str:
        metadata = item.get("metadata", {})
        return self.path(item["kind"], metadata.get("namespace", "default"),
                         metadata["name"] if with_name else None, item["apiVersion"])

    def _resource(self, kind: str, prefix: str) -> tuple[str, bool]:
        with self._lock:
            if kind not in self._resources.get(prefix, {}):
                found = self.call("GET", prefix)["resources"]
                self._resources[prefix] = {r["kind"]: (r["name"], r["namespaced"]) for r in found if "/" not in r["name"]}
            if kind not in self._resources[prefix]:
                raise ValueError(f"the API server has no kind {kind} in {prefix}")
            return self._resources[prefix][kind]


def _status(data: bytes) -> dict | str:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")
