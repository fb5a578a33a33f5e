"""Processor `k8sattributes` on a real control plane: what is added, to whose data, with which rights, and when the API fails."""

from . import faults, in_pod, load, new_pods, oracle, rights, storm, validate, waiting  # noqa: F401
