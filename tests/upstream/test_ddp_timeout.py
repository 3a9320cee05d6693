"""transformers still drops ddp_timeout on the CPU; when it stops, ddp_timeout.py can go."""

import subprocess
import sys


def test_upstream_still_drops_the_timeout_on_the_cpu() -> None:
    """The counterpart of ddp_timeout.py: TrainingArguments' own process group has torch's default, not ours."""
    code = """
import os
os.environ.update(RANK="0", WORLD_SIZE="2", LOCAL_RANK="0", MASTER_ADDR="127.0.0.1", MASTER_PORT="1")
import accelerate.state
from transformers import TrainingArguments
seen = {}
class Spy(accelerate.state.PartialState):
    def __init__(self, **kwargs):
        seen.update(kwargs)
        raise SystemExit(0)
import transformers.training_args as t
t.PartialState = Spy
try:
    TrainingArguments(output_dir="/nonexistent", use_cpu=True, ddp_timeout=15).device
except SystemExit:
    pass
print(sorted(seen))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "'cpu'" in done.stdout, done.stderr
    assert "timeout" not in done.stdout, "fixed upstream: remove finetune_trainer/upstream/ddp_timeout.py"
