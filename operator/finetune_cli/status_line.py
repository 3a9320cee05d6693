"""One line of progress that changes in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """Shows the last message it is given on a terminal's standard error, and nothing elsewhere. Warnings stay, everywhere."""
    from rich.console import Console

    console = Console(stderr=True)

    def show(message: str) -> None:
        if message.startswith("warning"):
            console.print(message, markup=False, highlight=False)
        status.update(message)

    with console.status("starting") as status:
        yield show
