"""The scenarios, in the order in which they run."""

from . import clients, collectors, delivery, lifecycle, oracle, oracle_more  # noqa: F401
