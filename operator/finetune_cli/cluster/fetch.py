"""What a job has written, fetched into a folder here: again and again until all of it is there."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path, PurePosixPath
from typing import Protocol, TypeVar

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from finetune_api.contract import ATTEMPTS_FILE, CHECKPOINTS_DIR, DONE_MARKER, SAMPLES_FILE, STATE_DIR
from finetune_cli import format as text
from finetune_cli.cluster.client import Client, Manifest
from finetune_cli.cluster.errors import ClusterError, UnreachableError
from finetune_cli.cluster.reader import reader
from finetune_cli.cluster.reader_pod import VOLUME, Place
from finetune_cli.cluster.transfer import DamagedError, Remote, RemoteFile, fetch, list_files

#: In the folder: whose files it holds, so that two jobs are never mixed.
MARKER = ".finetune-pulled.json"
#: Of a run's state: that it has finished, and what its report tells besides the curves.
_DONE = f"{STATE_DIR}/{DONE_MARKER}"
_RECORD = (_DONE, f"{STATE_DIR}/{ATTEMPTS_FILE}", f"{STATE_DIR}/{SAMPLES_FILE}")
#: Breaks in a row in which not one byte came.
_FRUITLESS = 5
_RETRY_SECONDS = 2.0
_KEPT = "What is here already is kept: the same command goes on from there."

T = TypeVar("T")

Choose = Callable[[Sequence[RemoteFile]], Sequence[RemoteFile]]


def all_files(files: Sequence[RemoteFile]) -> Sequence[RemoteFile]:
    """All of a folder."""
    return files


def result_files(files: Sequence[RemoteFile]) -> Sequence[RemoteFile]:
    """Of an output folder what is of use without going on, and the record of how the run went.

    The record comes with the marker of its end or not at all: without it `finetune run` would take the folder for one to go on in.
    """
    record = _RECORD if any(file.path == _DONE for file in files) else ()
    left_out = (CHECKPOINTS_DIR, STATE_DIR)
    return [file for file in files if file.path in record or PurePosixPath(file.path).parts[0] not in left_out]


class Meter(Protocol):
    """Shows how a transfer goes."""

    def report(self, message: str) -> None:
        """Something is waited for, or went wrong."""

    def expect(self, here: int, total: int) -> None:
        """So many bytes are here of so many."""

    def count(self, more: int) -> None:
        """Bytes have come."""


def pull_folder(
    client: Client,
    job: Manifest,
    place: Place,
    dest: Path,
    *,
    choose: Choose = all_files,
    seconds: float = 120.0,
) -> list[RemoteFile]:
    """Fetch a folder of a claim that the job uses. Returns its files, which are then all here.

    Args:
        choose: takes those files that are wanted.
        seconds: how long the pod may take to start.

    Raises:
        ClusterError: what is here already is kept, and the next call goes on from there.
    """
    try:
        _claim_folder(dest, client, place)
        with _bar() as meter:

            def connect() -> AbstractContextManager[Remote]:
                return reader(client, job, place.claim, seconds, meter.report)

            def once(remote: Remote, count: Callable[[int], None]) -> list[RemoteFile]:
                files = list(choose(list_files(remote, f"{VOLUME}/{place.path}")))
                meter.expect(sum(file.bytes_here(dest) for file in files), sum(file.size for file in files))
                fetch(remote, f"{VOLUME}/{place.path}", files, dest, count)
                return files

            return until_whole(connect, once, meter)
    except OSError as error:
        raise ClusterError(f"{error.filename or dest}: {error.strerror or error}. {_KEPT}") from None


def until_whole(
    connect: Callable[[], AbstractContextManager[Remote]],
    once: Callable[[Remote, Callable[[int], None]], T],
    meter: Meter,
    sleep: Callable[[float], None] = time.sleep,
) -> T:
    """Call `once` with a new connection after each break, until it ends well.

    Args:
        once: is given the remote end, and what to tell of bytes that come.

    Raises:
        ClusterError: something else than a break, or several breaks between which nothing came.
    """
    fruitless = 0
    while True:
        came = _Counter(meter)
        try:
            with connect() as remote:
                return once(remote, came.count)
        except (UnreachableError, DamagedError) as error:
            fruitless = 0 if came.total else fruitless + 1
            if fruitless >= _FRUITLESS:
                raise ClusterError(f"{error} {_KEPT}") from None
            meter.report(f"{error} Going on.")
            sleep(_RETRY_SECONDS)


class _Counter:
    def __init__(self, meter: Meter) -> None:
        self._meter, self.total = meter, 0

    def count(self, more: int) -> None:
        self.total += more
        self._meter.count(more)


def is_whole(dest: Path, client: Client, job: Manifest, place: Place) -> bool:
    """Whether the folder was fetched after the job had finished, so that nothing can be missing."""
    version = _version(job)
    return version is not None and _holds(dest) == {**_origin(client, place), "whole": version}


def mark_whole(dest: Path, client: Client, job: Manifest, place: Place) -> None:
    """Remember that all is here, if the job has finished."""
    if version := _version(job):
        (dest / MARKER).write_text(json.dumps({**_origin(client, place), "whole": version}))


def _claim_folder(dest: Path, client: Client, place: Place) -> None:
    """Whatever is in the folder came from the same place. Raises ClusterError."""
    mine = _origin(client, place)
    if dest.exists() and not dest.is_dir():
        raise ClusterError(f"{dest} is a file. Name a folder.")
    if dest.is_dir() and any(dest.iterdir()):
        holds = _holds(dest)
        if holds is None or {name: holds.get(name) for name in mine} != mine:
            what = f"what was fetched from {holds.get('from')}" if holds else "other files"
            raise ClusterError(f"{dest} holds {what}. Name another folder.")
    dest.mkdir(parents=True, exist_ok=True)
    (dest / MARKER).write_text(json.dumps(mine))


def _origin(client: Client, place: Place) -> dict[str, str]:
    return {"server": client.server, "namespace": client.namespace, "from": str(place)}


def _holds(dest: Path) -> dict[str, str] | None:
    """What is remembered of the folder's files."""
    try:
        holds = json.loads((dest / MARKER).read_text())
    except (OSError, ValueError):
        return None
    return holds if isinstance(holds, dict) else None


def _version(job: Manifest) -> str | None:
    """Tells a finished job from others of its name."""
    finished = job.get("status", {}).get("completionTime")
    return f"{job['metadata']['uid']} {finished}" if finished else None


@contextmanager
def _bar() -> Iterator[Meter]:
    """A bar on the terminal's standard error, and nothing elsewhere."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _BarMeter(progress)


class _BarMeter:
    def __init__(self, progress: Progress) -> None:
        self._progress, self._task = progress, progress.add_task("asking", total=None)

    def report(self, message: str) -> None:
        self._progress.update(self._task, description=message.splitlines()[0][:80])

    def expect(self, here: int, total: int) -> None:
        self._progress.update(self._task, description="fetching", total=total, completed=here)

    def count(self, more: int) -> None:
        self._progress.advance(self._task, more)


def summary(files: Sequence[RemoteFile], dest: Path) -> str:
    """What was fetched, in a line."""
    total = text.size(sum(file.size for file in files))
    return f"{len(files)} file{'s' * (len(files) != 1)}, {total}, in {text.place(dest.absolute())}"
