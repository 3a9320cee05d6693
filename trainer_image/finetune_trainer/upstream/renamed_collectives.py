"""torch prints a FutureWarning at each of DeepSpeed's collectives: two of torch's functions have new names.

Seen in DeepSpeed 0.19 with torch 2.13 (`all_gather_into_tensor`, `reduce_scatter_tensor`). Between two libraries, nothing that a
user could act on.
"""

from __future__ import annotations

import warnings


def silence() -> None:
    """Leave out these two warnings from now on."""
    names = r"`torch\.distributed\.(all_gather_into_tensor|reduce_scatter_tensor)` is deprecated"
    warnings.filterwarnings("ignore", message=names, category=FutureWarning)
