"""What a command says when an optional part of the distribution is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer


@contextmanager
def trainer_extra() -> Iterator[None]:
    """Wraps imports that need the extra `trainer`: a missing one ends the command (exit code 1) with how to install it."""
    with _extra("trainer"):
        yield


@contextmanager
def cluster_extra() -> Iterator[None]:
    """The same for the extra `cluster`."""
    with _extra("cluster"):
        yield


@contextmanager
def _extra(name: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        typer.echo(f"This needs {error.name}, which is not installed: pip install 'finetune-operator[{name}]'", err=True)
        raise typer.Exit(1) from None
