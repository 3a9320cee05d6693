"""`python -m bench.trainer`: the same model on the same tokens, once by a plain loop and once by `finetune run`, in turns."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

from bench import inputs, sides
from bench.sides import RANKS, WARM_UP
from bench.trainer import report


def run_plain(args: argparse.Namespace, folder: Path, number: int) -> report.Side:
    """One run of the plain loop."""
    options = {
        "model": folder / "model", "texts": folder / "texts.jsonl", "method": args.method,
        "batch": args.batch, "length": args.length,
    }  # fmt: skip
    ran = sides.run_plain("bench.trainer.plain", options, folder / f"plain-{number}")
    return report.side(ran.seen.started, ran.seen.peak_pss_bytes, ran.ranks, args.batch * RANKS * args.length)


def run_ours(args: argparse.Namespace, folder: Path, number: int) -> report.Side:
    """One run of `finetune run`, with nothing left over from an earlier one."""
    output = folder / "output"
    shutil.rmtree(output, ignore_errors=True)
    ran = sides.run_ours(folder / "job.json", output, folder / f"ours-{number}.log")
    sides.check_tokens(output, args.steps * args.batch * RANKS * args.length)
    return report.side(ran.seen.started, ran.seen.peak_pss_bytes, ran.ranks, args.batch * RANKS * args.length)


def main() -> None:
    """Make the inputs, run the pairs, print the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.trainer", description=__doc__)
    parser.add_argument("--method", choices=["full", "lora"], default="full")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=16, help="optimizer steps of each run")
    parser.add_argument("--batch", type=int, default=2, help="rows per process and step")
    parser.add_argument("--length", type=int, default=128, help="tokens in each row")
    parser.add_argument("--folder", type=Path, default=sides.ROOT / "runs/bench-trainer", help="for inputs, logs and outputs")
    args = parser.parse_args()
    if args.steps < WARM_UP + 4:
        parser.error(f"--steps must be at least {WARM_UP + 4}: the first ones are not counted")

    folder = args.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    inputs.make_model(folder / "model")
    inputs.make_texts(folder / "texts.jsonl", folder / "model", args.steps * args.batch * RANKS, args.length)
    job = sides.job(
        folder / "model",
        folder / "texts.jsonl",
        method=args.method,
        batch=args.batch,
        length=args.length,
        save_steps=args.steps // 2,
        distributed={},
    )
    (folder / "job.json").write_text(json.dumps(job, indent=1))
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
