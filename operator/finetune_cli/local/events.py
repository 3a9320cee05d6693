"""What happens in a run, in the words that every display understands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from finetune_api.contract import Progress
from finetune_api.restart import Decision
from finetune_cli.local.environment import Layout


@dataclass(frozen=True)
class RunStarted:
    """The run begins. `saved_step`: the newest checkpoint it may go on from."""

    job: str
    output: Path
    layout: Layout
    saved_step: int | None


@dataclass(frozen=True)
class AttemptStarted:
    """All launchers of an attempt have been started; `logs` is the folder of their output."""

    attempt: int
    logs: Path


@dataclass(frozen=True)
class Progressed:
    """Node 0 tells where the training stands."""

    progress: Progress


@dataclass(frozen=True)
class Logged:
    """New lines of a node's output."""

    node: int
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Noted:
    """A line for the person at the screen: a warning about the data, a port that was changed, a stop under way."""

    text: str


@dataclass(frozen=True)
class AttemptEnded:
    """All processes of an attempt are gone. `message`: why, if it did not succeed. `delay`: seconds until a retry."""

    attempt: int
    decision: Decision
    message: str
    restarts: int
    delay: float


Event = RunStarted | AttemptStarted | Progressed | Logged | Noted | AttemptEnded
