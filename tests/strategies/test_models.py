"""Models that are split in a way of their own: tied embeddings, a mixture of experts; and bf16."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

import tiny
from strategies.evaluate import evaluation_loss
from strategies.presets import LOSS_TOLERANCE, RUN_HERE, Bench, forget_the_end
from trained import weights_sha256

#: Of the quick ones; the others are for `make test-strategies`.
SPLIT = {"zero3", "fsdp2"}


def cases(presets: list[str]) -> list[object]:
    return [pytest.param(name, marks=() if name in SPLIT else pytest.mark.strategies) for name in presets]


@pytest.fixture(scope="module")
def tied(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("tied")
    return Bench(tiny.make_model(folder / "model", "qwen3"), folder)


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("experts")
    return Bench(tiny.make_model(folder / "model", "qwen3_moe"), folder)


@pytest.mark.parametrize("preset", cases(RUN_HERE))
def test_tied_embeddings(tied: Bench, preset: str) -> None:
    ran = tied.run(preset, "full", 2)
    tied.same_curve("full", ran)
    assert "lm_head.weight" not in load_file(ran.output / "model.safetensors"), "the tied head is written once"
    assert evaluation_loss(ran.output, tied.model) == pytest.approx(ran.evaluations[-1]["eval_loss"], abs=LOSS_TOLERANCE)


def test_an_adapter_on_experts_is_not_for_fsdp1(experts: Bench) -> None:
    with pytest.raises(RuntimeError, match=r"fsdp1 cannot train an adapter on .*mlp\.\w+, .*Use fsdp2 or zero3"):
        experts.run("fsdp1", "lora", 2)


@pytest.mark.parametrize(
    ("preset", "method"),
    [
        pytest.param(preset, method, marks=() if preset in SPLIT else pytest.mark.strategies)
        for preset in ("zero2", "zero3", "fsdp1", "fsdp2")
        for method in ("full", "lora")
        if (preset, method) != ("fsdp1", "lora")
    ],
)
def test_a_mixture_of_experts(experts: Bench, preset: str, method: str) -> None:
    ran = experts.run(preset, method, 2)
    experts.same_curve(method, ran)
    assert evaluation_loss(ran.output, experts.model) == pytest.approx(ran.evaluations[-1]["eval_loss"], abs=LOSS_TOLERANCE)
    expected = weights_sha256(ran.output)
    forget_the_end(ran.output)
    experts.run(preset, method, 2, output=ran.output)
    assert weights_sha256(ran.output) == expected


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("packed")
    return Bench(tiny.make_model(folder / "model"), folder, packing=True)


@pytest.mark.parametrize("preset", cases(RUN_HERE))
def test_packed_samples(packed: Bench, preset: str) -> None:
    """The check that they do not see each other runs on what the strategy has made of the model."""
    ran = packed.run(preset, "full", 2)
    packed.same_curve("full", ran)


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("preset", cases([name for name in RUN_HERE if name != "ddp"]))
def test_bf16_learns_what_ddp_learns(bench: Bench, preset: str, method: str) -> None:
    """To the precision of bf16, which the strategies round in different places; and goes on with the same bits."""

    def run(preset: str, output: Path | None = None) -> tuple[Path, list[float]]:
        ran = bench.run(preset, method, 2, output=output, precision="bf16")
        return ran.output, [line["loss"] for line in ran.lines]

    _, expected = run("ddp")
    output, losses = run(preset)
    assert losses == pytest.approx(expected, abs=1e-2)
    assert any(loss * 64 != int(loss * 64) for loss in losses), "the loss itself is rounded to bf16"
    bits = weights_sha256(output)
    forget_the_end(output)
    run(preset, output)
    assert weights_sha256(output) == bits
