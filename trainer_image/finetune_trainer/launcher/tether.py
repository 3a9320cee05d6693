"""python -m finetune_trainer.launcher.tether PROGRAM ARGUMENT...: become that program, and be killed when the parent ends."""

from __future__ import annotations

import os
import sys

from finetune_trainer.lifeline import die_with_parent

if __name__ == "__main__":
    die_with_parent()  # The wish outlives the exec.
    os.execv(sys.argv[1], sys.argv[1:])  # noqa: S606
