"""`finetune suspend` and `finetune resume`: a job saves and gives its nodes back; later it goes on from there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.cluster.options import Context, JobName, Namespace, called, job_name, on_cluster

if TYPE_CHECKING:
    from finetune_cli.cluster.client import Client
    from finetune_cli.cluster.facts import JobFacts

_NoWait = Annotated[bool, typer.Option("--no-wait", help="Leave as soon as it is asked for.")]


def suspend(job: JobName, no_wait: _NoWait = False, namespace: Namespace = None, context: Context = None) -> None:
    """Let a job save, and release its nodes. No step is lost. Ctrl-C leaves; the job is suspended all the same.

    Exit codes: 0 suspended (with --no-wait: asked for), 1 it had finished, 2 could not be asked for, 130 left by Ctrl-C.
    """
    with on_cluster(namespace, context) as client:
        name = job_name(job)
        _set(client, name, True)
        if no_wait:
            typer.echo(f"FineTuneJob {name} saves and stops. Continue it later: {_command(client, 'resume', name)}")
            return
        reached = _wait(client, name)
        progress = reached.status.progress
        at = "" if progress is None or progress.last_checkpoint_step is None else f" at step {progress.last_checkpoint_step}"
        typer.echo(f"FineTuneJob {name} is suspended{at}. Continue it: {_command(client, 'resume', name)}")


def resume(job: JobName, namespace: Namespace = None, context: Context = None) -> None:
    """Let a suspended job go on from where it was.

    Exit codes: 0 asked for, 1 it had finished, 2 could not be asked for.
    """
    with on_cluster(namespace, context) as client:
        name = job_name(job)
        _set(client, name, False)
        typer.echo(f"FineTuneJob {name} goes on. Watch it: {_command(client, 'status', name)}")


def _set(client: Client, name: str, wanted: bool) -> None:
    """Write runPolicy.suspend. A job that has finished ends the command."""
    from finetune_api.names import PLURAL
    from finetune_cli.cluster.facts import job_facts
    from finetune_cli.cluster.follow import FINISHED

    facts = job_facts(client.job(name))
    if facts.status.phase in FINISHED:
        typer.echo(f"FineTuneJob {name} has {facts.status.phase.lower()} already: there is nothing to suspend or resume.", err=True)
        raise typer.Exit(1)
    if facts.suspend != wanted:
        client.patch(PLURAL, name, {"spec": {"runPolicy": {"suspend": wanted}}})


def _wait(client: Client, name: str) -> JobFacts:
    """Until the job is suspended."""
    import time

    from finetune_cli.cluster.errors import ClusterError
    from finetune_cli.cluster.explain import SILENT_SECONDS
    from finetune_cli.cluster.follow import FINISHED, follow

    asked, told = time.monotonic(), ""
    for job in follow(client, name):
        status = job.status
        if status.phase == "Suspended":
            return job
        if status.phase in FINISHED:
            typer.echo(f"FineTuneJob {name} has {status.phase.lower()} before it could be suspended.", err=True)
            raise typer.Exit(1)
        if (status.observed_generation or 0) < job.generation and time.monotonic() - asked > SILENT_SECONDS:
            raise ClusterError(
                f"It is asked for, but no operator has reacted for {SILENT_SECONDS:.0f} s. Is one running? "
                "kubectl get deployments --all-namespaces -l app.kubernetes.io/name=finetune-operator"
            )
        if status.phase == "Suspending" and status.message != told:
            told = status.message
            typer.echo(told)
    raise AssertionError("follow ends with a finished job")


def _command(client: Client, command: str, name: str) -> str:
    return f"{called()} {command} {name} -n {client.namespace}"
