"""Names for runs that are shown beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def run_names(folders: Sequence[Path]) -> list[str]:
    """A name for each run: as many of the last parts of its path as tell all of them apart. A folder given twice is numbered."""
    parts = [folder.absolute().parts for folder in folders]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(set(parts)):
            break
    return [name if names.count(name) == 1 else f"{name} ({names[: index + 1].count(name)})" for index, name in enumerate(names)]
