"""Lines that tell how far long work is; each is seen at once, also where they go into a file or a pipe."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

Log = Callable[[str], object]

say: Log = partial(print, flush=True)
