"""`finetune describe`: what happened to a job, the likely cause, and what to do."""

from __future__ import annotations

import typer

from finetune_cli.cluster.options import Context, JobName, Namespace, called, job_name, on_cluster


def describe(job: JobName, namespace: Namespace = None, context: Context = None) -> None:
    """Tell what happened to a job, attempt by attempt, the likely cause if something is wrong, and what to do next.

    Exit codes: 0 told, 2 there is no such job, or it could not be read.
    """
    with on_cluster(namespace, context) as client:
        import time

        from finetune_cli.cluster.children import read_family
        from finetune_cli.cluster.explain import explain

        family = read_family(client, job_name(job))
        typer.echo("\n".join(explain(family.facts, family.events, now=time.time(), command=called())))
        for line in family.lacking:
            typer.echo(f"Not everything is told here. {line}", err=True)
