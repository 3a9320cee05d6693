"""Progress in words: what is new in it, as plain lines for logs."""

from __future__ import annotations

from finetune_api.contract import Progress
from finetune_cli import format as text


def news(before: Progress, now: Progress) -> list[str]:
    """A line for each thing that was measured or saved since `before`."""
    lines = []
    if now.eval_loss is not None and now.eval_loss != before.eval_loss:
        lines.append(f"eval loss {text.loss(now.eval_loss)}")
    if now.loss is not None and (now.loss, now.learning_rate) != (before.loss, before.learning_rate):
        lines.append("  ".join([step(now), *measures(now)]))
    if now.last_checkpoint_step is not None and now.last_checkpoint_step != before.last_checkpoint_step:
        lines.append(f"checkpoint at step {now.last_checkpoint_step}")
    return lines


def step(progress: Progress) -> str:
    """`step  7/500`."""
    total = progress.total_steps
    return f"step {progress.step or 0:>{len(str(total or ''))}}/{total}" if total else f"step {progress.step or 0}"


def measures(progress: Progress) -> list[str]:
    """The measured values of a progress, each with its name or unit."""
    values = [
        ("loss {}", text.loss, progress.loss),
        ("lr {}", text.rate, progress.learning_rate),
        ("grad norm {}", text.loss, progress.grad_norm),
        ("{}", text.speed, progress.tokens_per_second),
        ("ETA {}", text.duration, progress.eta_seconds),
    ]
    return [words.format(form(value)) for words, form, value in values if value is not None]
