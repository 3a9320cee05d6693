"""What an earlier run has left in the output folder, before this one touches it: go on, be done at once, or refuse."""

from __future__ import annotations

from collections.abc import Mapping

from finetune_api.contract import ExitCode, Progress
from finetune_api.spec import FineTuneJob
from finetune_trainer.errors import UserError
from finetune_trainer.launcher.verdict import Verdict
from finetune_trainer.results.earlier_run import Refusal, Refused, inspect, judge
from finetune_trainer.results.log import read_log
from finetune_trainer.settings import NodeSettings

_ELSEWHERE = "Create the job again with another spec.output.path, or empty the folder."
_HINTS: Mapping[Refusal, str] = {
    "OutputNotOurs": _ELSEWHERE,
    "OutputUnreadable": _ELSEWHERE,
    "OutputOfAnotherJob": _ELSEWHERE,
    "SettingsChanged": f"To go on from its checkpoints, put the settings back. To start over: {_ELSEWHERE}",
}


def look(job: FineTuneJob, settings: NodeSettings) -> Verdict | None:
    """Returns the verdict if this very job has been completed here before, None if there is something to do. Changes nothing.

    Every node looks for itself, so that none of a refused job claims its place in a folder that others use.

    Raises:
        UserError: the folder belongs to something else.
    """
    try:
        ruling = judge(inspect(settings.output_dir), job, settings.output_dir)
    except NotADirectoryError:
        return None  # checks.check_output has the words for it.
    if isinstance(ruling, Refused):
        raise UserError(ruling.reason, ruling.problem, _HINTS[ruling.reason])
    if ruling != "complete":
        return None
    words = f"{settings.output_dir} holds the result of this very job already: nothing is left to do. To train again: {_ELSEWHERE}"
    return Verdict(ExitCode.OK, "Completed", words, progress=_final_progress(settings))


def _final_progress(settings: NodeSettings) -> Progress:
    """Where the completed run stood at its end, from its log."""
    log = read_log(settings.output_dir)
    losses = [line["loss"] for line in log if "loss" in line]
    evaluations = [line["eval_loss"] for line in log if "eval_loss" in line]
    last = log[-1] if log else {}
    return Progress(
        phase="done",
        attempt=settings.attempt,
        step=last.get("current_steps"),
        total_steps=last.get("total_steps"),
        epoch=last.get("epoch"),
        loss=losses[-1] if losses else None,
        eval_loss=evaluations[-1] if evaluations else None,
    )
