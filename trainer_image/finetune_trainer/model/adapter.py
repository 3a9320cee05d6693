"""The LoRA adapter: a new one that spec.training asks for, or a saved one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from finetune_api.spec import ALL_LINEAR, Training
from finetune_trainer.errors import UserError
from finetune_trainer.model.targets import check_targets
from finetune_trainer.upstream import bitsandbytes_import, peft_deprecation

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel


def add_adapter(model: PreTrainedModel, training: Training) -> PeftModel | PreTrainedModel:
    """For lora and qlora a PeftModel around `model`, with float32 adapter weights that depend on training.seed alone; else `model`.

    Raises:
        UserError: BadTargetModules, when a name in lora.targetModules matches nothing or a weight that two modules share.
    """
    if not training.has_adapter:
        return model
    bitsandbytes_import.silence()
    import torch
    from peft import LoraConfig, get_peft_model

    lora = training.lora
    everything = ALL_LINEAR in lora.target_modules
    if not everything:
        _check_targets(model, lora.target_modules)
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=ALL_LINEAR if everything else sorted(lora.target_modules),
        use_rslora=lora.use_rslora,
    )
    peft_deprecation.silence()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.seed)
        return get_peft_model(model, config, autocast_adapter_dtype=True)


def load_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """`model` with the saved adapter in `folder`, not merged and not trainable."""
    bitsandbytes_import.silence()
    from peft import PeftModel

    peft_deprecation.silence()
    return PeftModel.from_pretrained(model, str(folder))


def _check_targets(model: PreTrainedModel, targets: list[str]) -> None:
    import torch

    names = {
        name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear | torch.nn.Embedding | torch.nn.Conv1d)
    }
    check_targets(names, targets, type(model).__name__)
    head = model.get_output_embeddings()
    shared = head is not None and head.weight is model.get_input_embeddings().weight
    ends = {name.rpartition(".")[2] for name, module in model.named_modules() if module in (head, model.get_input_embeddings())}
    if shared and ends & set(targets):
        raise UserError(
            "BadTargetModules",
            f"training.lora.targetModules: {sorted(ends & set(targets))[0]} shares its weight with another module in this model.",
            f"Leave {' and '.join(sorted(ends))} out.",
        )
