"""What the cluster commands have in common: their options, the connection, and how an error ends them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.extras import cluster_extra

if TYPE_CHECKING:
    from finetune_cli.cluster.client import Client


def _job_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names for the shell's completion; none where there is no cluster to ask."""
    try:
        from finetune_api.names import PLURAL
        from finetune_cli.cluster.client import connect
        from finetune_cli.cluster.errors import ClusterError
    except ModuleNotFoundError:
        return []
    try:
        jobs = connect(ctx.params.get("namespace"), ctx.params.get("context")).find(PLURAL)
    except ClusterError:
        return []
    return [name for job in jobs if (name := str(job["metadata"]["name"])).startswith(incomplete)]


JobName = Annotated[str, typer.Argument(metavar="JOB", help="Name of a FineTuneJob.", autocompletion=_job_names)]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", metavar="NAME", help="Default: that of the kubeconfig's context.")
]
Context = Annotated[str | None, typer.Option("--context", metavar="NAME", help="Context of the kubeconfig to use.")]
_KINDS = ("ftj", "finetunejob", "finetunejobs", "finetunejob.finetune.dev")
_JOB_NAME = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?"

Plain = Annotated[bool, typer.Option("--plain", help="Plain lines also in a terminal.")]


@contextmanager
def on_cluster(namespace: str | None, context: str | None, before: str = "") -> Iterator[Client]:
    """The cluster, for one command. What goes wrong there ends it with one line (exit code 2), Ctrl-C with 130.

    Args:
        before: begins that line.
    """
    with cluster_extra():
        from finetune_cli.cluster.client import connect
    from finetune_cli.cluster.errors import ClusterError

    try:
        yield connect(namespace, context)
    except ClusterError as error:
        typer.echo(f"{before}{error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


def job_name(given: str) -> str:
    """The name in `NAME` or `ftj/NAME`, as kubectl prints it."""
    return given.rpartition("/")[2]


def job_of(target: Path) -> str | None:
    """The job that a command is meant to look at which takes folders too: `ftj/NAME`, or a name by which there is no run here."""
    if target.parent.name in _KINDS and len(target.parts) == 2:
        return target.name
    return target.name if re.fullmatch(_JOB_NAME, str(target)) and not _holds_a_run(target) else None


def _holds_a_run(folder: Path) -> bool:
    """Whether there is a run or a model in it; a folder with the data of a job is often named like the job."""
    from finetune_api.contract import LOG_FILE, RESOLVED_JOB_FILE, STATE_DIR

    left = (LOG_FILE, RESOLVED_JOB_FILE, STATE_DIR)
    return any((folder / name).exists() for name in left) or any(folder.glob("*.safetensors"))


def not_here(target: Path) -> str:
    """Says why such a word is taken for a job; begins the line of an error."""
    return f"There is no folder {target} with a run here, so it is a job on a cluster. " if len(target.parts) == 1 else ""


def called() -> str:
    """How this command is called, for the next one in a text."""
    return "kubectl finetune" if Path(sys.argv[0]).name.startswith("kubectl-finetune") else "finetune"
