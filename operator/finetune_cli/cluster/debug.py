"""`finetune debug bundle`: everything a maintainer needs to look into a job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from finetune_cli.cluster.options import Context, JobName, Namespace, called, job_name, on_cluster

app = typer.Typer(help="For a problem that needs somebody else's eyes.", no_args_is_help=True)


@app.callback()
def debug() -> None:
    """For a problem that needs somebody else's eyes."""


@app.command()
def bundle(
    job: JobName,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="FILE.tar.gz", help="Default: JOB-TIME.tar.gz here.")] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Collect objects, Events, logs and versions of a job into one archive, without secrets and values of variables.

    Exit codes: 0 written, 2 not.
    """
    with on_cluster(namespace, context) as client:
        import time

        from finetune_cli.cluster.bundle import collect, write
        from finetune_cli.cluster.errors import ClusterError
        from finetune_cli.status_line import status_line

        name, now = job_name(job), time.time()
        path = out or Path(f"{name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}.tar.gz")
        with status_line() as report:
            files = collect(client, name, now, called(), report)
        try:
            write(files, path, path.name.removesuffix(".tar.gz"), now)
        except OSError as error:
            raise ClusterError(f"{path} cannot be written: {error.strerror}.") from None
        typer.echo(f"{path}: {len(files)} files. Secrets and values of variables are left out; look through it before you send it.")
