"""Configurations that users bring along: the guide's files run as they are, from a mounted ConfigMap, and end where ours do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import gang
from finetune_trainer.errors import UserError
from strategies.presets import STEPS, Bench, forget_the_end

GUIDE = Path(__file__).parents[1] / "data/guide"
DS_FILES = sorted(file.name for file in GUIDE.glob("ds_*.json"))


def job(bench: Bench, library: str, settings: dict[str, Any], ranks: int, **changes: Any) -> dict[str, Any]:
    """A full fine-tuning under `library`, configured by `settings`."""
    group = {"strategy": library, library: settings, "processesPerNode": ranks}
    content = bench.job("ddp", "full", ranks)
    content["spec"] |= {"distributed": group, "training": content["spec"]["training"] | changes}
    return content


def in_config_map(file: str) -> dict[str, Any]:
    return {"configMapRef": {"name": "guide", "key": file}}


def run(bench: Bench, content: dict[str, Any], ranks: int, output: Path | None = None) -> gang.Ran:
    return gang.run(content, output or bench.new_folder(), ranks, mounts={"configmap/guide": str(GUIDE)})


@pytest.mark.parametrize("file", DS_FILES)
def test_the_guides_deepspeed_files_run_and_fit_another_number_of_ranks(bench: Bench, file: str) -> None:
    """They have round_robin_gradients on, with which DeepSpeed's own conversion to another number of ranks loads wrong weights."""
    ran = run(bench, job(bench, "deepspeed", in_config_map(file), 2), 2)
    bench.same_curve("full", ran)
    forget_the_end(ran.output)
    alone = run(bench, job(bench, "deepspeed", in_config_map(file), 1), 1, ran.output)
    assert [line["attempt"] for line in alone.lines] == [0] * (STEPS // 2) + [1] * (STEPS // 2)
    bench.same_curve("full", alone)


def test_an_inline_configuration_is_in_force(bench: Bench) -> None:
    """Gradients clipped to almost nothing: the value in the configuration reaches DeepSpeed."""
    config = {"zero_optimization": {"stage": 2}, "gradient_clipping": 1e-9}
    bench.same_curve("full", run(bench, job(bench, "deepspeed", {"config": {"zero_optimization": {"stage": 2}}}, 2), 2))
    clipped = run(bench, job(bench, "deepspeed", {"config": config}, 2, maxGradNorm=1e-9, optim="sgd"), 2)
    assert abs(clipped.lines[0]["loss"] - clipped.lines[-1]["loss"]) < 0.2  # Only the batches differ.


@pytest.mark.parametrize(
    "config",
    [
        {"fsdp_version": 2, "fsdp_reshard_after_forward": False, "fsdp_cpu_ram_efficient_loading": True},
        {"fsdp_sharding_strategy": "SHARD_GRAD_OP", "fsdp_sync_module_states": False},
    ],
    ids=["version 2", "version 1"],
)
def test_a_configuration_of_fsdp_is_in_force(bench: Bench, config: dict[str, Any]) -> None:
    bench.same_curve("full", run(bench, job(bench, "fsdp", {"config": config}, 2), 2))


def test_the_guides_fsdp_file_says_what_it_needs(bench: Bench) -> None:
    """It asks for fp16 and for weights in main memory: both are a GPU's."""
    with pytest.raises(RuntimeError, match=r"moves weights out of a GPU's memory, and this node shows no GPU"):
        run(bench, job(bench, "fsdp", in_config_map("fsdp_config.yaml"), 2, precision="fp16"), 2)


def test_a_file_that_contradicts_the_job_is_refused_before_the_model_is_loaded(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "ds.json").write_text('{"zero_optimization": {"stage": 2}, "train_batch_size": 7}')
    content = job(bench, "deepspeed", {"configMapRef": {"name": "mine", "key": "ds.json"}}, 2)
    with pytest.raises(UserError, match=r"\(ds.json\)\.train_batch_size: is 7, and the job has 4 x 1 x 2 processes = 8"):
        gang.run(content, bench.new_folder(), 2, mounts={"configmap/mine": str(tmp_path)})
    content["spec"]["distributed"]["deepspeed"]["configMapRef"]["key"] = "other.json"
    with pytest.raises(UserError, match=r"configMapRef: there is no .*other\.json"):
        gang.run(content, bench.new_folder(), 2, mounts={"configmap/mine": str(tmp_path)})
