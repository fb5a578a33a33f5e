"""`otel-agent doctor` on a real control plane: each fault is made, found, and mended by the very command that was printed."""

from . import (applications, associations, backends, create, inside, memory, nodes, pods, prometheus, quiet, refusals, rights,  # noqa: F401
               rollout, service)
