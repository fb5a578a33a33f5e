"""One control plane of each minor for all scenarios of a run that only need one that works.

It is started by the first scenario that asks, with all programs, and ended with the run. Scenarios keep out of each other's
way by namespaces and nodes of their own; one that takes a part of it down puts it back.
"""

import atexit

from .. import parts
from .plane import ControlPlane

_planes: dict[str, ControlPlane] = {}


def plane(minor: str | None = None) -> ControlPlane:
    """The control plane of that minor, or of the main one."""
    minor = minor or parts.minors()[0]
    if minor not in _planes:
        started = ControlPlane(minor)
        started.start()
        atexit.register(started.stop)
        _planes[minor] = started
    return _planes[minor]
