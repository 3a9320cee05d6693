"""Progress as a terminal shows it: a bar, and the measured values with the shape of the loss."""

from __future__ import annotations

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from finetune_api.contract import Progress
from finetune_cli import format as text

_SPARK_WIDTH = 24


class LossCurve:
    """Losses by step, as they are told."""

    def __init__(self) -> None:
        self._losses: dict[int, float] = {}
        self._last: float | None = None

    def add(self, progress: Progress) -> None:
        """Take in a loss; the steps between two logged ones repeat the last."""
        if progress.loss not in (None, self._last):
            self._losses[progress.step or 0] = self._last = progress.loss

    def __str__(self) -> str:
        """The shape, once there are three points."""
        curve = [self._losses[step] for step in sorted(self._losses)]
        return text.sparkline(curve, _SPARK_WIDTH) if len(curve) > 2 else ""


def bar(now: Progress, age: float) -> RenderableType:
    """Phase, bar and time left. Args: age: seconds since the progress was told."""
    row = Table.grid(padding=(0, 2), expand=True)
    row.add_column(no_wrap=True)
    if not now.total_steps:
        row.add_row(Text.assemble((now.phase, "cyan"), f"  {now.message}"))
        return row
    step = now.step or 0
    row.add_column(ratio=1)
    row.add_column(justify="right", no_wrap=True)
    eta = f"  ETA {text.duration(now.eta_seconds - age)}" if now.eta_seconds is not None else ""
    counted = f"{step}/{now.total_steps}  {step / now.total_steps:.0%}{eta}"
    row.add_row(Text(now.phase, style="cyan"), ProgressBar(total=now.total_steps, completed=step), counted)
    return row


def values(now: Progress, curve: LossCurve) -> RenderableType:
    """Loss with its curve, evaluation loss, learning rate, gradient norm, speed."""
    measured = [
        ("loss", text.loss, now.loss),
        ("eval loss", text.loss, now.eval_loss),
        ("lr", text.rate, now.learning_rate),
        ("grad norm", text.loss, now.grad_norm),
    ]
    shown = Text()
    for name, form, value in measured:
        if value is not None:
            shown.append(f"{name} ", style="dim").append(form(value), style="bold").append("  ")
            if name == "loss" and str(curve):
                shown.append(str(curve), style="green").append("  ")
    if now.tokens_per_second is not None:
        shown.append(text.speed(now.tokens_per_second), style="bold")
    return shown
