"""`otel-agent doctor` on a real control plane: each fault is made, found, and mended by the very command that was printed."""

from . import applications, create, inside, nodes, pods, prometheus, service  # noqa: F401
