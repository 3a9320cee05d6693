"""`finetune status`: where a job stands, live."""

from __future__ import annotations

from typing import Annotated

import typer

from finetune_cli.cluster.options import Context, JobName, Namespace, Plain, job_name, on_cluster


def status(
    job: JobName,
    once: Annotated[bool, typer.Option("--once", help="Say where it stands now, and leave.")] = False,
    namespace: Namespace = None,
    context: Context = None,
    plain: Plain = False,
) -> None:
    """Watch a job until it ends: step, loss, time left, restarts. Ctrl-C leaves; the job goes on.

    Exit codes: 0 it has succeeded (with --once: it was shown), 1 it has failed, 2 it could not be watched, 130 left by Ctrl-C.
    """
    with on_cluster(namespace, context) as client:
        from finetune_cli.cluster.watch import watch

        if not once:
            raise typer.Exit(watch(client, job_name(job), plain))
        from finetune_cli.cluster.display import changes
        from finetune_cli.cluster.facts import job_facts

        typer.echo("\n".join(changes(None, job_facts(client.job(job_name(job))))))
