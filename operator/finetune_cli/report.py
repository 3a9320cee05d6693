"""`finetune report`: everything about one run, or about several beside each other, as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finetune_cli.extras import trainer_extra
from finetune_cli.run_names import run_names

_SEVERAL = Path("runs.html")


def report(
    outputs: Annotated[list[Path], typer.Argument(metavar="OUTPUT...", help="Output folders of runs, finished or not.")],
    to: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="Where to write. Default: in the run's folder; runs.html for several.")
    ] = None,
) -> None:
    """Write curves, time line, configuration and differences of runs into one HTML file; it needs no network."""
    with trainer_extra():
        from finetune_trainer.results.report.run import NothingLogged
        from finetune_trainer.results.report.write import write_report
    from finetune_api.contract import LOG_FILE, REPORT_FILE

    folders = [path.parent if path.name == LOG_FILE else path for path in outputs]
    path = to or (folders[0] / REPORT_FILE if len(folders) == 1 else _SEVERAL)
    if path.suffix != ".html":
        raise typer.BadParameter(f"{path}: the report is HTML; write {path.with_suffix('.html')}.", param_hint="--to")
    try:
        write_report(dict(zip(run_names(folders), folders, strict=True)), path)
    except (NothingLogged, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(path)
