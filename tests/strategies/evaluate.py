"""A result, loaded as any user of transformers and PEFT would, and its loss on the rows that the run evaluated on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def evaluation_loss(output: Path, base: Path, four_bit: bool = False) -> float:
    """Mean loss per supervised token, computed here without anything of the trainer's but its rows.

    Args:
        base: the model that an adapter belongs to; `four_bit`: quantised as users of PEFT do it.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    from finetune_trainer.data.reader import open_rows

    adapter = (output / "adapter_model.safetensors").exists()
    quantised = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True)
    model = AutoModelForCausalLM.from_pretrained(
        base if adapter else output, dtype=torch.float32, quantization_config=quantised if four_bit else None
    )
    if adapter:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(output))
    model.eval()
    prepared = next((output / ".finetune").glob("prepared*.json"))
    rows = open_rows(Path(json.loads(prepared.read_text())["data"])).eval
    total, tokens = 0.0, 0
    with torch.no_grad():
        for row in (rows[number] for number in range(len(rows))):
            ids, labels = (torch.from_numpy(np.asarray(part, dtype=np.int64)) for part in (row.input_ids, row.labels))
            losses = torch.nn.functional.cross_entropy(
                model(input_ids=ids[None]).logits[0, :-1].float(), labels[1:], reduction="none", ignore_index=-100
            )
            total += float(losses.sum())
            tokens += int((labels[1:] != -100).sum())
    return total / tokens
