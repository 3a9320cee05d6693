"""The names under which the prepared engine is known to the kernel: from its state folder, so that two of them never meet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Place:
    """Names and addresses of one prepared engine.

    Attributes:
        name: of its cgroup and of its nftables table.
        interface: this machine's end of the cable into the engine's network.
        outside: this machine's address on it (of a /30 network).
        inside: the engine's address on it.
    """

    name: str
    interface: str
    outside: str
    inside: str


def place(state: Path) -> Place:
    """The names that belong to a state folder."""
    digest = hashlib.sha256(str(state).encode()).hexdigest()
    subnet = f"10.{213 + int(digest[0], 16) % 4}.{int(digest[1:3], 16)}"
    return Place(f"finetune-{digest[:6]}", f"finetune{digest[:6]}", f"{subnet}.1", f"{subnet}.2")
