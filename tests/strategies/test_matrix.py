"""Every preset that runs without a GPU, full and LoRA, four of them with QLoRA, on one node and on two: the same loss, the same
bits after a kill, any number of ranks, any other preset, a result that loads. `make test-strategies`; a few minutes' worth of it is
in test_presets.py and test_qlora.py."""

from __future__ import annotations

import json
import signal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import gang
from resume.runs import Run
from strategies.evaluate import evaluation_loss
from strategies.presets import LOSS_TOLERANCE, QLORA, RUN_HERE, SAVE_STEPS, STEPS, Bench, forget_the_end
from trained import steps, weights_sha256

pytestmark = [pytest.mark.strategies, pytest.mark.timeout(600)]

METHODS = ["full", "lora"]
#: Of the runs that are disturbed: long enough that a kill comes before the end.
LONG = {"maxSteps": 40, "saveSteps": 7, "saveTotalLimit": 2}
DISTURB_AT = 18

CASES = [(preset, method) for preset in RUN_HERE for method in METHODS] + [(preset, "qlora") for preset in QLORA]
each_case = pytest.mark.parametrize(("preset", "method"), CASES)
each_method = pytest.mark.parametrize("method", METHODS)
each_accumulation = pytest.mark.parametrize("accumulation", [1, 2])


def started(job: dict[str, Any], output: Path) -> Run:
    return Run(job, output, files=output.parent)


def finished(run: Run) -> None:
    assert run.finish() == 0, run.log.read_text() + run.node_log()


def long_job(bench: Bench, preset: str, method: str, nodes: int) -> dict[str, Any]:
    content = bench.job(preset, method, 2, 2, nodes=nodes, processesPerNode=2 // nodes)
    content["spec"]["training"] |= LONG | ({"lora": {"dropout": 0.1}} if method != "full" else {})
    return content


def as_ran(output: Path) -> gang.Ran:
    lines = [json.loads(line) for line in (output / "trainer_log.jsonl").read_text().splitlines()]
    return gang.Ran(output, [line for line in lines if "loss" in line], [line for line in lines if "eval_loss" in line], {})


@each_case
@each_accumulation
def test_one_node(bench: Bench, preset: str, method: str, accumulation: int) -> None:
    ran = bench.run(preset, method, 2, accumulation)
    bench.same_curve(method, ran)
    assert evaluation_loss(ran.output, bench.model, method == "qlora") == pytest.approx(
        ran.evaluations[-1]["eval_loss"], abs=LOSS_TOLERANCE
    )


@each_case
@each_accumulation
def test_two_nodes(bench: Bench, preset: str, method: str, accumulation: int) -> None:
    output = bench.new_folder()
    finished(started(bench.job(preset, method, 2, accumulation, nodes=2, processesPerNode=1), output))
    bench.same_curve(method, as_ran(output))
    assert evaluation_loss(output, bench.model, method == "qlora") == pytest.approx(
        as_ran(output).evaluations[-1]["eval_loss"], abs=LOSS_TOLERANCE
    )


@each_case
@pytest.mark.parametrize("nodes", [1, 2])
def test_the_same_bits_after_kill_9(with_dropout: Bench, preset: str, method: str, nodes: int) -> None:
    expected = _undisturbed(with_dropout, preset, method, nodes)
    output = with_dropout.new_folder()
    run = started(long_job(with_dropout, preset, method, nodes), output)
    run.wait_for_step(DISTURB_AT)
    run.ranks()[-1].send_signal(signal.SIGKILL)
    finished(run)
    lines = steps(output)
    assert [line["current_steps"] for line in lines] == list(range(1, LONG["maxSteps"] + 1))
    assert lines[-1]["attempt"] > lines[0]["attempt"], "the kill came too late to disturb anything"
    assert weights_sha256(output) == expected


@cache
def _undisturbed(bench: Bench, preset: str, method: str, nodes: int) -> str:
    output = bench.new_folder()
    finished(started(long_job(bench, preset, method, nodes), output))
    return weights_sha256(output)


@each_case
@pytest.mark.parametrize(("before", "after"), [(2, 1), (2, 4), (1, 2)])
def test_another_number_of_ranks(bench: Bench, preset: str, method: str, before: int, after: int) -> None:
    output = bench.run(preset, method, before).output
    forget_the_end(output)
    again = bench.run(preset, method, after, output=output)
    assert [line["attempt"] for line in again.lines] == [0] * SAVE_STEPS + [1] * (STEPS - SAVE_STEPS)
    bench.same_curve(method, again)


@each_method
@pytest.mark.parametrize("before", RUN_HERE)
def test_another_preset(bench: Bench, before: str, method: str) -> None:
    """Each goes on under the next one."""
    after = RUN_HERE[(RUN_HERE.index(before) + 4) % len(RUN_HERE)]
    output = bench.run(before, method, 2).output
    forget_the_end(output)
    again = bench.run(after, method, 2, output=output)
    assert again.lines[-1]["attempt"] == 1
    bench.same_curve(method, again)
