"""The scenarios, in the order in which they run."""

from . import clients, collectors, delivery, kubernetes, lifecycle, oracle, oracle_keys, oracle_validate, watching  # noqa: F401
