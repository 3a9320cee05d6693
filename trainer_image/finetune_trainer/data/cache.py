"""A folder of folders named by what they were made from: each is complete or not there."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

META_FILE = "meta.json"
_ABANDONED_AFTER_S = 24 * 3600


def key_of(inputs: Any) -> str:
    """Name for what is made from `inputs` (plain data): 32 hex digits."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()[:32]


def cached(layer: Path, key: str, build: Callable[[Path], dict[str, Any]]) -> Path:
    """The folder `layer`/`key`; built first, if it is not there or damaged.

    `build` fills the folder that it is given and returns the content of its meta.json. The folder appears under its name only
    when it is complete. When two processes build the same one, the first to finish wins and both use its folder.
    """
    target = layer / key
    if is_complete(target):
        return target
    layer.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(layer)
    with _scratch(layer, key) as scratch:
        meta = build(scratch)
        sizes = {path.name: path.stat().st_size for path in sorted(scratch.iterdir())}
        (scratch / META_FILE).write_text(json.dumps({**meta, "sizes": sizes}))
        scratch.chmod(0o755)
        _move(scratch, target)
    return target


def is_complete(folder: Path) -> bool:
    """Whether all files that were written are there in full."""
    try:
        sizes: dict[str, int] = read_meta(folder)["sizes"]
        return all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, KeyError):
        return False


def read_meta(folder: Path) -> dict[str, Any]:
    """The meta.json of a folder."""
    meta: dict[str, Any] = json.loads((folder / META_FILE).read_text())
    return meta


def _move(scratch: Path, target: Path) -> None:
    try:
        scratch.rename(target)
    except OSError:
        if is_complete(target):
            return  # Another process was faster; what it made is the same.
        if not target.exists():
            raise
        shutil.rmtree(target)
        scratch.rename(target)


@contextmanager
def _scratch(layer: Path, key: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{key}.", suffix=".tmp", dir=layer))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(layer: Path) -> None:
    """Scratch folders of processes that were killed long ago."""
    for folder in layer.glob("*.tmp"):
        if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_S:
            shutil.rmtree(folder, ignore_errors=True)


class ArrayFile:
    """A .npy file of one or two dimensions that grows at its end; its header is written when it is closed.

    Args:
        width: columns of a two-dimensional array; None for a vector.
    """

    def __init__(self, path: Path, dtype: str, width: int | None = None) -> None:
        self._dtype, self._width, self._length = np.dtype(dtype), width, 0
        self._stream: BinaryIO = path.open("wb")
        self._header_size = self._write_header()

    def append(self, values: NDArray[Any]) -> None:
        """Add elements (or rows)."""
        self._stream.write(np.ascontiguousarray(values, dtype=self._dtype).tobytes())
        self._length += len(values)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._stream.seek(0)
            if self._write_header() != self._header_size:
                raise AssertionError("the header of a .npy file must keep its size")
        finally:
            self._stream.close()

    def _write_header(self) -> int:
        shape = (self._length,) if self._width is None else (self._length, self._width)
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._stream, header)
        return self._stream.tell()
