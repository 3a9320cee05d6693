"""Method qlora under each kind of strategy: 4-bit weights that are really split, the loss of one process, a result that fits both
bases."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

import gang
from strategies.evaluate import evaluation_loss
from strategies.presets import LOSS_TOLERANCE, QLORA, Bench, forget_the_end
from trained import weights_sha256

#: Of the tiny Llama's two layers: q and o 64 x 64, k and v 64 x 32, three of the MLP 64 x 128.
FOUR_BIT_WEIGHTS = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)


def job(bench: Bench, preset: str, ranks: int) -> dict[str, Any]:
    """Evaluated under way, so that training goes on with weights that an evaluation has used. Two ranks recompute activations."""
    content = bench.job(preset, "qlora", ranks)
    content["spec"]["training"] |= {"evalSteps": 2, "gradientCheckpointing": ranks > 1}
    return content | {"spec": content["spec"] | {"output": {"mergeAdapter": True}}}


@pytest.fixture(scope="module")
def one_process(bench: Bench) -> gang.Ran:
    return gang.run(job(bench, "ddp", 1), bench.new_folder(), 1)


@pytest.fixture(scope="module", params=QLORA)
def trained(request: pytest.FixtureRequest, bench: Bench) -> tuple[str, gang.Ran]:
    """A preset, and a run under it on two ranks."""
    preset: str = request.param
    return preset, gang.run(job(bench, preset, 2), bench.new_folder(), 2)


def test_the_loss_is_that_of_one_process(trained: tuple[str, gang.Ran], one_process: gang.Ran) -> None:
    _, ran = trained
    for name, theirs, ours in (("loss", one_process.lines, ran.lines), ("eval_loss", one_process.evaluations, ran.evaluations)):
        assert [line[name] for line in ours] == pytest.approx([line[name] for line in theirs], abs=LOSS_TOLERANCE)
    assert len(ran.evaluations) == 3


def test_it_is_not_the_loss_of_full_precision(bench: Bench, one_process: gang.Ran) -> None:
    """Before the first step both are the same model, but for the quantisation."""
    assert abs(one_process.lines[0]["loss"] - bench.reference("lora").lines[0]["loss"]) > 5e-4


def test_what_each_rank_holds_is_measured_and_told(trained: tuple[str, gang.Ran]) -> None:
    preset, ran = trained
    here, total = re.search(r"4-bit weights: ([\d.]+) KiB on this rank of ([\d.]+) KiB in all", ran.said).groups()
    assert float(total) == pytest.approx(FOUR_BIT_WEIGHTS / 2 / 1024, abs=0.1)
    share = 1 if preset in ("ddp", "zero2") else 2
    assert float(here) == pytest.approx(float(total) / share, abs=0.1)
    assert "0.17 million parameters" in ran.said  # Not those of the packed tensors.


def test_the_adapter_has_the_loss_of_the_run_over_a_4_bit_base(trained: tuple[str, gang.Ran], bench: Bench) -> None:
    _, ran = trained
    assert evaluation_loss(ran.output, bench.model, four_bit=True) == pytest.approx(
        ran.evaluations[-1]["eval_loss"], abs=LOSS_TOLERANCE
    )


def test_the_adapter_fits_the_full_base_and_is_merged_into_it(trained: tuple[str, gang.Ran], bench: Bench) -> None:
    _, ran = trained
    over_the_full_base = evaluation_loss(ran.output, bench.model)
    assert 1e-5 < abs(over_the_full_base - ran.evaluations[-1]["eval_loss"]) < 0.05
    merged = ran.output / "merged"
    (merged / ".finetune").mkdir(exist_ok=True)
    (merged / ".finetune/prepared.json").write_text((ran.output / ".finetune/prepared.json").read_text())
    assert evaluation_loss(merged, bench.model) == pytest.approx(over_the_full_base, abs=1e-5)


def test_nothing_in_the_result_says_that_it_is_quantised(trained: tuple[str, gang.Ran]) -> None:
    _, ran = trained
    for path in [*ran.output.glob("*.json"), *(ran.output / "merged").glob("*.json")]:
        assert "quant" not in path.read_text() or "quant" not in json.dumps(list(json.loads(path.read_text()))), path


@pytest.mark.parametrize("preset", ["zero2", "fsdp2"])
def test_in_bf16_it_is_the_same_loss_to_what_bf16_can_tell(bench: Bench, one_process: gang.Ran, preset: str) -> None:
    """The adapter stays float32 (DeepSpeed holds it in its optimizer), and the loss is not rounded to bf16 (steps of 0.03 here)."""
    content = job(bench, preset, 2)
    content["spec"]["training"]["precision"] = "bf16"
    ran = gang.run(content, bench.new_folder(), 2)
    assert [line["loss"] for line in ran.lines] == pytest.approx([line["loss"] for line in one_process.lines], abs=2e-3)
    last, expected = ran.evaluations[-1]["eval_loss"], one_process.evaluations[-1]["eval_loss"]
    assert last == pytest.approx(expected, abs=2e-3)


def test_a_run_that_was_lost_ends_with_the_same_bits(trained: tuple[str, gang.Ran], bench: Bench) -> None:
    preset, ran = trained
    expected = weights_sha256(ran.output)
    forget_the_end(ran.output)
    gang.run(job(bench, preset, 2), ran.output, 2)
    assert weights_sha256(ran.output) == expected
