"""`finetune list`: the jobs of a namespace, or of all."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.cluster.options import Context, Namespace, on_cluster

if TYPE_CHECKING:
    from finetune_cli.cluster.facts import JobFacts

_GAP = 2


def list_jobs(
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Jobs of all namespaces.")] = False,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Show the jobs of the cluster, newest first: where each stands, step, loss, time left.

    Exit codes: 0 shown (also when there are none), 2 could not be asked.
    """
    with on_cluster(namespace, context) as client:
        import time

        from finetune_api.names import PLURAL
        from finetune_cli.cluster.facts import job_facts

        jobs = [job_facts(job) for job in client.find(PLURAL, everywhere=everywhere)]
        if not jobs:
            where = "in this cluster" if everywhere else f"in namespace {client.namespace}"
            hint = "" if everywhere else " All namespaces: --all-namespaces."
            typer.echo(f"There are no FineTuneJobs {where}.{hint}")
            return
        jobs.sort(key=lambda job: -job.created_at)
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        typer.echo("\n".join(table(jobs, time.time(), everywhere, width)))


def table(jobs: Sequence[JobFacts], now: float, namespaces: bool, width: int | None) -> list[str]:
    """Lines of columns.

    Args:
        namespaces: show them.
        width: of the terminal; the message is cut to fit.
    """
    from finetune_cli.format import duration

    head = (*(["NAMESPACE"] if namespaces else []), "NAME", "PHASE", "STEP", "LOSS", "ETA", "NODES", "RESTARTS", "AGE", "MESSAGE")
    rows = [head]
    for job in jobs:
        status, summary = job.status, job.status.summary
        rows.append(
            (
                *([job.namespace] if namespaces else []),
                job.name,
                status.phase if job.seen else "",
                *((summary.step, summary.loss, summary.eta, summary.nodes) if summary else ("", "", "", "")),
                str(status.restarts),
                duration(now - job.created_at),
                " ".join(status.message.split()) if job.seen else "no operator has looked at it yet",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head) - 1)]
    lines = []
    for row in rows:
        cells = [cell.ljust(size + _GAP) for cell, size in zip(row[:-1], widths, strict=True)]
        line = "".join([*cells, row[-1]]).rstrip()
        lines.append(line if width is None or len(line) <= width else f"{line[: width - 1]}…")
    return lines
