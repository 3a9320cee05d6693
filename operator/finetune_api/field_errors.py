"""pydantic's errors about single fields -> problems that say what to write instead."""

from __future__ import annotations

import re
from typing import Any

from pydantic_core import ErrorDetails

from finetune_api import spec
from finetune_api.forms import WORDS
from finetune_api.json_schema import Schema, bounds, is_quantity, node_at
from finetune_api.known_names import unknown_key_hint
from finetune_api.part import QUANTITY
from finetune_api.problems import Problem, dotted, nearest
from finetune_api.yaml_reader import Keys

_KINDS = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}
_RANGE_ERRORS = {"greater_than", "greater_than_equal", "less_than", "less_than_equal"}
_SIZE_ERRORS = {"too_short", "too_long", "string_too_short", "string_too_long"}
#: Where pydantic puts an error about a key and not about its value.
_KEY_OF_A_MAP = "[key]"
_BYTES = re.compile(r"([0-9.]+) *([kKMGTPE])i?[bB]")
_NUMBER = re.compile(r"[-+]?[0-9.]+([eE][-+]?[0-9]+)?")


def data_path(error: ErrorDetails, data: Any) -> Keys:
    """The part of an error's location that exists in the data, and the last key if that is what is missing.

    pydantic adds the members of a union, and a word for the key of a map.
    """
    keys: list[str | int] = []
    for key in error["loc"]:
        known = (isinstance(data, dict) and key in data) or (isinstance(data, list) and isinstance(key, int) and key < len(data))
        if not known:
            return (*keys, key) if error["type"] == "missing" else tuple(keys)
        keys.append(key)
        data = data[key]
    return tuple(keys)


def field_problem(error: ErrorDetails, keys: Keys) -> Problem:
    """One of pydantic's errors, at the path `keys`, in words (without a line)."""
    kind, value, path = error["type"], error["input"], dotted(keys)
    node = node_at(keys) or {}
    if kind == "missing":
        return Problem(path, "is missing.", _example(str(keys[-1]), node))
    if kind == "extra_forbidden":
        return Problem(path, "is not a field of the API.", unknown_key_hint(keys[:-1], str(keys[-1])))
    if error["loc"][-1] == _KEY_OF_A_MAP:
        return Problem(path, *_key_problem(error))
    if is_quantity(node):
        return Problem(path, *_quantity_problem(value))
    if kind in _RANGE_ERRORS:
        return Problem(path, f"{shown(value)} is out of range.", f"Write a number of {bounds(node)}.")
    if kind in _SIZE_ERRORS:
        size = f"{len(value)} {'characters' if isinstance(value, str) else 'entries'}"
        return Problem(path, f"has {size}.", f"It needs {bounds(node)}.")
    if kind == "string_pattern_mismatch":
        return Problem(path, *_pattern_problem(str(value), node))
    if "enum" in node:
        return Problem(path, *_choice_problem(value, node))
    return Problem(path, *_type_problem(value, node))


def shown(value: Any) -> str:
    """A value as people would name it in a sentence."""
    if value is True or value is False:
        return str(value).lower()
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _example(name: str, node: Schema) -> str:
    """How a missing field is written."""
    if "examples" in node:
        return f"For example {name}: {node['examples'][0]}."
    if "enum" in node:
        return f"One of: {', '.join(node['enum'])}."
    if "required" in node:
        return f"It needs at least {', '.join(node['required'])}."
    return _fields(node)


def _choice_problem(value: Any, node: Schema) -> tuple[str, str]:
    choices = node["enum"]
    message = f"{shown(value)} is not a value that it can have."
    if isinstance(value, bool):
        message = f"{shown(value)} is not a value that it can have (YAML reads yes, no, on and off as true and false)."
    near = nearest(str(value), choices)
    listed = f"One of: {', '.join(choices)}." if len(choices) > 1 else f"The only value is {choices[0]}."
    return message, f"Did you mean {near}? {listed}" if near and len(choices) > 1 else listed


