"""The phase of an attempt under way, in a word and a sentence: which pod is waited for, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from finetune_api.contract import Phase, Progress
from finetune_api.status import Failure, JobPhase
from finetune_operator.core.model import Attempt, Pod
from finetune_operator.core.policies.failure import is_about
from finetune_operator.core.standing import Standing
from finetune_operator.core.text import message

_STARTING = "All nodes run."
_BUSY_WITH: Mapping[Phase, str] = {
    "downloading": "Downloading model and data.",
    "preparing": "Preparing the data.",
    "waiting": "The nodes wait for each other.",
    "loading": "Loading the model.",
    "training": "Training.",
    "evaluating": "Training: evaluation.",
    "saving": "Training: saving a checkpoint.",
    "finishing": "Writing the results.",
    "done": "Writing the results.",
}


def starting(name: str, phase: JobPhase, pods: Sequence[Pod], nodes: int) -> Standing:
    """An attempt whose pods do not all run yet.

    Args:
        name: of its Job.
        phase: Pending, or Restarting after a failure.
    """
    for pod in pods:
        if pod.trouble is not None and not pod.over:
            text = f"Node {pod.rank} (pod {pod.name}) does not run. {pod.trouble.message}"
            return Standing(phase, pod.trouble.reason, message(text))
    started = sum(map(_started, pods))
    # The same words before and after the pods are there: that they are is not worth a write.
    hint = "" if started else f" If there are no pods after a while, `kubectl describe job {name}` says why."
    return Standing(phase, "PodsStarting", f"Waiting for all nodes to start: {started} of {nodes} have.{hint}")


def all_started(pods: Sequence[Pod], nodes: int) -> bool:
    """Whether every node's container has started."""
    return len({pod.rank for pod in pods if _started(pod)}) >= nodes


def running(attempt: Attempt, progress: Progress | None, failure: Failure | None) -> Standing:
    """An attempt whose pods all run, or did until one failed."""
    if failure is not None and is_about(failure, attempt):
        return Standing("Running", "NodeFailed", message(f"A node has failed, so the others stop as well. {failure.message}"))
    current = progress is not None and progress.attempt == attempt.number
    return Standing("Running", "NodesRunning", _BUSY_WITH.get(progress.phase, _STARTING) if progress and current else _STARTING)


def stopping(standing: Standing, pods: Sequence[Pod]) -> Standing:
    """While pods leave: the one that cannot, if there is one."""
    for pod in pods:
        if pod.disrupted and pod.trouble is not None and not pod.over:
            text = f"{standing.message} Pod {pod.name} on node {pod.node} is still there: {pod.trouble.message}"
            return standing._replace(message=message(text))
    return standing


def _started(pod: Pod) -> bool:
    return pod.phase in ("Running", "Succeeded", "Failed")
