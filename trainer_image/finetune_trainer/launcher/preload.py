"""What the forkserver does before it forks the first rank. Importing this module does it: the forkserver takes module names only.

Python's forkserver swallows an ImportError of what it preloads; here each one is told, and the ranks then meet it themselves.
A rank that is not forked warm (cold_rank.py) does the same for itself.
"""

from __future__ import annotations

import importlib
import json
import os
import signal
import sys

from finetune_trainer.lifeline import die_with_parent
from finetune_trainer.upstream import bitsandbytes_import
from finetune_trainer.upstream.eager_imports import hide
from finetune_trainer.upstream.unwrapping_imports import without_deepspeed

#: JSON: {"hide": [package, ...], "modules": [module, ...]}, set by warm.py for the forkserver, by cold_start.py for cold ranks.
ENV_PLAN = "FINETUNE_PRELOAD"


def _preload() -> None:
    plan = json.loads(os.environ.pop(ENV_PLAN))
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # A terminal's Ctrl-C is the launcher's to handle.
    if plan["hide"]:
        hide(plan["hide"])
    if "bitsandbytes" in plan["hide"]:
        bitsandbytes_import.hide()
    if "deepspeed" in plan["hide"]:
        without_deepspeed()
    for module in plan["modules"]:
        try:
            bitsandbytes_import.load() if module == "bitsandbytes" else importlib.import_module(module)
        except Exception as error:
            print(f"warning: {module} cannot be imported ahead of the ranks: {error!r}", file=sys.stderr, flush=True)


if ENV_PLAN in os.environ:
    _preload()
