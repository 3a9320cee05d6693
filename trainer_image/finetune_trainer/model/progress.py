"""Download progress as one-line messages."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

#: Shows a line to people, and tells the launcher that work goes on.
Report = Callable[[str], None]

SECONDS_BETWEEN_REPORTS = 0.5


def progress_bar(what: str, total: int, done: int, report: Report) -> type:
    """A class for huggingface_hub's `tqdm_class` that tells `report` "WHAT 1.2/4.8 GB", at most twice a second, when bytes arrive.

    Args:
        total, done: bytes of the whole download, and of the part that is there already.
    """
    from tqdm.std import tqdm

    told = 0.0

    class Bar(tqdm):  # type: ignore[misc, unused-ignore]
        monitor_interval = 0  # tqdm's monitor is a thread that would outlive the download.

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **(kwargs | {"file": io.StringIO(), "disable": False}))

        def update(self, n: float | None = 1) -> bool | None:
            nonlocal told
            drawn = super().update(n)
            now = time.monotonic()
            if self.unit == "B" and n and now - told >= SECONDS_BETWEEN_REPORTS:
                told = now
                report(f"{what} {amount(min(done + int(self.n), total), total)}")
            return bool(drawn)

    return Bar


def amount(done: int, total: int) -> str:
    """Both numbers in the unit that suits the total: "1.2/4.8 GB"."""
    for unit, size in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if total >= size:
            return f"{done / size:.1f}/{total / size:.1f} {unit}"
    return f"{done}/{total} bytes"
