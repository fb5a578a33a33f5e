"""`otel-agent doctor` on a real control plane: each fault is made, found, and mended by the very command that was printed."""

from . import applications, inside, nodes, prometheus  # noqa: F401
