"""The documentation of a field as text, in the manner of `kubectl explain`."""

from __future__ import annotations

import json
import re
import textwrap
from typing import Any

from finetune_api.json_schema import Schema, all_fields, bounds, children, is_quantity
from finetune_api.known_names import meant
from finetune_api.problems import Problem
from finetune_api.rule import Rule
from finetune_api.rules import RULES
from finetune_api.spec import API_VERSION, KIND

_WIDTH = 100


class UnknownFieldError(Exception):
    """There is no field at that path; str() says which one was probably meant."""


def explain_field(path: str, recursive: bool = False) -> str:
    """What a person needs to know to fill in the field at `path` ("spec.dataset.sources.uri"; indices and [] may be given or not).

    Args:
        recursive: list the fields of all fields below, not only its own.

    Raises:
        UnknownFieldError: with the nearest name.
    """
    fields = {_plain(name): (name, node) for name, node in all_fields().items()}
    wanted = _plain(path)
    if wanted not in fields and f"spec.{wanted}" in fields:
        wanted = f"spec.{wanted}"
    if wanted not in fields:
        raise UnknownFieldError(_no_such_field(path, wanted, list(fields)))
    name, node = fields[wanted]
    facts = [("KIND", f"{KIND} ({API_VERSION})"), ("FIELD", name), ("TYPE", type_in_words(node)), *_values(wanted, node)]
    text = [f"{label + ':':<10}{value}" for label, value in facts if value]
    text += ["", *_wrapped(node.get("description", ""))]
    rules = [refusal(rule) for rule in RULES if _concerns(rule.at, rule.reads, wanted)]
    if rules and "properties" not in node:
        text += ["", "REFUSED:", *[line for rule in rules for line in _wrapped(rule, "- ")]]
    below = [
        (child, fields[child][1])
        for child in fields
        if child.startswith(f"{wanted}.") and (recursive or "." not in child.removeprefix(f"{wanted}."))
    ]
    if below:
        text += ["", "FIELDS:", *[line for child, field in below for line in _entry(child.removeprefix(f"{wanted}."), field)]]
    return "\n".join(text)


def _plain(path: str) -> str:
    return re.sub(r"\[\d*\]", "", path.strip().strip("."))


def _no_such_field(path: str, wanted: str, known: list[str]) -> str:
    parent, _, name = wanted.rpartition(".")
    parent = parent if parent in known else "spec"
    keys: list[str | int] = []
    node: Schema = {"properties": {"spec": all_fields()["spec"]}}
    for key in parent.split("."):
        node = children(node)[key]
        keys += [key, 0] if "items" in node else [key]
    guesses = meant(keys, name)
    hint = f"Did you mean {' or '.join(guesses)}?" if guesses else f"{parent} has: {', '.join(children(node))}."
    return str(Problem(path, "there is no such field.", hint))


def refusal(rule: Rule) -> str:
    """When a job is refused by the rule, and what to write instead."""
    return f"{'on a cluster: ' if rule.cluster else ''}{rule.message} {rule.hint}"


def type_in_words(node: Schema) -> str:
    """What a field's value is: a number, a list of objects, a quantity."""
    if "properties" in node:
        return "object"
    if node.get("type") == "array":
        return f"list of {type_in_words(node['items'])}" if node["items"].get("type") != "object" else "list of objects"
    if node.get("type") == "object":
        values = node.get("additionalProperties")
        return f"map of names to {'quantities' if isinstance(values, dict) and is_quantity(values) else 'values'}"
    if is_quantity(node):
        return "quantity"
    return str(node.get("type", "value"))


def _values(path: str, node: Schema) -> list[tuple[str, str]]:
    """Whether it is required, default, range, choices, examples."""
    return [
        ("REQUIRED", "yes" if is_required(path) else ""),
        ("DEFAULT", shown_default(node)),
        ("RANGE", bounds(node)),
        ("VALUES", ", ".join(choices(node))),
        ("EXAMPLES", ", ".join(_inline(example) for example in node.get("examples", []))),
    ]


def is_required(path: str) -> bool:
    """Whether the object that the field belongs to cannot be without it."""
    parent, _, name = _plain(path).rpartition(".")
    owner = next((field for key, field in all_fields().items() if _plain(key) == parent), {})
    return name in (owner.get("items") or owner).get("required", ())


def choices(node: Schema) -> list[str]:
    """The words that the field, or an entry of it, may be; empty where it is not one of a few."""
    found: list[str] = node.get("enum") or node.get("items", {}).get("enum", [])
    return found


def shown_default(node: Schema) -> str:
    """The default as it is written in YAML; empty for objects and for fields without one."""
    return "" if "default" not in node or "properties" in node else _inline(node["default"])


def _inline(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value).replace('"', "")


def _concerns(at: tuple[str, ...], reads: tuple[str, ...], path: str) -> bool:
    return any(_plain(f"{place}.{read}") == path for place in at for read in reads)


def _wrapped(text: str, bullet: str = "") -> list[str]:
    indent = "  "
    return textwrap.wrap(text, _WIDTH, initial_indent=indent + bullet, subsequent_indent=indent + " " * len(bullet))


def _entry(name: str, node: Schema) -> list[str]:
    default = shown_default(node)
    head = f"  {name} <{type_in_words(node)}>" + (f" = {default}" if default else "")
    return [head, *["    " + line.strip() for line in textwrap.wrap(node.get("description", ""), _WIDTH - 4)]]
