"""`finetune submit`: a job to the cluster, checked first, then followed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.cluster.options import Context, Namespace, Plain, called, on_cluster

if TYPE_CHECKING:
    from finetune_api.spec import FineTuneJob
    from finetune_cli.cluster.client import Client


def submit(
    job_file: Annotated[Path, typer.Argument(metavar="JOB.YAML", help="The FineTuneJob.")],
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="PATH=VALUE", help="Override a field, e.g. spec.training.maxSteps=20.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Do not follow it.")] = False,
    namespace: Namespace = None,
    context: Context = None,
    plain: Plain = False,
) -> None:
    """Check a job, give it to the cluster, and follow it until it ends. Ctrl-C leaves; the job goes on.

    Exit codes: 0 it has succeeded (with --detach: it is stored), 1 it has failed, 2 it was not submitted or could not be followed,
    130 left by Ctrl-C.
    """
    job = _checked(job_file, overrides or [])
    given = job.metadata.namespace
    if namespace and given and namespace != given:
        typer.echo(f"{job_file} is for namespace {given}, and --namespace says {namespace}: leave out one of them.", err=True)
        raise typer.Exit(2)
    with on_cluster(namespace or given, context) as client:
        name = job.metadata.name
        typer.echo(_store(client, job))
        if detach:
            typer.echo(f"Follow it: {called()} status {name} -n {client.namespace}")
            return
        from finetune_cli.cluster.watch import watch

        raise typer.Exit(watch(client, name, plain))


def _checked(job_file: Path, overrides: list[str]) -> FineTuneJob:
    """The one job of the file; everything that is wrong with it ends the command."""
    from finetune_api.extra_args import training_argument_names
    from finetune_api.problems import Problem, SpecErrors
    from finetune_cli.validate import check

    checked = check(job_file, overrides, training_argument_names(), cluster=True)
    for other in (one for one in checked if one.skipped):
        typer.echo(f"{job_file}: {other.name} is left out: not a FineTuneJob. kubectl apply -f {job_file} takes it.", err=True)
    jobs = [one for one in checked if not one.skipped]
    problems = [problem for one in jobs for problem in one.problems]
    if not problems and len(jobs) != 1:
        problems = [Problem("", f"holds {len(jobs)} FineTuneJobs.", "This needs a file with one.")]
    if problems:
        typer.echo(str(SpecErrors(str(job_file), problems)), err=True)
        raise typer.Exit(2)
    (job,) = (one.job for one in jobs if one.job)
    return job


def _store(client: Client, job: FineTuneJob) -> str:
    """Create or change the job. Returns what was done."""
    from finetune_api.names import PLURAL
    from finetune_cli.cluster.errors import NotFoundError
    from finetune_cli.cluster.follow import FINISHED

    name, where = job.metadata.name, f"in namespace {client.namespace}"
    try:
        before = client.get(PLURAL, name)
    except NotFoundError:
        before = None
    # Only what was written: defaults stay the API server's, so that they are not taken for somebody's wish.
    manifest = job.model_dump(mode="json", by_alias=True, exclude_unset=True)
    manifest["metadata"]["namespace"] = client.namespace
    after = client.apply_job(manifest)
    if before is None:
        return f"FineTuneJob {name} created {where}."
    phase = after.get("status", {}).get("phase", "")
    if before["metadata"].get("generation") != after["metadata"].get("generation"):
        return f"FineTuneJob {name} changed {where}."
    again = f" To run it again: kubectl delete ftj {name} -n {client.namespace}, then submit it." if phase in FINISHED else ""
    return f"FineTuneJob {name} exists {where} just like this{f' and is {phase}' if phase else ''}.{again}"
