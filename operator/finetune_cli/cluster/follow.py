"""A job's status as it changes, until the job ends. Breaks of the connection are sat out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from finetune_api.names import PLURAL
from finetune_cli.cluster.client import Client, Manifest
from finetune_cli.cluster.errors import ClusterError, NotFoundError, UnreachableError
from finetune_cli.cluster.facts import JobFacts, job_facts
from finetune_cli.cluster.options import called
from finetune_cli.cluster.reader_pod import output_place

#: The operator writes progress less often than this.
_POLL_SECONDS = 1.0
#: How long a cluster may be away before this command gives up; the job does not notice either way.
PATIENCE_SECONDS = 60.0
FINISHED = ("Succeeded", "Failed")


def follow(client: Client, name: str, sleep: Callable[[float], None] = time.sleep) -> Iterator[JobFacts]:
    """The job, without its children, about once a second; the last one has finished.

    Raises:
        ClusterError: it was deleted under way, or the cluster has been away for a minute.
    """
    first, since = client.job(name), None
    job = first
    while True:
        facts = job_facts(job)
        yield facts
        if facts.status.phase in FINISHED:
            return
        sleep(_POLL_SECONDS)
        try:
            job, since = client.get(PLURAL, name), None
        except UnreachableError as error:
            since = since or time.monotonic()
            if time.monotonic() - since > PATIENCE_SECONDS:
                raise ClusterError(f"{error} The job goes on without this command. {_again(client, name)}") from None
        except NotFoundError:
            raise _deleted(client, job) from None
        if job["metadata"]["uid"] != first["metadata"]["uid"]:
            raise ClusterError(f"FineTuneJob {name} was deleted and created anew. {_again(client, name)}")


def _again(client: Client, name: str) -> str:
    return f"Look at it again: {called()} status {name} -n {client.namespace}"


def _deleted(client: Client, job: Manifest) -> ClusterError:
    text = f"FineTuneJob {job['metadata']['name']} was deleted from namespace {client.namespace} under way."
    with suppress(ClusterError):
        return ClusterError(f"{text} What it had written stays in {output_place(job)}.")
    return ClusterError(text)
