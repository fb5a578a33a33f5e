"""The books of a program: what it accepted must be what it sent, dropped with a reason, or still holds."""

from . import otlp
from .program import Program
from .waiting import until


def assert_balanced(program: Program, **sent: int) -> None:
    """Waits until the program is at rest, then checks its own counts; `sent` are exact numbers of items per signal."""
    for signal in otlp.SIGNALS.values():
        wanted = sent.get(signal.name)
        until(lambda: _balanced(program, signal, wanted), lambda: _state(program, signal, wanted), seconds=10)


def _counts(program: Program, signal: otlp.Signal) -> tuple[float, float, float]:
    samples = program.samples()
    return (samples.sum(f"otelcol_receiver_accepted_{signal.counted}"),
            samples.sum(f"otelcol_exporter_sent_{signal.counted}"),
            samples.sum(f"otelcol_exporter_send_failed_{signal.counted}"))


def _balanced(program: Program, signal: otlp.Signal, wanted: int | None) -> bool:
    accepted, sent, failed = _counts(program, signal)
    return accepted == sent + failed and wanted in (None, sent)


def _state(program: Program, signal: otlp.Signal, wanted: int | None) -> str:
    accepted, sent, failed = _counts(program, signal)
    return f"{signal.name}: accepted {accepted:g} = sent {sent:g} + failed {failed:g}; {wanted} were to be sent"
