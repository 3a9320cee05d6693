"""The quickstart: fetch a small model, make data, ask, train, ask again. Every command is shown as you would type it.

The last line is a JSON object: firstLoss, lastLoss (as logged), tokensPerSecond (median), seconds (of training) and output.
"""

from __future__ import annotations

import json
import os
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
DATA = HERE / "data"
JOB = HERE / "job.yaml"
OUTPUT = Path("runs/quickstart")
#: The programs beside this Python.
PYTHON = Path(sys.executable)
FINETUNE = PYTHON.with_name("finetune")


def run(*command: str | Path, capture: bool = False) -> str:
    """Show a command, run it in the repository's root and return what it printed, if asked for; leave if it fails."""
    shown = [str(Path(part).relative_to(ROOT)) if Path(part).is_relative_to(ROOT) else str(part) for part in command]
    print(f"\n$ {shlex.join(shown)}", flush=True)
    done = subprocess.run(shown, cwd=ROOT, stdout=subprocess.PIPE if capture else None, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    return (done.stdout or "").strip()


def summary(seconds: float) -> dict[str, float | str]:
    """What the log of the run says about it."""
    lines = [json.loads(line) for line in (ROOT / OUTPUT / "trainer_log.jsonl").read_text().splitlines()]
    trained = [line for line in lines if "loss" in line]
    return {
        "firstLoss": trained[0]["loss"],
        "lastLoss": trained[-1]["loss"],
        "tokensPerSecond": statistics.median(line["throughput"] for line in trained),
        "seconds": round(seconds, 1),
        "output": str(OUTPUT),
    }


def main() -> None:
    """All steps, from nothing to the answer of the trained model."""
    print("A real chat model of 135 million parameters is fine-tuned by two processes: about 8 minutes on two cores.")
    model = Path(run(PYTHON, HERE / "get_model.py", capture=True))
    print(model)
    run(PYTHON, HERE / "make_data.py", DATA)
    models = ("--mount", f"models={model.parent}")
    data = ("--mount", f"data={DATA.relative_to(ROOT)}")

    ask = ("--once", "What does collections.Counter do?", "--max-new-tokens", "100")

    print("\nBefore training:", flush=True)
    run(FINETUNE, "chat", JOB, *models, *ask)
    started = time.monotonic()
    run(FINETUNE, "run", JOB, *models, *data, "--output", OUTPUT, "--fresh", "--yes")
    seconds = time.monotonic() - started
    print("\nAfter training:", flush=True)
    run(FINETUNE, "chat", OUTPUT, *ask)

    print(f"\nThe result is in {OUTPUT}, all about the training in {OUTPUT / 'report.html'}.")
    print(f"Talk to it: {os.path.relpath(FINETUNE, ROOT)} chat {OUTPUT}")
    print(json.dumps(summary(seconds)))


if __name__ == "__main__":
    main()
