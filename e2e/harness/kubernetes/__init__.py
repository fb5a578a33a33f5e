"""A real Kubernetes control plane for scenarios: etcd, kube-apiserver, controllers, scheduler, and kwok as the kubelets.

    with ControlPlane() as plane:
        plane.nodes(20)
        plane.pods(1000)
"""

from .client import Api, ApiError
from .plane import Account, ControlPlane

__all__ = ["Account", "Api", "ApiError", "ControlPlane"]
