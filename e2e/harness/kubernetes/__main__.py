"""A control plane for use by hand: runs until it is ended. `e2e/kubernetes/start.sh` calls it.

Writes the kubeconfig's path into the file that is its first argument as soon as all is ready.
"""

import argparse
import signal
from pathlib import Path

from .. import ending, parts
from .plane import ControlPlane


def main() -> None:
    parser = argparse.ArgumentParser(prog="e2e/kubernetes/start.sh", description="A Kubernetes control plane on loopback")
    parser.add_argument("ready", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--minor", default=parts.minors()[0], choices=parts.minors(), help="which minor of Kubernetes")
    parser.add_argument("--nodes", type=int, default=3, help="how many nodes there are from the start")
    options = parser.parse_args()
    ending.cleanly()
    with ControlPlane(options.minor) as plane:
        if options.nodes:
            plane.nodes(options.nodes)
        kubectl = f"{parts.kubernetes() / options.minor / 'kubectl'} --kubeconfig {plane.kubeconfig}"
        options.ready.write_text(f"Kubernetes {plane.minor}, ready in {plane.ready_seconds:.1f} s, {options.nodes} nodes\n"
                                 f"kubeconfig: {plane.kubeconfig}\nkubectl:    {kubectl}\nlogs:       {plane.folder}\n")
        signal.pause()


if __name__ == "__main__":
    main()
