"""The scenarios, in the order in which they run."""

from . import (  # noqa: F401
    clients,
    collectors,
    delivery,
    doctor,
    fairness,
    hostile,
    image,
    k8sattributes,
    kubernetes,
    lifecycle,
    locality,
    manifests,
    oracle,
    oracle_keys,
    oracle_validate,
    overload,
    prometheus,
    reliability,
    soak,
    watching,
)
