"""`python -m bench.strategies`: each preset by `finetune run` and by a plain loop with the same library, in turns."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import inputs, sides
from bench.sides import RANKS, ROOT, WARM_UP
from bench.strategies import report
from finetune_api import contract

#: Those that run without a GPU.
PRESETS = ["ddp", "zero0", "zero1", "zero2", "zero2-offload", "zero3", "zero3-offload", "fsdp2", "fsdp1"]
METHODS = ["full", "lora"]


def distributed(preset: str) -> dict[str, Any]:
    """The group `distributed` of a job."""
    if preset == "ddp":
        return {"strategy": "ddp"}
    library = "deepspeed" if preset.startswith("zero") else "fsdp"
    return {"strategy": library, library: {"preset": preset}}


def run_plain(args: argparse.Namespace, preset: str, method: str) -> report.Side:
    """One run of the plain loop."""
    checkpoint = _empty(args.folder / "plain-checkpoint")
    checkpoint.mkdir()
    options = {
        "model": args.folder / "model", "texts": args.folder / "texts.jsonl", "checkpoint": checkpoint,
        "preset": preset, "method": method, "batch": args.batch, "length": args.length,
    }  # fmt: skip
    ran = sides.run_plain("bench.strategies.plain", options, args.folder / f"plain-{preset}-{method}")
    side = report.side(ran.ranks, ran.ranks[0]["resume_seconds"], args.batch * RANKS * args.length, _size(checkpoint))
    _empty(checkpoint)
    return side


def run_ours(args: argparse.Namespace, preset: str, method: str, resume: bool) -> report.Side:
    """One run of `finetune run`; with `resume` a second one, which goes on from the checkpoint before the last."""
    output = _empty(args.folder / "output")
    job = sides.job(
        args.folder / "model",
        args.folder / "texts.jsonl",
        method=method,
        batch=args.batch,
        length=args.length,
        save_steps=args.steps - 1,
        distributed=distributed(preset),
    )
    job_file = args.folder / "job.json"
    job_file.write_text(json.dumps(job, indent=1))
    ran = sides.run_ours(job_file, output, args.folder / f"ours-{preset}-{method}.log")
    sides.check_tokens(output, args.steps * args.batch * RANKS * args.length)
    last = max(output.glob(f"{contract.CHECKPOINTS_DIR}/step-*"))
    size, seconds = _size(last), None
    if resume:
        shutil.rmtree(last)
        (output / contract.STATE_DIR / contract.DONE_MARKER).unlink()
        again = sides.run_ours(job_file, output, args.folder / f"resumed-{preset}-{method}.log")
        seconds = again.ranks[0]["resume_seconds"]
    _empty(output)
    return report.side(ran.ranks, seconds, args.batch * RANKS * args.length, size)


def _empty(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _listed(text: str, known: Sequence[str]) -> list[str]:
    names = text.split(",")
    if unknown := [name for name in names if name not in known]:
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: choose from {','.join(known)}")
    return names


def main() -> None:
    """Make the inputs, run the pairs, print the tables, write results.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.strategies", description=__doc__)
    parser.add_argument("--presets", type=lambda text: _listed(text, PRESETS), default=PRESETS, help="separated by commas")
    parser.add_argument("--methods", type=lambda text: _listed(text, METHODS), default=METHODS, help="separated by commas")
    parser.add_argument("--pairs", type=int, default=1)
    parser.add_argument("--steps", type=int, default=16, help="optimizer steps of each run")
    parser.add_argument("--batch", type=int, default=1, help="rows per process and step")
    parser.add_argument("--length", type=int, default=64, help="tokens in each row")
    parser.add_argument("--folder", type=Path, default=ROOT / "runs/bench-strategies", help="for inputs, logs and results")
    args = parser.parse_args()
    if args.steps < WARM_UP + 5:
        parser.error(f"--steps must be at least {WARM_UP + 5}: the first ones are not counted")

    args.folder = args.folder.absolute()
    args.folder.mkdir(parents=True, exist_ok=True)
    inputs.make_model(args.folder / "model")
    inputs.make_texts(args.folder / "texts.jsonl", args.folder / "model", args.steps * args.batch * RANKS, args.length)
    cases = []
    for method in args.methods:
        for preset in args.presets:
            started = time.monotonic()
            pairs = [(run_plain(args, preset, method), run_ours(args, preset, method, n == 0)) for n in range(args.pairs)]
            plain, ours = zip(*pairs, strict=True)
            cases.append(report.Case(preset, method, plain, ours))
            print(f"{preset}, {method}: {cases[-1].speed:.3f} ({time.monotonic() - started:.0f} s)", flush=True)
    settings = {name: getattr(args, name) for name in ("pairs", "steps", "batch", "length")}
    results = {"settings": settings | {"ranks": RANKS}, "cases": [dataclasses.asdict(case) for case in cases]}
    (args.folder / "results.json").write_text(json.dumps(results, indent=1))
    print(f"\n{RANKS} processes, float32, {args.batch} x {args.length} tokens each and step, medians of {args.pairs} pairs\n")
    print("\n\n".join(table(cases) for table in (report.speed_table, report.held_table, report.checkpoint_table)))


if __name__ == "__main__":
    main()
