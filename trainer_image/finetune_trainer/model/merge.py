"""Merge an adapter into its base model."""

from __future__ import annotations

from pathlib import Path

from finetune_trainer.model.load import load_weights, stored_dtype
from finetune_trainer.model.save import save_pretrained
from finetune_trainer.model.tokenizer import load_tokenizer
from finetune_trainer.prepared import LocalModel


def merge_adapter(output: Path, base: LocalModel, dest: Path, dtype: str = "auto", trust_remote_code: bool = False) -> None:
    """Write `base` with the adapter in `output` merged, and the tokenizer in `output`, to `dest` as one plain model.

    Merged in float32, then saved in `dtype`; auto: the type that the base is stored in. Needs memory for the base in float32.
    """
    import torch
    from peft import PeftModel

    model = PeftModel.from_pretrained(load_weights(base, "float32", trust_remote_code=trust_remote_code), str(output))
    merged = model.merge_and_unload(safe_merge=True)
    name = stored_dtype(base, trust_remote_code) if dtype == "auto" else dtype
    merged.to(getattr(torch, name))
    tokenizer = load_tokenizer(LocalModel(str(output), None, str(output)), trust_remote_code)
    save_pretrained(merged, tokenizer, dest)
