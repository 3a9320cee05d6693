"""Wait for what is going to be true."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(predicate: Callable[[], T], seconds: float = 10.0, *, every: float = 0.05) -> T:
    """Call `predicate` until what it returns is true, and return that.

    An AssertionError counts as not yet, so a predicate may be a function full of asserts that ends with `return True`.

    Raises:
        AssertionError: it did not come true within `seconds`; with the last assertion, or the last value.
    """
    end = time.monotonic() + seconds
    while True:
        late = time.monotonic() >= end
        try:
            value = predicate()
        except AssertionError:
            if late:
                raise
        else:
            if value:
                return value
            if late:
                raise AssertionError(f"not so after {seconds:g} s: {getattr(predicate, '__name__', predicate)} gave {value!r}")
        time.sleep(every)
