"""`finetune run`: a job on this machine, with the processes, environment and restarts that a cluster would give it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from finetune_cli.extras import trainer_extra


def run(
    job_file: Annotated[Path, typer.Argument(metavar="JOB.YAML", help="The FineTuneJob.")],
    output: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the results. Default: runs/NAME.")] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=DIR", help="Where pvc://CLAIM (CLAIM=DIR) or configmap://NAME (configmap/NAME=DIR) is."),
    ] = None,
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a field, e.g. spec.training.maxSteps=20.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Delete the run in the output folder and start over.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before --fresh deletes.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line; the last one is a summary.")] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Plain lines also in a terminal.")] = False,
) -> None:
    """Fine-tune on this machine. Ctrl-C saves and stops; running again continues.

    Exit codes: 0 done, 1 failed, 2 nothing was started, 130 stopped by Ctrl-C.
    """
    from finetune_cli.local.command import Options, run_job

    with trainer_extra():
        if importlib.util.find_spec("torch") is None:
            raise ModuleNotFoundError(name="torch")
    options = Options(
        job_file=job_file,
        output=output,
        mounts=tuple(mount or ()),
        overrides=tuple(overrides or ()),
        fresh=fresh,
        yes=yes,
        json=as_json,
        plain=plain,
    )
    raise typer.Exit(run_job(options))
