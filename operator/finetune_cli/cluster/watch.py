"""Follow a job on the screen until it ends."""

from __future__ import annotations

import time

import typer

from finetune_cli.cluster import explain
from finetune_cli.cluster.client import Client
from finetune_cli.cluster.display import display, last_words
from finetune_cli.cluster.errors import ClusterError
from finetune_cli.cluster.follow import follow
from finetune_cli.cluster.options import called


def watch(client: Client, name: str, plain: bool) -> int:
    """Show the job until it has finished. Returns 0 if it succeeded, else 1.

    Raises:
        ClusterError: there is no such job any more, or no operator that looks at it.
    """
    job, begun = None, time.monotonic()  # Not the job's age: this machine's clock may be wrong.
    with display(plain) as screen:
        for job in follow(client, name):
            if not job.seen and time.monotonic() - begun > explain.SILENT_SECONDS:
                raise ClusterError(
                    f"The job is stored, but no operator has looked at it. Is one running, and does it serve namespace "
                    f"{client.namespace}? kubectl get deployments --all-namespaces -l app.kubernetes.io/name=finetune-operator"
                )
            screen.show(job)
    assert job is not None  # noqa: S101  (follow yields at least once)
    typer.echo(last_words(job, called()))
    return 0 if job.status.phase == "Succeeded" else 1
