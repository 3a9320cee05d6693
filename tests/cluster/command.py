"""Run commands: quiet when they work, with their last lines when they do not.

They keep the locks that this process holds (locked.py): when it is killed, the next one waits until they have ended.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.locked import held

_LAST_LINES = 15


class CommandError(Exception):
    """A command failed. The message has the command, its exit status and its last lines."""


def run(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, cwd: Path | None = None, stdin: str | None = None
) -> str:
    """Run to the end and return what it wrote to standard output. Raises CommandError."""
    done = subprocess.run(list(argv), env=env, cwd=cwd, input=stdin, capture_output=True, text=True, pass_fds=held())
    _check(argv, done.returncode, done.stdout + done.stderr)
    return done.stdout


def run_bytes(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None, stdin: bytes | None = None) -> bytes:
    """The same with bytes."""
    done = subprocess.run(list(argv), env=env, input=stdin, capture_output=True, pass_fds=held())
    _check(argv, done.returncode, done.stderr.decode(errors="replace"))
    return done.stdout


def pipe(source: Sequence[str | Path], target: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> None:
    """Run two commands to their ends, the second reading what the first writes. Raises CommandError."""
    with subprocess.Popen(list(source), env=env, stdout=subprocess.PIPE, pass_fds=held()) as writing:
        done = subprocess.run(list(target), env=env, stdin=writing.stdout, capture_output=True, text=True, pass_fds=held())
    _check(target, done.returncode, done.stdout + done.stderr)
    _check(source, writing.returncode, "")


def succeeds(argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None) -> bool:
    """Whether the command exists and ends with status 0."""
    try:
        return subprocess.run(list(argv), env=env, capture_output=True, pass_fds=held()).returncode == 0
    except FileNotFoundError:
        return False


def _check(argv: Sequence[str | Path], status: int, output: str) -> None:
    if status:
        last = "\n".join(output.strip().splitlines()[-_LAST_LINES:])
        raise CommandError(f"{' '.join(map(str, argv))[:300]}: exit status {status}\n{last}".strip())
