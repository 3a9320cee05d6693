"""Loading weights: types, attention, and everything that makes a model unfit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from finetune_api.spec import Model, Training
from finetune_trainer.errors import UserError
from finetune_trainer.model.gguf import materialise_gguf
from finetune_trainer.model.load import load_model, load_weights, wanted_dtype
from finetune_trainer.model.supported import check_supported
from finetune_trainer.model.tokenizer import load_tokenizer, stop_token_ids
from finetune_trainer.prepared import LocalModel
from tiny import make_config


def local(folder: Path, gguf_file: str | None = None) -> LocalModel:
    return LocalModel(str(folder), gguf_file, "acme/tiny")


def load(folder: Path, gguf_file: str | None = None, training: dict[str, Any] | None = None, **model: Any) -> Any:
    return load_model(local(folder, gguf_file), Model(source="file:///x", **model), Training(**(training or {})))


@pytest.mark.parametrize(
    ("dtype", "method", "precision", "expected"),
    [
        ("auto", "full", "bf16", "float32"),
        ("auto", "lora", "bf16", "bfloat16"),
        ("auto", "lora", "fp16", "float16"),
        ("auto", "lora", "fp32", "float32"),
        ("bfloat16", "full", "fp32", "bfloat16"),
    ],
)
def test_dtype(models: Path, dtype: str, method: str, precision: str, expected: str) -> None:
    training = {"method": method, "precision": precision}
    assert wanted_dtype(Model(source="file:///x", dtype=dtype), Training(**training)) == expected
    loaded = load(models / "llama", training=training, dtype=dtype)
    assert {p.dtype for p in loaded.parameters()} == {getattr(torch, expected)}


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3"])
@pytest.mark.parametrize("attention", ["auto", "sdpa", "eager"])
def test_attention_and_cache(models: Path, family: str, attention: str) -> None:
    loaded = load(models / family, attention=attention)
    assert loaded.config._attn_implementation == ("sdpa" if attention == "auto" else attention)
    assert loaded.config.use_cache is False
    assert loaded.name_or_path == "acme/tiny"


def test_attention_that_the_model_lacks(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "_supports_sdpa", False)
    with pytest.raises(UserError) as caught:
        load(models / "llama", attention="sdpa")
    assert caught.value.reason == "AttentionUnsupported"


def test_gradient_checkpointing_that_the_model_lacks(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import LlamaForCausalLM

    monkeypatch.setattr(LlamaForCausalLM, "supports_gradient_checkpointing", False)
    with pytest.raises(UserError, match="gradientCheckpointing: false"):
        load(models / "llama")
    load(models / "llama", training={"gradient_checkpointing": False})


def test_gguf_is_the_same_model(models: Path) -> None:
    from transformers import AutoModelForCausalLM

    ids = torch.arange(40).reshape(2, 20)
    with torch.no_grad():
        expected = AutoModelForCausalLM.from_pretrained(models / "llama")(ids).logits
        loaded = load(models / "gguf", "tiny-F32.gguf", {"method": "full"})
        assert torch.equal(loaded(ids).logits, expected)
    assert not hasattr(loaded.config, "quantization_config")
    assert not getattr(loaded, "is_quantized", False)
    assert (loaded.config.eos_token_id, loaded.generation_config.eos_token_id) == (2, 2)


def test_gguf_tokenizer_is_the_same(models: Path) -> None:
    ours, theirs = load_tokenizer(local(models / "gguf", "tiny-F32.gguf"), False), load_tokenizer(local(models / "llama"), False)
    assert (ours.eos_token, ours.eos_token_id) == ("<|im_end|>", 2)
    chat = [{"role": "user", "content": "What does it do?"}]
    assert ours.apply_chat_template(chat)["input_ids"] == theirs.apply_chat_template(chat)["input_ids"]


def test_materialised_gguf(models: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    source = local(models / "gguf", "tiny-F32.gguf")
    plain = materialise_gguf(source, tmp_path, lines.append)
    assert (plain.gguf_file, plain.origin) == (None, "acme/tiny")
    ours, theirs = load_file(Path(plain.folder) / "model.safetensors"), load_file(models / "llama" / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours.keys() | theirs.keys())
    assert load_tokenizer(plain, False).eos_token == "<|im_end|>"
    assert (Path(plain.folder) / "model.safetensors").stat().st_mode & 0o044
    told = len(lines)
    assert materialise_gguf(source, tmp_path, lines.append) == plain
    assert len(lines) == told + 1  # Read, but not converted again.
    assert [p.name for p in tmp_path.iterdir()] == [Path(plain.folder).name]
    assert materialise_gguf(local(models / "llama"), tmp_path, lines.append) == local(models / "llama")


def _edit_config(**changes: Any) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text()) | changes
        (folder / "config.json").write_text(json.dumps({k: v for k, v in config.items() if v is not None}))

    return edit


def _edit_weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        weights = load_file(folder / "model.safetensors")
        change(weights)
        save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    return edit


NORM = "model.layers.1.input_layernorm.weight"


@pytest.mark.parametrize(
    ("edit", "reason", "words"),
    [
        (_edit_weights(lambda w: w.pop(NORM)), "ModelIncomplete", f"lack {NORM}"),
        (_edit_weights(lambda w: w.update(extra=torch.zeros(1))), "ModelIncomplete", "unknown extra"),
        (_edit_weights(lambda w: w.update({NORM: torch.zeros(3)})), "ModelIncomplete", "belong together"),
        (_edit_config(is_encoder_decoder=True), "ModelUnsupported", "encoder-decoder"),
        (_edit_config(vision_config={}), "ModelUnsupported", "images"),
        (_edit_config(quantization_config={"quant_method": "awq"}), "ModelUnsupported", "quantized (awq)"),
        (_edit_config(architectures=["LlamaForSequenceClassification"]), "ModelUnsupported", "output head"),
        (_edit_config(model_type="vit", architectures=["ViTModel"]), "ModelUnsupported", "not a causal"),
        (_edit_config(model_type="gpt99"), "ModelUnreadable", "gpt99"),
        (
            _edit_config(model_type="own", auto_map={"AutoConfig": "c.C", "AutoModelForCausalLM": "m.M"}),
            "ModelUnsupported",
            "trustRemoteCode",
        ),
    ],
)
def test_unfit_models(models: Path, tmp_path: Path, edit: Callable[[Path], None], reason: str, words: str) -> None:
    folder = Path(shutil.copytree(models / "llama", tmp_path / "m"))
    edit(folder)
    with pytest.raises(UserError) as caught:
        load(folder)
    assert caught.value.reason == reason
    assert words in str(caught.value)


def test_tied_weights_are_not_missing(models: Path) -> None:
    assert "lm_head.weight" not in load_file(models / "qwen3" / "model.safetensors")
    loaded = load(models / "qwen3")
    assert loaded.lm_head.weight is loaded.model.embed_tokens.weight


def test_supported_configs() -> None:
    for family in ("llama", "qwen3", "gemma3"):
        check_supported(make_config(family), family)


def test_stored_dtype_is_kept_with_auto(models: Path) -> None:
    assert load_weights(local(models / "llama"), "auto").dtype == torch.float32


def test_a_folder_without_a_tokenizer(models: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(models / "llama", tmp_path / "m"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(UserError) as caught:
        load_tokenizer(local(folder), False)
    assert caught.value.reason == "TokenizerUnreadable"


def test_stop_tokens(models: Path) -> None:
    tokenizer = load_tokenizer(local(models / "llama"), False)
    assert stop_token_ids(tokenizer) == [2]
    tokenizer.eos_token = "<|endoftext|>"  # As base models have it, whose chats end with another token.
    assert stop_token_ids(tokenizer) == [0, 2]
    tokenizer.chat_template = None
    assert stop_token_ids(tokenizer) == [0]
