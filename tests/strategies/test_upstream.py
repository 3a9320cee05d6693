"""Each library bug that is worked around for strategies: still there? When one of these fails, its module in upstream/ can go."""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from pathlib import Path

ONE_RANK = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0", "MASTER_ADDR": "127.0.0.1"}


def python(code: str, tmp_path: Path, **env: str) -> str:
    """What a process of its own prints: these libraries keep their state for good."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | ONE_RANK | env, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip().splitlines()[-1]


JOINED = """
import os, torch, torch.distributed as dist
dist.init_process_group("gloo", init_method="file://" + os.path.abspath("store"), rank=0, world_size=1)
"""


def test_accelerate_fsdp_on_cpu_is_still_needed(tmp_path: Path) -> None:
    code = JOINED + (
        "from accelerate import Accelerator, FullyShardedDataParallelPlugin as Plugin\n"
        "print(Accelerator(cpu=True, fsdp_plugin=Plugin(fsdp_version=2)).distributed_type.value)"
    )
    assert python(code, tmp_path) == "MULTI_CPU"
    (tmp_path / "store").unlink(missing_ok=True)
    assert python("from finetune_trainer.upstream import accelerate_fsdp_on_cpu as fix; fix.apply()\n" + code, tmp_path) == "FSDP"


def test_accelerate_sharding_strategy_is_still_needed(tmp_path: Path) -> None:
    code = (
        "from accelerate import FullyShardedDataParallelPlugin as Plugin\n"
        "plugin = Plugin(fsdp_version=1, reshard_after_forward='SHARD_GRAD_OP')\n"
        "print((plugin.sharding_strategy or plugin.reshard_after_forward).name)"
    )
    assert python(code, tmp_path) == "FULL_SHARD"
    fix = "from finetune_trainer.upstream.accelerate_sharding_strategy import ask_for; ask_for('SHARD_GRAD_OP')\n"
    assert python(fix + code, tmp_path) == "SHARD_GRAD_OP"


def test_accelerate_fsdp2_loss_is_still_needed() -> None:
    from accelerate import FullyShardedDataParallelPlugin

    from finetune_trainer.upstream.accelerate_fsdp2_loss import keep

    plugin = FullyShardedDataParallelPlugin(fsdp_version=2)
    plugin.set_mixed_precision("bf16")
    assert str(plugin.mixed_precision_policy.output_dtype) == "torch.bfloat16"
    keep(plugin)
    policy = plugin.mixed_precision_policy
    assert (policy.output_dtype, str(policy.param_dtype)) == (None, "torch.bfloat16")


def test_deepspeed_shm_is_still_needed() -> None:
    module = importlib.import_module("deepspeed.comm.torch")
    assert "self.shm_comm_op = build_shm_op()" in inspect.getsource(module.TorchBackend)
    assert "builder.load()" in inspect.getsource(module.build_shm_op)


def test_deepspeed_dummy_step_is_still_needed() -> None:
    from deepspeed.runtime.fp16.unfused_optimizer import FP16_UnfusedOptimizer

    assert "self.optimizer.step()" in inspect.getsource(FP16_UnfusedOptimizer.initialize_optimizer_states)


def test_renamed_collectives_is_still_needed(tmp_path: Path) -> None:
    code = JOINED + (
        "import warnings\n"
        "{}"
        "with warnings.catch_warnings(record=True) as seen:\n"
        "    dist.all_gather_into_tensor(torch.zeros(1), torch.zeros(1))\n"
        "print(len([w for w in seen if w.category is FutureWarning]))"
    )
    assert python(code.format("warnings.simplefilter('always')\n"), tmp_path) == "1"
    (tmp_path / "store").unlink(missing_ok=True)
    fix = "from finetune_trainer.upstream.renamed_collectives import silence; silence()\n"
    assert python(code.format("warnings.simplefilter('always')\n" + fix), tmp_path) == "0"
    assert "all_gather_into_tensor" in Path(inspect.getfile(importlib.import_module("deepspeed.comm.torch"))).read_text()


def test_unwrapping_imports_is_still_needed(tmp_path: Path) -> None:
    code = (
        "import sys, torch\n"
        "{}"
        "from accelerate.utils.other import extract_model_from_parallel\n"
        "extract_model_from_parallel(torch.nn.Linear(1, 1)); print('deepspeed' in sys.modules)"
    )
    assert python(code.format(""), tmp_path) == "True"
    fix = "from finetune_trainer.upstream.unwrapping_imports import without_deepspeed; without_deepspeed()\n"
    assert python(code.format(fix), tmp_path) == "False"


def test_peft_fsdp1_names_is_still_needed() -> None:
    """A layer whose module has the name that FSDP1 gives it."""
    import peft.tuners.tuners_utils as tuners
    import torch
    from peft import LoraConfig, get_peft_model

    from finetune_trainer.upstream.peft_fsdp1_names import apply

    class Layer(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = torch.nn.Linear(4, 4)

    model = torch.nn.Sequential(Layer())
    adapted = get_peft_model(model, LoraConfig(target_modules=["linear"]))
    layer = adapted.base_model.model[0]
    wrapper = torch.nn.Module()
    wrapper._fsdp_wrapped_module = layer
    adapted.base_model.model[0] = wrapper
    original = tuners._get_tuner_state_dict_key_prefixes
    try:
        assert any("_fsdp_wrapped_module." in prefix for prefix in original(adapted))
        apply()
        assert not any("_fsdp_wrapped_module." in prefix for prefix in tuners._get_tuner_state_dict_key_prefixes(adapted))
    finally:
        tuners._get_tuner_state_dict_key_prefixes = original
