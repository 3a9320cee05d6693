"""Fixtures that many tests share. Models are made once a session; a test that changes a folder copies it first."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import tiny
from cluster_fixtures import api, control_plane, kubelet, namespace, pytest_collection_finish  # noqa: F401
from examples.quickstart import get_model, make_data
from operator_fixtures import nobody_else, operator, operator_port, submit  # noqa: F401
from unavailable import unavailable

settings.register_profile("busy", deadline=None)  # A busy machine is no failure.
settings.load_profile("busy")

# A shell lets what it starts in the background ignore Ctrl-C, and so would the commands that the tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama of 0.16 M parameters with its tokenizer and chat template."""
    return tiny.make_model(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def tiny_qwen3(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a Qwen3 (output head tied to the embeddings)."""
    return tiny.make_model(tmp_path_factory.mktemp("tiny") / "qwen3", family="qwen3")


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """Folder with SmolLM2-135M-Instruct as a GGUF file (get_model.GGUF); downloaded the first time."""
    return get_model.main()


@pytest.fixture(scope="session")
def stdlib_pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """JSONL file, format openai, with about 400 real samples."""
    folder = tmp_path_factory.mktemp("data")
    make_data.main(folder)
    return folder / "stdlib.jsonl"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[int], Path]]:
    """Mounts a file system of so many megabytes. Needs root: elsewhere the test is skipped, in CI that is a failure."""
    mounted: list[Path] = []

    def mount(megabytes: int) -> Path:
        folder = tmp_path / "disk"
        folder.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)], capture_output=True, text=True
        )
        if done.returncode:
            unavailable(f"a small disk cannot be mounted: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
