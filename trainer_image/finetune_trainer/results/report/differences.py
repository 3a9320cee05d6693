"""The settings in which runs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_trainer.results.changed_settings import flat

#: A run does not have the setting: where a list is shorter, or another strategy is chosen.
ABSENT = "–"


@dataclass(frozen=True)
class Difference:
    """One setting by its path, and its value in each run, as text."""

    path: str
    values: tuple[str, ...]


def differences(manifests: Sequence[Mapping[str, Any]]) -> list[Difference]:
    """Settings of the spec that are not the same in all of the resolved jobs, in the order of the spec."""
    settings = [_settings(manifest) for manifest in manifests]
    paths = dict.fromkeys(path for each in settings for path in each)
    rows = (Difference(path, tuple(_text(each[path]) if path in each else ABSENT for each in settings)) for path in paths)
    return [row for row in rows if len(set(row.values)) > 1]


def _settings(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """All of the spec by path; what is empty says nothing beside the entries of another run."""
    return {path: value for path, value in flat(manifest["spec"], "spec").items() if value not in ({}, [])}


def _text(value: Any) -> str:
    """As it would stand in YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
