"""deepspeed.initialize with the preset's own configuration; engine.save_checkpoint and engine.load_checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepspeed
import torch.distributed as dist
from transformers.integrations import HfDeepSpeedConfig

from bench.strategies.plain import adamw
from finetune_trainer.strategies.presets import read_preset
from finetune_trainer.upstream import deepspeed_shm, renamed_collectives


class Zero:
    """See Wrapped."""

    def __init__(self, preset: str, make_model: Callable[[], Any], rate: float, batch: int) -> None:
        deepspeed_shm.skip()  # Else each run would begin with a compiler.
        renamed_collectives.silence()
        deepspeed.init_distributed()
        config = read_preset(preset) | {
            "train_batch_size": batch * dist.get_world_size(),
            "train_micro_batch_size_per_gpu": batch,
            "gradient_accumulation_steps": 1,
            "gradient_clipping": 1.0,
            "bf16": {"enabled": False},
            "fp16": {"enabled": False},
            "zero_force_ds_cpu_optimizer": False,
            "steps_per_print": 1_000_000,
        }
        self._alive = HfDeepSpeedConfig(config)  # From here on stage 3 splits weights while they are read.
        model = make_model()
        zero, hidden = config["zero_optimization"], model.config.hidden_size
        sizes = {  # What transformers makes of "auto".
            "reduce_bucket_size": hidden * hidden,
            "stage3_prefetch_bucket_size": int(0.9 * hidden * hidden),
            "stage3_param_persistence_threshold": 10 * hidden,
        }
        config["zero_optimization"] = zero | {name: size for name, size in sizes.items() if zero.get(name) == "auto"}
        self.model, self.optimizer, _, _ = deepspeed.initialize(model=model.train(), optimizer=adamw(model, rate), config=config)

    def step(self, loss: Any) -> None:
        """See Wrapped."""
        self.model.backward(loss)
        self.model.step()

    def save(self, folder: Path) -> None:
        """See Wrapped."""
        self.model.save_checkpoint(str(folder), tag="bench", exclude_frozen_parameters=True)

    def load(self, folder: Path) -> None:
        """See Wrapped."""
        self.model.load_checkpoint(str(folder), tag="bench", load_module_strict=False)
