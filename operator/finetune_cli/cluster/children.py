"""A job with what belongs to it: its attempts' Jobs, their pods, and the Events of the namespace."""

from __future__ import annotations

from dataclasses import dataclass, field

from finetune_api.names import LABEL_JOB
from finetune_cli.cluster.client import Client, Manifest
from finetune_cli.cluster.errors import ForbiddenError
from finetune_cli.cluster.facts import JobFacts, job_facts


@dataclass(frozen=True)
class Family:
    """The objects as they were read.

    Attributes:
        lacking: a line for each kind that the user may not see.
    """

    job: Manifest
    jobs: list[Manifest] = field(default_factory=list)
    pods: list[Manifest] = field(default_factory=list)
    events: list[Manifest] = field(default_factory=list)
    lacking: list[str] = field(default_factory=list)

    @property
    def facts(self) -> JobFacts:
        """What they say."""
        return job_facts(self.job, self.jobs, self.pods, self.events)


def read_family(client: Client, name: str) -> Family:
    """The job and its children. Who may see only the job gets only that.

    Raises:
        ClusterError: there is no such job, or nobody answers.
    """
    family = Family(client.job(name))
    selector = f"{LABEL_JOB}={name}"
    wanted = (("jobs", family.jobs, selector), ("pods", family.pods, selector), ("events", family.events, ""))
    for resource, found, labels in wanted:
        try:
            found += client.find(resource, labels=labels)
        except ForbiddenError as error:
            family.lacking.append(str(error))
    return family
