"""Which files make up a model, and what is said about folders in which something is missing, cut off, or something else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from finetune_api.spec import Model
from finetune_trainer.errors import UserError
from finetune_trainer.model.fetch import fetch_model
from finetune_trainer.model.files import needed_files
from finetune_trainer.model.progress import amount


def fetch(source: str, base: Path, mounts: dict[str, str] | None = None, **settings: object) -> object:
    return fetch_model(Model(source=source, **settings), mounts or {}, base, print)


def test_relative_absolute_and_mounted(models: Path) -> None:
    relative = fetch("file://llama", models)
    assert relative == fetch(f"file://{models}/llama", Path("/"))
    assert relative == fetch("pvc://shared/llama", Path("/"), {"shared": str(models)})
    assert relative.folder == relative.origin == str(models / "llama")


def test_gguf(models: Path) -> None:
    assert fetch("file://gguf", models, ggufFile="tiny-F32.gguf").gguf_file == "tiny-F32.gguf"


def cut(name: str, size: int) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def put(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def drop(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


def sharded(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        (drop("config.json"), "ModelNotFound", "config.json"),
        (put("config.json", b"{"), "ModelUnreadable", "config.json is not valid JSON"),
        (put("config.json", b"[]"), "ModelUnreadable", "not a JSON object"),
        (put("config.json", b'{"quantization_config": {"quant_method": "gptq"}}'), "ModelUnsupported", "are quantized (gptq)"),
        (drop("model.safetensors"), "ModelNotFound", "It has: chat_template.jinja, config.json"),
        (cut("model.safetensors", 5000), "ModelTruncated", "has 5000 bytes; its header says that it has 560488"),
        (cut("model.safetensors", 100), "ModelTruncated", "has 100 bytes"),
        (cut("model.safetensors", 0), "ModelTruncated", "has 0 bytes"),
        (put("model.safetensors", bytes(8) + b"junk"), "ModelUnreadable", "not a safetensors file"),
        (put("model.safetensors", b"version https://git-lfs.github.com/spec/v1\n"), "ModelIncomplete", "git lfs pull"),
        (sharded, "ModelIncomplete", "lists model-00002-of-00002.safetensors, which is not there"),
    ],
)
def test_broken_folders(models: Path, tmp_path: Path, change: Callable[[Path], object], reason: str, words: str) -> None:
    change(Path(shutil.copytree(models / "llama", tmp_path / "m")))
    with pytest.raises(UserError) as caught:
        fetch("file://m", tmp_path)
    assert caught.value.reason == reason
    assert words in str(caught.value)


def test_paths_that_are_not_there(models: Path) -> None:
    with pytest.raises(UserError, match=r"no folder .*lama\. .* has: gemma3, gguf, llama, qwen3"):
        fetch("file://lama", models)
    with pytest.raises(UserError, match=r"ggufFile: tiny-F32\.gguf"):
        fetch("file://gguf/tiny-F32.gguf", models)
    with pytest.raises(UserError, match="--mount shared=DIR"):
        fetch("pvc://shared/llama", models)


def test_a_gguf_file_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"<html>")
    with pytest.raises(UserError, match="not a GGUF file"):
        fetch("file://.", tmp_path, ggufFile="a.gguf")


@pytest.mark.parametrize(
    ("names", "needed"),
    [
        ("config.json model.safetensors tokenizer.json README.md x.py", "config.json model.safetensors tokenizer.json"),
        ("config.json model.safetensors model-00001-of-00002.safetensors", "config.json model.safetensors"),
        ("model-1-of-1.safetensors model.safetensors.index.json", "model-1-of-1.safetensors model.safetensors.index.json"),
        ("model.safetensors consolidated.safetensors original/params.json", "model.safetensors"),
        ("model.safetensors model.fp16.safetensors pytorch_model.bin", "model.safetensors"),
        ("model.safetensors tokenizer.model merges.txt a.jinja", "a.jinja merges.txt model.safetensors tokenizer.model"),
    ],
)  # fmt: skip
def test_needed_files(names: str, needed: str) -> None:
    assert needed_files(names.split(), None, False, "x") == needed.split()


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("config.json pytorch_model.bin", "weights only as pytorch_model.bin"),
        ("config.json adapter_model.safetensors", "is an adapter"),
        ("config.json a.gguf b.gguf", "ggufFile: a.gguf"),
        ("", "It has: nothing"),
    ],
)
def test_no_weights(names: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        needed_files(names.split(), None, False, "x")
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [(1_234_000_000, 4_800_000_000, "1.2/4.8 GB"), (5, 99, "5/99 bytes"), (0, 2_000, "0.0/2.0 kB"), (1, 3_000_000, "0.0/3.0 MB")],
)
def test_amounts(done: int, total: int, text: str) -> None:
    assert amount(done, total) == text
