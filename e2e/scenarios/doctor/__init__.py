"""`otel-agent doctor` on a real control plane: each fault is made, found, and mended by the very command that was printed."""

from . import applications, create, inside, memory, nodes, pods, prometheus, rights, rollout, service  # noqa: F401
