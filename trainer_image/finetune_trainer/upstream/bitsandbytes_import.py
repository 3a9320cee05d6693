"""Importing bitsandbytes makes a process use CUDA, and PEFT imports it wherever it is installed.

Seen in bitsandbytes 0.50 and peft 0.21. bitsandbytes asks each GPU for its compute capability, which only its diagnostics print;
`peft/helpers.py` imports it at the top. A process that was forked afterwards cannot use CUDA any more. On processors with
AVX512-BF16 it also tells that another package would be faster.
"""

from __future__ import annotations

import importlib
import logging
import sys


def silence() -> None:
    """Leave out the hint to another package. Call before anything imports PEFT."""
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


def hide() -> None:
    """For PEFT, bitsandbytes is not installed. Call before anything imports PEFT."""
    sys.modules["bitsandbytes"] = None  # type: ignore[assignment]  # What `import` and find_spec take for "not there".


def load() -> None:
    """Import bitsandbytes and leave CUDA alone."""
    import torch

    silence()
    original = torch.cuda.get_device_capability
    torch.cuda.get_device_capability = lambda *_: (0, 0)
    try:
        importlib.import_module("bitsandbytes")
    finally:
        torch.cuda.get_device_capability = original
