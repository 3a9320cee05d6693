"""Once the job is done, node 0 has its model asked before training and after (finetune_trainer.sample), for the report.

Nothing depends on it: a child process that takes too long, or is in the way of a stop, is killed.
"""

from __future__ import annotations

import subprocess
import sys
import time

from finetune_trainer.launcher.context import Context
from finetune_trainer.launcher.say import say
from finetune_trainer.results.samples import Samples, read_samples, write_samples

#: For loading two models and a few short answers. As the description of spec.output.samples says.
SECONDS = 120.0


def ask_the_model(context: Context, seconds: float = SECONDS) -> None:
    """Have it asked, as many times as the job says."""
    if not context.job.spec.output.samples:
        return
    output = context.settings.output_dir
    context.finishing("asking the model before training and after")
    argv = [sys.executable, "-m", "finetune_trainer.sample", str(output), str(context.prepared_file)]
    write_samples(output, Samples(missing="The model was being asked when the node ended."))
    child = subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + seconds
    while child.poll() is None:
        context.tick()
        if time.monotonic() > deadline or context.stop.requested:
            child.kill()
            child.wait()
            why = "because the job was stopped" if context.stop.requested else f"after {seconds:g} s"
            write_samples(output, Samples(missing=f"Asking the model was given up {why}."))
    found = read_samples(output)
    if found is not None and found.missing:
        say(f"warning: the report has no samples: {found.missing}")
