"""Finished runs as `finetune run` leaves them, of a tiny model that has learned one answer by heart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from cli.jobs import write_job
from finetune_api.contract import STATE_DIR
from finetune_api.load import load_job
from finetune_api.spec import Lora, Model, Training
from finetune_cli.local.folder import write_run
from finetune_cli.local.resolve import resolve
from finetune_trainer.model.adapter import add_adapter
from finetune_trainer.model.load import load_model
from finetune_trainer.model.save import save_pretrained
from finetune_trainer.model.tokenizer import load_tokenizer
from finetune_trainer.prepared import LocalModel
from finetune_trainer.results.resolved_job import write_resolved_job

QUESTION, ANSWER = "What is the capital of France?", "Paris is the capital of France."


def teach(folder: Path, source: str, model_folder: Path, mounts: dict[str, str], method: str = "lora") -> Path:
    """Write job.yaml and the output folder out/ of a run of it to `folder`; returns out/. About a second."""
    job_file = write_job(folder, model={"source": source}, training={"method": method, "precision": "fp32"})
    local = LocalModel(str(model_folder), None, str(model_folder))
    tokenizer = load_tokenizer(local, False)
    model = _learned(local, tokenizer, method)
    output = folder / "out"
    save_pretrained(model, tokenizer, output)
    write_resolved_job(resolve(load_job(job_file), folder, 1), output)
    (output / STATE_DIR).mkdir()
    write_run(output, folder, mounts)
    return output


def _learned(local: LocalModel, tokenizer: Any, method: str) -> Any:
    # The head of a random model is too small to be sure of anything while it is frozen.
    lora = Lora(rank=8, alpha=16.0, target_modules=["q_proj", "v_proj", "down_proj", "lm_head"])
    training = Training(method=method, precision="fp32", lora=lora)
    model: Any = add_adapter(load_model(local, Model(source="file:///x"), training), training)
    turns = [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": ANSWER}]
    ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)["input_ids"]
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-2 if method == "lora" else 3e-3)
    for _ in range(200):
        loss = model(input_ids=ids, labels=ids).loss
        if loss < 0.02:
            return model
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    raise AssertionError(f"the tiny model has not learned its answer: loss {loss.item():.3f}")
