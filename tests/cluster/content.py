"""Names by content: what was made of the same files is made once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def digest(parts: Iterable[str | Path]) -> str:
    """Twelve hexadecimal digits that stand for strings, files and folders (names and contents, without __pycache__)."""
    total = hashlib.sha256()
    for part in parts:
        if isinstance(part, str):
            total.update(f"text {len(part)} {part}\0".encode())
        else:
            for file in files(part):
                content = file.read_bytes()
                total.update(f"file {file.relative_to(part.parent)} {len(content)}\0".encode() + content)
    return total.hexdigest()[:12]


def files(path: Path) -> list[Path]:
    """The file itself, or the files in the folder, in a fixed order, without __pycache__."""
    found = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [file for file in found if file.is_file() and "__pycache__" not in file.parts]
