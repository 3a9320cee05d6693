"""`finetune logs`: what the nodes of a job print, each line with its node, of any attempt that is still there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from finetune_cli.cluster.options import Context, JobName, Namespace, job_name, on_cluster

if TYPE_CHECKING:
    from finetune_cli.cluster.log_lines import Wanted


def logs(
    job: JobName,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as it is written, also into the next attempts.")] = False,
    node: Annotated[int | None, typer.Option(min=0, metavar="N", help="Only this node, from 0.")] = None,
    rank: Annotated[int | None, typer.Option(min=0, metavar="R", help="Only this process, counted over all nodes from 0.")] = None,
    attempt: Annotated[int | None, typer.Option(min=0, metavar="K", help="An earlier attempt. Default: the newest.")] = None,
    tail: Annotated[int | None, typer.Option(min=0, metavar="LINES", help="Only the last lines of each node.")] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Print the log of a job's nodes. Rank 0's lines come as they are, those of others begin with their rank.

    Exit codes: 0 printed, 2 there is no such job, attempt or node, 130 left by Ctrl-C.
    """
    with on_cluster(namespace, context) as client:
        from finetune_cli.cluster.log_lines import Wanted, print_logs

        wanted: Wanted = Wanted(node=node, rank=rank, attempt=attempt, tail=tail)
        print_logs(client, job_name(job), wanted, follow=follow, write=lambda line: print(line, flush=True))
