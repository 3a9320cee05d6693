"""`finetune inspect`: a job's data as the model will see it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from finetune_cli.extras import trainer_extra


def inspect(
    job_file: Annotated[Path, typer.Argument(metavar="JOB.YAML", help="The FineTuneJob.")],
    mount: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=DIR", help="Where pvc://CLAIM (CLAIM=DIR) or configmap://NAME (configmap/NAME=DIR) is."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a field, e.g. spec.dataset.maxLength=512.")
    ] = None,
    split: Annotated[Literal["train", "eval"], typer.Option(help="Which samples to show.")] = "train",
    limit: Annotated[int | None, typer.Option(min=0, help="How many rows to show. Default: 3; with --json all.")] = None,
    no_pack: Annotated[bool, typer.Option("--no-pack", help="One sample a row, also when the job packs.")] = False,
    as_json: Annotated[
        bool,
        typer.Option("--json", help="One JSON object a row: input_ids, labels, lengths, and source, row, line of its samples."),
    ] = False,
    cache: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for tokens. Default: finetune/inspect in the user's cache folder.")
    ] = None,
) -> None:
    """Show samples, which of their tokens carry loss, how long they are, what was cut or dropped, and what looks wrong.

    Exit codes: 0 shown, 1 something is wrong with the job, the model or the data.
    """
    with trainer_extra():
        import jinja2  # noqa: F401
        import numpy  # noqa: F401
        import transformers  # noqa: F401
    from finetune_api.problems import SpecErrors
    from finetune_cli.inspection.load import load
    from finetune_cli.inspection.show import show, show_json
    from finetune_trainer.errors import UserError

    try:
        found = load(job_file, mount or (), overrides or (), cache, pack=not no_pack)
        rows = found.rows.eval if split == "eval" else found.rows.train
        if rows is None:
            raise UserError(
                "NothingToEvaluate", "The job sets no samples aside.", "Set dataset.evalFraction or dataset.evalSources."
            )
        if as_json:
            show_json(rows, limit)
        else:
            show(found, rows, split, 3 if limit is None else limit)
    except (SpecErrors, UserError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
