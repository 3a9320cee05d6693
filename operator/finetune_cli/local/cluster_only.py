"""What a job says that only a cluster can do, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_api.spec import FineTuneJob
from finetune_trainer.errors import UserError


def refuse_cluster_only(job: FineTuneJob, env: Mapping[str, str]) -> None:
    """See that this machine can do what the job asks for. What is only about pods (resources, podTemplate, ...) is passed over.

    Args:
        env: environment of this process: a variable that comes from a Secret is taken from here.

    Raises:
        UserError: ClusterOnly, with a line for each thing.
    """
    if lines := _cluster_only(job, env):
        listed = "".join(f"\n  {line}" for line in lines)
        raise UserError("ClusterOnly", f"Some of this job needs a cluster:{listed}", "On a cluster: kubectl apply -f FILE.")


def require_inputs(job: FineTuneJob) -> None:
    """See that the job names a model and data.

    Raises:
        UserError: OwnTrainer.
    """
    if job.spec.model is None or job.spec.dataset is None:
        missing = "a model" if job.spec.model is None else "data"
        raise UserError("OwnTrainer", f"This job brings its own trainer (spec.trainer.command), and does not name {missing}.")


def _cluster_only(job: FineTuneJob, env: Mapping[str, str]) -> list[str]:
    trainer, lines = job.spec.trainer, []
    if job.spec.run_policy.suspend:
        lines.append("spec.runPolicy.suspend: a suspended job does not start. Here: --set spec.runPolicy.suspend=false")
    if trainer.command:
        lines.append("spec.trainer.command: another trainer, in a container. Here: start it yourself")
    if trainer.image:
        lines.append("spec.trainer.image: a container image. Here: --set spec.trainer.image= for what is installed")
    for index, variable in enumerate(trainer.env):
        if variable.value_from is not None and variable.name not in env:
            secret = variable.value_from.secret_key_ref.name
            lines.append(f"spec.trainer.env[{index}].valueFrom: the Secret {secret}. Here: export {variable.name} in this shell")
    return lines
