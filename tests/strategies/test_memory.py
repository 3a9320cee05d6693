"""What a rank holds is what docs/strategies.md says, but for padding and the small weights that ZeRO-3 keeps whole."""

from __future__ import annotations

import json
import re
from math import prod
from pathlib import Path

import pytest

import gang
import tiny
from strategies.presets import distributed

DOCS = Path(__file__).parents[2] / "docs/strategies.md"
RANKS = 2
TOLERANCE = 0.02


def formulas(heading: str) -> dict[str, tuple[float, float]]:
    """Preset -> bytes per parameter of weights and optimizer on RANKS ranks, from the table under a heading of the page."""
    section = DOCS.read_text().split(f"### {heading}\n")[1].split("\n#")[0]
    found = {}
    for row in re.findall(r"^\| `(.+?)` \| (.+?) \| .+? \| (.+?) \|", section, re.MULTILINE):
        presets, weights, optimizer = row
        for preset in presets.split("`, `"):
            found[preset] = (_value(weights), _value(optimizer))
    return found


def _value(formula: str) -> float:
    """Bytes, from `4`, `12/N` or a sum of such terms."""
    assert re.fullmatch(r"\d+(/N)?( \+ \d+(/N)?)*", formula), formula
    return sum(int(term.removesuffix("/N")) / (RANKS if term.endswith("/N") else 1) for term in formula.split(" + "))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """4.2 million parameters: enough for padding not to matter."""
    folder = tmp_path_factory.mktemp("memory") / "model"
    return tiny.make_model(folder, hidden_size=256, intermediate_size=1024, num_hidden_layers=4, head_dim=64)


@pytest.mark.parametrize(
    ("preset", "precision"),
    [("ddp", "fp32"), ("zero1", "bf16"), ("zero2", "fp32"), ("zero3", "bf16"), ("fsdp2", "bf16")],
)
def test_a_rank_holds_what_the_page_says(model: Path, tmp_path: Path, preset: str, precision: str) -> None:
    data = gang.write_alpaca(tmp_path / "data.jsonl", 4)
    training = {"method": "full", "maxSteps": 1, "perDeviceTrainBatchSize": 1, "precision": precision}
    ran = gang.run(gang.job(model, data, training, distributed=distributed(preset)), tmp_path / "out", RANKS)
    weights, optimizer = formulas(precision)[preset]
    parameters = _parameters(model)
    for rank in range(RANKS):
        timings = json.loads((ran.output / f".finetune/timings-0-{rank}.json").read_text())
        assert timings["weight_bytes"] == pytest.approx(weights * parameters, rel=TOLERANCE)
        assert timings["optimizer_bytes"] == pytest.approx(optimizer * parameters, rel=TOLERANCE)


def _parameters(model: Path) -> int:
    from safetensors import safe_open

    with safe_open(str(model / "model.safetensors"), "pt") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
