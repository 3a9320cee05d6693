"""What `kubectl get` shows."""

from __future__ import annotations

import pytest

from finetune_api.contract import Progress
from finetune_api.status import FineTuneJobStatus, Nodes, duration, summary


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0, "0s"), (59.4, "59s"), (59.6, "1m00s"), (185, "3m05s"), (3900, "1h05m"), (183600, "2d03h"), (86399, "23h59m")],
)
def test_duration(seconds: float, text: str):
    assert duration(seconds) == text


def test_summary():
    progress = Progress(phase="training", step=120, total_steps=500, loss=1.23456, eta_seconds=3900)
    assert summary(progress, Nodes(desired=2, ready=1)).model_dump() == {
        "step": "120/500",
        "loss": "1.235",
        "eta": "1h05m",
        "nodes": "1/2",
    }


def test_summary_of_what_is_not_known_yet():
    assert summary(Progress(), Nodes(desired=2)).model_dump() == {"step": "", "loss": "", "eta": "", "nodes": "0/2"}


def test_a_status_of_a_newer_operator_can_be_read():
    status = FineTuneJobStatus.model_validate({"phase": "Running", "progress": {"step": 3, "new": 1}, "newer": {}})
    assert status.progress is not None and status.progress.step == 3
