"""`python -m finetune_trainer`: the launcher of one node, configured by its environment (finetune_api.contract)."""

from __future__ import annotations

import os
import sys

from finetune_trainer.launcher.main import launch

if __name__ == "__main__":
    code = launch(os.environ)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # An agent that is stuck in a rendezvous must not keep the process.
