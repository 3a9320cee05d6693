"""The yardstick: a plain PyTorch DDP loop, as one would write it by hand, started with torchrun.

torchrun --standalone --nproc_per_node 2 -m bench.trainer.plain --model FOLDER --texts FILE.jsonl --timings OUT ...
"""

import argparse
import json
import random
import time
from itertools import pairwise
from pathlib import Path

parser = argparse.ArgumentParser()
kinds: dict[str, type] = {"model": Path, "texts": Path, "timings": Path, "method": str}
kinds |= {"batch": int, "length": int, "rate": float, "seed": int}
for name, kind in kinds.items():
    parser.add_argument(f"--{name}", type=kind, required=True)
args = parser.parse_args()
marks: dict[str, float] = {"process_start": time.time()}

import torch  # noqa: E402
import torch.distributed as dist  # noqa: E402
from peft import LoraConfig, get_peft_model  # noqa: E402
from torch.nn.parallel import DistributedDataParallel  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

marks["import_done"] = time.time()
dist.init_process_group("gloo")
rank, world = dist.get_rank(), dist.get_world_size()
marks["process_group"] = time.time()

tokenizer = AutoTokenizer.from_pretrained(args.model)
texts = [json.loads(line)["text"] for line in args.texts.read_text().splitlines()]
random.Random(args.seed).shuffle(texts)
rows = [[*ids[: args.length - 1], tokenizer.eos_token_id] for ids in tokenizer(texts, add_special_tokens=False).input_ids]
data = torch.tensor(rows)
marks["data_opened"] = time.time()

torch.manual_seed(args.seed)
model = AutoModelForCausalLM.from_pretrained(args.model, dtype=torch.float32)
model.config.use_cache = False
if args.method == "lora":
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(model, config)
ddp = DistributedDataParallel(model.train())
parameters = [p for p in ddp.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(parameters, lr=args.rate, weight_decay=0.0)
marks["model_loaded"] = time.time()

ends: list[float] = []
for step, batch in enumerate(data.split(args.batch * world)):
    mine = batch[rank * args.batch : (rank + 1) * args.batch]
    loss = ddp(input_ids=mine, labels=mine).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    if rank == 0:
        print(f"step {step + 1} loss {loss.item():.4f}", flush=True)
    marks.setdefault("first_step", time.time())
    ends.append(time.perf_counter())

peak = next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
step_seconds = [end - start for start, end in pairwise(ends)]
report = marks | {"peak_rss_bytes": peak * 1024, "step_seconds": step_seconds}
args.timings.with_name(f"{args.timings.name}-{rank}.json").write_text(json.dumps(report))
dist.destroy_process_group()
