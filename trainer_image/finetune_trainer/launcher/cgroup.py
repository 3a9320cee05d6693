"""What the container (or machine) lets this node use, and whether the kernel had to kill for memory."""

from __future__ import annotations

import os
from math import ceil
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_cpus(cgroup: Path = _CGROUP) -> int:
    """CPUs that this process may use: its affinity, and the container's quota where there is one. At least 1."""
    cpus = len(os.sched_getaffinity(0))
    quota, _, period = _read(cgroup / "cpu.max").partition(" ")
    if not quota:  # Version 1 of cgroups; -1: no quota.
        quota, period = (_read(cgroup / "cpu" / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if quota.isdigit() and period:
        cpus = min(cpus, ceil(int(quota) / int(period)))
    return max(1, cpus)


def oom_kills(cgroup: Path = _CGROUP) -> int:
    """Processes of this container that the kernel has killed for memory so far; 0 where it does not count them."""
    events = _read(cgroup / "memory.events") or _read(cgroup / "memory" / "memory.oom_control")
    for line in events.splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
