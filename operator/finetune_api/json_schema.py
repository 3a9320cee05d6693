"""The JSON schema of the job: as editors take it, and flattened as `explain`, the error messages and the CRD are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel

from finetune_api.spec import FineTuneJob

Schema = dict[str, Any]


def editor_schema() -> Schema:
    """JSON schema (2020-12) of a job file, for editors: completion, hover texts, unknown keys underlined."""
    schema = FineTuneJob.model_json_schema(by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "FineTuneJob"}


@cache
def job_schema() -> Schema:
    """The flat schema of FineTuneJob. Shared: do not change it."""
    return flat_schema(FineTuneJob)


def flat_schema(model: type[BaseModel]) -> Schema:
    """The model's schema in simple words.

    No $ref; an optional field has its plain type; a single allowed value is an enum of one; a map has additionalProperties, with
    the pattern of its keys, if they have one, in propertyNames.
    """
    schema = model.model_json_schema(by_alias=True)
    return _flatten(schema, schema.get("$defs", {}))


def _flatten(node: Schema, definitions: dict[str, Schema]) -> Schema:
    if "$ref" in node:
        target = definitions[node["$ref"].rpartition("/")[2]]
        return _flatten({**target, **{key: value for key, value in node.items() if key != "$ref"}}, definitions)
    options = [option for option in node.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        outer = {key: value for key, value in node.items() if key != "anyOf" and (key, value) != ("default", None)}
        return _flatten({**options[0], **outer}, definitions)
    flat: Schema = {}
    for key, value in node.items():
        if key in ("title", "$defs") or (key, value) in (("default", None), ("additionalProperties", False)):
            continue
        if key == "const":
            flat["enum"] = [value]
        elif key == "anyOf":
            flat[key] = [_flatten(option, definitions) for option in options]
        elif key == "patternProperties":
            ((pattern, values),) = value.items()
            flat["additionalProperties"] = _flatten(values, definitions)
            flat["propertyNames"] = {**node.get("propertyNames", {}), "pattern": pattern}
        elif key == "propertyNames":
            flat.setdefault(key, value)
        elif key == "properties":
            flat[key] = {name: _flatten(child, definitions) for name, child in value.items()}
        elif key in ("items", "additionalProperties") and isinstance(value, dict):
            flat[key] = _flatten(value, definitions)
        else:
            flat[key] = value
    return flat


def node_at(keys: Sequence[str | int], schema: Schema | None = None) -> Schema | None:
    """The schema of the field at a path such as ("spec", "dataset", "sources", 0, "uri"), or None where there is no such field."""
    node: Schema | None = job_schema() if schema is None else schema
    for key in keys:
        if node is None:
            return None
        if isinstance(key, int):
            node = node.get("items")
        else:
            values = node.get("additionalProperties")
            node = node.get("properties", {}).get(key) or (values if isinstance(values, dict) else None)
    return node


def is_quantity(node: Schema) -> bool:
    """Whether it is an amount: a whole number, or text such as 500m."""
    return {option.get("type") for option in node.get("anyOf", ())} == {"integer", "string"}


def children(node: Schema) -> dict[str, Schema]:
    """The fields of an object, or of the objects in a list."""
    properties: dict[str, Schema] = (node.get("items") or node).get("properties", {})
    return properties


@cache
def all_fields() -> dict[str, Schema]:
    """Every field below spec: "spec.dataset.sources[].uri" -> schema, in the order of the model."""
    found: dict[str, Schema] = {}

    def walk(path: str, node: Schema) -> None:
        found[path] = node
        below = f"{path}[]" if "items" in node else path
        for name, child in children(node).items():
            walk(f"{below}.{name}", child)

    walk("spec", job_schema()["properties"]["spec"])
    return found


def bounds(node: Schema) -> str:
    """The range of a number, the size of a list or the length of a text in words; empty when there is no bound."""
    low, high = node.get("minimum", node.get("exclusiveMinimum")), node.get("maximum", node.get("exclusiveMaximum"))
    parts = []
    if low is not None:
        parts.append(f"{'more than' if 'exclusiveMinimum' in node else 'at least'} {low:g}")
    if high is not None:
        parts.append(f"{'less than' if 'exclusiveMaximum' in node else 'at most'} {high:_}".replace("_", ""))
    for unit, least, most in (
        ("entries", "minItems", "maxItems"),
        ("entries", "", "maxProperties"),
        ("characters", "minLength", "maxLength"),
    ):
        if node.get(least):
            parts.append(f"at least {_counted(node[least], unit)}")
        if most in node:
            parts.append(f"at most {_counted(node[most], unit)}")
    return ", ".join(parts)


def _counted(number: int, unit: str) -> str:
    return f"{number} {unit.replace('ies', 'y').rstrip('s') if number == 1 else unit}"
