"""safetensors writes files that only their owner can read, whatever the umask says.

Seen in safetensors 0.8: `save_file` makes a temporary file (mode 0600) and renames it. Other users of a shared volume, and other
pods with another UID, then cannot read the result.
"""

from __future__ import annotations

from pathlib import Path


def make_readable(folder: Path) -> None:
    """Give each .safetensors file in `folder` the mode that a new file gets there (umask and ACLs included)."""
    probe = folder / ".mode"
    probe.touch()
    mode = probe.stat().st_mode & 0o777
    probe.unlink()
    for file in folder.glob("*.safetensors"):
        file.chmod(mode)
