"""Numbers as people read them."""

from __future__ import annotations

import itertools
from pathlib import Path


def duration(seconds: float) -> str:
    """`45s`, `3m12s`, `2h05m`, `3d04h`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def size(count: float) -> str:
    """Bytes as `812 B`, `4.1 kB`, `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def loss(value: float) -> str:
    """Four decimals, and more where four would show nothing."""
    return f"{value:.4f}" if not 0 < abs(value) < 0.001 else f"{value:.2e}"


def rate(value: float) -> str:
    """A learning rate: `2.00e-04`."""
    return f"{value:.2e}"


def speed(tokens_per_second: float) -> str:
    """`812 tokens/s`, with thousands separated."""
    return f"{tokens_per_second:,.0f} tokens/s"


def place(path: Path) -> str:
    """The path as one would type it here: relative if it is below the current folder."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def sparkline(values: list[float], width: int) -> str:
    """The last values as a line of blocks, lowest to highest; too many are averaged into `width` groups."""
    if not values:
        return ""
    groups = min(width, len(values))
    bounds = [len(values) * index // groups for index in range(groups + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(bounds)]
    low, high = min(means), max(means)
    span = (high - low) or 1.0
    return "".join("▁▂▃▄▅▆▇█"[round((mean - low) / span * 7)] for mean in means)
