"""The API server is restarted, slow, busy, broken, forgetful, or refuses the token: what is known goes on being added, what
changed meanwhile is caught up with, and the server is not asked more often than it can bear.
"""

import functools
import time
from dataclasses import dataclass

from harness.apiproxy import ApiProxy, Request
from harness.backend import Backend
from harness.kubernetes import Account, ControlPlane, objects, shared
from harness.program import Program
from harness.runner import Run, add, scenario
from harness.waiting import until

from .common import PATIENCE, agent_account, namespace, send, start
from .new_pods import waited

SETTINGS = {"extract": {"metadata": ["k8s.pod.name", "k8s.pod.uid"], "labels": [{"tag_name": "turn", "key": "turn"}]}}
STAYS, CHANGES, GOES, COMES = (f"127.68.0.{number}" for number in (10, 11, 12, 13))
SOON = 1.5  # seconds for a request whose pod is known; it would be held for two if it were not
CATCHES_UP = 45  # seconds after the API server is well again; pauses between attempts grow up to half a minute
AGENT_ONLY = "what is counted is the agent's requests"


@dataclass
class Scene:
    """An agent on a node with three pods, which reaches the API server through a proxy."""

    plane: ControlPlane
    proxy: ApiProxy
    account: Account
    namespace: str
    node: str
    backend: Backend
    program: Program

    def name_at(self, address: str) -> tuple[str | None, str | None]:
        """Name and label of the pod that is added to what comes from there."""
        sent = send(self.program, self.backend, address)
        assert sent.status == 200 and sent.resource is not None, sent
        self.backend.forget()
        return sent.resource.get("k8s.pod.name"), sent.resource.get("turn")

    def goes_on(self) -> None:
        """What is known is added, without waiting."""
        began, held = time.monotonic(), waited(self.program)
        assert self.name_at(STAYS) == ("stays", "0"), self.program.tail()
        assert time.monotonic() - began < SOON and waited(self.program) == held, "data waited for the API server"
        assert self.program.healthy()

    def change(self) -> None:
        """What happens while the agent is cut off: one pod changes, one goes, one comes."""
        self.plane.api.patch("Pod", "changes", {"metadata": {"labels": {"turn": "1"}}}, self.namespace)
        self.plane.api.delete("Pod", "goes", self.namespace, grace_seconds=0)
        self.pod("comes", COMES)

    def catches_up(self, seconds: float = CATCHES_UP) -> float:
        """Waits until all of that is known; how long it took."""
        began = time.monotonic()
        state = lambda: [self.name_at(address) for address in (STAYS, CHANGES, GOES, COMES)]  # noqa: E731
        expected = [("stays", "0"), ("changes", "1"), (None, None), ("comes", "0")]
        until(lambda: self.proxy.watching("pods") == 1 and state() == expected,
              lambda: f"{self.proxy.watching('pods')} watches; {state()}\n{self.program.tail()}", seconds * PATIENCE)
        return time.monotonic() - began

    def pod(self, name: str, address: str) -> None:
        self.plane.run_pod(objects.pod(name, self.namespace, self.node, labels={"turn": "0"}), [address])

    def requests(self, since: int = 0) -> list[Request]:
        """Those for pods."""
        return [request for request in self.proxy.requests[since:] if request.resource == "pods"]

    def story(self) -> str:
        """All requests for pods, for the message of a failure."""
        first = self.proxy.requests[0].at
        return ", ".join(f"{request.at - first:.1f} {request.verb} {request.code}" for request in self.requests())

    def counts(self) -> tuple[int, int]:
        """Lists and watches of pods so far."""
        counts = self.proxy.counts()
        return counts["list pods"], counts["watch pods"]


def scene(run: Run, name: str) -> Scene:
    plane = shared.plane()
    [node] = plane.nodes(1, prefix=name)
    space = run.open(namespace(plane, name))
    account = agent_account(plane, name)
    proxy = run.open(ApiProxy(plane))
    backend = run.open(Backend())
    for pod, address in (("stays", STAYS), ("changes", CHANGES), ("goes", GOES)):
        plane.run_pod(objects.pod(pod, space, node, labels={"turn": "0"}), [address])
    program = start(run, backend, proxy.kubeconfig(account), SETTINGS, node)
    made = Scene(plane, proxy, account, space, node, backend, program)
    until(lambda: made.counts() == (1, 1), lambda: f"one list and one watch: {proxy.counts()}", 10 * PATIENCE)
    made.goes_on()
    assert made.name_at(COMES) == (None, None)  # which also waits in vain, so that it need not be waited for again
    return made


def bearable(requests: list[Request], seconds: float) -> None:
    """Attempts have growing pauses between them."""
    assert len(requests) <= 4 + seconds, f"{len(requests)} requests in {seconds:.0f} s: {[(r.verb, r.code) for r in requests]}"


