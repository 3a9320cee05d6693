"""The engine's network namespace: a cable to this machine, and the way out through it.

Bridges, firewall rules and settings of Docker and of the nodes are inside, and vanish with it. On this machine there are one
interface, one nftables table and net.ipv4.ip_forward.
"""

from __future__ import annotations

import json

from cluster.command import run, succeeds
from cluster.prepared.place import Place

_WAY_OUT = """
table ip {name} {{
  chain out {{
    type nat hook postrouting priority srcnat;
    ip saddr {inside} oifname != {interface} masquerade
  }}
}}
"""


def connect(place: Place, process: int) -> None:
    """Connect the network namespace of a process to this machine's. Its default route comes last: then all is there."""
    run(["sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1"])
    run(["nft", "--file", "-"], stdin=_WAY_OUT.format(**vars(place)))
    mtu = str(largest_packet())
    run(["ip", "link", "add", place.interface, "mtu", mtu, "type", "veth", "peer", "eth0", "mtu", mtu, "netns", str(process)])
    run(["ip", "address", "add", f"{place.outside}/30", "dev", place.interface])
    run(["ip", "link", "set", place.interface, "up"])
    inside = ["nsenter", "--target", str(process), "--net", "ip"]
    run([*inside, "address", "add", f"{place.inside}/30", "dev", "eth0"])
    run([*inside, "link", "set", "lo", "up"])
    run([*inside, "link", "set", "eth0", "up"])
    run([*inside, "route", "add", "default", "via", place.outside])


def largest_packet() -> int:
    """The MTU, in bytes, of the way out of this machine."""
    routes = json.loads(run(["ip", "-json", "route", "show", "default"]))
    return int(json.loads(run(["ip", "-json", "link", "show", routes[0]["dev"]]))[0]["mtu"]) if routes else 1500


def disconnect(place: Place) -> None:
    """Remove what connect made on this machine, also half of it."""
    if succeeds(["nft", "list", "table", "ip", place.name]):
        run(["nft", "delete", "table", "ip", place.name])
    if succeeds(["ip", "link", "show", place.interface]):
        run(["ip", "link", "delete", place.interface])
