"""What a rule is, and Python values as CEL literals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from finetune_api.part import Part


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        name: a word for tests.
        at: where it is attached: dotted path, [] for each entry of a list; several places for the same rule.
        reads: the fields that it looks at, relative to `at`; the problem is reported at the first. "": whatever is in the object.
        cel: what must hold, `self` being the object at `at`.
        check: the same, on the model.
        message: what is wrong.
        hint: what to write instead.
        cluster: it must hold on a cluster only; a local run has no use for it.
    """

    name: str
    at: tuple[str, ...]
    reads: tuple[str, ...]
    cel: str
    check: Callable[[Any], bool]
    message: str
    hint: str
    cluster: bool = False


def cel_value(value: object) -> str:
    """A Python value as a CEL literal; sets are sorted."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return f"'{value}'"
    if isinstance(value, Sequence | frozenset):
        return f"[{', '.join(cel_value(item) for item in (value if isinstance(value, Sequence) else sorted(value)))}]"
    return repr(value)


def cel_is_default(prefix: str, model: type[Part]) -> str:
    """CEL: every field of the object at `prefix` has its default."""
    return " && ".join(f"{prefix}.{field.alias} == {cel_value(field.default)}" for field in model.model_fields.values())


def unique(values: Sequence[object]) -> bool:
    """Whether no value stands there twice."""
    return len(set(values)) == len(values)
