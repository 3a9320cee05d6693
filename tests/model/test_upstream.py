"""Each library bug that is worked around for models: still there? When one of these fails, its module in upstream/ can go."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from finetune_trainer.upstream.gguf_rereads import read_once
from finetune_trainer.upstream.safetensors_mode import make_readable
from hub import Hub


def test_hub_resume_is_still_needed(tmp_path: Path) -> None:
    import httpx2
    from huggingface_hub import hf_hub_download

    with Hub() as hub:
        hub.add("acme/tiny", {"model.safetensors": bytes(500_000)}, break_once="model.safetensors", how="reset")
        with pytest.raises(httpx2.ReadError):
            hf_hub_download("acme/tiny", "model.safetensors", endpoint=hub.url, cache_dir=tmp_path)
        assert hub.ranges == []
        assert not list(tmp_path.rglob("*.incomplete"))


def test_gguf_rereads_is_still_needed(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gguf
    from transformers import AutoModelForCausalLM

    read, named = [], []
    reader, name_map = gguf.GGUFReader, gguf.get_tensor_name_map
    monkeypatch.setattr(gguf, "GGUFReader", lambda *a: read.append(a) or reader(*a))
    monkeypatch.setattr(gguf, "get_tensor_name_map", lambda *a: named.append(a) or name_map(*a))
    AutoModelForCausalLM.from_pretrained(models / "gguf", gguf_file="tiny-F32.gguf")
    assert len(read) > 1
    assert len(named) > 1
    read.clear()
    named.clear()
    with read_once():
        AutoModelForCausalLM.from_pretrained(models / "gguf", gguf_file="tiny-F32.gguf")
    assert (len(read), len(named)) == (1, 1)


def test_safetensors_mode_is_still_needed(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == 0o600
    previous = os.umask(0o027)
    try:
        make_readable(tmp_path)
    finally:
        os.umask(previous)
    assert (tmp_path / "x.safetensors").stat().st_mode & 0o777 == 0o640
    assert [p.name for p in tmp_path.iterdir()] == ["x.safetensors"]
