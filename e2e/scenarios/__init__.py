"""The scenarios, in the order in which they run."""

from . import clients, collectors, delivery, lifecycle, oracle  # noqa: F401
