"""What happens at the end of each step: the ranks agree to stop or go on, and evaluation, saves and log lines are asked for."""

from __future__ import annotations

import math
from typing import Any

from transformers import TrainerCallback

from finetune_trainer.errors import UserError
from finetune_trainer.rank.digest import digest
from finetune_trainer.rank.parts import Parts
from finetune_trainer.rank.stop import StopRequest

#: Fields of a log line -> those of contract.Progress.
_PROGRESS = {
    "loss": "loss",
    "eval_loss": "eval_loss",
    "lr": "learning_rate",
    "grad_norm": "grad_norm",
    "throughput": "tokens_per_second",
    "step_time": "step_seconds",
    "remaining_time": "eta_seconds",
}


class Schedule(TrainerCallback):  # type: ignore[misc]
    """One small all-reduce per step carries the stop requests and the step's totals, so that all ranks do the same thing at the
    same step."""

    def __init__(self, parts: Parts, stop: StopRequest, eval_steps: int | None) -> None:
        self._ranks, self._tally, self._log, self._heartbeat = parts.ranks, parts.tally, parts.log, parts.heartbeat
        self._stop, self._eval_steps = stop, eval_steps
        #: The ranks have left before the last step because a stop was asked for.
        self.stopped = False

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Agree, then set what the Trainer does next."""
        mine = [int(self._stop.asked), len(self._tally.samples), self._tally.tokens, digest(self._tally.samples)]
        stops, samples, tokens, hashes = self._ranks.sum(mine)
        self._tally.clear()
        if self._ranks.rank == 0:
            self._log.window.add(state.global_step, samples, tokens, hashes)
        last = state.global_step >= state.max_steps
        if stops and not last:
            self.stopped = True
            control.should_save = control.should_training_stop = True
        if self._eval_steps and not self.stopped and (last or state.global_step % self._eval_steps == 0):
            control.should_evaluate = True
        if control.should_save:
            control.should_log = True  # So that no window of the log spans a checkpoint.
        self._heartbeat.beat("training", step=state.global_step, total_steps=state.max_steps, epoch=state.epoch)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
        """Write the log line and tell progress; refuse to go on with a loss that is no number."""
        names = {"loss": "loss", "learning_rate": "lr", "grad_norm": "grad_norm", "eval_loss": "eval_loss"}
        values = {ours: float(logs[theirs]) for theirs, ours in names.items() if theirs in logs}
        if not values:
            return
        loss = values.get("loss", values.get("eval_loss", 0.0))
        if not math.isfinite(loss):
            raise UserError(
                "NonFiniteLoss",
                f"The {'loss' if 'loss' in values else 'evaluation loss'} became {loss} by step {state.global_step}.",
                "Lower spec.training.learningRate, raise warmupRatio, or use precision bf16 or fp32; "
                "the checkpoints before this step are kept.",
            )
        if self._ranks.rank != 0:
            return
        line = self._log.write(state.global_step, state.epoch, values)
        told = {_PROGRESS[name]: line[name] for name in _PROGRESS if name in line}
        self._heartbeat.beat(**told)
        print(_sentence(line), flush=True)


def _sentence(line: dict[str, Any]) -> str:
    parts = [f"step {line['current_steps']}/{line['total_steps']}"]
    for name, label, form in (
        ("loss", "loss", ".4f"), ("eval_loss", "eval loss", ".4f"), ("grad_norm", "grad norm", ".3f"),
        ("lr", "lr", ".2e"), ("throughput", "tokens/s", ".0f"),
    ):  # fmt: skip
        if name in line:
            parts.append(f"{label} {line[name]:{form}}")
    return "  ".join(parts)
