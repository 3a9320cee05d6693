"""How a job looks while it is followed, and what `describe` says from facts that no cluster gives on demand. Pure."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from finetune_cli.cluster.display import JobView, changes, last_words
from finetune_cli.cluster.explain import explain
from finetune_cli.cluster.facts import JobFacts, job_facts
from shell.jobs import finetune_job

CREATED = 1_767_225_600  # 2026-01-01T00:00:00Z


def job(**status: Any) -> JobFacts:
    """A job of two nodes with this status."""
    return job_facts(manifest(**status))


def manifest(**status: Any) -> dict[str, Any]:
    raw = finetune_job("team")
    raw["metadata"] |= {"uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}
    return {**raw, "status": status} if status else raw


def running(step: int, loss: float, **status: Any) -> JobFacts:
    progress = {"phase": "training", "step": step, "totalSteps": 100, "loss": loss, "etaSeconds": 90, "updatedAt": CREATED}
    nodes = {"desired": 2, "ready": 2}
    return job(**{"phase": "Running", "message": "Training.", "nodes": nodes, "progress": progress, **status})


def screen(view: JobView, width: int = 80) -> str:
    console = Console(width=width, record=True, force_terminal=False, file=io.StringIO())
    console.print(view)
    return console.export_text()


def test_the_live_view():
    view = JobView(clock=lambda: CREATED + 30)
    for step, loss in ((1, 3.0), (2, 2.0), (3, 1.0)):
        view.job = running(step, loss, restarts=1, attempt=1)
    text = screen(view)
    assert "a in team  Running" in text and "3/100  3%  ETA 1m00s" in text, "half a minute has passed since the 90 s were told"
    assert "loss 1.0000  █▅▁" in text and "Training." in text
    assert "nodes 2/2 · attempt 1 · restarts 1 of 3 · Ctrl-C leaves, the job goes on" in text


def test_the_live_view_of_a_job_that_waits():
    view = JobView(clock=lambda: CREATED + 1)
    view.job = job()
    assert "Submitted; waiting for the operator." in screen(view)
    view.job = job(phase="Pending", message="There is no Secret hf in this namespace.")
    assert "Pending" in screen(view) and "There is no Secret hf in this namespace." in screen(view)


@pytest.mark.parametrize("width", [40, 200])
def test_the_live_view_at_any_width(width: int):
    view = JobView(clock=lambda: CREATED)
    view.job = running(7, 1.5)
    assert max(map(len, screen(view, width).splitlines())) <= width


def test_lines_only_for_what_is_new():
    first = changes(None, running(1, 3.0))
    assert first == ["Running (attempt 0): Training.", "step   1/100  loss 3.0000  ETA 1m30s"]
    assert changes(running(1, 3.0), running(1, 3.0)) == []
    assert changes(running(1, 3.0), running(2, 2.0)) == ["step   2/100  loss 2.0000  ETA 1m30s"]
    failure = {"reason": "Crashed", "message": "Rank 0 crashed."}
    restarting = running(2, 2.0, phase="Restarting", message="Attempt 0 has failed.", lastFailure=failure)
    assert changes(running(2, 2.0), restarting) == [
        "attempt 0: Crashed: Rank 0 crashed.",
        "Restarting (attempt 0): Attempt 0 has failed.",
    ]


def test_last_words_name_the_next_command():
    assert "kubectl finetune pull a -n team" in last_words(running(100, 0.5, phase="Succeeded"), "kubectl finetune")
    assert "finetune describe a -n team" in last_words(job(phase="Failed", message="No."), "finetune")


def test_attempts_that_are_gone_are_told_from_events():
    def event(reason: str, text: str, minute: int) -> dict[str, Any]:
        about = {"kind": "FineTuneJob", "name": "a"}
        return {
            "metadata": {},
            "reason": reason,
            "message": text,
            "lastTimestamp": f"2026-01-01T00:0{minute}:00Z",
            "involvedObject": about,
        }

    attempt = {
        "metadata": {
            "name": "a-3",
            "uid": "j",
            "creationTimestamp": "2026-01-01T00:09:00Z",
            "labels": {"finetune.dev/job-uid": "u", "finetune.dev/attempt": "3"},
            "annotations": {"finetune.dev/restarts": "2", "finetune.dev/preemptions": "1"},
        },
        "status": {"startTime": "2026-01-01T00:09:00Z"},
    }
    told = [
        event("Preempted", "made room", 5),
        event("Restarting", "Restart 1: crash", 2),
        event("Restarting", "Restart 2: crash", 8),
    ]
    facts = job_facts(manifest(phase="Running", restarts=2, preemptions=1, attempt=3), [attempt])
    lines = explain(facts, told, now=CREATED + 600, command="finetune")
    (start,) = [number for number, line in enumerate(lines) if "attempts before 3 are no longer there" in line]
    assert [line.split()[1] for line in lines[start - 3 : start]] == ["Restarting:", "Preempted:", "Restarting:"]
    assert "attempt 3: 0 of 2 nodes run" in lines[start + 1]


def test_a_status_of_a_newer_operator_is_read_as_far_as_it_goes():
    facts = job(phase="Running", message="New.", progress={"phase": "levitating"}, shinyNewField=1)
    assert (facts.status.phase, facts.status.message) == ("Running", "New.")
