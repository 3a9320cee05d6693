"""Each preset once, in a few minutes: the loss of one process, a resume to the same bits, a result that loads."""

from __future__ import annotations

import json
from math import prod
from typing import NamedTuple

import pytest

import gang
from finetune_trainer.strategies.presets import read_preset
from strategies.evaluate import evaluation_loss
from strategies.presets import FSDP, LOSS_TOLERANCE, NEED_A_GPU, RUN_HERE, ZERO, Bench, forget_the_end
from trained import weights_sha256

#: Full and LoRA take turns, but where each has gone wrong in its own way; the whole matrix is in test_matrix.py.
CASES = [(preset, ("full", "lora")[number % 2]) for number, preset in enumerate(RUN_HERE)] + [("fsdp1", "lora"), ("fsdp2", "full")]


class Trained(NamedTuple):
    """A run on two ranks."""

    preset: str
    method: str
    ran: gang.Ran


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def trained(request: pytest.FixtureRequest, bench: Bench) -> Trained:
    """Each case once."""
    preset, method = request.param
    return Trained(preset, method, bench.run(preset, method, ranks=2))


def test_the_loss_is_that_of_one_process(trained: Trained, bench: Bench) -> None:
    bench.same_curve(trained.method, trained.ran)


def test_the_result_loads_and_has_the_loss_of_the_run(trained: Trained, bench: Bench) -> None:
    ran = trained.ran
    assert evaluation_loss(ran.output, bench.model) == pytest.approx(ran.evaluations[-1]["eval_loss"], abs=LOSS_TOLERANCE)


def test_each_rank_holds_its_share_of_the_optimizer(trained: Trained) -> None:
    """Read from what the ranks have written, not from what a library says of itself."""
    preset, _, ran = trained
    (checkpoint,) = ran.output.glob("checkpoints/step-00000006")
    held = []
    for rank in range(2):
        index = checkpoint / f"pieces-{rank:05d}.json"
        pieces = json.loads(index.read_text()) if index.exists() else []
        held.append(sum(length for _, _, _, length, elementwise, _ in pieces if "exp_avg_sq" in elementwise))
    whole = sum(prod(shape) for shape in {name: shape for name, shape, *_ in _all(checkpoint)}.values())
    if preset in ("ddp", "zero0"):
        assert held == [whole, 0]
    else:
        assert sum(held) == whole and abs(held[0] - held[1]) < 0.05 * whole, held


def _all(checkpoint):
    return [piece for path in sorted(checkpoint.glob("pieces-*.json")) for piece in json.loads(path.read_text())]


def test_a_run_that_was_lost_ends_with_the_same_bits(trained: Trained, bench: Bench) -> None:
    preset, method, ran = trained
    expected = weights_sha256(ran.output)
    forget_the_end(ran.output)
    again = bench.run(preset, method, ranks=2, output=ran.output)
    assert again.lines[-1]["attempt"] == 1
    assert weights_sha256(ran.output) == expected


@pytest.mark.parametrize("preset", NEED_A_GPU)
def test_what_needs_a_gpu_says_so(bench: Bench, preset: str) -> None:
    with pytest.raises(RuntimeError, match=f"this node shows no GPU. Use {preset.removesuffix('-offload')} here"):
        bench.run(preset, "full", ranks=1)


def test_every_preset_of_the_api_has_its_file() -> None:
    for preset in ZERO:
        assert read_preset(preset)["zero_optimization"]["stage"] == int(preset[4])
    for preset in [*FSDP, *NEED_A_GPU]:
        assert read_preset(preset)["version"] == int(preset[4])
