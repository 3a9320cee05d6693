"""The fence around an output folder: of two generations of the same node, only the newer one may write.

A lost node's launcher may still be running when its replacement starts. Each launcher therefore leaves a token (attempt, pod UID)
for its node rank in the state folder, and whoever is about to change results checks that the token is still its own.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


class Fenced(Exception):  # noqa: N818  (a state, and the name of its exit code)
    """A newer attempt or pod owns the output folder; nothing may be written any more."""


@dataclass(frozen=True)
class Token:
    """Who writes for one node rank."""

    attempt: int
    pod_uid: str


def claim(state_dir: Path, node_rank: int, attempt: int, pod_uid: str) -> None:
    """Take the place of `node_rank`. The latest pod at the same attempt wins.

    Raises:
        Fenced: a node of a higher attempt has been here; nothing was written.
    """
    _refuse_older(tokens(state_dir), attempt)
    path = _path(state_dir, node_rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{pod_uid}.{os.getpid()}.tmp")
    scratch.write_text(json.dumps(asdict(Token(attempt, pod_uid))))
    scratch.replace(path)


def check(state_dir: Path, node_rank: int, attempt: int, pod_uid: str) -> None:
    """Call before results are changed.

    Raises:
        Fenced: the place of `node_rank` was taken, or a node of a higher attempt has been here.
    """
    found = tokens(state_dir)
    _refuse_older(found, attempt)
    if found.get(node_rank) != Token(attempt, pod_uid):
        raise Fenced(f"Another pod has taken the place of node {node_rank} in attempt {attempt}.")


def tokens(state_dir: Path) -> dict[int, Token]:
    """All tokens, by node rank."""
    files = (state_dir / "fence").glob("node-*.json")
    return {int(file.stem.removeprefix("node-")): Token(**json.loads(file.read_text())) for file in files}


def next_attempt(state_dir: Path) -> int:
    """The lowest attempt number that nobody has used in this output folder."""
    return max((token.attempt for token in tokens(state_dir).values()), default=-1) + 1


def _refuse_older(found: dict[int, Token], attempt: int) -> None:
    newest = max((token.attempt for token in found.values()), default=attempt)
    if newest > attempt:
        raise Fenced(f"Attempt {newest} owns the output folder; this is attempt {attempt}.")


def _path(state_dir: Path, node_rank: int) -> Path:
    return state_dir / "fence" / f"node-{node_rank}.json"
