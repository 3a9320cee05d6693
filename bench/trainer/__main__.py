"""`python -m bench.trainer`: the same model on the same tokens, once by a plain loop and once by `finetune run`, in turns."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from bench.trainer import inputs, measure, report

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
BIN = Path(sys.executable).parent
RANKS = 2
SEED = 42
RATE = 1e-5


def job(args: argparse.Namespace, model: Path, texts: Path) -> dict[str, Any]:
    """The FineTuneJob that does what plain.py does."""
    return {
        "apiVersion": "finetune.dev/v1alpha1",
        "kind": "FineTuneJob",
        "metadata": {"name": "bench"},
        "spec": {
            "model": {"source": f"file://{model}"},
            "dataset": {"sources": [{"uri": f"file://{texts}", "format": "text"}], "maxLength": args.length},
            "training": {
                "stage": "pt",
                "method": args.method,
                "lora": {"rank": 16, "alpha": 32},
                "numTrainEpochs": 1,
                "perDeviceTrainBatchSize": args.batch,
                "learningRate": RATE,
                "lrSchedulerType": "constant",
                "warmupRatio": 0,
                "precision": "fp32",
                "gradientCheckpointing": False,
                "seed": SEED,
                "loggingSteps": 1,
                "saveSteps": args.steps // 2,
            },
            "distributed": {"nodes": 1, "processesPerNode": RANKS},
        },
    }


def run_plain(args: argparse.Namespace, folder: Path, number: int) -> report.Side:
    """One run of the plain loop."""
    timings = folder / f"plain-{number}"
    options = {
        "model": folder / "model", "texts": folder / "texts.jsonl", "timings": timings, "method": args.method,
        "batch": args.batch, "length": args.length, "rate": RATE, "seed": SEED,
    }  # fmt: skip
    command: list[str | Path] = [BIN / "torchrun", "--standalone", "--nproc_per_node", str(RANKS), HERE / "plain.py"]
    for name, value in options.items():
        command += [f"--{name}", str(value)]
    run = measure.run(command, folder / f"plain-{number}.log", ROOT)
    ranks = [json.loads((folder / f"plain-{number}-{rank}.json").read_text()) for rank in range(RANKS)]
    return report.side(run.started, run.peak_pss_bytes, ranks, args.batch * RANKS * args.length)


def run_ours(args: argparse.Namespace, folder: Path, number: int) -> report.Side:
    """One run of `finetune run`, with nothing left over from an earlier one."""
    output = folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    run = measure.run([BIN / "finetune", "run", folder / "job.json", "--output", output], folder / f"ours-{number}.log", ROOT)
    ranks = [json.loads((output / f".finetune/timings-0-{rank}.json").read_text()) for rank in range(RANKS)]
    tokens = json.loads((output / "trainer_log.jsonl").read_text().splitlines()[-1])["total_tokens"]
    if tokens != args.steps * args.batch * RANKS * args.length:
        raise SystemExit(f"`finetune run` trained {tokens} tokens, not those of the plain loop: the comparison would be unfair.")
    return report.side(run.started, run.peak_pss_bytes, ranks, args.batch * RANKS * args.length)


def main() -> None:
    """Make the inputs, run the pairs, print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.trainer", description=__doc__)
    parser.add_argument("--method", choices=["full", "lora"], default="full")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16, help="optimizer steps of each run")
    parser.add_argument("--batch", type=int, default=2, help="rows per process and step")
    parser.add_argument("--length", type=int, default=128, help="tokens in each row")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs/bench-trainer", help="for inputs, logs and outputs")
    args = parser.parse_args()
    if args.steps < report.WARM_UP + 4:
        parser.error(f"--steps must be at least {report.WARM_UP + 4}: the first ones are not counted")

    folder = args.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    inputs.make_model(folder / "model")
    inputs.make_texts(folder / "texts.jsonl", folder / "model", args.steps * args.batch * RANKS, args.length)
    (folder / "job.json").write_text(json.dumps(job(args, folder / "model", folder / "texts.jsonl"), indent=1))
    plain, ours = [], []
    for number in range(args.pairs):
        plain.append(run_plain(args, folder, number))
        ours.append(run_ours(args, folder, number))
        speeds = f"{plain[-1].tokens_per_second:.1f} and {ours[-1].tokens_per_second:.1f} tokens/s"
        print(f"pair {number + 1} of {args.pairs}: {speeds}", flush=True)
    print(f"\nmethod {args.method}, {RANKS} processes, medians of {args.pairs} pairs")
    print(report.table(plain, ours))


if __name__ == "__main__":
    main()
