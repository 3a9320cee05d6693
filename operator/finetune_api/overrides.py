"""`--set spec.training.maxSteps=20`: changes made to a job's data before it is checked."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

from finetune_api.problems import Problem, dotted
from finetune_api.yaml_reader import Keys, YamlError, read_value

_KEY = re.compile(r"((?:[^.\[\]\\]|\\.)+)((?:\[\d+\])*)(?:\.|$)")


def apply_overrides(data: Any, overrides: Sequence[str]) -> tuple[Any, set[Keys], list[Problem]]:
    """A copy of `data` with each PATH=VALUE written into it; objects on the way that do not exist are created.

    PATH is dotted, with list entries by index (spec.dataset.sources[0].weight) and a dot inside a key as `\\.`.
    VALUE is YAML, so a whole object can be given as JSON; null takes a field back to its default.

    Returns:
        The new data, the paths that were set, and what could not be applied.
    """
    data, changed, problems = copy.deepcopy(data), set(), []
    for override in overrides:
        text, equals, value = override.partition("=")
        keys = parse_path(text.strip())
        if not equals or keys is None:
            problems.append(Problem("", f"--set {override}: not PATH=VALUE.", "For example --set spec.training.maxSteps=20."))
            continue
        try:
            problem = _write(data, keys, read_value(value))
        except YamlError as error:
            problem = Problem(text, f"--set: {error.problem}")
        if problem:
            problems.append(problem)
        else:
            changed.add(keys)
    return data, changed, problems


def parse_path(text: str) -> Keys | None:
    """ "spec.dataset.sources[0].uri" -> ("spec", "dataset", "sources", 0, "uri"); None if it is not a path."""
    keys: list[str | int] = []
    position = 0
    while position < len(text):
        match = _KEY.match(text, position)
        if match is None:
            return None
        keys.append(re.sub(r"\\(.)", r"\1", match[1]))
        keys.extend(int(index) for index in re.findall(r"\d+", match[2]))
        position = match.end()
    return tuple(keys) if keys and not text.endswith(".") else None


def _write(data: Any, keys: Keys, value: Any) -> Problem | None:
    """Set one value; the problem if the path does not lead anywhere."""
    node = data
    for depth, key in enumerate(keys):
        here, last = dotted(keys[:depth]), depth == len(keys) - 1
        if isinstance(key, int):
            if not isinstance(node, list) or key >= len(node):
                size = f"has {len(node)} entries" if isinstance(node, list) else "is not a list"
                return Problem(dotted(keys), f"--set: {here} {size}.", "Count from 0, or set the whole list.")
        elif not isinstance(node, dict):
            return Problem(
                dotted(keys), f"--set: {here or 'the document'} is not a mapping.", "Give a list entry by index, as in sources[0]."
            )
        elif not last and node.get(key) is None:
            node[key] = {}
        if last:
            node[key] = value
        else:
            node = node[key]
    return None
