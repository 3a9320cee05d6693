"""How many processes a job has on each node, and where they meet."""

from __future__ import annotations

from finetune_api.names import attempt_name, service_name
from finetune_api.quantity import gpus
from finetune_api.spec import FineTuneJobSpec


def processes_per_node(spec: FineTuneJobSpec) -> int:
    """As the job says; otherwise one per GPU of resources.limits (of any vendor: nvidia.com/gpu, amd.com/gpu, ...), else one."""
    if spec.distributed.processes_per_node is not None:
        return spec.distributed.processes_per_node
    return max(1, gpus(spec.resources.limits))


def master_address(job: str, attempt: int) -> str:
    """Host name of node 0 of an attempt, as every pod of the namespace can look it up."""
    return f"{attempt_name(job, attempt)}-0.{service_name(job)}"
