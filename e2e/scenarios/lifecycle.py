"""Starting, stopping and loading a new configuration, including every way in which a configuration can be unusable."""

import functools
import re
import signal
import socket
import tempfile
import threading
import time
from pathlib import Path

import grpc

from harness import generate, otlp, send
from harness.backend import Answer, Backend
from harness.configs import changed, written
from harness.program import Program
from harness.runner import Run, add, scenario
from harness.waiting import until


@scenario("lifecycle/SIGTERM drains what was accepted")
def drains(run: Run) -> None:
    backend = run.open(Backend(lambda _: Answer(seconds=0.2)))
    config = run.open(changed("delivery.yaml", "timeout: 100ms", "timeout: 60s"))
    program = run.start([config], {**backend.env, "BATCH_SIZE": 100})
    items = send.numbered(program.port("GRPC"), requests=15, items=30)
    assert program.terminate() == 0, program.tail()
    send.assert_each_once(backend, items)


@scenario("lifecycle/SIGTERM while clients send")
def drains_under_load(run: Run) -> None:
    """What was answered with success before the end is at the backend; what was refused is nobody's loss."""
    backend = run.open(Backend(lambda _: Answer(seconds=0.05)))
    program = run.start(["delivery.yaml"], {**backend.env, "BATCH_SIZE": 100})
    accepted: dict[str, set[int]] = {name: set() for name in otlp.SIGNALS}

    def client(first: int) -> None:
        client = send.Client(program.port("GRPC"))
        for at in range(first, first + 1_000_000, 10):
            for name in otlp.SIGNALS:
                try:
                    client.export(name, generate.request(name, at, 10))
                except grpc.RpcError:
                    return client.close()
                accepted[name].update(range(at, at + 10))

    clients = [threading.Thread(target=client, args=(number * 1_000_000,), daemon=True) for number in range(4)]
    for one in clients:
        one.start()
    time.sleep(1)
    assert program.terminate() == 0, program.tail()
    for one in clients:
        one.join(15)
    for name, expected in accepted.items():
        assert len(expected) > 100, "hardly anything was sent"
        found = {item.attributes["seq"] for item in backend.items(name)}
        assert expected <= found, f"{name}: {len(expected - found)} accepted items did not arrive"


@scenario("lifecycle/SIGINT stops as well")
def interrupt(run: Run) -> None:
    backend = run.open(Backend())
    program = run.start(["delivery.yaml"], backend.env)
    program.process.send_signal(signal.SIGINT)
    assert program.wait() == 0, program.tail()


@scenario("lifecycle/SIGTERM with the backend down counts the loss", agent_only="it has no deadline for draining")
def drains_into_nothing(run: Run) -> None:
    program = run.start(["delivery.yaml"], {"BACKEND_GRPC_PORT": 1, "BACKEND_HTTP_PORT": 1})
    items = send.numbered(program.port("GRPC"), requests=2)
    assert program.terminate(60) == 0, program.tail()
    assert str(items) in program.log(), f"the log does not tell that {items} items were lost:\n{program.tail()}"


@scenario("lifecycle/SIGHUP loads a new configuration")
def reload_good(run: Run) -> None:
    backend = run.open(Backend())
    config = run.open(changed("delivery.yaml", "timeout: 100ms", "timeout: 60s"))
    program = run.start([config], backend.env)
    first = send.numbered(program.port("GRPC"), requests=2)
    config.write_text(config.read_text().replace("node-1", "node-2"))
    program.hang_up()
    # what the old configuration had accepted and still held comes first, as it would have without the reload
    send.assert_each_once(backend, first)
    assert {item.resource["k8s.node.name"] for item in backend.items("logs")} == {"node-1"}
    until(program.healthy, "the program is ready again")
    backend.forget()
    config.write_text(config.read_text().replace("timeout: 60s", "timeout: 100ms"))
    _reloaded(program)
    until(program.healthy, "the program is ready again")
    second = send.numbered(program.port("GRPC"), requests=2, first=first)
    send.assert_each_once(backend, second, first=first)
    assert {item.resource["k8s.node.name"] for item in backend.items("logs")} == {"node-2"}
    assert program.terminate() == 0, program.tail()


def _reloaded(program: Program) -> None:
    """SIGHUP, and what was in use before is no longer."""
    if program.kind == "collector":
        program.hang_up()
        time.sleep(1)  # it does not tell
        return
    applied = lambda: program.samples().sum("otel_agent_config_reloads", outcome="applied")  # noqa: E731
    before = applied()
    program.hang_up()
    until(lambda: applied() > before, lambda: f"the configuration is applied\n{program.tail()}")


@scenario("lifecycle/SIGHUP with a bad configuration keeps the old", agent_only="it ends")
def reload_bad(run: Run) -> None:
    backend = run.open(Backend())
    config = run.open(changed("delivery.yaml"))
    program = run.start([config], backend.env)
    good = config.read_text()
    config.write_text(good.replace("send_batch_size", "send_batch_sice"))
    program.hang_up()
    until(lambda: "send_batch_sice" in program.log(), lambda: f"the log names the key:\n{program.tail()}")
    items = send.numbered(program.port("GRPC"), requests=2)
    send.assert_each_once(backend, items)
    assert {item.resource["k8s.node.name"] for item in backend.items("logs")} == {"node-1"}
    config.write_text(good.replace("node-1", "node-2"))
    program.hang_up()
    # and a good one after it is taken
    until(lambda: changes(program, backend), lambda: f"the new configuration is used:\n{program.tail()}")


