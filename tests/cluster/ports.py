"""Ports for the servers of the suite."""

from __future__ import annotations

import random
import socket

#: Below the ports that the kernel hands out to clients, so that a server that was killed finds its own free again.
_PORTS = range(20000, 30000)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    for port in random.sample(_PORTS, 50):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"no free port in {_PORTS}")
