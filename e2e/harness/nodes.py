"""Nodes with pods, as network namespaces: each pod has an address of its own and one cable to its node, the nodes share a
bridge, and each node has the rules that kube-proxy writes for a Service.

Pods are connected as by the network plugins that give each a /32 (Calico, AWS): what a pod sends is routed by its node, also
to another pod of the same node. The rules have the structure of kube-proxy's nftables mode (pkg/proxy/nftables): a map from
the Service's address to a chain that picks an endpoint, and one from addresses without a usable endpoint to a verdict.
"""

import subprocess
from dataclasses import dataclass, field

from .namespaces import Namespace

_GATEWAY = "169.254.1.1"  # every pod's way out; its node answers for it
_OUTSIDE = "172.18.0.1"


@dataclass
class Endpoint:
    """One address behind a Service, with the conditions that an EndpointSlice gives it."""

    address: str
    node: str
    ready: bool = True
    serving: bool = True
    terminating: bool = False


@dataclass
class Service:
    """A ClusterIP Service. `policy` is its internalTrafficPolicy."""

    address: str
    ports: dict[str, int]
    policy: str = "Local"
    endpoints: list[Endpoint] = field(default_factory=list)

    def usable(self, node: str) -> tuple[list[Endpoint], str]:
        """Where a node sends traffic, and the verdict when that is nowhere. As kube-proxy's CategorizeEndpoints: ready ones
        first, and those that terminate but still serve when no other is there."""
        of_policy = [e for e in self.endpoints if self.policy == "Cluster" or e.node == node]
        chosen = [e for e in of_policy if e.ready] or [e for e in of_policy if e.serving and e.terminating]
        somewhere = any(e.ready or (e.serving and e.terminating) for e in self.endpoints)
        return chosen, "drop" if somewhere else "goto reject-chain"


class Pod:
    """A network namespace with an address of its node's range."""

    def __init__(self, node: "Node", name: str, address: str):
        self.node, self.name, self.address = node, name, address
        self.namespace = Namespace(name)

    def __enter__(self) -> "Pod":
        self.namespace.__enter__()
        device = f"v{self.address.replace('.', '')[-8:]}"
        self.node.namespace.ip(f"link add {device} type veth peer name eth0 netns {self.namespace.pid}",
                               f"link set {device} up", f"route add {self.address}/32 dev {device}")
        self.node.namespace.set(**{f"ipv4__conf__{device}__proxy_arp": 1, f"ipv4__neigh__{device}__proxy_delay": 0})
        self.namespace.ip("link set eth0 up", f"addr add {self.address}/32 dev eth0",
                          f"route add {_GATEWAY} dev eth0", f"route add default via {_GATEWAY} dev eth0")
        return self

    def __exit__(self, *failure) -> None:
        self.namespace.__exit__(*failure)

    def spawn(self, command: list, **more) -> subprocess.Popen:
        return subprocess.Popen(self.namespace.inside(*command), stdin=subprocess.PIPE, **more)


class Node:
    """A node: its namespace, its range of pod addresses, its rules."""

    def __init__(self, name: str, number: int):
        self.name, self.number = name, number
        self.namespace = Namespace(name)
        self.address = f"172.18.0.{number + 2}"
        self.range = f"10.244.{number}.0/24"
        self._next = 2

    def pod(self, name: str) -> Pod:
        self._next += 1
        return Pod(self, name, f"10.244.{self.number}.{self._next - 1}")

    def apply(self, service: Service) -> None:
        """What kube-proxy does after a change: the maps and the Service's chains are replaced in one transaction, and
        connections that are established stay where they are."""
        self.namespace.run("nft", "-f", "-", text=rules(service, self.name))

    def verdicts(self) -> str:
        """The rules that are in force, for the message of a failure."""
        return self.namespace.run("nft", "list", "table", "ip", "kube-proxy")


