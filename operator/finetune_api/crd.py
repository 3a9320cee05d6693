"""The CustomResourceDefinition, generated from the models: `python -m finetune_api.crd` writes it into crds/ and the chart.

It also writes the page of the documentation with every field.

A structural schema has no $ref, no unions and no null: an optional field without a default is simply absent.
`x-kubernetes-validations` come from rules.py and immutable.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finetune_api import immutable, spec
from finetune_api.forms import WORDS
from finetune_api.json_schema import Schema, flat_schema, is_quantity
from finetune_api.names import PLURAL
from finetune_api.rule import Rule
from finetune_api.rules import RULES
from finetune_api.status import FineTuneJobStatus
from finetune_api.yaml_writer import to_yaml

FILE_NAME = f"{PLURAL}.{spec.GROUP}.yaml"
#: Where the file is kept: for kubectl, and for the chart.
FOLDERS = ("crds", "helm/finetune-operator/files")

#: Name, type, JSON path, priority: 0 is always shown, 1 with -o wide.
_COLUMNS = (
    ("Phase", "string", ".status.phase", 0),
    ("Step", "string", ".status.summary.step", 0),
    ("Loss", "string", ".status.summary.loss", 0),
    ("ETA", "string", ".status.summary.eta", 0),
    ("Nodes", "string", ".status.summary.nodes", 0),
    ("Restarts", "integer", ".status.restarts", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Doing", "string", ".status.progress.phase", 1),
    ("Tokens/s", "number", ".status.progress.tokensPerSecond", 1),
    ("Eval-Loss", "number", ".status.progress.evalLoss", 1),
    ("Checkpoint", "integer", ".status.progress.lastCheckpointStep", 1),
    ("Preemptions", "integer", ".status.preemptions", 1),
    ("Model", "string", ".spec.model.source", 1),
    ("Method", "string", ".spec.training.method", 1),
    ("Message", "string", ".status.message", 1),
)
_KEPT = (
    "type", "format", "description", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "maxProperties",
    "minimum", "maximum", "required",
)  # fmt: skip


def custom_resource_definition() -> dict[str, Any]:
    """The manifest as plain data."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{spec.GROUP}"},
        "spec": {
            "group": spec.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": spec.KIND,
                "listKind": f"{spec.KIND}List",
                "plural": PLURAL,
                "singular": "finetunejob",
                "shortNames": ["ftj"],
                "categories": ["all", "finetune"],
            },
            "versions": [
                {
                    "name": spec.VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": [_column(*column) for column in _COLUMNS],
                    "schema": {"openAPIV3Schema": _root_schema()},
                }
            ],
        },
    }


def crd_yaml() -> str:
    """The manifest as text; the same on every run."""
    header = "# Generated from the models of finetune_api by `python -m finetune_api.crd`; do not edit.\n"
    return header + to_yaml(custom_resource_definition())


def _column(name: str, kind: str, path: str, priority: int) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": priority} if priority else {})}


def _root_schema() -> Schema:
    job = flat_schema(spec.FineTuneJob)
    root: Schema = {
        "type": "object",
        "description": "Distributed fine-tuning of a language model.",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {
                "type": "object",
                "properties": {"name": {"type": "string", "maxLength": spec.MAX_NAME, "pattern": spec.DNS_LABEL}},
            },
            "spec": structural(job["properties"]["spec"]),
            "status": structural(flat_schema(FineTuneJobStatus), defaults=False),
        },
    }
    for group in _groups_with_one_owner(root):
        group["x-kubernetes-map-type"] = "atomic"
    conditions = root["properties"]["status"]["properties"]["conditions"]
    conditions.update({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]})
    for rule in RULES:
        for at in rule.at:
            _node(root, at).setdefault("x-kubernetes-validations", []).append(_validation(rule))
    for at, validations in immutable.validations().items():
        _node(root, at).setdefault("x-kubernetes-validations", []).extend(validations)
    return root


def _groups_with_one_owner(root: Schema) -> Iterator[Schema]:
    """The groups of the spec that cannot be changed, and the status.

    Otherwise the API server would keep an entry about each of their 200 fields in managedFields, and read and write it all with
    each change of the status.
    """
    spec_properties = root["properties"]["spec"]["properties"]
    yield from (group for name in immutable.fixed_in_spec() if "properties" in (group := spec_properties[name]))
    yield root["properties"]["status"]


def _node(root: Schema, at: str) -> Schema:
    node = root
    for name in at.split("."):
        node = node["properties"][name.removesuffix("[]")]
        node = node["items"] if name.endswith("[]") else node
    return node


def _validation(rule: Rule) -> dict[str, str]:
    return {"rule": rule.cel, "message": f"{rule.message} {rule.hint}", "fieldPath": f".{rule.reads[0]}"}


def _keys_validation(pattern: str, maxLength: int) -> dict[str, str]:  # noqa: N803  (JSON schema's words)
    """A structural schema cannot describe the keys of a map."""
    what, hint = WORDS[pattern]
    rule = f"self.all(key, size(key) <= {maxLength} && key.matches({json.dumps(pattern)}))"
    return {"rule": rule, "message": f"a key is not {what}. {hint}"}


def structural(node: Schema, defaults: bool = True) -> Schema:
    """A flat JSON schema (json_schema.py) as a structural one.

    Args:
        defaults: keep default values; a status has none, since absent means unknown.
    """
    if is_quantity(node):
        limits = {key: value for option in node["anyOf"] for key, value in option.items() if key != "type"}
        return {
            "x-kubernetes-int-or-string": True,
            **{key: node[key] for key in ("description", "default") if key in node},
            **limits,
        }
    if "anyOf" in node:  # Values of several types cannot be described; the operator and the trainer check them.
        return {"x-kubernetes-preserve-unknown-fields": True}
    out: Schema = {key: node[key] for key in _KEPT if key in node}
    for exclusive, bound in (("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")):
        if exclusive in node:
            out |= {bound: node[exclusive], exclusive: True}
    if "properties" in node:
        out["properties"] = {name: structural(child, defaults) for name, child in node["properties"].items()}
    if "items" in node:
        out["items"] = structural(node["items"], defaults)
    values = node.get("additionalProperties")
    if values is True:
        out["x-kubernetes-preserve-unknown-fields"] = True
    elif isinstance(values, dict):
        out["additionalProperties"] = structural(values, defaults)
        if "pattern" in node.get("propertyNames", {}):
            out["x-kubernetes-validations"] = [_keys_validation(**node["propertyNames"])]
    if "default" in node and defaults:
        out["default"] = _default(out) if "properties" in node else node["default"]
    return out


def _default(node: Schema) -> dict[str, Any]:
    """An object's default, written out in full: the API server runs the CEL rules on it before it fills in anything."""
    return {name: child["default"] for name, child in node["properties"].items() if "default" in child}


if __name__ == "__main__":
    from finetune_api import field_page

    root = Path(__file__).parents[2]
    for folder in FOLDERS:
        (root / folder / FILE_NAME).write_text(crd_yaml())
    (root / field_page.FILE).write_text(field_page.markdown())
