"""The port at which the nodes of a local run meet."""

from __future__ import annotations

import socket


def free_port(wanted: int) -> int:
    """`wanted` if nobody listens there, else another one that is free now."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            found: int = probe.getsockname()[1]
            return found
    raise OSError("no free port")
