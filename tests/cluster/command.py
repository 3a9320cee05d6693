"""Run commands: quiet when they work, with their last lines when they do not."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_LAST_LINES = 15


class CommandError(Exception):
    """A command failed. The message has the command, its exit status and its last lines."""


def run(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str | None = None
) -> str:
    """Run to the end and return what it wrote to standard output. Raises CommandError."""
    done = subprocess.run([str(part) for part in argv], env=env, cwd=cwd, input=stdin, capture_output=True, text=True)
    if done.returncode:
        last = "\n".join((done.stdout + done.stderr).strip().splitlines()[-_LAST_LINES:])
        raise CommandError(f"{' '.join(map(str, argv))[:300]}: exit status {done.returncode}\n{last}")
    return done.stdout


def succeeds(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> bool:
    """Whether the command exists and ends with status 0."""
    try:
        return subprocess.run([str(part) for part in argv], env=env, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False
