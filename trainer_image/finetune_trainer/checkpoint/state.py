"""Nested state (optimizer, scheduler, random generators) <-> one safetensors file and one JSON file. Nothing is pickled.

Tensors go to NAME.safetensors, everything else to NAME.json, where a tensor is {"tensor": key}. Dictionaries keep the type of
their keys and tuples stay tuples, so what is loaded equals what was saved; floats survive because JSON writes their repr.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def save_state(folder: Path, name: str, state: Any) -> None:
    """Write `state`: any nesting of dict, list, tuple, tensors and JSON scalars.

    Raises:
        TypeError: something else is in it.
    """
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    plain = _split(state, tensors, "")
    save_file(tensors, str(folder / f"{name}.safetensors"))
    (folder / f"{name}.json").write_text(json.dumps(plain))


def load_state(folder: Path, name: str, device: str = "cpu") -> Any:
    """The reverse of save_state; tensors are placed on `device`."""
    from safetensors.torch import load_file

    return _join(json.loads((folder / f"{name}.json").read_text()), load_file(str(folder / f"{name}.safetensors"), device=device))


def _split(value: Any, tensors: dict[str, Any], path: str) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        tensors[path] = value.detach().contiguous()
        return {"tensor": path}
    if isinstance(value, dict):
        return {"dict": [[key, _split(item, tensors, f"{path}/{key}")] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_split(item, tensors, f"{path}/{i}") for i, item in enumerate(value)]
        return {"tuple": items} if isinstance(value, tuple) else items
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"cannot save {type(value).__name__} at {path!r} in a checkpoint")


def _join(plain: Any, tensors: dict[str, Any]) -> Any:
    if isinstance(plain, list):
        return [_join(item, tensors) for item in plain]
    if not isinstance(plain, dict):
        return plain
    ((kind, content),) = plain.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_join(item, tensors) for item in content)
    return {key: _join(item, tensors) for key, item in content}
