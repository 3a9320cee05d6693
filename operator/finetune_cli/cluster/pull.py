"""`finetune pull`: the result of a job out of its volume."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.cluster.options import Context, JobName, Namespace, called, job_name, on_cluster

if TYPE_CHECKING:
    from finetune_cli.cluster.client import Client
    from finetune_cli.cluster.transfer import RemoteFile

StartTimeout = Annotated[
    float, typer.Option("--timeout", min=1, metavar="SECONDS", help="How long the pod that reads the volume may take to start.")
]


def pull(
    job: JobName,
    dest: Annotated[Path | None, typer.Argument(metavar="DEST", help="Folder to write. Default: runs/JOB.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Checkpoints and the run's state as well, so that `finetune run` can go on from there.")
    ] = False,
    timeout: StartTimeout = 120.0,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Fetch what a job has written, through a pod that lives as long as that takes. After a break the same command goes on.

    Exit codes: 0 all of it is here, 2 it is not, 130 left by Ctrl-C.
    """
    with on_cluster(namespace, context) as client:
        from finetune_cli.cluster.fetch import summary
        from finetune_cli.cluster.result import lacks_its_base

        name = job_name(job)
        folder = dest or Path("runs") / name
        files = fetch_result(client, name, folder, everything=everything, timeout=timeout)
        typer.echo(summary(files, folder))
        manifest = client.job(name)
        phase = manifest.get("status", {}).get("phase")
        if phase == "Succeeded":
            talk_to = f"{name} -n {client.namespace}" if lacks_its_base(folder, manifest) else folder
            typer.echo(f"Talk to it: {called()} chat {talk_to}")
        else:
            typer.echo(f"FineTuneJob {name} is {phase or 'not started'}: this is not its result yet.", err=True)


def fetch_result(client: Client, name: str, dest: Path, *, everything: bool = False, timeout: float = 120.0) -> list[RemoteFile]:
    """The output folder of a job. Raises ClusterError."""
    from finetune_cli.cluster.fetch import all_files, pull_folder, result_files
    from finetune_cli.cluster.reader_pod import output_place

    job = client.job(name)
    return pull_folder(client, job, output_place(job), dest, choose=all_files if everything else result_files, seconds=timeout)
