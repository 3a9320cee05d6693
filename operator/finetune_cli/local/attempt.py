"""One attempt: all its nodes from start until the last process has left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from finetune_api.contract import ExitCode, TerminationMessage
from finetune_api.restart import attempt_outcome
from finetune_cli.local.nodes import Node
from finetune_cli.local.stop import StopRequests

_TICK = 0.1
#: What the other nodes get to notice by themselves that one has failed.
_PEER_SECONDS = 5.0
#: What a launcher gets beyond gracefulStopSeconds to kill its ranks and say why.
_LAST_WORDS_SECONDS = 10.0


def supervise(
    nodes: Sequence[Node], graceful_seconds: float, deadline: float, stop: StopRequests, tick: Callable[[], None]
) -> list[Node]:
    """Wait until every process of every node has left, and see to it that they do once one node has failed.

    Args:
        graceful_seconds: time between asking all nodes to save and leave, and killing them.
        deadline: time.monotonic() at which they are asked to.
        stop: requests of the user.
        tick: called about ten times a second.

    Returns:
        The nodes in the order in which their launchers left.
    """
    left: list[Node] = []
    failed_at = asked_at = None
    while remaining := [node for node in nodes if not node.gone()]:
        now = time.monotonic()
        left += [node for node in nodes if node.exit_code is not None and node not in left]
        if failed_at is None and any(node.exit_code for node in left):
            failed_at = now
        overdue = asked_at is not None and now - asked_at > graceful_seconds + _LAST_WORDS_SECONDS
        if stop.at_once or overdue:
            for node in remaining:
                node.kill()
        elif asked_at is None and (stop.asked or now >= deadline or (failed_at is not None and now - failed_at > _PEER_SECONDS)):
            asked_at = now
            for node in remaining:
                node.terminate()
        tick()
        time.sleep(_TICK)
    tick()
    return left + [node for node in nodes if node not in left]


@dataclass(frozen=True)
class LastWords:
    """What a node left behind: its exit code and, if it had the time, its own account."""

    node: int
    exit_code: int
    message: TerminationMessage | None


def read_last_words(node: Node, termination_log: Path) -> LastWords:
    """The account of a node that has left."""
    try:
        message = TerminationMessage.model_validate_json(termination_log.read_text())
    except (FileNotFoundError, ValidationError):
        message = None
    code = node.exit_code
    return LastWords(node.rank, ExitCode.RETRYABLE if code is None else code, message)


def verdict(words: Sequence[LastWords], logs: Path) -> TerminationMessage | None:
    """The account that explains the attempt's outcome; None if all went well. `words` are in the order of leaving.

    A node that only lost its peer explains nothing as long as another one knows more.
    """
    outcome = attempt_outcome(word.exit_code for word in words)
    if outcome is ExitCode.OK:
        return None
    guilty = [word for word in words if attempt_outcome([word.exit_code]) is outcome]
    told = [word.message for word in guilty if word.message]
    for message in told:
        if message.reason != "PeerLost":
            return message
    silent = next((word for word in guilty if not word.message), None)
    if silent is None:
        return told[0]
    how = f"was killed by signal {-silent.exit_code}" if silent.exit_code < 0 else f"left with exit code {silent.exit_code}"
    text = f"The launcher of node {silent.node} {how} and gave no reason. Its output is in {logs / log_name(silent.node)}."
    return TerminationMessage(exit_code=outcome, reason="LauncherDied", message=text, node_rank=silent.node)


def log_name(node: int) -> str:
    """File of a node's output in the attempt's log folder."""
    return f"node-{node}.log"
