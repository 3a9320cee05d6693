"""On a machine without a GPU, DeepSpeed compiles C++ in every process that joins: 50 s, and it needs a compiler.

Seen in DeepSpeed 0.19: `init_distributed` builds `deepspeed_shm_comm`, a faster all-reduce for processes of one machine, whenever
its accelerator is the CPU, and fails where there is no compiler. torch's gloo does the same work.
"""

from __future__ import annotations

import importlib


def skip() -> None:
    """DeepSpeed goes without. Call before deepspeed.init_distributed."""
    # Not `import deepspeed.comm.torch`: the package has an attribute of that name that is torch itself.
    importlib.import_module("deepspeed.comm.torch").build_shm_op = lambda: None  # type: ignore[attr-defined]
