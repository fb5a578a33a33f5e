"""The books of a program: what it accepted must be what it sent, dropped with a reason, still holds, or keeps for later."""

from dataclasses import dataclass

from . import otlp
from .program import Program
from .waiting import until


@dataclass
class Books:
    """One signal's counts, over all pipelines and exporters."""

    accepted: float
    sent: float
    dropped: float
    held: float
    reasons: dict[str, float]
    kept: float = 0

    @property
    def at_rest(self) -> bool:
        return self.held == 0 and self.kept == 0 and self.accepted == self.sent + self.dropped


def books(program: Program, signal: str) -> Books:
    samples = program.samples()
    counted = otlp.SIGNALS[signal].counted
    if program.kind == "collector":
        # it keeps no ledger; what it accepted and what its exporters did is the nearest thing
        accepted = samples.sum(f"otelcol_receiver_accepted_{counted}")
        sent = samples.sum(f"otelcol_exporter_sent_{counted}")
        failed = samples.sum(f"otelcol_exporter_send_failed_{counted}")
        return Books(accepted, sent, failed, accepted - sent - failed, {})
    dropped = samples.of("otel_agent_ledger_dropped_items", otel_signal=signal)
    reasons: dict[str, float] = {}
    for sample in dropped:
        reasons[sample.labels["reason"]] = reasons.get(sample.labels["reason"], 0) + sample.value
    return Books(
        accepted=samples.sum("otel_agent_ledger_accepted_items", otel_signal=signal),
        sent=samples.sum("otel_agent_ledger_sent_items", otel_signal=signal),
        dropped=sum(reasons.values()),
        held=samples.sum("otel_agent_ledger_held_items", otel_signal=signal),
        reasons={reason: number for reason, number in reasons.items() if number},
        kept=samples.sum("otel_agent_ledger_kept_items", otel_signal=signal))


def assert_balanced(program: Program, **sent: int) -> None:
    """Waits until the program is at rest with its books balanced; `sent` are exact numbers of items per signal."""
    for signal in otlp.SIGNALS:
        wanted = sent.get(signal)

        def settled() -> bool:
            found = books(program, signal)
            return found.at_rest and wanted in (None, found.sent)

        until(settled, lambda: f"{signal}: {books(program, signal)} is at rest and {wanted} were sent", seconds=10)
        assert not books(program, signal).reasons.get("unaccounted"), "items are unaccounted for"


def assert_in_order(program: Program) -> None:
    """An agent that runs, at rest or not, knows where every item that it accepted is."""
    if program.kind != "agent" or not program.running():
        return
    for signal in otlp.SIGNALS:
        def settled() -> bool:
            found = books(program, signal)
            return found.accepted == found.sent + found.dropped + found.held + found.kept

        until(settled, lambda: f"{signal}: {books(program, signal)} add up", seconds=5)
        assert not books(program, signal).reasons.get("unaccounted"), "items are unaccounted for"