def changes(program: Program, backend: Backend) -> bool:
    backend.forget()
    try:
        send.numbered(program.port("GRPC"), requests=1, items=1)
    except (AssertionError, OSError):
        return False  # it is between the two
    backend.wait_for("logs", 1)
    return backend.items("logs")[0].resource["k8s.node.name"] == "node-2"


# --- a start that must fail, with exit code 1 and a message that helps

def refuses_to_start(run: Run, config: Path, *texts: str) -> str:
    program = Program(run.kind, [config], {"BACKEND_GRPC_PORT": 1, "BACKEND_HTTP_PORT": 1})
    run.stack.callback(program.kill)
    program.spawn()
    code = program.wait(15)
    log = program.log()
    assert code == 1, f"exit code {code}:\n{log}"
    if run.kind == "agent":
        missing = [text for text in texts if text not in log]
        assert not missing, f"the message does not say {missing}:\n{log}"
        assert "panicked" not in log, log
    return log


def missing(run: Run) -> None:
    refuses_to_start(run, Path("/nonexistent/agent.yaml"), "/nonexistent/agent.yaml")


def directory(run: Run) -> None:
    folder = run.open(tempfile.TemporaryDirectory())
    refuses_to_start(run, Path(folder), folder, "directory")


def unusable(text: str, *messages: str):
    def check(run: Run) -> None:
        config = run.open(written(text))
        refuses_to_start(run, config, str(config), *messages)

    return check


def misspelt(old: str, new: str, *messages: str):
    """One change in a good file."""

    def check(run: Run) -> None:
        config = run.open(changed("delivery.yaml", old, new))
        line = 1 + config.read_text()[:config.read_text().rindex(new)].count("\n")
        log = refuses_to_start(run, config, str(config), *messages)
        if run.kind == "agent":
            places = [int(n) for n in re.findall(re.escape(str(config)) + r":(\d+)", log)]
            assert any(line <= place <= line + new.count("\n") for place in places), \
                f"no place in line {line} is named:\n{log}"

    return check


def port_in_use(name: str, run: Run) -> None:
    backend = run.open(Backend())
    taken = run.open(socket.socket())
    taken.bind(("127.0.0.1", 0))
    taken.listen()
    port = str(taken.getsockname()[1])
    program = Program(run.kind, ["delivery.yaml"], backend.env)
    run.stack.callback(program.kill)
    program.ports[f"{name}_PORT"] = int(port)
    program.env[f"{name}_PORT"] = port
    program.spawn()
    assert program.wait(15) == 1, program.tail()
    assert port in program.log() and "in use" in program.log(), program.tail()


def every_problem(run: Run) -> None:
    """Three mistakes in one file are told in one go, each with its line."""
    config = run.open(changed("delivery.yaml", "timeout: 100ms", "timeout: soon", "queue_size: 5000", "queue_sise: 5000",
                              "processors: [memory_limiter, resource, batch]", "processors: [memory_limiter, resourse]"))
    log = refuses_to_start(run, config, "soon", "queue_sise", "resourse")
    places = set(re.findall(re.escape(str(config)) + r":(\d+)", log))
    assert len(places) >= 3, f"places {places}:\n{log}"


for _name, _check in {
    "config file missing": missing,
    "config file is a directory": directory,
    "config file empty": unusable("", "empty"),
    "config file only comments": unusable("# nothing\n", "empty"),
    "config file is not YAML": unusable("receivers: [otlp\nexporters: }{"),
    "config file with tabs": unusable("receivers:\n\totlp:\n", "tab"),
    "config file is a list": unusable("- receivers\n- exporters\n"),
    "config file is binary": unusable("\x00\x01\x02\x7f"),
    "unknown key": misspelt("send_batch_size:", "send_batch_sice:", "send_batch_sice", "send_batch_size"),
    "unknown component": misspelt("  batch:\n", "  bacth:\n", "bacth"),
    "undefined reference": misspelt("[memory_limiter, resource, batch]", "[memory_limiter, resource, bathc]", "bathc"),
    "wrong type": misspelt("queue_size: 5000", "queue_size: many", "queue_size"),
    "wrong duration": misspelt("timeout: 100ms", "timeout: soon", "soon"),
    "duplicate key": misspelt("\nexporters:", "  batch:\n\nexporters:", "batch"),
}.items():
    add(f"lifecycle/refuses to start: {_name}", _check)
add("lifecycle/refuses to start: every problem at once", every_problem, agent_only="it stops at the first kind of problem")
for _port in ("GRPC", "HTTP", "METRICS", "HEALTH"):
    add(f"lifecycle/refuses to start: {_port} port in use", functools.partial(port_in_use, _port))
