"""Kernel settings and cgroups that outlive the engine's namespaces."""

from __future__ import annotations

from pathlib import Path

_SYSCTL = Path("/proc/sys")
_CGROUPS = Path("/sys/fs/cgroup")
#: Written for the whole machine by the nodes' kubelet and systemd, and the one that network.py sets.
_CHANGED = (
    "fs/file-max",
    "fs/nr_open",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "net/ipv4/ip_forward",
)


def read_settings() -> dict[str, str]:
    """The settings as they are now."""
    return {name: (_SYSCTL / name).read_text().strip() for name in _CHANGED if (_SYSCTL / name).exists()}


def write_settings(settings: dict[str, str]) -> None:
    """Put settings back."""
    for name, value in settings.items():
        if (_SYSCTL / name).read_text().strip() != value:
            (_SYSCTL / name).write_text(value)


def remove_cgroups(name: str) -> None:
    """Remove a cgroup with all below it, in every hierarchy (version 1 has several). Its processes must be gone."""
    for top in [_CGROUPS / name, *_CGROUPS.glob(f"*/{name}")]:
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)):
            folder.rmdir()
        if top.exists():
            top.rmdir()
