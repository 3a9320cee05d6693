"""One rank of a plain loop: torchrun --standalone --nproc_per_node 2 -m bench.strategies.plain --preset zero2 --model FOLDER ..."""

from __future__ import annotations

import argparse
import json
import random
import resource
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from bench.strategies.plain import wrap
from finetune_trainer.strategies.held import held_bytes


def make_model(args: argparse.Namespace) -> Any:
    """The model, float32, with an adapter if asked for."""
    torch.manual_seed(args.seed)
    model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
    model.config.use_cache = False
    if args.method == "lora":
        model = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    return model


def main() -> None:
    """Train on all rows once, then save and load, and write what was timed."""
    parser = argparse.ArgumentParser()
    kinds: dict[str, type] = {"model": Path, "texts": Path, "timings": Path, "checkpoint": Path, "preset": str, "method": str}
    kinds |= {"batch": int, "length": int, "rate": float, "seed": int}
    for name, kind in kinds.items():
        parser.add_argument(f"--{name}", type=kind, required=True)
    args = parser.parse_args()

    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    texts = [json.loads(line)["text"] for line in args.texts.read_text().splitlines()]
    random.Random(args.seed).shuffle(texts)
    rows = [[*ids[: args.length - 1], tokenizer.eos_token_id] for ids in tokenizer(texts, add_special_tokens=False).input_ids]
    wrapped = wrap(args.preset, lambda: make_model(args), args.rate, args.batch)

    ends: list[float] = []
    for step, batch in enumerate(torch.tensor(rows).split(args.batch * world)):
        mine = batch[rank * args.batch : (rank + 1) * args.batch]
        loss = wrapped.model(input_ids=mine, labels=mine).loss
        wrapped.step(loss)
        if rank == 0:
            print(f"step {step + 1} loss {loss.item():.4f}", flush=True)
        ends.append(time.perf_counter())
    held = held_bytes(wrapped.model, wrapped.optimizer)

    dist.barrier()
    started = time.perf_counter()
    wrapped.save(args.checkpoint)
    dist.barrier()
    saved = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Before the load: a run that is not resumed has none.
    wrapped.load(args.checkpoint)
    dist.barrier()
    report = {
        "step_seconds": [end - start for start, end in pairwise(ends)],
        "peak_rss_bytes": peak,
        "weight_bytes": held.weights,
        "optimizer_bytes": held.optimizer,
        "save_seconds": [saved - started],
        "resume_seconds": time.perf_counter() - saved,
    }
    args.timings.with_name(f"{args.timings.name}-{rank}.json").write_text(json.dumps(report))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
