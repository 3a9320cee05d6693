"""Tiny models, made once for all tests in this folder; tests copy what they change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiny import make_gguf, make_model


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with llama/, qwen3/, gemma3/ and gguf/tiny-F32.gguf (the same weights as llama/)."""
    root = tmp_path_factory.mktemp("models")
    for family in ("llama", "qwen3", "gemma3"):
        make_model(root / family, family)
    make_gguf(root / "gguf")
    return root
