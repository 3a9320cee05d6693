"""The fence around an output folder: of two generations of the same node, only the newer one may write.

A lost node's launcher may still be running when its replacement starts. Each launcher therefore leaves a token for its node rank in
the state folder, and whoever is about to change results checks that the token is still its own.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


class Fenced(Exception):  # noqa: N818  (a state, and the name of its exit code)
    """A newer attempt or pod owns the output folder; nothing may be written any more."""


@dataclass(frozen=True, order=True)
class Generation:
    """Which attempt of which job; the newer one is greater.

    Attributes:
        job_created: Unix time, in whole seconds; 0 for a job that was never on a cluster. A job that was deleted and created again
            is newer than all attempts of the old one.
        attempt: from 0.
    """

    job_created: int
    attempt: int

    def __str__(self) -> str:
        """As it stands in the names of files."""
        return f"{self.job_created}-{self.attempt}"


@dataclass(frozen=True)
class Token:
    """Who writes for one node rank."""

    job_created: int
    attempt: int
    pod_uid: str

    @property
    def generation(self) -> Generation:
        """Without the pod."""
        return Generation(self.job_created, self.attempt)


def claim(state_dir: Path, node_rank: int, token: Token) -> None:
    """Take the place of `node_rank`. The latest pod of the same attempt wins.

    Raises:
        Fenced: a node of a newer attempt has been here; nothing was written.
    """
    _refuse_older(tokens(state_dir), token)
    path = _path(state_dir, node_rank)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f"{path.name}.{token.pod_uid}.{os.getpid()}.tmp")
    scratch.write_text(json.dumps(asdict(token)))
    scratch.replace(path)


def check(state_dir: Path, node_rank: int, token: Token) -> None:
    """Call before results are changed.

    Raises:
        Fenced: the place of `node_rank` was taken, or a node of a newer attempt has been here.
    """
    found = tokens(state_dir)
    _refuse_older(found, token)
    if found.get(node_rank) != token:
        raise Fenced(f"Another pod has taken the place of node {node_rank} in attempt {token.attempt}.")


def tokens(state_dir: Path) -> dict[int, Token]:
    """All tokens, by node rank."""
    files = (state_dir / "fence").glob("node-*.json")
    return {int(file.stem.removeprefix("node-")): Token(**json.loads(file.read_text())) for file in files}


def newest(state_dir: Path) -> Generation | None:
    """The newest generation that has been in this output folder."""
    return max((token.generation for token in tokens(state_dir).values()), default=None)


def _refuse_older(found: dict[int, Token], token: Token) -> None:
    newest = max((other.generation for other in found.values()), default=token.generation)
    if newest > token.generation:
        owner = f"Attempt {newest.attempt}"
        if newest.job_created != token.job_created:
            owner = f"A job that was created later (attempt {newest.attempt} of it)"
        raise Fenced(f"{owner} owns the output folder; this is attempt {token.attempt}.")


def _path(state_dir: Path, node_rank: int) -> Path:
    return state_dir / "fence" / f"node-{node_rank}.json"
