"""Where a job stands."""

from __future__ import annotations

from typing import NamedTuple

from finetune_api.status import JobPhase


class Standing(NamedTuple):
    """The phase, a CamelCase word for programs, and the phase in a sentence for people."""

    phase: JobPhase
    reason: str
    message: str
