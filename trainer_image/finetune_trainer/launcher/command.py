"""What a launcher of another library is to be run with: pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

#: The module that each process of another launcher runs, with `rank_arguments` behind it.
RANK_MODULE = "finetune_trainer.launcher.cold_rank"


@dataclass(frozen=True)
class Command:
    """A launcher that starts the ranks of this node.

    Attributes:
        name: for people.
        argv: ends with the module that each rank runs, and its argument.
        files: what to write first: path -> text.
        environment: variables that the launcher's processes get besides those of ours.
        kept: variables that it would set for the ranks, and that they are to see as they are here.
        gathers: it starts its ranks only when all nodes have come together.
    """

    name: str
    argv: tuple[str, ...]
    files: Mapping[Path, str]
    gathers: bool
    environment: Mapping[str, str] = field(default_factory=dict)
    kept: tuple[str, ...] = ()


def task_file(scratch: Path) -> Path:
    """Where the ranks' task is, the only argument of RANK_MODULE."""
    return scratch / "task.json"
