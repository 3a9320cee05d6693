"""Files from a pod to this machine: whole or not at all, never twice, and continued after a break.

A file under way is called `.NAME.SIZE-MTIME.part`, so that what is left of an older version is not mistaken for it. It gets its
name when the SHA-256 of all of it is right, and the time of the original, by which the next call knows that it is here already.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from finetune_cli import format as text
from finetune_cli.cluster import sender
from finetune_cli.cluster.errors import ClusterError

#: Runs a command where the files are, and gives what it writes to standard output.
Remote = Callable[[Sequence[str]], Iterator[bytes]]

_SOURCE = Path(sender.__file__)
#: So many files are asked for at once: their names have to fit into one request.
_BATCH = 50
_CHUNK = 1 << 20


class DamagedError(ClusterError):
    """What came is not what was sent, or the file has changed meanwhile; another try may do."""


@dataclass(frozen=True)
class RemoteFile:
    """A file below the remote folder. size in bytes, mtime in nanoseconds."""

    path: str
    size: int
    mtime: int

    def target(self, dest: Path) -> Path:
        """Where it goes."""
        return dest / self.path

    def part(self, dest: Path) -> Path:
        """Where it is kept until it is whole."""
        target = self.target(dest)
        return target.with_name(f".{target.name}.{self.size}-{self.mtime}.part")

    def is_here(self, dest: Path) -> bool:
        """Whether it was fetched before and has not changed since, there or here."""
        try:
            found = self.target(dest).stat()
        except OSError:
            return False
        return (found.st_size, found.st_mtime_ns) == (self.size, self.mtime)

    def bytes_here(self, dest: Path) -> int:
        """How much of it is here."""
        if self.is_here(dest):
            return self.size
        try:
            return min(self.part(dest).stat().st_size, self.size)
        except OSError:
            return 0


def list_files(remote: Remote, root: str) -> list[RemoteFile]:
    """Files below the folder `root`.

    Raises:
        ClusterError: there is no such folder, or a name in it leads elsewhere.
    """
    stream = _Stream(remote(_command("list", root)))
    files = []
    while line := stream.line():
        file = RemoteFile(**json.loads(line))
        path = PurePosixPath(file.path)
        if path.is_absolute() or ".." in path.parts or "\\" in file.path:
            raise ClusterError(f"Nothing was fetched: the name of the file {file.path!r} on the volume leads out of the folder.")
        files.append(file)
    return files


def fetch(remote: Remote, root: str, files: Sequence[RemoteFile], dest: Path, report: Callable[[int], None]) -> None:
    """Fetch what is not here yet.

    Args:
        report: is told of bytes as they come.

    Raises:
        UnreachableError: the connection broke; calling it again goes on from there.
        DamagedError: a file changed under way; list the files again.
        ClusterError: this machine has no room.
    """
    wanted = [file for file in files if not file.is_here(dest)]
    _check_room(wanted, dest)
    for first in range(0, len(wanted), _BATCH):
        batch = wanted[first : first + _BATCH]
        for file in batch:
            _prepare(file, dest)
        offsets = {file.path: file.bytes_here(dest) for file in batch}
        stream = _Stream(remote(_command("send", root, offsets)))
        for file in batch:
            _receive(stream, file, dest, report)


def _command(name: str, root: str, *arguments: object) -> list[str]:
    return ["python3", "-c", _SOURCE.read_text(), name, root, *map(json.dumps, arguments)]


def _check_room(files: Sequence[RemoteFile], dest: Path) -> None:
    dest.mkdir(parents=True, exist_ok=True)
    missing = sum(file.size - file.bytes_here(dest) for file in files)
    free = shutil.disk_usage(dest).free
    if missing > free:
        raise ClusterError(f"{text.size(missing)} are still to be fetched, and {dest} has room for {text.size(free)}. Free some.")


def _prepare(file: RemoteFile, dest: Path) -> None:
    """The folder of the file; what is left of another version of it goes."""
    part = file.part(dest)
    part.parent.mkdir(parents=True, exist_ok=True)
    start = f".{PurePosixPath(file.path).name}."
    for other in part.parent.iterdir():
        if other.name.startswith(start) and other.suffix == ".part" and other != part:
            other.unlink()


def _receive(stream: _Stream, file: RemoteFile, dest: Path, report: Callable[[int], None]) -> None:
    part = file.part(dest)
    header = json.loads(stream.line() or b"{}")
    if header != {"path": file.path, "size": file.size}:
        raise DamagedError(f"{file.path} changed while it was fetched.")
    with part.open("ab") as out:
        digest = _digest(part)
        left = file.size - out.tell()
        while left:
            chunk = stream.read(min(left, _CHUNK))
            out.write(chunk)
            digest.update(chunk)
            left -= len(chunk)
            report(len(chunk))
    if json.loads(stream.line() or b"{}").get("sha256") != digest.hexdigest():
        part.unlink()
        raise DamagedError(f"{file.path} did not arrive as it was sent.")
    os.utime(part, ns=(file.mtime, file.mtime))
    part.replace(file.target(dest))


def _digest(part: Path) -> hashlib._Hash:
    """Of what is there already."""
    digest = hashlib.sha256()
    with part.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest


class _Stream:
    """Lines and bytes from chunks of any size."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, b""

    def line(self) -> bytes:
        """The next line without its end; empty when there is none."""
        while b"\n" not in self._rest:
            chunk = next(self._chunks, b"")
            if not chunk:
                return b""
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def read(self, most: int) -> bytes:
        """At least one byte, at most so many. Raises DamagedError at the end."""
        self._rest = self._rest or next(self._chunks, b"")
        if not self._rest:
            raise DamagedError("The pod stopped sending in the middle of a file.")
        data, self._rest = self._rest[:most], self._rest[most:]
        return data
