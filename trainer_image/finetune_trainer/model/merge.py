"""Write a result as one plain model: an adapter merged into its base, or a whole model in another type."""

from __future__ import annotations

from pathlib import Path

from finetune_trainer.model.adapter import load_adapter
from finetune_trainer.model.load import load_weights, stored_dtype
from finetune_trainer.model.save import save_pretrained
from finetune_trainer.model.tokenizer import load_tokenizer
from finetune_trainer.prepared import LocalModel


def merge_adapter(output: Path, base: LocalModel, dest: Path, dtype: str = "auto", trust_remote_code: bool = False) -> None:
    """Write `base` with the adapter in `output` merged, and the tokenizer in `output`, to `dest`.

    Merged in float32, then saved in `dtype`; auto: the type that the base is stored in. Needs memory for the base in float32.

    Raises:
        UserError: as load.load_weights.
    """
    import torch

    model = load_adapter(load_weights(base, "float32", trust_remote_code=trust_remote_code), output)
    merged = model.merge_and_unload(safe_merge=True)
    merged.to(getattr(torch, stored_dtype(base, trust_remote_code) if dtype == "auto" else dtype))
    tokenizer = load_tokenizer(LocalModel(str(output), None, str(output)), trust_remote_code)
    save_pretrained(merged, tokenizer, dest)


def copy_model(source: LocalModel, dest: Path, dtype: str = "auto", trust_remote_code: bool = False) -> None:
    """Write the whole model in `source` with its tokenizer to `dest`, in `dtype`; auto: as it is stored.

    Raises:
        UserError: as load.load_weights.
    """
    model = load_weights(source, dtype, trust_remote_code=trust_remote_code)
    save_pretrained(model, load_tokenizer(source, trust_remote_code), dest)
