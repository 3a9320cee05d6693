"""The two sides of a comparison: a plain loop started with torchrun, and `finetune run` with a job that does the same."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import measure

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
RANKS = 2
SEED = 42
RATE = 1e-5
#: Step times that are left out of the steady state: the allocator still grows. (The first step is a mark, not a step time.)
WARM_UP = 2


@dataclass(frozen=True)
class Ran:
    """One run: from outside, and what its ranks have timed (rank 0 first)."""

    seen: measure.Run
    ranks: list[dict[str, Any]]


def job(
    model: Path,
    texts: Path,
    *,
    method: str,
    batch: int,
    length: int,
    save_steps: int,
    distributed: Mapping[str, Any],
) -> dict[str, Any]:
    """A FineTuneJob: one pass over the texts, without evaluation, in float32, at a constant learning rate."""
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "bench"},
        "spec": {
            "model": {"source": f"file://{model}"},
            "dataset": {"sources": [{"uri": f"file://{texts}", "format": "text"}], "maxLength": length},
            "training": {
                "stage": "pt",
                "method": method,
                "lora": {"rank": 16, "alpha": 32},
                "numTrainEpochs": 1,
                "perDeviceTrainBatchSize": batch,
                "learningRate": RATE,
                "lrSchedulerType": "constant",
                "warmupRatio": 0,
                "precision": "fp32",
                "gradientCheckpointing": False,
                "seed": SEED,
                "loggingSteps": 1,
                "saveSteps": save_steps,
            },
            "distributed": {"nodes": 1, "processesPerNode": RANKS, **distributed},
        },
    }


def run_plain(module: str, options: Mapping[str, Any], timings: Path) -> Ran:
    """Run a plain loop, a module that takes `options` and writes its timings beside its log, to `timings`-RANK.json."""
    command: list[str | Path] = [BIN / "torchrun", "--standalone", "--nproc_per_node", str(RANKS), "-m", module]
    for name, value in {**options, "rate": RATE, "seed": SEED, "timings": timings}.items():
        command += [f"--{name}", str(value)]
    seen = measure.run(command, timings.with_name(f"{timings.name}.log"), ROOT)
    return Ran(seen, [json.loads(timings.with_name(f"{timings.name}-{rank}.json").read_text()) for rank in range(RANKS)])


def run_ours(job_file: Path, output: Path, log: Path) -> Ran:
    """Run a job to its end; it goes on from what it finds in `output`."""
    seen = measure.run([BIN / "finetune", "run", job_file, "--output", output], log, ROOT)
    attempt = max(int(path.name.split("-")[1]) for path in output.glob(".finetune/timings-*-0.json"))
    return Ran(seen, [json.loads((output / f".finetune/timings-{attempt}-{rank}.json").read_text()) for rank in range(RANKS)])


def check_tokens(output: Path, expected: int) -> None:
    """Raises SystemExit when `finetune run` has not trained on as many tokens as the plain loop."""
    tokens = json.loads((output / "trainer_log.jsonl").read_text().splitlines()[-1])["total_tokens"]
    if tokens != expected:
        raise SystemExit(f"`finetune run` trained {tokens} tokens, the plain loop {expected}: the comparison would be unfair.")
