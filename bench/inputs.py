"""What both sides train on: a float32 copy of the model, and texts that are all of the same length in tokens."""

from __future__ import annotations

import json
import sysconfig
from pathlib import Path
from typing import Any

from examples.quickstart import get_model


def make_model(folder: Path) -> None:
    """Save SmolLM2-135M-Instruct in Hugging Face layout, float32, so that neither side spends time on the GGUF file."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if (folder / "tokenizer.json").exists():
        return
    source = get_model.main()
    model: Any = AutoModelForCausalLM.from_pretrained(source, gguf_file=get_model.GGUF, dtype=torch.float32)
    model.hf_quantizer = None
    del model.config.quantization_config
    tokenizer = AutoTokenizer.from_pretrained(source, gguf_file=get_model.GGUF)
    tokenizer.eos_token = "<|im_end|>"
    model.config.eos_token_id = model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def make_texts(path: Path, model: Path, count: int, length: int) -> None:
    """Write `count` different pieces of the standard library's source, each `length` tokens long, its end token included.

    Equal lengths: no padding, so both sides do the same work in whatever order they take the samples.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    pieces: dict[str, None] = {}
    for source in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        ids = tokenizer(source.read_text(errors="ignore"), add_special_tokens=False).input_ids
        for start in range(0, len(ids) - length, length):
            piece = tokenizer.decode(ids[start : start + length - 1])
            if len(tokenizer(piece, add_special_tokens=False).input_ids) == length - 1:
                pieces[piece] = None
        if len(pieces) >= count:
            break
    path.write_text("".join(json.dumps({"text": piece}) + "\n" for piece in list(pieces)[:count]))
