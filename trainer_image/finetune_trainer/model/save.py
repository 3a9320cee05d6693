"""Write a model or an adapter, with its tokenizer, in Hugging Face layout."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from finetune_trainer.model.tokenizer import stop_token_ids
from finetune_trainer.upstream.safetensors_mode import make_readable

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def save_pretrained(
    model: PreTrainedModel | PeftModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    weights: Mapping[str, torch.Tensor] | None = None,
) -> None:
    """Write the final result: safetensors, configs, tokenizer with chat template. Readable by whoever may read new files there.

    A whole model also gets a generation_config.json whose eos holds every token that ends a turn, and its key-value cache is
    switched on again. Of an adapter only the adapter is written; adapter_config.json names LocalModel.origin as the base.

    Args:
        weights: what to write in place of the model's own, by their names in the model; for an adapter, those of the adapter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    if hasattr(model, "peft_config"):  # Not isinstance: PEFT takes seconds to import, and method full needs none of it.
        _save_adapter(model, folder, weights)
    else:
        _save_whole(model, tokenizer, folder, weights)
    make_readable(folder)


def _save_adapter(model: PeftModel, folder: Path, weights: Mapping[str, torch.Tensor] | None) -> None:
    card = folder / "README.md"
    kept = card.read_bytes() if card.exists() else None
    for config in model.peft_config.values():
        config.base_model_name_or_path = model.get_base_model().name_or_path
    # Not "auto": that asks the hub for the base model's vocabulary.
    model.save_pretrained(folder, save_embedding_layers=False, state_dict=weights)
    if kept is None:  # PEFT's template of a model card; ours is written elsewhere.
        card.unlink(missing_ok=True)
    else:
        card.write_bytes(kept)


def _save_whole(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, weights: Mapping[str, torch.Tensor] | None
) -> None:
    generation = model.generation_config
    if generation is not None:
        own = generation.eos_token_id
        ids = [*(own if isinstance(own, list) else [own] if own is not None else []), *stop_token_ids(tokenizer)]
        unique = list(dict.fromkeys(ids))
        generation.eos_token_id = unique[0] if len(unique) == 1 else unique or None
        generation.use_cache = True
        _make_valid(model)
    text_config = model.config.get_text_config()
    before = model.config.use_cache, text_config.use_cache
    model.config.use_cache = text_config.use_cache = True
    try:
        model.save_pretrained(folder, state_dict=weights)
    finally:
        model.config.use_cache, text_config.use_cache = before


def _make_valid(model: PreTrainedModel) -> None:
    """Some published models set a temperature without do_sample; transformers loads that with a warning and refuses to save it."""
    try:
        model.generation_config.validate(strict=True)
    except ValueError:
        model.generation_config.do_sample = True
