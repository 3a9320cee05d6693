"""Affinity says where a job's pods stand to those of its own namespace, and to no others.

A required anti-affinity to all pods of all namespaces would keep everybody else away from a node. The rest of affinity is taken as
it is, which is why no rule of the schema can say this.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from finetune_api.problems import Problem

#: Of a term of podAffinity or podAntiAffinity.
_OTHER_NAMESPACES = ("namespaces", "namespaceSelector")
#: Keys in here are labels.
_LABELS = "matchLabels"


def affinity_problems(affinity: Mapping[str, Any]) -> list[Problem]:
    """Terms that look into other namespaces."""
    return [
        Problem(
            f"spec.podTemplate.spec.affinity.{path}",
            "looks at pods of other namespaces.",
            "Remove it: without it a term is about the pods of the job's own namespace.",
        )
        for path in _terms(affinity)
    ]


def _terms(value: Any) -> Iterator[str]:
    """Paths of the fields that name other namespaces, wherever they stand."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            if key in _OTHER_NAMESPACES:
                yield key
            elif key != _LABELS:
                yield from (f"{key}{'' if path.startswith('[') else '.'}{path}" for path in _terms(below))
    elif isinstance(value, list):
        for number, below in enumerate(value):
            yield from (f"[{number}].{path}" for path in _terms(below))