@scenario("kubernetes/faults-restart", seconds=180, agent_only=AGENT_ONLY)
def restart(run: Run) -> None:
    """Killed, down for a while, started again."""
    it = scene(run, "restart")
    it.plane.stop_apiserver(kill=True)
    down, since = time.monotonic(), len(it.proxy.requests)
    for _ in range(4):
        it.goes_on()
        time.sleep(0.5)
    it.plane.start_apiserver()
    bearable(it.requests(since), time.monotonic() - down)
    it.change()
    print(f"     caught up after {it.catches_up():.1f} s", flush=True)
    it.goes_on()
    lists, _ = it.counts()
    assert lists <= 3, it.story()  # the version that was seen may be gone from the memory of a new server


@scenario("kubernetes/faults-cut", seconds=120, agent_only=AGENT_ONLY)
def cut(run: Run) -> None:
    """A watch that is cut goes on from where it was: no list is needed."""
    it = scene(run, "cut")
    assert it.proxy.cut_watches("pods") == 1
    it.change()
    it.goes_on()
    it.catches_up()
    lists, watches = it.counts()
    assert (lists, watches) == (1, 2), f"{lists} lists, {watches} watches"
    _, second = [request for request in it.requests() if request.verb == "watch"]
    assert int(second.query["resourceVersion"]) > 0, second


@scenario("kubernetes/faults-gone", seconds=120, agent_only=AGENT_ONLY)
def gone(run: Run) -> None:
    """410: the version that the watch went on from is gone, said in the watch, and to a new one. One list each repairs it."""
    it = scene(run, "gone")
    assert it.proxy.expire_watches("pods") == 1
    it.change()
    it.goes_on()
    it.catches_up()
    assert it.counts() == (2, 2), it.counts()
    it.proxy.fault(410, "watch", "pods", times=1)
    assert it.proxy.cut_watches("pods") == 1
    it.goes_on()
    it.catches_up()
    lists, watches = it.counts()
    assert lists == 3 and watches <= 5, f"{lists} lists, {watches} watches"
    # and as the server says it itself
    it.proxy.cut_watches("pods")
    it.plane.compact()
    it.plane.restart_apiserver()
    it.catches_up()
    it.goes_on()


def refused(run: Run, code: int, retry_after: int | None) -> None:
    """429 with Retry-After is obeyed; 500 is tried again with growing pauses."""
    it = scene(run, f"refused-{code}")
    it.proxy.fault(code, "watch", "pods", retry_after=retry_after)
    since, began = len(it.proxy.requests), time.monotonic()
    it.proxy.cut_watches("pods")
    it.change()
    while time.monotonic() < began + 6:
        it.goes_on()
        time.sleep(0.5)
    requests = it.requests(since)
    bearable(requests, 6)
    told = [request.at for request in requests if request.code == code]
    assert len(told) >= 2, f"{it.story()}\n{it.program.tail()}"
    pauses = [later - earlier for earlier, later in zip(told, told[1:])]
    if retry_after:
        assert all(pause >= retry_after - 0.1 for pause in pauses), f"asked again after {pauses}"
    it.proxy.heal()
    it.catches_up()
    assert it.counts()[0] <= 2, it.story()


add("kubernetes/faults-429", functools.partial(refused, code=429, retry_after=2), 120, AGENT_ONLY)
add("kubernetes/faults-500", functools.partial(refused, code=500, retry_after=None), 120, AGENT_ONLY)


@scenario("kubernetes/faults-slow", seconds=120, agent_only=AGENT_ONLY)
def slow(run: Run) -> None:
    """Every answer takes three seconds: nothing waits for it but what it tells."""
    it = scene(run, "slow")
    it.proxy.delay(3)
    it.proxy.expire_watches("pods")
    it.change()
    for _ in range(6):
        it.goes_on()
        time.sleep(0.5)
    it.catches_up()
    assert it.counts()[0] == 2, it.counts()


@scenario("kubernetes/faults-token", seconds=240, agent_only=AGENT_ONLY)
def token(run: Run) -> None:
    """The token expires before the kubelet writes the next one: 401, until the file has a new one. No restart is needed."""
    it = scene(run, "token")
    it.plane.revoke_token(it.account)

    def refused() -> bool:
        it.proxy.cut_watches("pods")  # a watch that is open goes on; the next one is refused
        time.sleep(1)
        return any(request.code == 401 for request in it.requests())

    until(refused, lambda: f"401: {[(r.verb, r.code) for r in it.requests()]}", 60 * PATIENCE)
    since, began = len(it.proxy.requests), time.monotonic()
    it.change()
    for _ in range(6):
        it.goes_on()
        time.sleep(0.5)
    bearable(it.requests(since), time.monotonic() - began)
    it.plane.renew_token(it.account)
    print(f"     new token: caught up after {it.catches_up(90):.1f} s", flush=True)
    it.goes_on()
