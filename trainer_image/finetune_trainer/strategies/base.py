"""What the rank asks of a strategy. Everything that differs between DDP, DeepSpeed and FSDP is behind this class."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

from finetune_trainer.checkpoint.pieces import Piece, SavedPieces
from finetune_trainer.errors import UserError


class Strategy(ABC):
    """One way to share the work.

    `trainer` is the rank's transformers.Trainer. All ranks call each method at the same time, in the order in which they stand
    here.
    """

    #: The preset, as in the YAML.
    name: str

    def check_platform(self, cuda: bool) -> None:
        """Called before the ranks join.

        Raises:
            UserError: when this machine cannot do it.
        """

    def before_model(self) -> None:
        """Called when the ranks have joined, before TrainingArguments and model are made."""

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """TrainingArguments that put the strategy in force."""

    def before_wrapping(self, trainer: Any) -> None:
        """Called once before the first step; `trainer.model` has its adapter."""

    def wrapped(self, trainer: Any) -> None:
        """Called when everything is wrapped."""

    @abstractmethod
    def check_in_force(self, trainer: Any, world_size: int) -> None:
        """Called after `wrapped`.

        Raises:
            UserError: NotInForce, when the wrapped model is not what was asked for.
        """

    @abstractmethod
    def load(self, trainer: Any, saved: SavedPieces) -> None:
        """Put this rank's part of a checkpoint in place. Bit for bit what was saved."""

    @abstractmethod
    def pieces(self, trainer: Any) -> Iterator[Piece]:
        """What this rank writes into a checkpoint: its part of trained weights, optimizer state and persistent buffers."""

    def before_result(self) -> None:
        """Called on the rank that writes the result, which may load the plain model once more, without the others."""


def not_in_force(wanted: str, found: str) -> UserError:
    """The error of check_in_force."""
    return UserError("NotInForce", f"strategy {wanted} was asked for, but {found}.", "This is a bug: please report it.")
