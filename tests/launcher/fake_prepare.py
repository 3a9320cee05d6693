"""Stands in for finetune_trainer.prepare: python -m fake_prepare SCRATCH PREPARED. What it does is chosen by FAKE_PREPARE."""

import faulthandler
import os
import signal
import sys
import time
from pathlib import Path

from finetune_trainer import failure
from finetune_trainer.errors import UserError
from finetune_trainer.heartbeat import Heartbeat
from finetune_trainer.lifeline import die_with

if __name__ == "__main__":
    die_with(os.getppid())
    scratch, prepared = Path(sys.argv[1]), Path(sys.argv[2])
    stacks = (scratch / "stack-prepare.txt").open("w")
    faulthandler.register(signal.SIGUSR1, file=stacks, all_threads=True)
    heartbeat = Heartbeat(scratch / "prepare.json")
    heartbeat.beat("preparing", message="row 1 of 2")
    what = os.environ.get("FAKE_PREPARE", "ok")
    if what == "bad_row":
        error = UserError("BadDataRow", "pairs.jsonl line 7: no column output.", "It has: question, answer.")
        failure.record(scratch / "failure-prepare.json", error, phase="preparing", rank=None, step=None)
        sys.exit(64)
    if what == "hang":
        time.sleep(60)
    if what == "nothing":
        sys.exit(0)
    prepared.write_text("{}")
