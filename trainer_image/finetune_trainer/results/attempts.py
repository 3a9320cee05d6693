"""attempts.jsonl in the state folder: when node 0 was doing what, attempt by attempt. Its launcher writes, reports read.

Each line has `attempt`, `time` (Unix) and `event`: `begun`; `phase` with `phase` and `step`; `ended` with `reason`, `exitCode`,
`step` and `message`.
"""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finetune_api.contract import ATTEMPTS_FILE, LOG_FILE, STATE_DIR, ExitCode, Phase, Progress


@dataclass(frozen=True)
class End:
    """How an attempt ended, as its launcher told it; `exit_code` is None for one that was killed and told nothing."""

    time: float
    reason: str
    message: str
    exit_code: int | None
    step: int | None


@dataclass
class Attempt:
    """One attempt, oldest things first.

    Attributes:
        begun: Unix time, like all times here.
        phases: when each phase began, and at which step.
        end: None for the last attempt of a run that is under way, or was killed.
    """

    number: int
    begun: float
    phases: list[tuple[float, Phase, int | None]] = field(default_factory=list)
    end: End | None = None

    @property
    def last_seen(self) -> float:
        """The latest time that is known of it."""
        return self.end.time if self.end else self.phases[-1][0] if self.phases else self.begun


def read_attempts(output_dir: Path) -> list[Attempt]:
    """All attempts in the order in which they ran; empty if the folder has no record of them.

    What an attempt writes after the next one has begun is left out, and so is a line that a kill has cut short.
    """
    try:
        text = (output_dir / STATE_DIR / ATTEMPTS_FILE).read_text(errors="replace")
    except FileNotFoundError:
        return []
    attempts: list[Attempt] = []
    for raw in text.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            _add(attempts, json.loads(raw))
    return attempts


def _add(attempts: list[Attempt], line: dict[str, Any]) -> None:
    number, at = line["attempt"], line["time"]
    if line["event"] == "begun":
        attempts.append(Attempt(number, at, [(at, "starting", None)]))
    elif attempts and attempts[-1].number == number and attempts[-1].end is None:
        if line["event"] == "phase":
            attempts[-1].phases.append((at, line["phase"], line["step"]))
        else:
            attempts[-1].end = End(at, line["reason"], line["message"], line["exitCode"], line["step"])


class AttemptLog:
    """The writer. Nothing is written before `begin`, which only node 0 calls.

    A disk that takes nothing does not stop the attempt here: whoever needs the disk says so.
    """

    def __init__(self, output_dir: Path, attempt: int) -> None:
        self._path = output_dir / STATE_DIR / ATTEMPTS_FILE
        self._log = output_dir / LOG_FILE
        self._attempt = attempt
        self._phase: Phase = "starting"
        self.begun = False

    def begin(self) -> None:
        """Call once the fence is passed. An attempt that was killed is ended first: with the last line of the training log."""
        self.begun = True
        self._end_line()
        earlier = read_attempts(self._log.parent)
        if earlier and earlier[-1].end is None:
            killed, seen = earlier[-1], [earlier[-1].last_seen]
            with contextlib.suppress(OSError):
                seen.append(min(time.time(), self._log.stat().st_mtime))
            self._write("ended", attempt=killed.number, time=max(seen), reason="Killed", message="", exitCode=None, step=None)
        self._write("begun")

    def note(self, progress: Progress) -> None:
        """Tell where the attempt stands; written when the phase is another one."""
        if self.begun and progress.phase != self._phase:
            self._phase = progress.phase
            self._write("phase", phase=progress.phase, step=progress.step)

    def end(self, exit_code: ExitCode, reason: str, message: str, step: int | None) -> None:
        """Tell how it ended. One that was fenced off leaves the word to the newer one."""
        if self.begun and exit_code is not ExitCode.FENCED:
            self._write("ended", reason=reason, message=message, exitCode=int(exit_code), step=step)

    def _write(self, event: str, **more: Any) -> None:
        line = {"event": event, "attempt": self._attempt, "time": round(time.time(), 3), **more}
        with contextlib.suppress(OSError), self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")

    def _end_line(self) -> None:
        """A line that a kill has cut short keeps to itself."""
        with contextlib.suppress(OSError):
            if not self._path.read_bytes().endswith(b"\n"):
                with self._path.open("a") as file:
                    file.write("\n")
