"""How much memory is left for this process."""

from __future__ import annotations

from pathlib import Path

_CGROUP, _MEMINFO = Path("/sys/fs/cgroup"), Path("/proc/meminfo")


def free_memory(cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO) -> int:
    """Bytes that can be taken before the machine, or the container's limit where there is one, makes somebody pay for it.

    What the container only caches does not count as taken. Limits of version 1 of cgroups are not looked at.
    """
    free = _number(meminfo, "MemAvailable:") * 1024
    limit = (cgroup / "memory.max").read_text().strip() if (cgroup / "memory.max").exists() else "max"
    return free if limit == "max" else min(free, int(limit) - _number(cgroup / "memory.stat", "anon"))


def _number(file: Path, name: str) -> int:
    """The number beside a name, in a file of lines that begin with one."""
    return next(int(words[1]) for line in file.read_text().splitlines() if (words := line.split())[0] == name)
