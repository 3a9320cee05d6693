"""What is looked at while the nodes of an attempt run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from finetune_cli.local import events
from finetune_cli.local.nodes import Node
from finetune_cli.local.progress import ProgressReader
from finetune_cli.local.stop import StopRequests

Show = Callable[[events.Event], None]

_PROGRESS_SECONDS = 0.5
#: How launcher, prepare and ranks begin a line that the person at the screen should see.
_WARNING = "warning: "


class Watch:
    """Shows the nodes' output, node 0's progress, warnings, and that a request to stop was heard.

    Args:
        port_file: where node 0's launcher writes the port of its HTTP server.
    """

    def __init__(self, nodes: Sequence[Node], port_file: Path, show: Show, stop: StopRequests) -> None:
        self._nodes, self._show, self._stop = nodes, show, stop
        self._reader = ProgressReader(port_file)
        self._next_poll = 0.0
        self._told_stop = False

    def tick(self) -> None:
        """Look once; call it about ten times a second."""
        for node in self._nodes:
            if lines := node.tail.read():
                self._show(events.Logged(node.rank, lines))
                for line in lines:
                    if line.startswith(_WARNING):
                        self._show(events.Noted(f"Warning: {line.removeprefix(_WARNING)}"))
        if self._stop.asked and not self._told_stop:
            self._told_stop = True
            self._show(events.Noted("Stopping: saving at the next step; press Ctrl-C again to stop at once."))
        if time.monotonic() >= self._next_poll:
            if progress := self._reader.poll():
                self._show(events.Progressed(progress))
            self._next_poll = time.monotonic() + _PROGRESS_SECONDS
