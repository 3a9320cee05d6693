"""Which GPUs this process may use, found without importing torch."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

_DRIVER = Path("/proc/driver/nvidia/gpus")
_PATIENCE = 10.0


def visible_gpus(env: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the visible GPUs as CUDA_VISIBLE_DEVICES spells them; empty without GPUs.

    Args:
        env: the environment of the processes to come; its CUDA_VISIBLE_DEVICES, where set, is respected.
    """
    installed = _installed()
    if "CUDA_VISIBLE_DEVICES" not in env or not installed:
        return tuple(str(index) for index in range(installed))
    return among_visible(env["CUDA_VISIBLE_DEVICES"])


def among_visible(setting: str) -> tuple[str, ...]:
    """The devices that a value of CUDA_VISIBLE_DEVICES names. As in CUDA, a -1 or an empty item ends the list."""
    names: list[str] = []
    for item in (part.strip() for part in setting.split(",")):
        if item in ("", "-1"):
            break
        names.append(item)
    return tuple(names)


def _installed() -> int:
    tool = shutil.which("nvidia-smi")
    if tool:
        try:
            answer = subprocess.run([tool, "-L"], capture_output=True, text=True, timeout=_PATIENCE, check=False)
        except subprocess.TimeoutExpired:
            pass  # The tool hangs when a card is sick; the driver's own folder still answers.
        else:
            if answer.returncode == 0:
                return sum(line.startswith("GPU ") for line in answer.stdout.splitlines())
    return len(list(_DRIVER.iterdir())) if _DRIVER.is_dir() else 0
