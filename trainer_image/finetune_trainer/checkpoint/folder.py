"""Checkpoint folders: written aside, marked complete, renamed; found, verified and rotated. No torch here.

A checkpoint is checkpoints/step-00000120/. It counts only with its marker, complete.json, which is written last and records the
size and CRC-32 of every file. What is being written is called
.step-00000120.partial-WRITER, so that two attempts never write into one folder, and is never looked at again after a crash.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

MARKER = "complete.json"
_PREFIX = "step-"


def final_path(root: Path, step: int) -> Path:
    """Where the complete checkpoint of a step is."""
    return root / f"{_PREFIX}{step:08d}"


def partial_path(root: Path, step: int, writer: str) -> Path:
    """Where an attempt writes it."""
    return root / f".{_PREFIX}{step:08d}.partial-{writer}"


def step_of(folder: Path) -> int:
    """The step in a checkpoint folder's name."""
    return int(folder.name.removeprefix(_PREFIX))


def start(root: Path, step: int, writer: str) -> Path:
    """An empty folder to write the checkpoint of `step` into; leftovers of earlier tries are removed."""
    clear_partial(root)
    folder = partial_path(root, step, writer)
    folder.mkdir(parents=True)
    return folder


def commit(partial: Path, final: Path, facts: Mapping[str, Any]) -> None:
    """Make what is in `partial` a complete checkpoint.

    Every file is made readable for other users of the volume (safetensors writes mode 0600), flushed to the disk and recorded in
    the marker together with `facts`; then the folder gets its final name. A crash at any point leaves either no checkpoint or a
    complete one.
    """
    umask = os.umask(0)
    os.umask(umask)
    files = {}
    for path in sorted(p for p in partial.rglob("*") if p.is_file()):
        path.chmod(0o666 & ~umask)
        files[str(path.relative_to(partial))] = {"bytes": path.stat().st_size, "crc32": _crc32(path)}
        _flush(path)
    (partial / MARKER).write_text(json.dumps({**facts, "files": files}, indent=1))
    _flush(partial / MARKER)
    _flush(partial)
    if final.exists():  # It was passed over as damaged on resume, otherwise this step would not be saved again.
        shutil.rmtree(final)
    partial.rename(final)
    _flush(final.parent)


def defect(folder: Path) -> str | None:
    """What is wrong with a checkpoint folder, in words; None if it is whole."""
    try:
        marker = json.loads((folder / MARKER).read_text())
        files: dict[str, dict[str, int]] = marker["files"]
    except FileNotFoundError:
        return f"{MARKER} is missing, so it was not written to the end"
    except (ValueError, KeyError, TypeError):
        return f"{MARKER} is damaged"
    for name, expected in files.items():
        path = folder / name
        if not path.is_file():
            return f"{name} is missing"
        if path.stat().st_size != expected["bytes"]:
            return f"{name} has {path.stat().st_size} bytes instead of {expected['bytes']}"
        if _crc32(path) != expected["crc32"]:
            return f"the content of {name} has changed since it was written"
    return None


def facts(folder: Path) -> dict[str, Any]:
    """The facts given to `commit`."""
    content: dict[str, Any] = json.loads((folder / MARKER).read_text())
    return content


def newest_complete(root: Path, warn: Callable[[str], None]) -> Path | None:
    """The newest checkpoint without a defect; those passed over are told through `warn`."""
    for folder in _newest_first(root):
        wrong = defect(folder)
        if wrong is None:
            return folder
        warn(f"checkpoint {folder.name} is passed over: {wrong}")
    return None


def rotate(root: Path, keep: int) -> None:
    """Remove the oldest checkpoints beyond `keep`. Call after a new one is complete, never before."""
    for folder in list(_newest_first(root))[keep:]:
        shutil.rmtree(folder, ignore_errors=True)


def clear_partial(root: Path) -> None:
    """Remove what unfinished saves have left."""
    for folder in root.glob(f".{_PREFIX}*.partial-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _newest_first(root: Path) -> Iterator[Path]:
    folders = [p for p in root.glob(f"{_PREFIX}*") if p.is_dir() and p.name.removeprefix(_PREFIX).isdigit()]
    yield from sorted(folders, key=step_of, reverse=True)


def _crc32(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            value = zlib.crc32(block, value)
    return value


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
