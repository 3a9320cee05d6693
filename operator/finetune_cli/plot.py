"""`finetune plot`: the curves of one run, or of several over each other, as a PNG."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from finetune_cli.cluster.options import Context, Namespace, job_of, not_here, on_cluster
from finetune_cli.extras import trainer_extra
from finetune_cli.run_names import run_names

_SEVERAL = Path("runs.png")


def plot(
    outputs: Annotated[
        list[Path], typer.Argument(metavar="OUTPUT|JOB...", help="Output folders of runs, or jobs on the cluster; finished or not.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png", help="Where to write. Default: in the run's folder; JOB.png for a job, runs.png for several."
        ),
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="loss, learning-rate, throughput, grad-norm; repeatable. Default: the first three."),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Draw loss, evaluation loss, learning rate and throughput of one run, or of several over each other.

    Exit codes: 0 drawn, 1 nothing was logged yet or the picture cannot be written, 2 wrong options or a log could not be fetched.
    """
    with trainer_extra():
        from finetune_trainer.results.curves import METRICS
        from finetune_trainer.results.plot import DEFAULT_METRICS, plot_runs
    from finetune_api.contract import LOG_FILE, PLOT_FILE
    from finetune_trainer.results.log import read_log

    metrics = tuple(dict.fromkeys(metric or DEFAULT_METRICS))
    if unknown := [name for name in metrics if name not in METRICS]:
        raise typer.BadParameter(f"{', '.join(unknown)}: choose from {', '.join(METRICS)}.", param_hint="--metric")
    with tempfile.TemporaryDirectory(prefix="finetune-plot-") as scratch:
        folders = [_folder(output, Path(scratch), namespace, context) for output in outputs]
        logs = dict(zip(run_names(folders), (read_log(folder) for folder in folders), strict=True))
    if empty := [str(folder) for folder, log in zip(folders, logs.values(), strict=True) if not log]:
        typer.echo(f"Nothing has been logged yet in {', '.join(empty)}: no {LOG_FILE} with a step in it.", err=True)
        raise typer.Exit(1)
    path = out or (
        _SEVERAL if len(folders) > 1 else folders[0] / PLOT_FILE if folders[0].is_dir() else Path(f"{folders[0].name}.png")
    )
    if path.suffix != ".png":
        raise typer.BadParameter(f"{path}: the picture is a PNG; write {path.with_suffix('.png')}.", param_hint="--out")
    try:
        plot_runs(logs, path, metrics)
    except (ValueError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    typer.echo(path)


def _folder(output: Path, scratch: Path, namespace: str | None, context: str | None) -> Path:
    """The folder with the log; that of a job on the cluster is fetched into `scratch`."""
    if job := job_of(output):
        with on_cluster(namespace, context, before=not_here(output)) as client:
            from finetune_cli.cluster.result import fetch_log

            return fetch_log(client, job, scratch)
    from finetune_api.contract import LOG_FILE

    return output.parent if output.name == LOG_FILE else output
