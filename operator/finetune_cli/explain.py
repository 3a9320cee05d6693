"""`finetune explain`: the documentation of a field."""

from __future__ import annotations

from typing import Annotated

import typer


def explain(
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="Field, as in spec.training.learningRate.", show_default=False)
    ] = "spec",
    recursive: Annotated[bool, typer.Option("--recursive", help="Also the fields of all fields, one line each.")] = False,
) -> None:
    """Print what a field means.

    Type, default, allowed values, examples, rules and the fields below it.
    """
    from finetune_api.docs import UnknownFieldError, explain_field

    try:
        typer.echo(explain_field(path, recursive))
    except UnknownFieldError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
