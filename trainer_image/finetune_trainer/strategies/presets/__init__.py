"""The presets of DeepSpeed and FSDP: one YAML file each, in the words of the library that reads it."""

from __future__ import annotations

from importlib import resources
from typing import Any

import yaml


def read_preset(name: str) -> dict[str, Any]:
    """The configuration that a preset stands for."""
    content: dict[str, Any] = yaml.safe_load(resources.files(__name__).joinpath(f"{name}.yaml").read_text())
    return content
