"""The Job controller looks at a Job's pods once a second; a change of the Job's spec it looks at without delay.

So the operator changes something that means nothing (ttlSecondsAfterFinished, far in the future) when the first pod has ended
badly, and again when all have left. That makes a restart almost two seconds faster and nothing else: the gate is still the finished
Job.
"""

from __future__ import annotations

from finetune_operator.core.model import Attempt, Nudge, Pod


def nudge(attempt: Attempt, nodes: int) -> Nudge | None:
    """The nudge that is due, if any."""
    if attempt.state != "active" or attempt.suspended or attempt.deleting or not any(map(_ended_badly, attempt.pods)):
        return None
    gone = {pod.rank for pod in attempt.pods if pod.over} - {pod.rank for pod in attempt.pods if not pod.over}
    due = 2 if len(gone) >= nodes else 1
    return Nudge(attempt.name, attempt.uid, due) if attempt.nudges < due else None


def _ended_badly(pod: Pod) -> bool:
    return pod.phase == "Failed" or pod.disrupted or (not pod.present and pod.phase != "Succeeded")
