"""The CRD in crds/ is what the models say, in the form that an API server takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from api.bad_specs import GOOD_CHANGES, changed
from finetune_api import immutable
from finetune_api.crd import FILE_NAME, crd_yaml, custom_resource_definition
from finetune_api.json_schema import all_fields
from finetune_api.load import _without_nulls
from finetune_api.rules import RULES
from finetune_api.spec import FineTuneJob
from finetune_api.yaml_reader import read_documents

CRDS = Path(__file__).parents[2] / "crds"
VERSION = custom_resource_definition()["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            yield from nodes(schema[key], f"{path}[]")


def test_no_drift():
    """make crd writes the file again."""
    assert (CRDS / FILE_NAME).read_text() == crd_yaml()


def test_text_is_the_data():
    assert read_documents(crd_yaml())[0].data == yaml.safe_load(crd_yaml()) == custom_resource_definition()


def test_structural():
    """Each node has a type or says why not, and nothing stands in it that the API server refuses in a structural schema."""
    refused = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "const", "title", "examples", "nullable"}
    for path, node in nodes(ROOT):
        assert not refused & node.keys(), path
        untyped = node.keys() & {"x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"}
        assert ("type" in node) != bool(untyped) or path.endswith((".affinity", ".config")), path
        assert "default" not in node or node["default"] is not None, path
        assert isinstance(node.get("exclusiveMinimum", True), bool), path


def test_everything_in_the_spec_has_a_bound_and_a_description():
    """The API server refuses CEL rules over what has no bound."""
    for path, node in nodes(ROOT["properties"]["spec"], "spec"):
        bound = {"string": "maxLength", "array": "maxItems"}.get(node.get("type", ""))
        assert bound is None or bound in node or "enum" in node, path
        assert "additionalProperties" not in node or "maxProperties" in node, path
        assert path.endswith("[]") or node.get("description"), path


def test_every_rule_is_there_once_for_each_place():
    attached = [(path, rule["rule"]) for path, node in nodes(ROOT) for rule in node.get("x-kubernetes-validations", ())]
    rules = [(f".{at}", rule.cel) for rule in RULES for at in rule.at]
    rules += [(f".{at}", validation["rule"]) for at, found in immutable.validations().items() for validation in found]
    keys = [(path, rule) for path, rule in attached if rule.startswith("self.all(key, ")]
    assert sorted(attached) == sorted(rules + keys)
    assert [path.rpartition(".")[2] for path, _ in keys] == ["limits", "requests", "labels", "annotations", "nodeSelector"]


def test_rules_point_to_fields():
    for path, node in nodes(ROOT):
        for rule in node.get("x-kubernetes-validations", ()):
            inner = f"{path}{rule.get('fieldPath', '')}".removeprefix(".")
            assert inner in all_fields(), inner


def with_defaults(value: Any, schema: dict[str, Any]) -> Any:
    """What the API server makes of an object: defaults of absent keys, from the outside in."""
    if isinstance(value, dict) and "properties" in schema:
        filled = {name: child["default"] for name, child in schema["properties"].items() if "default" in child} | value
        return {name: with_defaults(inner, schema["properties"].get(name, {})) for name, inner in filled.items()}
    return [with_defaults(item, schema["items"]) for item in value] if isinstance(value, list) else value


def test_defaults_are_those_of_the_models():
    for changes in GOOD_CHANGES.values():
        data = _without_nulls(changed(changes))
        job = FineTuneJob.model_validate(data, by_alias=True, by_name=False)
        assert with_defaults(data, ROOT) == job.to_manifest()


def test_columns_read_existing_fields():
    for column in VERSION["additionalPrinterColumns"]:
        node = ROOT
        for name in column["jsonPath"].strip(".").split("."):
            node = {"type": "date"} if name == "creationTimestamp" else node["properties"][name]
        assert node["type"] == column["type"], column
    shown = [column["name"] for column in VERSION["additionalPrinterColumns"] if "priority" not in column]
    assert shown == ["Phase", "Step", "Loss", "ETA", "Nodes", "Restarts", "Age"]