BASE = """
add table ip kube-proxy
add map ip kube-proxy service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
add map ip kube-proxy no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
add chain ip kube-proxy nat-prerouting { type nat hook prerouting priority dstnat; }
add chain ip kube-proxy nat-output { type nat hook output priority -100; }
add chain ip kube-proxy nat-postrouting { type nat hook postrouting priority srcnat; }
add chain ip kube-proxy filter-input { type filter hook input priority -110; }
add chain ip kube-proxy filter-forward { type filter hook forward priority -110; }
add chain ip kube-proxy filter-output { type filter hook output priority -110; }
add chain ip kube-proxy reject-chain
add chain ip kube-proxy services
add chain ip kube-proxy service-endpoints-check
add chain ip kube-proxy mark-for-masquerade
add chain ip kube-proxy masquerading
flush chain ip kube-proxy nat-prerouting
add rule ip kube-proxy nat-prerouting jump services
add rule ip kube-proxy nat-output jump services
add rule ip kube-proxy nat-postrouting jump masquerading
add rule ip kube-proxy filter-input ct state new jump service-endpoints-check
add rule ip kube-proxy filter-forward ct state new jump service-endpoints-check
add rule ip kube-proxy filter-output ct state new jump service-endpoints-check
add rule ip kube-proxy reject-chain reject with icmp port-unreachable
add rule ip kube-proxy services ip daddr . meta l4proto . th dport vmap @service-ips
add rule ip kube-proxy service-endpoints-check ip daddr . meta l4proto . th dport vmap @no-endpoint-services
add rule ip kube-proxy mark-for-masquerade meta mark set meta mark or 0x4000
add rule ip kube-proxy masquerading meta mark & 0x4000 == 0 return
add rule ip kube-proxy masquerading meta mark set meta mark xor 0x4000
add rule ip kube-proxy masquerading masquerade fully-random
"""


def rules(service: Service, node: str) -> str:
    """The part of the rules that follows the Service."""
    chosen, verdict = service.usable(node)
    lines = ["flush map ip kube-proxy service-ips", "flush map ip kube-proxy no-endpoint-services"]
    for name, port in service.ports.items():
        key = f"{service.address} . tcp . {port}"
        lines += [f"add chain ip kube-proxy service-{name}", f"flush chain ip kube-proxy service-{name}"]
        if not chosen:
            lines.append(f"add element ip kube-proxy no-endpoint-services {{ {key} : {verdict} }}")
            continue
        ways = []
        for at, endpoint in enumerate(chosen):
            chain = f"endpoint-{endpoint.address}-{port}".replace(".", "-")
            lines += [f"add chain ip kube-proxy {chain}", f"flush chain ip kube-proxy {chain}",
                      f"add rule ip kube-proxy {chain} ip saddr {endpoint.address} jump mark-for-masquerade",
                      f"add rule ip kube-proxy {chain} meta l4proto tcp dnat to {endpoint.address}:{port}"]
            ways.append(f"{at} : goto {chain}")
        lines += [f"add rule ip kube-proxy service-{name} numgen random mod {len(ways)} vmap {{ {', '.join(ways)} }}",
                  f"add element ip kube-proxy service-ips {{ {key} : goto service-{name} }}"]
    return "\n".join(lines) + "\n"


class Network:
    """Nodes `node-0`, `node-1`, ... on one bridge. Each routes to the others' pods, and out."""

    def __init__(self, nodes: int):
        self.wire = Namespace("wire")
        self.nodes = [Node(f"node-{number}", number) for number in range(nodes)]

    def __enter__(self) -> "Network":
        entered = []
        try:
            for namespace in (self.wire, *(node.namespace for node in self.nodes)):
                entered.append(namespace.__enter__())
            self._connect()
        except BaseException:
            for namespace in entered:
                namespace.__exit__()
            raise
        return self

    def __exit__(self, *failure) -> None:
        for node in self.nodes:
            node.namespace.__exit__(*failure)
        self.wire.__exit__(*failure)

    def _connect(self) -> None:
        self.wire.ip("link add br0 type bridge", f"addr add {_OUTSIDE}/24 dev br0", "link set br0 up")
        for node in self.nodes:
            self.wire.ip(f"link add n{node.number} type veth peer name eth0 netns {node.namespace.pid}",
                         f"link set n{node.number} master br0 up")
            node.namespace.ip(f"addr add {node.address}/24 dev eth0", "link set eth0 up", f"route add default via {_OUTSIDE}",
                              *(f"route add {other.range} via {other.address}" for other in self.nodes if other is not node))
            node.namespace.set(ipv4__ip_forward=1, ipv4__conf__all__rp_filter=0, ipv4__conf__default__rp_filter=0)
            node.namespace.run("nft", "-f", "-", text=BASE)
