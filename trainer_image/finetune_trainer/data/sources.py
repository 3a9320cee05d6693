"""From a source's URI to its rows: files on this machine, or a data set of the hub."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from finetune_api.spec import DataSource
from finetune_trainer.data.files import READERS, count_rows, known_suffixes, read_rows
from finetune_trainer.data.rows import Row, Source
from finetune_trainer.errors import UserError
from finetune_trainer.mounts import local_path

_BLOCK = 1 << 20


@dataclass(frozen=True)
class LocalFiles:
    """Files that are read one after the other; a rows.Source."""

    paths: list[Path]
    label: str
    notes: list[str]

    @property
    def names(self) -> list[str]:
        """Their paths."""
        return [str(path) for path in self.paths]

    @property
    def digest(self) -> str:
        """sha256 over their suffixes and contents; their names do not matter."""
        return self._scan[0]

    @property
    def total(self) -> int | None:
        """Number of rows, if it is known without reading them; blank lines are counted too."""
        counts = [count_rows(path, lines) for path, lines in zip(self.paths, self._scan[1], strict=True)]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def rows(self) -> Iterator[Row]:
        """All rows of all files."""
        for file, path in enumerate(self.paths):
            yield from read_rows(path, file)

    @cached_property
    def _scan(self) -> tuple[str, list[int]]:
        """The digest, and the number of lines of each file, in one pass over the bytes."""
        whole, lines = hashlib.sha256(), []
        for path in self.paths:
            digest, count = _scan_file(path)
            whole.update(f"{path.suffix} {digest}\n".encode())
            lines.append(count)
        return whole.hexdigest(), lines


def open_source(source: DataSource, mounts: Mapping[str, str], base: Path, report: Callable[[str], None]) -> Source:
    """The rows behind `source.uri`. Nothing is downloaded or read before they are asked for, except what names the content.

    Raises:
        UserError: MountMissing, DataNotFound, BadDataFile; for hf:// see hub.open_hub.
    """
    if source.uri.startswith("hf://"):
        from finetune_trainer.data.hub import open_hub

        return open_hub(source, report)
    path = local_path(source.uri, mounts, base)
    if path.is_dir():
        return _folder(path, source)
    if not path.exists():
        raise UserError("DataNotFound", f"{source.uri}: no file {path}.", _neighbours(path))
    if path.suffix not in READERS:
        raise UserError(
            "BadDataFile", f"{path}: unknown kind of file {path.suffix!r}.", f"Known: {known_suffixes()}, or a folder of them."
        )
    return LocalFiles(_of_format([path], source), path.name, [])


def _folder(path: Path, source: DataSource) -> LocalFiles:
    """The data files of a folder, by name; hidden files and subfolders are not looked at."""
    visible = sorted(entry for entry in path.iterdir() if entry.is_file() and not entry.name.startswith("."))
    files = [entry for entry in visible if entry.suffix in READERS]
    if not files:
        found = ", ".join(entry.name for entry in visible[:10]) or "nothing"
        raise UserError("DataNotFound", f"{path}: no data files in this folder; found: {found}.", f"Known: {known_suffixes()}.")
    others = [entry.name for entry in visible if entry not in files]
    notes = [f"{path}: left out {', '.join(others[:10])} (not {known_suffixes()})."] if others else []
    return LocalFiles(_of_format(files, source), path.name, notes)


def _of_format(paths: list[Path], source: DataSource) -> list[Path]:
    for path in paths:
        if path.suffix == ".txt" and source.format != "text":
            raise UserError("BadDataFile", f"{path}: a .txt file has no columns for format {source.format}.", "Use format: text.")
    return paths


def _neighbours(path: Path) -> str:
    if not path.parent.is_dir():
        return f"The folder {path.parent} does not exist either."
    names = sorted(entry.name for entry in path.parent.iterdir() if not entry.name.startswith("."))
    return f"The folder holds: {', '.join(names[:10]) or 'nothing'}{' ...' if len(names) > 10 else '.'}"


def _scan_file(path: Path) -> tuple[str, int]:
    """sha256 of a file, and how many lines it has."""
    digest, newlines, last = hashlib.sha256(), 0, b"\n"
    try:
        with path.open("rb") as stream:
            while block := stream.read(_BLOCK):
                digest.update(block)
                newlines, last = newlines + block.count(b"\n"), block[-1:]
    except OSError as exc:
        raise UserError("BadDataFile", f"{path}: {exc.strerror or exc}.") from exc
    return digest.hexdigest(), newlines + (last != b"\n")
