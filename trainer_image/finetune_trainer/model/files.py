"""Which files make up a model, and whether they are whole. Looks at names and headers only; no weights are read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from finetune_trainer.errors import UserError

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
_TEXT_SUFFIXES = (".json", ".jinja", ".txt", ".model", ".tiktoken")
_PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack")


def needed_files(names: Collection[str], gguf_file: str | None, trust_remote_code: bool, where: str) -> list[str]:
    """The files of a repository or folder that a training run needs: weights, configs, tokenizer; code only when it is trusted.

    Args:
        names: all files, by their path inside the repository.
        where: how to name the place in an error.

    Raises:
        UserError: ModelNotFound or ModelUnsupported, when there are no weights that can be read.
    """
    texts = [n for n in names if "/" not in n and n.endswith(_TEXT_SUFFIXES)]
    code = [n for n in names if trust_remote_code and n.endswith(".py")]
    return sorted({*_weights(names, gguf_file, where), *texts, *code})


def _weights(names: Collection[str], gguf_file: str | None, where: str) -> list[str]:
    ggufs = sorted(n for n in names if n.endswith(".gguf"))
    if gguf_file:
        if gguf_file in names:
            return [gguf_file]
        near = get_close_matches(gguf_file, ggufs, 1, 0.3)
        hint = f"Did you mean ggufFile: {near[0]}?" if near else "It has no GGUF file at all."
        raise UserError("ModelNotFound", f"{where} has no file {gguf_file} (spec.model.ggufFile).", hint)
    if WEIGHTS in names:
        return [WEIGHTS]
    shards = [n for n in names if n.startswith("model-") and n.endswith(".safetensors")]
    if INDEX in names or shards:
        return shards
    if ggufs:
        raise UserError("ModelNotFound", f"{where} has its weights in GGUF files.", f"Name one: spec.model.ggufFile: {ggufs[0]}.")
    pickles = sorted(n for n in names if n.endswith(_PICKLES))
    if pickles:
        raise UserError(
            "ModelUnsupported",
            f"{where} has weights only as {pickles[0]}; such files can run code when they are opened, so they are not read.",
            "Use a revision with .safetensors files, or convert it: AutoModelForCausalLM.from_pretrained(A).save_pretrained(B).",
        )
    if "adapter_model.safetensors" in names:
        raise UserError("ModelUnsupported", f"{where} is an adapter, not a model.", "Merge it first: finetune export OUTPUT DEST.")
    raise UserError("ModelNotFound", f"{where} has no model weights ({WEIGHTS} or shards).", f"It has: {_some(sorted(names))}.")


def check_files(folder: Path, gguf_file: str | None) -> None:
    """Make sure that config and weights are there, whole, and what they say they are.

    Raises:
        UserError: ModelNotFound, ModelUnreadable, ModelTruncated or ModelIncomplete, naming the file.
    """
    if gguf_file:
        _check_gguf(folder / gguf_file)
        return
    config = folder / CONFIG
    if not config.is_file():
        raise UserError("ModelNotFound", f"{folder} has no {CONFIG}.", "A model folder needs config.json, weights and tokenizer.")
    refuse_quantized(_read_json(config), str(folder))
    if (folder / WEIGHTS).is_file():
        _check_safetensors(folder / WEIGHTS)
        return
    index = folder / INDEX
    if not index.is_file():
        raise UserError("ModelIncomplete", f"{folder} has shards of weights, but no {INDEX}.", "Copy or download the model again.")
    weight_map = _read_json(index).get("weight_map", {})
    for name in sorted(set(weight_map.values())):
        if not (folder / name).is_file():
            raise UserError("ModelIncomplete", f"{index} lists {name}, which is not there.", "Copy or download the model again.")
        _check_safetensors(folder / name)


def weight_shapes(folder: Path) -> dict[str, int]:
    """Name of each tensor in the folder's weights -> its number of dimensions. `check_files` has found them whole."""
    shapes = {}
    for file in sorted(folder.glob("*.safetensors")):
        with file.open("rb") as stream:
            header = json.loads(stream.read(int.from_bytes(stream.read(8), "little")))
        shapes.update({name: len(tensor["shape"]) for name, tensor in header.items() if name != "__metadata__"})
    return shapes


def refuse_quantized(config: Mapping[str, Any], where: str) -> None:
    """Refuse a model whose weights were quantized before: they cannot be trained, nor split over processes.

    Raises:
        UserError: ModelUnsupported.
    """
    method = (config.get("quantization_config") or {}).get("quant_method")
    if method:
        raise UserError(
            "ModelUnsupported",
            f"{where} cannot be trained: its weights are quantized ({method}).",
            "Choose the original, unquantized model.",
        )


def _check_gguf(file: Path) -> None:
    with file.open("rb") as stream:
        head = stream.read(64)
    _refuse_pointer(file, head)
    if head[:4] != b"GGUF":
        raise UserError(
            "ModelUnreadable", f"{file} is not a GGUF file (it starts with {head[:4]!r}).", "Copy or download it again."
        )


def _check_safetensors(file: Path) -> None:
    size = file.stat().st_size
    with file.open("rb") as stream:
        head = stream.read(64)
        _refuse_pointer(file, head)
        header_size = int.from_bytes(head[:8], "little")
        if size < 8 + header_size:
            raise _truncated(file, size, 8 + header_size)
        stream.seek(8)
        try:
            header = json.loads(stream.read(header_size))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
        except (ValueError, AttributeError, KeyError, TypeError):
            raise UserError("ModelUnreadable", f"{file} is not a safetensors file.", "Copy or download it again.") from None
    expected = 8 + header_size + max(ends, default=0)
    if size < expected:
        raise _truncated(file, size, expected)


def _truncated(file: Path, size: int, expected: int) -> UserError:
    return UserError(
        "ModelTruncated", f"{file} has {size} bytes; its header says that it has {expected}.", "Copy or download it again."
    )


def _refuse_pointer(file: Path, head: bytes) -> None:
    if head.startswith(b"version https://git-lfs"):
        raise UserError("ModelIncomplete", f"{file} is a git-lfs pointer, not the file itself.", "Run: git lfs pull.")


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError("ModelUnreadable", f"{file} is not valid JSON: {error}.", "Copy or download it again.") from None
    if not isinstance(content, dict):
        raise UserError("ModelUnreadable", f"{file} is not a JSON object.", "Copy or download it again.")
    return content


def _some(names: list[str], limit: int = 8) -> str:
    return (", ".join(names[:limit]) + (", ..." if len(names) > limit else "")) or "nothing"
