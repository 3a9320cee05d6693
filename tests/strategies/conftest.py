"""One bench for a module: its references are trained once."""

from __future__ import annotations

from pathlib import Path

import pytest

import tiny
from strategies.presets import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A tiny Llama."""
    folder = tmp_path_factory.mktemp("strategies")
    return Bench(tiny.make_model(folder / "model", attention_dropout=0.0), folder)


@pytest.fixture(scope="session")
def with_dropout(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The same with dropout, so that random generators matter."""
    folder: Path = tmp_path_factory.mktemp("dropout")
    return Bench(tiny.make_model(folder / "model", attention_dropout=0.1), folder)
