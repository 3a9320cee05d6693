"""`python -m finetune_trainer`: the launcher of one node, configured by its environment (finetune_api.contract)."""

from __future__ import annotations

import os
import sys

from finetune_trainer.launcher.stop import Stop

if __name__ == "__main__":
    stop = Stop()
    stop.listen()  # Before anything is imported that takes time: to a PID 1, a signal without a handler is lost.
    from finetune_trainer.launcher.main import launch

    code = launch(os.environ, stop)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # An agent that is stuck in a rendezvous must not keep the process.
