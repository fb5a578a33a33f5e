"""Everything that a chaos run is made of, and what the steps of its plan do to it: the program in its namespace, the backend
behind two gates, the clients."""

import re
import signal
import ssl
import time
import urllib.error
import urllib.request
from collections import Counter
from contextlib import ExitStack
from email.utils import parsedate_to_datetime
from pathlib import Path

from harness import parts
from harness.kubernetes.certificates import Authority
from harness.program import Program
from harness.waiting import until
from reliability.clients import Crowd
from reliability.gate import Gate
from reliability.house import NAME, House
from reliability.sink import Sink

CONFIG = Path(__file__).with_name("chaos.yaml")
LEFT = re.compile(r"Stopped before everything was delivered.*?\bitems[=:\" ]+(\d+)")


class Stage:
    """Set up on entry, with the clients at work."""

    def __init__(self, seed: int, journal: bool, tell):
        self.journal = journal
        self.tell = tell
        self.seed = seed
        self.lives = 1
        self.lost_at_kills = 0  # items that were held in memory alone at a kill -9
        self.left_at_stops = 0  # items that the log of a stop says were left
        self.live_answers: Counter = Counter()
        self.moving_answers: Counter = Counter()
        self.reloads: Counter = Counter()
        self.ends: list[str] = []
        self._disk: Counter = Counter()
        self._wanted = True  # whether the program should run
        self._generation = 0
        self._log_read = 0
        self._stack = ExitStack()

    def __enter__(self) -> "Stage":
        with ExitStack() as stack:
            self.house = stack.enter_context(House(parts.faketime()))
            self._authority = Authority(self.house.folder)
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.set_alpn_protocols(["h2"])
            self.certify(3600)
            self.sink = stack.enter_context(Sink())
            self.gates = {"grpc": stack.enter_context(Gate(self.sink.grpc_port, self._tls)),
                          "http": stack.enter_context(Gate(self.sink.http_port))}
            self._config = self.house.folder / "agent.yaml"
            self._text = CONFIG.read_text()
            if not self.journal:
                self._text = self._text.replace("      storage: file_storage\n", "")
            self._write()
            self.house.clock("+3d")
            self.program = stack.enter_context(Program("agent", [self._config], {
                **self.house.env, "CA_FILE": self._authority.file, "BACKEND_GRPC_PORT": self.gates["grpc"].port,
                "BACKEND_HTTP_PORT": self.gates["http"].port}, ["--drain-timeout", "2s"], prefix=self.house.prefix))
            self.clock_can_jump = self._try_clock()
            self.crowd = Crowd(self.program.port("GRPC"), self.program.port("HTTP"), self.seed)
            self.crowd.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *failure) -> None:
        self._stack.__exit__(*failure)

    def _try_clock(self) -> bool:
        """Whether it was started three days ahead. A program that is linked statically has the real clock only; then the
        kind is left out and said so."""
        with urllib.request.urlopen(self._url("/live"), timeout=5) as answer:
            ahead = parsedate_to_datetime(answer.headers["Date"]).timestamp() - time.time()
        self.house.clock("+0")
        return ahead > 86400

    # --- steps of the plan

    def certify(self, seconds: int) -> None:
        """New connections see a certificate that is valid for so long."""
        certificate, key = self._authority.server("backend", [NAME], seconds)
        self._tls.load_cert_chain(certificate, key)

    def rename(self, address: str | None) -> None:
        self.house.name_is(address)
        # A name is looked up when a connection is made.
        for gate in self.gates.values():
            gate.reset()

    def disk(self, trouble: str, begins: bool) -> None:
        self._disk[trouble] += 1 if begins else -1
        if trouble == "full":
            self.house.fill_disk() if begins else self._disk[trouble] or self.house.empty_disk()
        else:
            self.house.protect_disk() if begins else self.house.unprotect_disk()

    def reload_good(self) -> None:
        self._generation += 1
        self._write()
        self._hang_up("good")

    def reload_bad(self) -> None:
        if not self._listens():
            return  # a start would find it
        self._config.write_text(self._text.replace("send_batch_size", "send_batch_sice"))
        self._hang_up("bad")
        time.sleep(0.1)
        self._write()  # also for the next start

    def kill(self) -> None:
        if not self._wanted:
            return
        self._wanted = False
        if not self.journal:
            # What is in memory alone is known exactly only while nobody sends.
            self.crowd.pause()
            self.lost_at_kills += int(self._held())
        self.program.kill()
        self.crowd.go_on()

    def terminate(self) -> None:
        if self._wanted and self.program.running():
            self.program.process.send_signal(signal.SIGTERM)
        self._wanted = False

    def start(self) -> None:
        if self._wanted:
            return
        self.program.wait(30)
        self._note_end()
        self._wanted = True
        self.lives += 1
        self.program.spawn()

    # --- what is looked at meanwhile

    def watch(self) -> None:
        """Starts a program again that could not go on, as a kubelet does; an end without a reason is a failure."""
        if not self._wanted:
            return
        if self.program.running():
            return self._ask()
        self._note_end()
        reason = self.program.log().strip().splitlines()[-1][:200]
        self.ends.append(reason)
        assert any(self._disk.values()) or "journal" in reason, f"the program ended by itself:\n{self.program.tail()}"
        self.tell(f"it could not start: {reason}")
        time.sleep(0.3)
        self.program.spawn()

    def calm(self) -> None:
        """All faults end; clients stop; the program runs and has sent what it had."""
        self.sink.mood = {"grpc": None, "http": None}
        self.house.clock("+0")
        self.house.name_is("127.0.0.1")
        if self._disk["full"]:
            self.house.empty_disk()
        self.start()
        self.watch()
        until(self.program.healthy, "the program is ready again", 60)
        self.crowd.stop()

    def _ask(self) -> None:
        for path, answers in (("/live", self.live_answers), ("/moving", self.moving_answers)):
            try:
                with urllib.request.urlopen(self._url(path), timeout=10) as answer:
                    answers[answer.status] += 1
            except urllib.error.HTTPError as error:
                answers[error.code] += 1
            except (ConnectionError, urllib.error.URLError):
                pass  # it is starting
            except TimeoutError:
                answers["no answer"] += 1

    def _held(self) -> float:
        try:
            samples = self.program.samples()
        except OSError:
            return 0  # it was starting
        return samples.sum("otel_agent_ledger_held_items")

    def _note_end(self) -> None:
        log = self.program.log()
        new, self._log_read = log[self._log_read:], len(log)
        self.left_at_stops += sum(int(items) for items in LEFT.findall(new))
        assert "panicked" not in new and "lost track of" not in new, self.program.tail()

    def _write(self) -> None:
        self._config.write_text(self._text.replace("generation-0", f"generation-{self._generation}"))

    def _hang_up(self, kind: str) -> None:
        # Before it listens for signals, this one would end it.
        if self._listens():
            self.reloads[kind] += 1
            self.program.hang_up()

    def _listens(self) -> bool:
        return self._wanted and self.program.running() and self.program.healthy()

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.program.port('HEALTH')}{path}"
