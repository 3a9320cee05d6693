"""Merge a partial manifest into another, as Kubernetes' strategic merge does: objects by key, lists of named things by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: List -> the fields by which two entries are the same thing. Other lists are replaced as a whole.
_IDENTITY: Mapping[str, tuple[str, ...]] = {
    "env": ("name",),
    "imagePullSecrets": ("name",),
    "tolerations": ("key", "effect"),
    "volumeMounts": ("mountPath",),
    "volumes": ("name",),
}


def merge(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    """Both; where they differ, `theirs`. An entry of a list takes the place of the same thing in `ours`, the rest are added."""
    return {**ours, **{key: _merged(key, ours.get(key), value) for key, value in theirs.items()}}


def _merged(key: str, ours: Any, theirs: Any) -> Any:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        return merge(ours, theirs)
    if ours and key in _IDENTITY:
        return merge_list(ours, theirs, _IDENTITY[key])
    return theirs


def merge_list(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]], identity: tuple[str, ...]) -> list[Any]:
    """Entries of `ours` without those that `theirs` brings, then `theirs` in its own order."""
    brought = {_identity(entry, identity) for entry in theirs}
    return [*(entry for entry in ours if _identity(entry, identity) not in brought), *theirs]


def _identity(entry: Mapping[str, Any], fields: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(entry.get(name) for name in fields)