def _type_problem(value: Any, node: Schema) -> tuple[str, str]:
    """The value is of the wrong type."""
    wanted = node.get("type", "")
    if wanted not in _KINDS:
        return f"{shown(value)} cannot be given to TrainingArguments.", "Write true, false, a number or text."
    if wanted == "integer" and isinstance(value, float):
        return f"must be a whole number, not {value}.", ""
    is_now = _json_type(value)
    article = {"string": "the text ", "integer": "the number ", "number": "the number "}.get(is_now, "")
    message = f"must be {_KINDS[wanted]}, not {article}{shown(value)}."
    return message, _type_hint(value, wanted, is_now, node)


def _type_hint(value: Any, wanted: str, is_now: str, node: Schema) -> str:
    if wanted == "string" and is_now in ("integer", "number", "boolean"):
        return (
            f'Write it in quotes: "{shown(value)}".'
            if is_now != "boolean"
            else "YAML reads yes, no, on and off so: write it in quotes."
        )
    if wanted in ("integer", "number") and is_now == "string":
        return f"Leave the quotes out: {value}." if _NUMBER.fullmatch(value) else ""
    if wanted == "boolean" and is_now == "string":
        return f"Leave the quotes out: {value.lower()}." if value.lower() in ("true", "false") else ""
    if wanted == "array":
        return f"Write [{value}]." if is_now not in ("array", "object") else "Start each entry with '- '."
    return _fields(node) if wanted == "object" else ""


def _fields(node: Schema) -> str:
    """What an object has."""
    names = list(node.get("properties", {}))
    return f"Its fields are {', '.join(names[:6])}{' and others' if len(names) > 6 else ''}." if names else ""


def _key_problem(error: ErrorDetails) -> tuple[str, str]:
    """The value's key is wrong."""
    key, limits = error["input"], error.get("ctx", {})
    if "pattern" in limits:
        what, hint = WORDS[limits["pattern"]]
        return f"{shown(key)} is not {what}.", hint
    return f"is a name of {len(key)} characters.", f"It needs at most {limits['max_length']}."


def _quantity_problem(value: Any) -> tuple[str, str]:
    what, hint = WORDS[QUANTITY]
    if isinstance(value, str):
        unit = _BYTES.fullmatch(value.strip())
        return f"{value!r} is not {what}.", f"Did you mean {unit[1]}{unit[2].upper()}i?" if unit else hint
    if isinstance(value, float) and value > 0:
        return f"{value} is not {what}.", f'Write it in quotes: "{value}".'
    return f"{shown(value)} is not {what}.", hint


def _json_type(value: Any) -> str:
    for kind, name in ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array")):
        if isinstance(value, kind):
            return name
    return "object"


def _pattern_problem(value: str, node: Schema) -> tuple[str, str]:
    pattern = node.get("pattern")
    if pattern == spec.MODEL_URI:
        return _uri_problem(value, "a model's source", "hf://OWNER/REPO[@REVISION], pvc://CLAIM/PATH or file:///PATH")
    if pattern == spec.DATA_URI:
        return _uri_problem(
            value, "a data set's URI", "hf://OWNER/REPO[@REVISION], pvc://CLAIM/PATH, configmap://NAME/KEY or file:///PATH"
        )
    if pattern == spec.GGUF_FILE:
        return (
            f"{value!r} is not the name of a GGUF file.",
            "Write the name alone, ending in .gguf; the folder belongs in spec.model.source.",
        )
    if pattern == spec.DNS_LABEL:
        suggestion = re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")[: spec.MAX_NAME]
        return f"{value!r} is not a name for Kubernetes objects.", f"Small letters, digits and -: {suggestion or 'my-job'}."
    if pattern in WORDS:
        what, hint = WORDS[pattern]
        return f"{value!r} is not {what}.", hint
    return f"{value!r} is not of the right form.", f"It must match {pattern}."


def _uri_problem(value: str, what: str, forms: str) -> tuple[str, str]:
    """Guesses the scheme of what has none."""
    message = f"{value!r} is not {what}."
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*/[A-Za-z0-9._-]+", value):
        return message, f"Write hf://{value} for the hub, or file://{value} for a folder here."
    if value.startswith(("/", "./", "../", "~")):
        return message, f"Write file://{value}."
    scheme, found, _ = value.partition("://")
    if found and (near := nearest(scheme, ("hf", "pvc", "file", "configmap"), cutoff=0.5)) and near != scheme:
        return message, f"Did you mean {near}://? Write {forms}."
    return message, f"Write {forms}."
